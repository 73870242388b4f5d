"""``Twin``: one interface to image and movie models, ensembles and a user's own network."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from insilico.errors import CheckpointError, StimulusError, UnitsError
from insilico.models.context import KEPT_BYTES
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.models.network import Network
from insilico.progress import progress_bar
from insilico.results import Responses
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind, Stimuli
from insilico.twin.adapter import ModuleNetwork
from insilico.twin.behavior import behavior_state, pupil_state
from insilico.twin.plan import PLANS, FastPath, Plan
from insilico.twin.prepared import PRECISIONS, PreparedTwin, check_screen, check_values
from insilico.twin.selection import NeuronSelection, choose_mouse, choose_neurons
from insilico.twin.units import (
    InputUnits,
    OutputUnits,
    response_units,
    standardized_gray,
    stimulus_units,
)

logger = logging.getLogger(__name__)

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Standard deviations that no standardized stimulus reaches: gray levels spread by 30 and more, so
#: that black and white lie within 5.
LARGEST_STANDARDIZED = 20.0

#: The mouse of a user's own module; the same for all of them, so that they can form an ensemble.
OWN_MOUSE = "mouse"


class Twin:
    """A model that answers like the neurons it was trained on.

    Parameters
    ----------
    network : Network or nn.Module
        A network of this package, or any module that maps a stimulus of shape
        (trial, channel[, frame], y, x) to responses of shape (trial, neuron[, frame]).
    mice : mapping of str to Mouse, optional
        What is known of each mouse. For a module of your own leave it out and give ``screen``.
    kind : {"image", "movie"}
        What your own module takes.
    screen : Screen, optional
        Where your own module's stimuli are shown; the Sensorium monitor when left out.
    statistics : Statistics, optional
        How your own module's input relates to gray levels. ``Statistics(stimulus_mean=0,
        stimulus_std=1)`` says that it takes gray levels as they are.
    behavior_names : sequence of str
        Variables that your own module reads, if its ``forward`` has a parameter ``behavior``.
    name : str
        How results name the twin.
    provenance : mapping, optional
        Hashes and origin of the weights, copied into every result.
    device : str or torch.device
        Where it computes; "auto" takes CUDA or MPS where there is one.
    precision : {"float32", "float64", "bfloat16"}
        bfloat16 is autocast; weights stay float32.

    Raises
    ------
    ShapeError
        If your module answers with another shape, or reads behavior and no variable is named.
    UnitsError
        If the precision or the kind is unknown.

    Examples
    --------
    >>> import torch, insilico
    >>> module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36 * 64, 5))
    >>> twin = insilico.Twin(module)
    >>> twin.respond(torch.zeros(3, 36, 64).numpy()).values.shape
    (3, 5)
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        mice: Mapping[str, Mouse] | None = None,
        kind: Kind = "image",
        screen: Screen | None = None,
        statistics: Statistics | None = None,
        behavior_names: Sequence[str] = (),
        name: str = "my twin",
        provenance: Mapping[str, Any] | None = None,
        device: str | torch.device = "auto",
        precision: str = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise UnitsError(f"precision is {precision!r}; give one of {', '.join(PRECISIONS)}")
        if not isinstance(network, Network):
            network = ModuleNetwork(
                network,
                kind=kind,
                screen=screen or Screen(),
                mouse=OWN_MOUSE,
                behavior_names=tuple(behavior_names),
            )
        if mice is None:
            mice = {
                mouse: Mouse(
                    mouse, screen or Screen(), neurons_table(count), statistics or Statistics()
                )
                for mouse, count in network.neuron_counts.items()
            }
        self.device = choose_device(device)
        self.precision = precision
        self.name = name
        self.provenance = dict(provenance or {})
        self._mice = dict(mice)
        dtype = torch.float64 if precision == "float64" else torch.float32
        self._networks: tuple[Network, ...] = (network.eval().to(self.device, dtype),)

    @property
    def kind(self) -> Kind:
        """Whether a trial is an image or a movie."""
        return self._networks[0].kind

    @property
    def mice(self) -> tuple[str, ...]:
        """Names of the mice whose neurons it has."""
        return tuple(self._mice)

    @property
    def behavior_names(self) -> tuple[str, ...]:
        """Behavioral variables it reads, in order."""
        return self._networks[0].behavior_names

    @property
    def uses_pupil(self) -> bool:
        """Whether the gaze moves its receptive fields."""
        return self._networks[0].uses_pupil

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second of the movies it takes."""
        return next(iter(self._mice.values())).screen.frame_rate_hz

    @property
    def networks(self) -> tuple[Network, ...]:
        """Its networks, in evaluation mode: one, or the members of an ensemble."""
        return self._networks

    @property
    def member_count(self) -> int:
        """Number of networks: 1, or more for an ensemble."""
        return len(self._networks)

    @functools.cached_property
    def state_sha256(self) -> str:
        """SHA-256 of every parameter and buffer of every member, and of their architecture."""
        digest = hashlib.sha256()
        for network in self._networks:
            digest.update(repr(network).encode())
            for name, tensor in network.state_dict().items():
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().view(-1).numpy().tobytes())
        return digest.hexdigest()

    def mouse(self, name: str | None = None) -> Mouse:
        """Return what is known of one mouse; the name may be left out where there is one.

        Raises
        ------
        MouseError
            If the name is unknown or missing.
        """
        return choose_mouse(self._mice, name)

    def screen(self, mouse: str | None = None) -> Screen:
        """Return the monitor of one mouse."""
        return self.mouse(mouse).screen

    def neurons(self, mouse: str | None = None) -> pd.DataFrame:
        """Return the neurons of one mouse, one row each."""
        return self.mouse(mouse).neurons.copy()

    def prepare(
        self,
        mouse: str | None = None,
        *,
        neurons: NeuronSelection = None,
        window: tuple[int, int] | None = None,
        behavior: Literal["mean", "quiet", "running"] | FloatArray | None = None,
        pupil_center: Literal["mean"] | FloatArray | None = None,
        input_units: InputUnits | None = None,
        output_units: OutputUnits | None = None,
        members: bool = False,
        is_gray: bool = False,
        plan: Plan = "auto",
        lead_frames: int = 0,
    ) -> PreparedTwin:
        """Fix everything but the stimulus, once, so that asking again is cheap.

        Parameters
        ----------
        mouse, neurons, window, behavior, pupil_center, input_units, output_units, members
            As for :meth:`respond`.
        is_gray : bool
            Say that the stimulus will be in gray levels, so that assumed statistics may serve;
            ``input_units`` is then that of behavior and gaze alone.
        plan : {"auto", "plain"}
            "plain" computes everything, as the reference for the fast path.
        lead_frames : int
            Gray frames that come before every stimulus of a movie model, and are not given with
            it. The window counts them; behavior and gaze that change in time have them.

        Returns
        -------
        PreparedTwin

        Raises
        ------
        MouseError, NeuronError, UnitsError, ShapeError
            If an argument does not fit the twin.
        StimulusError
            If an image model is to see gray before its stimuli.
        """
        if lead_frames < 0 or (lead_frames and self.kind == "image"):
            raise StimulusError(
                f"{lead_frames} frames of gray are to come before each stimulus; give 0 or more to "
                "a model of movies, and none to a model of images"
            )
        if plan not in PLANS:
            raise UnitsError(f"plan is {plan!r}; give one of {', '.join(PLANS)}")
        chosen = self.mouse(mouse)
        asked = choose_neurons(neurons, len(chosen.neurons))
        units = stimulus_units(input_units, chosen, is_gray=is_gray)
        network = self._networks[0]
        state = behavior_state(network, chosen, behavior, input_units or units.name)
        gaze = pupil_state(network, chosen, pupil_center, input_units or units.name)
        is_fast = plan == "auto" and (gaze is None or gaze.ndim == 1)
        index = torch.from_numpy(asked).to(self.device)
        fixed_gaze = None if gaze is None else torch.as_tensor(gaze, device=self.device)
        return PreparedTwin(
            networks=self._networks,
            mouse=chosen,
            neurons=asked,
            device=self.device,
            precision=self.precision,
            window=window,
            stimulus_units=units,
            response_units=response_units(output_units, chosen),
            behavior=state,
            pupil_center=gaze,
            members=members,
            plan="fast" if is_fast else "plain",
            paths=[
                FastPath(
                    member,
                    chosen.name,
                    neurons=index,
                    pupil_center=fixed_gaze,
                    kept_bytes=KEPT_BYTES // self.member_count,
                )
                for member in self._networks
            ]
            if is_fast
            else (),
            lead_frames=lead_frames,
            gray_level=standardized_gray(chosen) if lead_frames else 0.0,
        )

    def respond(
        self,
        stimuli: Stimuli | FloatArray | np.ndarray[Any, np.dtype[np.uint8]],
        *,
        mouse: str | None = None,
        neurons: NeuronSelection = None,
        window: tuple[int, int] | None = None,
        behavior: Literal["mean", "quiet", "running"] | FloatArray | None = None,
        pupil_center: Literal["mean"] | FloatArray | None = None,
        input_units: InputUnits | None = None,
        output_units: OutputUnits | None = None,
        members: bool = False,
        progress: bool = False,
    ) -> Responses:
        """Show stimuli and return what the neurons answer.

        Parameters
        ----------
        stimuli : Stimuli or array, shape (trial[, channel][, frame], y, x)
            ``Stimuli`` are gray levels. Arrays are in ``input_units``.
        mouse : str, optional
            May be left out where there is one.
        neurons : slice, sequence of int, bool mask or text, optional
            Such as ``slice(100)``, ``[3, 5]`` or ``"0:100"``; all when left out.
        window : (start, stop), optional
            Frames of a movie to answer for, the end exclusive; all that can be when left out.
        behavior : {"mean", "quiet", "running"} or array (trial, variable[, frame]), optional
            Named by ``behavior_names``. The mean state when left out.
        pupil_center : "mean" or array (trial, 2[, frame]), optional
            Gaze. The mean when left out.
        input_units : {"gray", "standardized"}, optional
            Of arrays: of the stimulus, and of behavior and gaze, where "gray" goes with recorded
            units. ``Stimuli`` and uint8 arrays are always gray levels. Left out, it is gray levels
            where the statistics were measured, else standardized, and a logged warning says so.
        output_units : {"recorded", "standardized"}, optional
            Of the responses; recorded where the statistics allow when left out.
        members : bool
            Keep the networks of an ensemble apart, along a first axis.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Responses

        Raises
        ------
        MouseError, NeuronError, UnitsError, ShapeError, StimulusError
            If an argument does not fit the twin; each says what was expected.
        """
        if isinstance(stimuli, Stimuli):
            check_screen(stimuli.screen, self.screen(mouse))
        else:
            stimuli = np.asarray(stimuli)
            check_values(stimuli)
        prepared = self.prepare(
            mouse,
            neurons=neurons,
            window=window,
            behavior=behavior,
            pupil_center=pupil_center,
            input_units=input_units,
            output_units=output_units,
            members=members,
            is_gray=isinstance(stimuli, Stimuli) or stimuli.dtype == np.uint8,
        )
        if input_units is None and prepared.stimulus_units.name == "standardized":
            largest = float(np.abs(stimuli).max())  # type: ignore[arg-type]
            logger.warning(
                "%s has no measured stimulus statistics: the stimulus is taken as standardized%s",
                self.name,
                f", and it reaches {largest:g}, as gray levels do"
                if largest > LARGEST_STANDARDIZED
                else "",
            )
        values, frame_count = _answer(prepared, stimuli, progress=progress)
        return Responses(
            values=values,
            neurons=prepared.neurons_table(),
            conditions=stimuli.conditions if isinstance(stimuli, Stimuli) else None,
            axes=prepared.axes,
            first_frame=prepared.first_frame(frame_count),
            frame_rate_hz=self.frame_rate_hz,
            units=prepared.response_units.name,
            behavior=_describe_state(prepared, self.behavior_names),
            source={"type": "twin", "name": self.name, **self.provenance},
        )

    def forward(self, stimulus: Tensor, mouse: str | None = None, **state: Any) -> Tensor:
        """Differentiable door: a tensor in, a tensor out.

        Parameters
        ----------
        stimulus : float tensor, shape (trial[, channel][, frame], y, x)
            Gradients flow to it.
        mouse : str, optional
            May be left out where there is one.
        **state
            The keyword arguments of :meth:`prepare`. Who asks many times prepares once and calls
            ``prepared.forward``.

        Returns
        -------
        float tensor, shape ([member,] trial, neuron[, frame])

        Raises
        ------
        MouseError, NeuronError, UnitsError, ShapeError, StimulusError
            If an argument does not fit the twin.
        """
        return self.prepare(mouse, **state).forward(stimulus)


def ensemble(twins: Sequence[Twin], *, name: str | None = None) -> Twin:
    """Join twins of the same neurons into one that answers with their mean.

    Parameters
    ----------
    twins : sequence of Twin
        Of the same kind, mice, neurons, statistics and state variables.
    name : str, optional
        How results name the ensemble.

    Returns
    -------
    Twin
        ``respond(..., members=True)`` keeps the members apart.

    Raises
    ------
    CheckpointError
        If there is no twin, or they are not of the same neurons.
    """
    if not twins:
        raise CheckpointError("an ensemble of no twin was asked for; give at least one")
    first = twins[0]
    for twin in twins[1:]:
        if _identity(twin) != _identity(first):
            raise CheckpointError(
                f"{twin.name} and {first.name} differ in kind, mice, neurons, screen, statistics "
                "or behavior; an ensemble needs twins of the same neurons"
            )
    joined = Twin(
        first._networks[0],
        mice=first._mice,
        name=name or " + ".join(twin.name for twin in twins),
        provenance={"members": [twin.provenance for twin in twins]},
        device=first.device,
        precision=first.precision,
    )
    joined._networks = tuple(
        network.to(first.device) for twin in twins for network in twin._networks
    )
    return joined


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    UnitsError
        If the name is unknown, or this computer has no such device.
    """
    if device != "auto":
        try:
            chosen = torch.device(device)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise UnitsError(
                f"the device {str(device)!r} cannot be used here; give cpu, cuda, mps or auto"
            ) from error
        return chosen
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _identity(twin: Twin) -> tuple[Any, ...]:
    """Return what twins must share to form an ensemble, as plain values."""
    mice = tuple(
        (
            name,
            mouse.screen,
            tuple(mouse.neurons["neuron_id"]),
            *(
                None if values is None else tuple(np.ravel(values).tolist())
                for values in _numbers(mouse.statistics)
            ),
        )
        for name, mouse in twin._mice.items()
    )
    return twin.kind, twin.behavior_names, twin.uses_pupil, twin.precision, mice


