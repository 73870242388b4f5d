"""From patches of a movie, or an image, to tokens, without ever holding all patches at once."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from insilico.errors import ShapeError
from insilico.models.cores.norms import DynamicTanh, NormKind, build_norm
from insilico.models.cores.parts import cut

#: Values of patches in memory at a time: what fits the cache of a CPU, and what a GPU can use.
CPU_VALUES, GPU_VALUES = 1 << 20, 1 << 28


@dataclasses.dataclass(frozen=True)
class PatchGrid:
    """How a movie is cut into patches.

    Parameters
    ----------
    frame_px : (int, int)
        Rows and columns of a frame.
    patch_px, stride_px : int
        Side of a patch and distance between neighbors, pixels.
    patch_frames, stride_frames : int
        The same in time; 1 for images.
    pads : bool
        Whether zeros around every frame, and in front of the movie, let patches begin at (nearly)
        every stride; otherwise only whole patches are taken.
    max_frames : int
        Length of a movie for which the zeros in front are counted.

    Raises
    ------
    ShapeError
        If a patch is larger than what it is cut from.
    """

    frame_px: tuple[int, int]
    patch_px: int = 7
    stride_px: int = 2
    patch_frames: int = 13
    stride_frames: int = 1
    pads: bool = True
    max_frames: int = 300

    def __post_init__(self) -> None:
        if min(self.patch_px, self.stride_px, self.patch_frames, self.stride_frames) < 1:
            raise ShapeError("patches and their strides have at least one pixel and one frame")
        if self.patch_px > min(self.frame_px):
            raise ShapeError(
                f"patches of {self.patch_px} px do not fit frames of {self.frame_px}; give smaller "
                "ones"
            )

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Zeros to the left, right, top and bottom of a frame."""
        if not self.pads:
            return 0, 0, 0, 0
        height, width = (_missing(size, self.patch_px, self.stride_px) for size in self.frame_px)
        return width // 2, width - width // 2, height // 2, height - height // 2

    @property
    def leading_frames(self) -> int:
        """Zeros in front of a movie."""
        return _missing(self.max_frames, self.patch_frames, self.stride_frames) * self.pads

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        left, right, top, bottom = self.margins
        sizes = self.frame_px[0] + top + bottom, self.frame_px[1] + left + right
        return tuple((size - self.patch_px) // self.stride_px + 1 for size in sizes)  # type: ignore[return-value]

    def frames(self, frame_count: int) -> int:
        """Return how many times patches are cut from a movie; 0 if it is too short."""
        return self.times(frame_count + self.leading_frames)

    def times(self, padded_count: int) -> int:
        """Return how many times patches are cut from frames that have their zeros already."""
        return max(0, (padded_count - self.patch_frames) // self.stride_frames + 1)

    def longest_movie(self, times: int) -> int:
        """Return the largest number of frames from which patches are cut so many times."""
        return self.patch_frames - self.leading_frames + times * self.stride_frames - 1


def _missing(size: int, patch: int, stride: int) -> int:
    return max(0, (math.ceil(size / stride) - 1) * stride + patch - size)


@dataclasses.dataclass(frozen=True)
class PatchWeights:
    """The linear map of one forward pass, taken apart.

    Attributes
    ----------
    seen : float tensor, shape (token channel, value)
        From the stimulus' part of a patch.
    inside : float tensor, shape (variable · frame, patch, token channel), or None
        From the state, if there is one, summed over what lies inside the frame.
    state_sum : float tensor, shape (token channel,)
        Sum of all weights of the state.
    offset : float tensor, shape (token channel,)
        Added to every token.
    """

    seen: Tensor
    inside: Tensor | None
    state_sum: Tensor
    offset: Tensor


class PatchEmbedding(nn.Module):
    """Cut patches, normalize each as one vector, and map it to a token.

    The vector of a patch is ordered (channel, frame, y, x): the stimulus' channels, then those of
    the state, which are the same everywhere in a frame and zero around it. Those are never spread
    out: their part of every sum is the value times a count, and their part of the map is the value
    times those weights that lie inside the frame. Nor are all patches ever held at once: they
    are cut, normalized and mapped some frames at a time, and again on the way back.

    Parameters
    ----------
    grid : PatchGrid
        How patches are cut.
    channels : int
        Channels of the stimulus.
    state_count : int
        Channels of the state.
    width : int
        Channels of a token.
    norm : {"layernorm", "rmsnorm", "dyt"} or None
        Normalization of a patch; None for a plain convolution.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/vivit.py (``Tokenizer``).
    """

    def __init__(
        self,
        grid: PatchGrid,
        *,
        channels: int,
        state_count: int,
        width: int,
        norm: NormKind | None = "layernorm",
    ) -> None:
        super().__init__()
        self.grid = grid
        self.channels, self.state_count = channels, state_count
        self.pixels = grid.patch_frames * grid.patch_px**2
        values = (channels + state_count) * self.pixels
        self.norm = build_norm(norm, values) if norm else nn.Identity()
        self.linear = nn.Linear(values, width)

    def forward(self, stimulus: Tensor, state: Tensor | None = None) -> Tensor:
        """Return the tokens of a movie.

        Parameters
        ----------
        stimulus : float tensor, shape (trial, channel, frame, y, x)
            Standardized movie.
        state : float tensor, shape (trial, variable, frame), optional
            Values that are the same everywhere in a frame.

        Returns
        -------
        float tensor, shape (trial, time, patch, channel)
        """
        movie, values = self.pad(stimulus, state)
        weights = self.weights()
        spans = self.spans(stimulus)
        return torch.cat([self.embed(movie, values, weights, span) for span in spans], dim=1)

    def spans(self, stimulus: Tensor) -> list[slice]:
        """Return the times whose patches are cut together."""
        values = CPU_VALUES if stimulus.device.type == "cpu" else GPU_VALUES
        rows, columns = self.grid.shape
        patches = len(stimulus) * rows * columns * self.channels * self.pixels
        return cut(self.grid.frames(stimulus.shape[2]), values // patches)

    def pad(self, stimulus: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return movie and state with the zeros that the grid adds in space and time."""
        before = self.grid.leading_frames, 0
        movie = F.pad(stimulus, (*self.grid.margins, *before))
        return movie, None if state is None else F.pad(state, before)

    def pad_frames(self, stimulus: Tensor) -> Tensor:
        """Return a movie with the zeros that the grid adds in space alone."""
        return F.pad(stimulus, self.grid.margins)

    def weights(self) -> PatchWeights:
        """Return the map from patches to tokens, with the gains of the normalization in it."""
        matrix, offset = self.linear.weight, self.linear.bias
        if not isinstance(self.norm, nn.Identity):
            bias = getattr(self.norm, "bias", None)
            if bias is not None:
                offset = offset + matrix @ bias
            matrix = matrix * self.norm.weight
        pixels = self.channels * self.pixels
        seen, rest = matrix[:, :pixels], matrix[:, pixels:]
        inside = self._inside(rest) if self.state_count else None
        return PatchWeights(seen, inside, rest.sum(dim=1), offset)

    def embed(
        self, movie: Tensor, state: Tensor | None, weights: PatchWeights, times: slice
    ) -> Tensor:
        """Return the tokens of some times, keeping no patches for the way back.

        Parameters
        ----------
        movie, state : tensor
            As :meth:`pad` returns them.
        weights : PatchWeights
            As :meth:`weights` returns them.
        times : slice
            Of the patches' times.

        Returns
        -------
        float tensor, shape (trial, time, patch, channel)
        """
        stride, length = self.grid.stride_frames, self.grid.patch_frames
        frames = slice(times.start * stride, (times.stop - 1) * stride + length)
        part = movie[:, :, frames]
        values = None if state is None else _windows(state[:, :, frames], length, stride)
        if not torch.is_grad_enabled():
            return self._embed(part, values, weights)
        tokens: Tensor = checkpoint(
            self._embed, part, values, weights, use_reentrant=False, preserve_rng_state=False
        )
        return tokens

    def _embed(self, part: Tensor, values: Tensor | None, weights: PatchWeights) -> Tensor:
        patches, values, shift, scale = self._normalize(self._cut(part), values)
        tokens = F.linear(patches, weights.seen, weights.offset)
        if values is None or weights.inside is None:
            return tokens
        inside = torch.einsum("btk,kpe->btpe", values, weights.inside)
        return tokens + (inside - shift * weights.state_sum) * scale

    def _cut(self, movie: Tensor) -> Tensor:
        """Return the patches (trial, time, patch, value) of a padded movie."""
        grid = self.grid
        cut = movie.unfold(2, grid.patch_frames, grid.stride_frames)
        cut = cut.unfold(3, grid.patch_px, grid.stride_px).unfold(4, grid.patch_px, grid.stride_px)
        return cut.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4).flatten(2, 3)

    def _normalize(
        self, patches: Tensor, values: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | float, Tensor | float]:
        """Return normalized patches, values of the state, and what is still to do to the state.

        The state's part inside a frame is ``(value - shift) scale``, and ``-shift scale`` around.
        """
        if isinstance(self.norm, nn.Identity):
            return patches, values, 0.0, 1.0
        if isinstance(self.norm, DynamicTanh):
            bent = None if values is None else torch.tanh(self.norm.alpha * values)
            return torch.tanh(self.norm.alpha * patches), bent, 0.0, 1.0
        size = (self.channels + self.state_count) * self.pixels
        inside = self._inside_count(patches)
        shift: Tensor | float = 0.0
        if isinstance(self.norm, nn.LayerNorm):
            total = patches.sum(dim=-1, keepdim=True)
            if values is not None:
                total = total + inside * values.sum(dim=-1)[..., None, None]
            shift = total / size
            patches = patches - shift
            if values is None:
                # A uniform patch has no variance, and dividing by its square root would blow up
                # what rounding leaves of it.
                patches = patches - patches.mean(dim=-1, keepdim=True)
        power = patches.square().sum(dim=-1, keepdim=True)
        if values is not None:
            apart = values[:, :, None] - shift
            outside = self.grid.patch_px**2 - inside
            power = power + inside * apart.square().sum(dim=-1, keepdim=True)
            power = power + outside * values.shape[-1] * _square(shift)
        epsilon = self.norm.eps
        if epsilon is None:
            epsilon = torch.finfo(patches.dtype).eps
        scale = torch.rsqrt(power / size + epsilon)
        return patches * scale, values, shift, scale

    def _inside_count(self, like: Tensor) -> Tensor:
        """Return how many pixels of each patch lie inside the frame, (patch, 1)."""
        counts = [
            F.pad(like.new_ones(size), (before, after))
            .unfold(0, self.grid.patch_px, self.grid.stride_px)
            .sum(dim=1)
            for size, (before, after) in zip(
                self.grid.frame_px, self._margins_by_axis(), strict=True
            )
        ]
        return torch.outer(*counts).flatten()[:, None]

    def _margins_by_axis(self) -> tuple[tuple[int, int], tuple[int, int]]:
        left, right, top, bottom = self.grid.margins
        return (top, bottom), (left, right)

    def _inside(self, weights: Tensor) -> Tensor:
        """Sum the state's weights over what lies inside the frame.

        Parameters
        ----------
        weights : float tensor, shape (token channel, value)
            Of the state's channels.

        Returns
        -------
        float tensor, shape (variable · frame, patch, token channel)
        """
        side = self.grid.patch_px
        kernels = weights.reshape(-1, 1, side, side)
        ones = F.pad(weights.new_ones(1, 1, *self.grid.frame_px), self.grid.margins)
        maps = F.conv2d(ones, kernels, stride=self.grid.stride_px)[0]
        return maps.view(len(weights), -1, maps[0].numel()).permute(1, 2, 0)


def _windows(state: Tensor, length: int, stride: int) -> Tensor:
    """Return the values (trial, time, variable · frame) under each patch."""
    return state.unfold(2, length, stride).transpose(1, 2).flatten(2)


def _square(value: Tensor | float) -> Tensor | float:
    return value * value
