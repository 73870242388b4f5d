"""Transformers over the patches of single images, or of every frame of a movie on its own."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import cast, overload

import numpy as np
import torch
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.attention_maps import AttentionMaps, PatchPlaces
from insilico.models.context import Reach
from insilico.models.cores.core import Core
from insilico.models.cores.image_patches import guess_grid
from insilico.models.cores.parts import cut
from insilico.models.cores.planes import append_planes
from insilico.models.cores.regularizers import absolute_sum
from insilico.models.cores.vit_blocks import TransformerBlock
from insilico.models.rollout import draw_evenly, draw_from

#: Tokens that pass through the blocks together. On one CPU core full-size V1T (1,654 tokens) took
#: 0.41 s an image for 1 or 2 images together, 0.44 s for 4 and 0.48 s for 8. A GPU wants many; 158
#: images of that size make queries, keys and values of 2 GB.
CPU_TOKENS, GPU_TOKENS = 1 << 12, 1 << 18


class ImageTransformerCore(Core):
    """Tokens of an image, blocks of attention and feed-forward, and the tokens laid out as a map.

    A movie is answered frame by frame, each as an image.

    Parameters
    ----------
    image_px : (int, int)
        Rows and columns of the images that enter.
    places : PatchPlaces
        Where the patches lie on them.
    width : int
        Channels of a token, and of the feature map.
    leading_tokens : int
        Tokens before those of the patches, which belong to no place.
    state_enters_blocks : bool
        Whether the state enters every block, or as constant channels of the image.
    guesses_grid : bool
        Whether the map has the shape that published V1T guesses from the number of patches; see
        :func:`~insilico.models.cores.image_patches.guess_grid`.

    Attributes
    ----------
    blocks : nn.ModuleList of TransformerBlock
        Filled by the subclass.
    """

    blocks: nn.ModuleList

    def __init__(
        self,
        image_px: tuple[int, int],
        places: PatchPlaces,
        *,
        width: int,
        leading_tokens: int,
        state_enters_blocks: bool,
        guesses_grid: bool,
    ) -> None:
        super().__init__()
        self.image_px = image_px
        self.output_channels = width
        self.leading_tokens = leading_tokens
        self.state_enters_blocks = state_enters_blocks
        self.places = places
        rows, columns = places.shape
        self.map_shape = guess_grid(rows * columns) if guesses_grid else places.shape
        self.token_count = leading_tokens + rows * columns
        self.trials_at_once = max(1, CPU_TOKENS // self.token_count)

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Return the tokens (image, token, channel) that enter the first block."""

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input."""
        if (height, width) != self.image_px:
            raise ShapeError(
                f"a stimulus of {height} x {width} px; positions of this core were learned for "
                f"{self.image_px[0]} x {self.image_px[1]} px, so give that size"
            )
        return self.map_shape

    def reach(self, frame_count: int) -> Reach:
        """Return a frame itself: each is an image of its own."""
        return Reach(past=0, future=0)

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of an image or a movie; see :meth:`Core.forward`."""
        rows, columns = (slice(0, size) for size in self.map_shape)
        return self.forward_window(stimulus, state, rows=rows, columns=columns, mouse=mouse)

    def forward_window(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        rows: slice,
        columns: slice,
        mouse: str = "",
    ) -> Tensor:
        """Return a window of the feature map; see :meth:`Core.forward_window`.

        Attention needs every token of a block's input, so only the last block is computed for the
        window alone.
        """
        asking, shape = self._asking(rows, columns, device=stimulus.device)
        answer = functools.partial(self._answer, mouse=mouse, asking=asking, shape=shape)
        images, states = _each_frame(stimulus), _each_frame(state)
        tokens = CPU_TOKENS if stimulus.device.type == "cpu" else GPU_TOKENS
        spans = cut(len(images), tokens // self.token_count)
        if len(spans) <= 1:
            features = answer(images, states)
        else:
            features = torch.cat(
                [answer(images[span], None if states is None else states[span]) for span in spans]
            )
        if stimulus.ndim == 4:
            return features
        trials, frames = len(stimulus), stimulus.shape[2]
        return features.view(trials, frames, *features.shape[1:]).transpose(1, 2)

    def attention_maps(
        self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = ""
    ) -> AttentionMaps:
        """Return how much of each patch reaches the answer: the attention rolled out.

        Parameters
        ----------
        stimulus : float tensor, shape (trial, channel[, frame], y, x)
            Standardized images or movies, as the core sees them.
        state : float tensor, shape (trial, variable[, frame]), optional
            Standardized behavior, then gaze, as far as the core reads them.
        mouse : str
            Whose brain it is.

        Returns
        -------
        AttentionMaps
            What reaches the class token, of each patch; it sums to less than 1, by what that token
            keeps of itself. Without a class token, the mean over patches. Patches lie where they
            were cut, whatever grid is guessed.

        References
        ----------
        Abnar and Zuidema 2020, "Quantifying attention flow in transformers", arXiv:2005.00928;
        V1T, src/v1t/utils/attention_rollout.py.
        """
        is_movie = stimulus.ndim == 5
        images, states = _each_frame(stimulus), _each_frame(state)
        # One image at a time: the weights of 1,654 tokens in 4 blocks of 4 heads are 175 MB.
        shares = [
            self._draw(images[index : index + 1], state_of, mouse=mouse)
            for index, state_of in enumerate(_one_by_one(states, len(images)))
        ]
        times = (stimulus.shape[2],) if is_movie else ()
        return AttentionMaps(
            spatial=torch.cat(shares).view(len(stimulus), *times, *self.places.shape),
            places=self.places,
            last_frame=np.arange(*times) if is_movie else None,
        )

    def regularizer(self) -> Tensor:
        """Sum of the absolute values of all parameters of the core."""
        return absolute_sum(self)

    def _answer(
        self,
        images: Tensor,
        state: Tensor | None,
        *,
        mouse: str,
        asking: Tensor | None,
        shape: tuple[int, int],
    ) -> Tensor:
        tokens, state = self._start(images, state)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            asked = asking if index == last else None
            run = functools.partial(block, state=state, asking=asked, mouse=mouse)
            tokens = self._run(block, run, tokens)
        if asking is None:
            tokens = tokens[:, self.leading_tokens :]
        return tokens.transpose(1, 2).view(len(tokens), self.output_channels, *shape)

    def _start(self, images: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the first tokens, and the state where blocks read it."""
        if self.state_enters_blocks:
            return self.embed(images), state
        return self.embed(append_planes(images, state)), None

    def _asking(
        self, rows: slice, columns: slice, *, device: torch.device
    ) -> tuple[Tensor | None, tuple[int, int]]:
        """Return the tokens of a window of the map, None for all, and the window's shape."""
        spans = [
            range(*span.indices(size))
            for span, size in zip((rows, columns), self.map_shape, strict=True)
        ]
        if any(len(span) < 1 or span.step != 1 for span in spans):
            raise ShapeError(
                f"the window {rows}, {columns} of a map of {self.map_shape} is empty or has a step"
            )
        shape = len(spans[0]), len(spans[1])
        if shape == self.map_shape:
            return None, shape
        every = torch.arange(self.map_shape[0] * self.map_shape[1], device=device)
        window = every.view(self.map_shape)[rows, columns].flatten()
        return window + self.leading_tokens, shape

    def _draw(self, image: Tensor, state: Tensor | None, *, mouse: str) -> Tensor:
        """Return what is drawn from each patch (1, patch) of one image."""
        tokens, state = self._start(image, state)
        weights = []
        for block in self.blocks:
            block = cast(TransformerBlock, block)
            weights.append(block.attention.weights(block.enter(tokens, state, mouse=mouse)))
            tokens = block(tokens, state, mouse=mouse)
        attention = torch.stack(weights, dim=1)
        if not self.leading_tokens:
            return draw_evenly(attention)
        readers = tokens.new_zeros(tokens.shape[1])
        readers[0] = 1
        return draw_from(attention, readers)[:, self.leading_tokens :]


@overload
def _each_frame(values: Tensor) -> Tensor: ...
@overload
def _each_frame(values: Tensor | None) -> Tensor | None: ...
def _each_frame(values: Tensor | None) -> Tensor | None:
    """Make every frame of (trial, channel, frame, …) a row; images and their state are rows."""
    if values is None or values.ndim in (2, 4):
        return values
    return values.transpose(1, 2).flatten(0, 1)


def _one_by_one(states: Tensor | None, count: int) -> list[Tensor | None]:
    return [None if states is None else states[index : index + 1] for index in range(count)]