def _numbers(statistics: Statistics) -> list[Any]:
    fields = (field.name for field in dataclasses.fields(statistics))
    return [getattr(statistics, name) for name in fields if name != "sources"]


def _answer(
    prepared: PreparedTwin, stimuli: Stimuli | np.ndarray[Any, Any], *, progress: bool
) -> tuple[np.ndarray[Any, Any], int]:
    """Return the responses, and the frames of a trial."""
    trial_count = len(stimuli)
    if trial_count == 0:
        raise StimulusError("the stimuli hold no trial; give at least one")
    prepared.check_trial_count(trial_count)
    with progress_bar("responding", trial_count, shown=progress) as advance:
        if not isinstance(stimuli, Stimuli):
            values = prepared.respond(stimuli, on_batch=advance)
            return values, stimuli.shape[-3] if prepared.kind == "movie" else 1
        parts = [
            prepared.respond(stimuli.render(block), first_trial=block.start, on_batch=advance)
            for block in stimuli.blocks()
        ]
    return np.concatenate(parts, axis=1 if prepared.members else 0), stimuli.trial_frames


def _describe_state(prepared: PreparedTwin, names: tuple[str, ...]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if prepared.behavior is not None:
        is_fixed = prepared.behavior.ndim == 1
        state["behavior"] = (
            dict(zip(names, prepared.behavior.tolist(), strict=True)) if is_fixed else "by trial"
        )
    if prepared.pupil_center is not None:
        is_fixed = prepared.pupil_center.ndim == 1
        state["pupil_center"] = prepared.pupil_center.tolist() if is_fixed else "by trial"
    return state
