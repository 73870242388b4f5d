"""What every core promises, and how its layers trade time for memory in training."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from insilico.models.context import Lead, Reach
from insilico.models.cores.cells import Cells

#: What a core keeps of a lead; only the core that made it can read it.
Memory = Any


class Core(nn.Module, ABC):
    """Features of the stimulus that all mice share, layer by layer.

    Attributes
    ----------
    output_channels : int
        Feature channels of the last layer.
    lost_frames : int
        Leading frames of a movie that are not answered; 0 for images.
    longest_movie : int or None
        Most frames of a movie that there are positions for; None for any number.
    trials_at_once : int or None
        Trials that a prepared network passes through the core together on a CPU, where larger
        tensors would run at the speed of memory; None for all.
    checkpoints_activations : bool
        Whether training keeps only the input of each layer, and computes the rest again on the
        way back.
    idle_parameters : frozenset of str
        Parameters that published weights have and no answer depends on.
    """

    output_channels: int
    lost_frames: int = 0
    longest_movie: int | None = None
    trials_at_once: int | None = None
    checkpoints_activations: bool = False
    idle_parameters: frozenset[str] = frozenset()

    @property
    def is_frozen(self) -> bool:
        """Whether nothing is learned: gradients are of the stimulus and its state alone."""
        return not any(parameter.requires_grad for parameter in self.parameters())

    @abstractmethod
    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input."""

    def output_frames(self, frame_count: int) -> int:
        """Return how many of a movie's frames are answered; 0 if it is too short."""
        return max(0, frame_count - self.lost_frames)

    def reach(self, frame_count: int) -> Reach:
        """Return which frames of a movie an answer depends on; all, as far as is known.

        Parameters
        ----------
        frame_count : int
            Length of the movie, on which this may depend.
        """
        return Reach()

    @abstractmethod
    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of a stimulus.

        Parameters
        ----------
        stimulus : float tensor, shape (trial, channel[, frame], y, x)
            Standardized stimulus.
        state : float tensor, shape (trial, variable[, frame]), optional
            Standardized behavior, then gaze, as far as the core reads them.
        mouse : str
            Whose brain it is, for cores with a part for each mouse.

        Returns
        -------
        float tensor, shape (trial, channel[, frame], y, x)
            Of a movie the last ``output_frames`` frames.
        """

    def forward_window(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        rows: slice,
        columns: slice,
        mouse: str = "",
    ) -> Tensor:
        """Return a window of the feature map.

        In evaluation mode this is ``forward(...)[..., rows, columns]``; a core that can leave out
        what does not reach the window overrides it. (In training mode batch statistics would be
        those of the window.)

        Parameters
        ----------
        stimulus, state, mouse
            As for :meth:`forward`; the stimulus whole.
        rows, columns : slice
            Non-empty window of the feature map; step 1.

        Returns
        -------
        float tensor, shape (trial, channel[, frame], row, column)

        Raises
        ------
        ShapeError
            If the window is empty or has a step.
        """
        features: Tensor = self(stimulus, state, mouse=mouse)
        return features[..., rows, columns]

    def remember(self, lead: Lead, *, frame_px: tuple[int, int], cells: Cells) -> Memory | None:
        """Return what is left of the frames of a lead, for stimuli that follow it.

        Parameters
        ----------
        lead : Lead
            With the state that enters the core.
        frame_px : (int, int)
            Rows and columns of a frame.
        cells : Cells
            Where the map will be asked.

        Returns
        -------
        object or None
            For :meth:`forward_cells`; None, the default, where the frames themselves must be shown.
        """
        return None

    def forward_cells(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        cells: Cells,
        mouse: str = "",
        memory: Memory | None = None,
    ) -> Tensor:
        """Return the feature map at some cells, in evaluation mode.

        Parameters
        ----------
        stimulus, state, mouse
            As for :meth:`forward`; after the lead, where there is a memory of one.
        cells : Cells
            Where the map is asked.
        memory : object, optional
            As :meth:`remember` returns it, for the same cells.

        Returns
        -------
        float tensor, shape (trial, channel[, frame], cell)
            The values of :meth:`forward` at the cells, computed from as little as possible.
        """
        window = self.forward_window(
            stimulus, state, rows=cells.rows, columns=cells.columns, mouse=mouse
        )
        return cells.take(window)

    @abstractmethod
    def regularizer(self) -> Tensor:
        """Penalty on the weights, a scalar: the roughness of kernels, or an L1 norm."""

    def _run(self, layer: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """Return ``function(*inputs)``, recomputed in backward where that was asked for."""
        if not (self.checkpoints_activations and self.training and torch.is_grad_enabled()):
            return function(*inputs)
        output: Tensor = checkpoint(
            function,
            *inputs,
            use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), _untracked(layer)),
        )
        return output


@contextlib.contextmanager
def _untracked(layer: nn.Module) -> Iterator[None]:
    """Let copies of the running statistics be updated: the first pass has seen this batch."""
    norms = [module for module in layer.modules() if isinstance(module, _BatchNorm)]
    originals = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    for norm, buffers in zip(norms, originals, strict=True):
        for name, value in buffers.items():
            setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(norms, originals, strict=True):
            for name, value in buffers.items():
                setattr(norm, name, value)
