"""Networks of one core, and a readout and where asked a gaze shifter for each mouse."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError, MouseError, ShapeError, UnitsError
from insilico.models.cores.core import Core
from insilico.models.network import Network
from insilico.models.readouts.options import ReadoutOptions, build_readout
from insilico.models.readouts.points import PointReadout
from insilico.models.readouts.readout import Readout
from insilico.models.shifters import MLPShifter

#: Refusal of a network that reads the gaze.
NEEDS_GAZE = "the network needs pupil_center; give one standardized (x, y) a trial"


@dataclasses.dataclass(frozen=True)
class CoreReadoutOptions(ReadoutOptions):
    """Options that every network of a core and readouts has.

    Parameters
    ----------
    height_px, width_px : int
        Size of the stimulus.
    stimulus_channels : int
        Channels of the stimulus, such as 2 for ultraviolet and green.
    behavior_names : tuple of str
        Variables that enter as constant channels after the stimulus.
    has_shifter : bool
        Whether gaze moves the receptive fields.
    shifter_hidden_units, shifter_layers : int
        Size of the shifter.
    others
        As for :class:`~insilico.models.readouts.options.ReadoutOptions`.
    """

    height_px: int = 36
    width_px: int = 64
    stimulus_channels: int = 1
    behavior_names: tuple[str, ...] = ()
    has_shifter: bool = False
    shifter_hidden_units: int = 5
    shifter_layers: int = 3


class CoreReadoutNetwork(Network):
    """One core for all mice; a readout, and where asked a shifter, for each.

    The response is ``ELU(z) + 1`` of the readout's value. Names of parameters and buffers start
    with ``core.…``, ``readout.<mouse>.…`` and ``shifter.<mouse>.…``.

    Parameters
    ----------
    options : CoreReadoutOptions
        Architecture.
    core : Core
        Already built.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    Raises
    ------
    CheckpointError
        If an option names what does not exist, or a shifter goes with a readout that cannot move.
    """

    def __init__(
        self, options: CoreReadoutOptions, core: Core, neuron_counts: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.options = options
        self.channels = options.stimulus_channels
        self.behavior_names = tuple(options.behavior_names)
        self.uses_pupil = options.has_shifter
        self.core = core
        self.readout = nn.ModuleDict(
            {
                name: self._new_readout(core.output_channels, count)
                for name, count in neuron_counts.items()
            }
        )
        if options.has_shifter:
            self.shifter = nn.ModuleDict(
                {
                    name: MLPShifter(
                        hidden_units=options.shifter_hidden_units, layers=options.shifter_layers
                    )
                    for name in neuron_counts
                }
            )

    def _new_readout(self, channels: int, neuron_count: int) -> Readout:
        readout = build_readout(self.options, channels, neuron_count, map_shape=self.map_shape)
        if self.options.has_shifter and not readout.accepts_shift:
            raise CheckpointError(
                f"a {self.options.readout} readout cannot move with the gaze; set has_shifter to "
                "false, or take another readout"
            )
        return readout

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons by mouse."""
        return {name: self._readout_of(name).neuron_count for name in self.readout}

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the core's feature map."""
        return self.core.output_shape(self.options.height_px, self.options.width_px)

    def initialize_readout(
        self, mouse: str, *, position_um: Tensor | None, mean_response: Tensor | None
    ) -> None:
        """Set cortical positions and the bias; see :meth:`Network.initialize_readout`."""
        readout = self._readout_of(mouse)
        readout.initialize(position_um=position_um, mean_response=mean_response)

    def regularizers(self, mouse: str) -> dict[str, Tensor]:
        """Return ``core``, the roughness of its first kernels, and ``readout``, an L1 norm."""
        return {
            "core": self.core.regularizer(),
            "readout": self._readout_of(mouse).regularizer(),
        }

    def _readout_of(self, mouse: str) -> Readout:
        if mouse not in self.readout:
            raise MouseError(
                f"the network has no mouse {mouse!r}; it has {', '.join(self.readout)}"
            )
        return cast(Readout, self.readout[mouse])

    def _run_core(self, *inputs: Tensor) -> Tensor:
        self.core.checkpoints_activations = self.checkpoints_activations
        features: Tensor = self.core(*inputs)
        return features

    def _check_stimulus(self, stimulus: Tensor) -> None:
        frames = ("frame",) if self.kind == "movie" else ()
        size = self.options.height_px, self.options.width_px
        if (
            stimulus.ndim != 4 + len(frames)
            or stimulus.shape[1] != self.channels
            or stimulus.shape[-2:] != size
        ):
            expected = ", ".join(map(str, ("trial", self.channels, *frames, *size)))
            raise ShapeError(
                f"the stimulus has shape {tuple(stimulus.shape)}; the network takes ({expected})"
            )

    def _check_behavior(self, behavior: Tensor | None, stimulus: Tensor) -> Tensor | None:
        """Return the behavior that the network reads, in the stimulus' precision."""
        if not self.behavior_names:
            return None
        names = ", ".join(self.behavior_names)
        if behavior is None:
            raise UnitsError(f"the network needs behavior ({names}); give one row a trial")
        self._check_trace("behavior", behavior, stimulus, names=self.behavior_names)
        return behavior.to(stimulus.dtype)

    def _check_gaze(self, pupil_center: Tensor | None, stimulus: Tensor) -> Tensor | None:
        """Return the gaze where the network reads it, in the precision of its weights."""
        if not self.uses_pupil:
            return None
        if pupil_center is None:
            raise UnitsError(NEEDS_GAZE)
        self._check_trace("pupil_center", pupil_center, stimulus, names=("x", "y"))
        return pupil_center.to(stimulus.dtype)

    def _check_trace(
        self, what: str, values: Tensor, stimulus: Tensor, *, names: tuple[str, ...]
    ) -> None:
        frames = tuple(stimulus.shape[2:-2])
        expected = len(stimulus), len(names), *frames
        if values.shape != expected:
            raise ShapeError(
                f"{what} has shape {tuple(values.shape)}; give {len(stimulus)} rows of "
                f"{', '.join(names)}{' with a value a frame' if frames else ''}: {expected}"
            )

    def _points(
        self, mouse: str, neurons: Tensor, pupil_center: Tensor | None
    ) -> PointReadout | None:
        """Return the readout at one gaze (2,), or None where no points are fixed."""
        readout = self._readout_of(mouse)
        if self.training:
            return None
        with torch.no_grad():
            shift = None
            if self.options.has_shifter:
                if pupil_center is None:
                    raise UnitsError(NEEDS_GAZE)
                shift = self._shift(mouse, pupil_center[None].to(readout.bias.dtype))
        return readout.at_fixed_points(
            self.map_shape, neurons=neurons, shift=None if shift is None else shift[0]
        )

    def _shift(self, mouse: str, gaze: Tensor | None) -> Tensor | None:
        """Return the displacement (row, 2) at a gaze (row, 2)."""
        if gaze is None or not self.options.has_shifter:
            return None
        shift: Tensor = self.shifter[mouse](gaze)
        return shift


def respond(value: Tensor) -> Tensor:
    """Return the standardized response to a readout's value: ``ELU(z) + 1``."""
    return F.elu(value) + 1
