"""Networks of one core, and for each mouse a readout and what goes with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from insilico.errors import CheckpointError, MouseError, ShapeError, UnitsError
from insilico.models.architectures.rows import fold, join, last_frames, spread, unfold
from insilico.models.attention_maps import AttentionMaps, Attentive
from insilico.models.context import Lead, Reach
from insilico.models.cores.core import Core, Memory
from insilico.models.cores.parts import cut
from insilico.models.modulators.modulator import Modulator
from insilico.models.modulators.options import MODULATORS, ModulatorOptions
from insilico.models.network import Network, Predict
from insilico.models.outputs import OUTPUTS, Output, OutputKind
from insilico.models.readouts.options import ReadoutOptions, build_neck, build_readout
from insilico.models.readouts.points import PointReadout
from insilico.models.readouts.readout import Readout
from insilico.models.shifters import MLPShifter

#: Refusal of a network that reads the gaze.
NEEDS_GAZE = "the network needs pupil_center; give one standardized (x, y) a trial"


@dataclasses.dataclass(frozen=True)
class CoreReadoutOptions(ModulatorOptions, ReadoutOptions):
    """Options that every network of a core and readouts has.

    Parameters
    ----------
    height_px, width_px : int
        Size of the stimulus.
    stimulus_channels : int
        Channels of the stimulus, such as 2 for ultraviolet and green.
    behavior_names : tuple of str
        Behavioral variables that the network is given.
    core_reads_behavior, core_reads_gaze : bool
        Whether behavior, and gaze x and y, enter the core: as constant channels after the stimulus,
        unless the core has another way.
    has_shifter : bool
        Whether gaze moves what the neurons read.
    shifter_reads : {"gaze", "behavior and gaze"}
        What the shifter is computed from.
    shifter_hidden_units, shifter_layers : int
        Size of the shifter.
    output : {"elu", "identity", "exponential", "softplus", "sigmoid"}
        From a neuron's value to its response; "elu" is ``ELU(z) + 1``.
    others
        As for :class:`~insilico.models.readouts.options.ReadoutOptions` and
        :class:`~insilico.models.modulators.options.ModulatorOptions`.
    """

    height_px: int = 36
    width_px: int = 64
    stimulus_channels: int = 1
    behavior_names: tuple[str, ...] = ()
    core_reads_behavior: bool = True
    core_reads_gaze: bool = False
    has_shifter: bool = False
    shifter_reads: Literal["gaze", "behavior and gaze"] = "gaze"
    shifter_hidden_units: int = 5
    shifter_layers: int = 3
    output: OutputKind = "elu"

    @property
    def state_count(self) -> int:
        """Number of variables that enter the core."""
        behavior = len(self.behavior_names) if self.core_reads_behavior else 0
        return behavior + 2 * self.core_reads_gaze


class CoreReadoutNetwork(Network):
    """One core for all mice; for each a readout, an output function, and where asked a shifter.

    stimulus → core → neck → readout (moved by the shifter) → modulator → output. Under autocast
    the core alone computes in the lower precision, which would round places on the map and
    responses to three digits. Names of parameters and buffers start with ``core.…``, ``neck.…``,
    ``readout.<mouse>.…``, ``shifter.<mouse>.…``, ``modulator.<mouse>.…`` and ``output.<mouse>.…``.

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

    References
    ----------
    Autocast: ViV1T-closed-loop, viv1t/model/model.py, where it is around the core alone, too.
    """

    def __init__(
        self, options: CoreReadoutOptions, core: Core, neuron_counts: Mapping[str, int]
    ) -> None:
        super().__init__()
        _check_options(options, is_movie=self.kind == "movie")
        self.options = options
        self.channels = options.stimulus_channels
        self.behavior_names = tuple(options.behavior_names)
        self.core = core
        self.neck = build_neck(options, core.output_channels, map_shape=self.map_shape)
        self.readout = nn.ModuleDict(
            {name: self._new_readout(count) for name, count in neuron_counts.items()}
        )
        if options.has_shifter:
            self.shifter = nn.ModuleDict({name: self._new_shifter() for name in neuron_counts})
        # Whether all neurons must be read, whoever is asked.
        self._mixes_neurons = False
        if options.modulator != "none":
            modulator = MODULATORS[options.modulator]
            behavior_count = len(self.behavior_names)
            self.modulator = nn.ModuleDict(
                {
                    name: modulator(options, count, behavior_count)
                    for name, count in neuron_counts.items()
                }
            )
            self._mixes_neurons = any(
                cast(Modulator, part).mixes_neurons for part in self.modulator.values()
            )
        self.output = nn.ModuleDict({name: OUTPUTS[options.output]() for name in neuron_counts})
        self.uses_pupil = (
            options.has_shifter
            or options.core_reads_gaze
            or options.modulator != "none"
            or options.readout_reads_state
        )

    def _new_readout(self, neuron_count: int) -> Readout:
        readout = build_readout(
            self.options,
            self.neck.output_channels,
            neuron_count,
            map_shape=self.map_shape,
            state_count=len(self.behavior_names) + 2,
        )
        if self.options.has_shifter and not readout.accepts_shift:
            raise CheckpointError(
                f"the {self.options.readout} readout cannot move with the gaze; set has_shifter to "
                "false, or take another readout"
            )
        return readout

    def _new_shifter(self) -> MLPShifter:
        reads_behavior = self.options.shifter_reads == "behavior and gaze"
        return MLPShifter(
            inputs=2 + reads_behavior * len(self.behavior_names),
            hidden_units=self.options.shifter_hidden_units,
            layers=self.options.shifter_layers,
        )

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons by mouse."""
        return {name: self._readout_of(name).neuron_count for name in self.readout}

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the core's feature map."""
        return self.core.output_shape(self.options.height_px, self.options.width_px)

    @property
    def longest_movie(self) -> int | None:
        """Most frames of a movie that the core has positions for; None for any number."""
        return self.core.longest_movie

    def response_frames(self, frame_count: int) -> int:
        """Return how many of a movie's last frames are answered; 0 if it is too short."""
        return self.core.output_frames(frame_count)

    def initialize_readout(
        self, mouse: str, *, position_um: Tensor | None, mean_response: Tensor | None
    ) -> None:
        """Set cortical positions and the bias; see :meth:`Network.initialize_readout`."""
        readout = self._readout_of(mouse)
        readout.initialize(
            position_um=position_um,
            mean_response=mean_response,
            inverse=cast(Output, self.output[mouse]).inverse,
        )

    def regularizers(self, mouse: str) -> dict[str, Tensor]:
        """Return the penalties on the weights of ``core`` and ``readout``."""
        return {
            "core": self.core.regularizer(),
            "readout": self._readout_of(mouse).regularizer(),
        }

    def forward(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        neurons: Tensor | None = None,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> Tensor:
        """Predict responses (trial, neuron[, frame]); see :meth:`Network.forward`.

        Raises
        ------
        MouseError
            If the mouse is unknown.
        ShapeError
            If the stimulus has another size or is too short, or behavior or gaze is not one value
            a trial, and for movies a frame.
        UnitsError
            If behavior or gaze is missing where the network needs it.
        """
        readout = self._readout_of(mouse)
        behavior, gaze = self._check_inputs(stimulus, behavior, pupil_center)
        self.core.checkpoints_activations = self.checkpoints_activations
        with _full_precision(stimulus):
            seen = self._enter(stimulus, behavior, gaze, mouse=mouse)
        features = self.core(seen, self._core_state(behavior, gaze), mouse=mouse)
        frames = features.shape[2] if self.kind == "movie" else None
        state = last_frames(join(behavior, gaze), frames)
        with _full_precision(stimulus):
            value = readout(
                self.neck(fold(features.to(stimulus.dtype), frames)),
                neurons=None if self._mixes_neurons else neurons,
                shift=self._shift(mouse, behavior, gaze, frames),
                state=None if state is None else fold(state, frames),
            )
            return self._answer(mouse, unfold(value, frames), state, neurons)

    def attention_maps(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> AttentionMaps:
        """Return which parts of a stimulus the core's answer draws from; in evaluation mode.

        Parameters
        ----------
        stimulus, mouse, behavior, pupil_center
            As for :meth:`forward`.

        Returns
        -------
        AttentionMaps
            Its patches lie on the stimulus, whatever part of it the core is shown.

        Raises
        ------
        CheckpointError
            If the core has no attention.
        MouseError, ShapeError, UnitsError
            As for :meth:`forward`.
        """
        if not isinstance(self.core, Attentive):
            raise CheckpointError(
                f"the core {type(self.core).__name__} has no attention to show; take a network "
                "whose core is a transformer"
            )
        self._readout_of(mouse)
        behavior, gaze = self._check_inputs(stimulus, behavior, pupil_center)
        with _full_precision(stimulus):
            seen = self._enter(stimulus, behavior, gaze, mouse=mouse)
        maps = self.core.attention_maps(seen, self._core_state(behavior, gaze), mouse=mouse)
        frame_px = stimulus.shape[-2], stimulus.shape[-1]
        return self._leave(maps, frame_px, behavior, gaze, mouse=mouse)

    def prepare(
        self,
        mouse: str,
        *,
        neurons: Tensor,
        pupil_center: Tensor | None = None,
        lead: Lead | None = None,
    ) -> Predict:
        """Fix neurons, gaze and lead; compute only the cells of the feature map that are read.

        See :meth:`Network.prepare`. In training mode, where points are drawn, and where neurons do
        not read single points that stay, this is the plain path. Of a lead the core keeps what it
        can; a modulator would want the neurons' own past.
        """
        read = neurons
        if self._mixes_neurons:
            read = torch.arange(self._readout_of(mouse).neuron_count, device=neurons.device)
        points = self._points(mouse, read, pupil_center)
        if points is None:
            return super().prepare(mouse, neurons=neurons, pupil_center=pupil_center, lead=lead)
        memory = None
        if lead is not None and self.options.modulator == "none":
            memory = self._remember(lead, pupil_center, points)

        def predict_some(stimulus: Tensor, behavior: Tensor | None, gaze: Tensor | None) -> Tensor:
            with _full_precision(stimulus):
                seen = self._enter(stimulus, behavior, gaze, mouse=mouse)
            features = self.core.forward_cells(
                seen,
                self._core_state(behavior, gaze),
                cells=points.cells,
                mouse=mouse,
                memory=memory,
            )
            frames = features.shape[2] if self.kind == "movie" else None
            state = last_frames(join(behavior, gaze), frames)
            with _full_precision(stimulus):
                value = unfold(points(fold(features.to(stimulus.dtype), frames)), frames)
                return self._answer(mouse, value, state, neurons)

        def predict(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
            self.core.checkpoints_activations = self.checkpoints_activations
            gazes = spread(pupil_center, stimulus)
            before = 0 if memory is None or lead is None else lead.frame_count
            behavior, gaze = self._check_inputs(stimulus, behavior, gazes, lead_frames=before)
            spans = cut(len(stimulus), self.core.trials_at_once or len(stimulus))
            if stimulus.device.type != "cpu" or len(spans) <= 1:
                return predict_some(stimulus, behavior, gaze)
            return torch.cat(
                [
                    predict_some(
                        stimulus[span],
                        None if behavior is None else behavior[span],
                        None if gaze is None else gaze[span],
                    )
                    for span in spans
                ]
            )

        return predict if lead is None or memory is not None else self.show_lead(predict, lead)

    def _remember(
        self, lead: Lead, pupil_center: Tensor | None, points: PointReadout
    ) -> Memory | None:
        """Return what the core keeps of a lead, in full precision and without gradients."""
        behavior = None if lead.state is None else lead.state[None]
        gaze = None if pupil_center is None else pupil_center[None].to(lead.level)
        state = self._core_state(behavior, gaze)
        entering = dataclasses.replace(lead, state=None if state is None else state[0])
        size = self.options.height_px, self.options.width_px
        with torch.inference_mode(False), torch.no_grad():
            return self.core.remember(entering, frame_px=size, cells=points.cells)

    def reach(self, frame_count: int) -> Reach:
        """Return which frames an answer depends on, through core and modulator."""
        reach = self.core.reach(frame_count)
        for modulator in getattr(self, "modulator", {}).values():
            reach = reach.through(cast(Modulator, modulator).reach)
            break
        return reach

    def _enter(
        self, stimulus: Tensor, behavior: Tensor | None, gaze: Tensor | None, *, mouse: str
    ) -> Tensor:
        """Return what the core is shown; the stimulus itself, unless a network crops it first."""
        return stimulus

    def _leave(
        self,
        maps: AttentionMaps,
        frame_px: tuple[int, int],
        behavior: Tensor | None,
        gaze: Tensor | None,
        *,
        mouse: str,
    ) -> AttentionMaps:
        """Return maps of what the core is shown as maps of frames of that size: the way back."""
        return maps

    def _answer(
        self, mouse: str, value: Tensor, state: Tensor | None, neurons: Tensor | None
    ) -> Tensor:
        """Return the responses to values (trial, neuron[, frame]) of all that had to be read."""
        if self.options.modulator != "none":
            value = self.modulator[mouse](value, state, neurons=neurons)
        response: Tensor = self.output[mouse](value)
        return response

    def _core_state(self, behavior: Tensor | None, gaze: Tensor | None) -> Tensor | None:
        return join(
            behavior if self.options.core_reads_behavior else None,
            gaze if self.options.core_reads_gaze else None,
        )

    def _readout_of(self, mouse: str) -> Readout:
        if mouse not in self.readout:
            raise MouseError(
                f"the network has no mouse {mouse!r}; it has {', '.join(self.readout)}"
            )
        return cast(Readout, self.readout[mouse])

    def _check_inputs(
        self,
        stimulus: Tensor,
        behavior: Tensor | None,
        pupil_center: Tensor | None,
        *,
        lead_frames: int = 0,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return behavior and gaze as far as the network reads them; refuse what does not fit."""
        self._check_stimulus(stimulus, lead_frames)
        behavior = self._check_behavior(behavior, stimulus)
        return behavior, self._check_gaze(pupil_center, stimulus)

    def _check_stimulus(self, stimulus: Tensor, lead_frames: int) -> None:
        frames = ("frame",) if self.kind == "movie" else ()
        size = self.options.height_px, self.options.width_px
        if (
            stimulus.ndim != 4 + len(frames)
            or stimulus.shape[1] != self.channels
            or tuple(stimulus.shape[-2:]) not in (size, *self.frame_sizes)
        ):
            expected = ", ".join(map(str, ("trial", self.channels, *frames, *size)))
            raise ShapeError(
                f"the stimulus has shape {tuple(stimulus.shape)}; the network takes ({expected})"
            )
        if self.kind != "movie":
            return
        count = lead_frames + stimulus.shape[2]
        if self.response_frames(count) < 1:
            raise ShapeError(
                f"the stimulus has {count} frames; the network takes at least "
                f"{self.core.lost_frames + 1}, the span of its temporal kernels"
            )
        if count > (self.longest_movie or count):
            raise ShapeError(
                f"the stimulus has {count} frames; the network has positions for "
                f"{self.longest_movie}; give shorter movies"
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
        moves_with_behavior = (
            self.options.has_shifter
            and self.options.shifter_reads != "gaze"
            and self.behavior_names
        )
        if self.training or moves_with_behavior or readout.reads_state or not self.neck.is_identity:
            return None
        with torch.no_grad(), _full_precision(readout.bias):
            shift = None
            if self.options.has_shifter:
                if pupil_center is None:
                    raise UnitsError(NEEDS_GAZE)
                shift = self.shifter[mouse](pupil_center[None].to(readout.bias.dtype))[0]
            return readout.at_fixed_points(self.map_shape, neurons=neurons, shift=shift)

    def _shift(
        self, mouse: str, behavior: Tensor | None, gaze: Tensor | None, frames: int | None
    ) -> Tensor | None:
        """Return the displacement (row, 2) of each image, or each answered frame."""
        if gaze is None or not self.options.has_shifter:
            return None
        if self.options.shifter_reads == "gaze":
            behavior = None
        moved_by = last_frames(join(behavior, gaze), frames)
        shift: Tensor = self.shifter[mouse](fold(cast(Tensor, moved_by), frames))
        return shift


def _check_options(options: CoreReadoutOptions, *, is_movie: bool) -> None:
    if options.output not in OUTPUTS:
        raise CheckpointError(
            f"the option output is {options.output!r}; give one of {', '.join(OUTPUTS)}"
        )
    if options.modulator != "none" and options.modulator not in MODULATORS:
        raise CheckpointError(
            f"the option modulator is {options.modulator!r}; give none or one of "
            f"{', '.join(MODULATORS)}"
        )
    if options.modulator != "none" and not is_movie:
        raise CheckpointError(
            f"the modulator {options.modulator!r} follows responses in time; set modulator to "
            "'none' for a network of images"
        )


def _full_precision(like: Tensor) -> torch.autocast:
    """Return the context in which autocast, if any, is off."""
    return torch.autocast(like.device.type, enabled=False)
