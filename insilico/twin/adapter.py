"""A user's own ``nn.Module`` as a network, and what can be found out by asking it once."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from insilico.errors import ShapeError, UnitsError
from insilico.models.network import Network, select_neurons
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind


class ModuleNetwork(Network):
    """Wrap a module that maps a stimulus to responses.

    Parameters
    ----------
    module : nn.Module
        Called with a stimulus of shape (trial, channel[, frame], y, x), and with ``behavior`` or
        ``pupil_center`` if its ``forward`` has parameters of those names; returns
        (trial, neuron[, frame]).
    kind : {"image", "movie"}
        What it takes.
    screen : Screen
        Gives the size of the frames with which it is asked once, to count its neurons.
    mouse : str
        The name its neurons go by.
    channels : int
        Stimulus channels.
    behavior_names : tuple of str
        Variables it reads as ``behavior``.

    Raises
    ------
    ShapeError
        If the module answers with another shape, or if it reads behavior and no variable is named,
        or the reverse.
    UnitsError
        If the kind is unknown.
    """

    #: Frames of the gray movie with which a movie module is asked once.
    PROBE_FRAMES = 60

    def __init__(
        self,
        module: nn.Module,
        *,
        kind: Kind,
        screen: Screen,
        mouse: str,
        channels: int = 1,
        behavior_names: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        if kind not in ("image", "movie"):
            raise UnitsError(f"kind is {kind!r}; give 'image' or 'movie'")
        self.module = module
        self.kind = kind
        self.channels = channels
        self.behavior_names = behavior_names
        parameters = inspect.signature(module.forward).parameters
        _check_behavior(parameters, behavior_names)
        self.uses_pupil = "pupil_center" in parameters
        self.mouse = mouse
        self._neuron_count, self._lost_frames = self._probe(screen)

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons of the one mouse."""
        return {self.mouse: self._neuron_count}

    def response_frames(self, frame_count: int) -> int:
        """Return how many frames of a movie are answered."""
        return frame_count - self._lost_frames

    def forward(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        neurons: Tensor | None = None,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> Tensor:
        """Call the module and take the asked neurons."""
        state = {}
        if self.behavior_names:
            state["behavior"] = behavior
        if self.uses_pupil:
            state["pupil_center"] = pupil_center
        answer = self.module(stimulus, **state)
        if not isinstance(answer, Tensor):
            raise ShapeError(
                f"the module's forward returned a {type(answer).__name__}; return one tensor of "
                "shape (trial, neuron), or (trial, neuron, frame) for movies"
            )
        return select_neurons(answer, neurons, axis=1)

    def _probe(self, screen: Screen) -> tuple[int, int]:
        frames = [self.PROBE_FRAMES] if self.kind == "movie" else []
        tensor = next(self.module.parameters(), torch.zeros(()))
        blank = tensor.new_zeros((1, self.channels, *frames, *screen.shape))
        behavior = tensor.new_zeros((1, len(self.behavior_names), *frames))
        pupil_center = tensor.new_zeros((1, 2, *frames))
        was_training = self.module.training
        self.module.eval()
        with torch.no_grad():
            answer = self(blank, mouse=self.mouse, behavior=behavior, pupil_center=pupil_center)
        self.module.train(was_training)
        expected = "(trial, neuron, frame)" if frames else "(trial, neuron)"
        shape = tuple(answer.shape)
        if len(shape) != 2 + len(frames) or shape[0] != 1 or shape[2:] > tuple(frames):
            raise ShapeError(
                f"the module answered one blank {self.kind} with shape {shape}; its forward must "
                f"return {expected}" + (", no more frames than it was shown" if frames else "")
            )
        return shape[1], (self.PROBE_FRAMES - shape[2]) if frames else 0


def _check_behavior(
    parameters: Mapping[str, inspect.Parameter], behavior_names: tuple[str, ...]
) -> None:
    parameter = parameters.get("behavior")
    if behavior_names and parameter is None:
        raise ShapeError(
            f"behavior_names names {', '.join(behavior_names)}, and the module's forward has no "
            "parameter behavior; add it, or leave the names out"
        )
    if not behavior_names and parameter is not None and parameter.default is parameter.empty:
        raise ShapeError(
            "the module's forward needs behavior, and none was named; name its variables, as in "
            "behavior_names=('pupil_size', 'running_speed')"
        )
