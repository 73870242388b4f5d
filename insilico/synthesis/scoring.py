"""From gray levels on the screen to one number: twin, states, frames, neurons."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from insilico.errors import ProtocolError, StimulusError
from insilico.synthesis.objectives import Objective
from insilico.twin.prepared import PreparedTwin
from insilico.twin.twin import Twin
from insilico.twin.units import OutputUnits

OverFrames = Literal["sum", "mean", "peak"]
OverViews = Literal["mean", "worst"]
Behavior = Literal["mean", "quiet", "running"]

#: Pixels, times frames, of the stimuli that are asked at once without gradients.
ASKED_PIXELS = 256 * 36 * 64


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How the answers of a twin become one number a stimulus.

    Parameters
    ----------
    over_frames : {"mean", "sum", "peak"}
        What is taken of the responses to the frames of the pattern (movies). The published
        objective is the sum (ViV1T-closed-loop); the mean does not grow with duration.
    over_members, over_views : {"mean", "worst"}
        What is taken over the networks of an ensemble, and over states and shifts. The worst is
        the least exciting, or least inhibiting.
    behaviors : tuple of {"mean", "quiet", "running"}
        States of the animal that count.
    shift_px : int
        The stimulus is also shown this many pixels left, right, up and down, so that it is robust
        against small movements of the eye; 0 shows it in its place alone.
    output_units : {"recorded", "standardized"} or None
        Of the responses; recorded where the statistics allow when None.
    """

    over_frames: OverFrames = "mean"
    over_members: OverViews = "mean"
    over_views: OverViews = "mean"
    behaviors: tuple[Behavior, ...] = ("mean",)
    shift_px: int = 0
    output_units: OutputUnits | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("over_frames", self.over_frames, get_args(OverFrames)),
            ("over_members", self.over_members, get_args(OverViews)),
            ("over_views", self.over_views, get_args(OverViews)),
        ):
            if value not in known:
                raise ProtocolError(f"{name} is {value!r}; give one of {', '.join(known)}")
        if not self.behaviors:
            raise ProtocolError("behaviors is empty; name at least one state, such as mean")
        if self.shift_px < 0:
            raise ProtocolError(f"shift_px is {self.shift_px}; give 0 or more pixels")

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """Displacements (x, y) in pixels that count."""
        size = self.shift_px
        if size == 0:
            return ((0, 0),)
        return ((0, 0), (size, 0), (-size, 0), (0, size), (0, -size))


@dataclasses.dataclass(frozen=True, eq=False)
class Exposure:
    """How a stimulus is shown: after how much gray, and for how long.

    Parameters
    ----------
    frame_count : int
        Frames of the pattern; 1 for images.
    lead_frames : int
        Gray frames before it; 0 for images. The published trial has 135.
    """

    frame_count: int = 1
    lead_frames: int = 0


class Scorer:
    """Asks a twin about stimuli on behalf of some neurons of one mouse.

    Parameters
    ----------
    twin : Twin
        Whom to ask.
    mouse : str
        Whose neurons.
    neurons : sequence of int
        All that the objectives are about.
    exposure : Exposure
        How stimuli are shown.
    scoring : Scoring
        How answers become a number.

    Raises
    ------
    StimulusError
        If an image twin is to see movies.
    MouseError, NeuronError, UnitsError
        As :meth:`insilico.Twin.prepare`.
    """

    def __init__(
        self,
        twin: Twin,
        mouse: str,
        neurons: Sequence[int],
        *,
        exposure: Exposure,
        scoring: Scoring | None = None,
    ) -> None:
        if twin.kind == "image" and (exposure.frame_count > 1 or exposure.lead_frames):
            raise StimulusError(
                f"{twin.name} takes images, and stimuli of {exposure.frame_count} frames were "
                "asked for; generate mei, or choose a model of movies"
            )
        self.twin, self.mouse = twin, mouse
        self.scoring = scoring or Scoring()
        self.exposure = exposure
        self.neurons = np.unique(np.asarray(neurons, np.int64))
        self.screen = twin.screen(mouse)
        lead, count = exposure.lead_frames, exposure.frame_count
        window = (lead, lead + count) if twin.kind == "movie" else None
        self._views: list[PreparedTwin] = [
            twin.prepare(
                mouse,
                neurons=self.neurons,
                window=window,
                behavior=behavior if twin.behavior_names else None,
                output_units=self.scoring.output_units,
                members=True,
                is_gray=True,
                lead_frames=lead,
            )
            for behavior in self.scoring.behaviors
        ]

    @property
    def units(self) -> str:
        """Units of its responses."""
        return self._views[0].response_units.name

    def matrix(self, objectives: Sequence[Objective]) -> Tensor:
        """Return the weights (objective, neuron) of some objectives, signs of goals left out."""
        weights = np.zeros((len(objectives), len(self.neurons)))
        for row, objective in enumerate(objectives):
            places = np.searchsorted(self.neurons, list(objective.weights))
            weights[row, places] = list(objective.weights.values())
        return torch.from_numpy(weights).to(self._views[0].device, self._views[0].dtype)

    def responses(self, frames: Tensor) -> Tensor:
        """Return responses in every view, reduced over frames; differentiable.

        Parameters
        ----------
        frames : float tensor, shape (stimulus, frame, y, x)
            Gray levels; one frame is a still stimulus.

        Returns
        -------
        float tensor, shape (view, member, stimulus, neuron)
            Views are states of behavior times shifts.
        """
        return torch.cat(
            [
                self._reduce(view.forward(self._presented(moved)))[None]
                for view in self._views
                for moved in (self._shifted(frames, shift) for shift in self.scoring.shifts)
            ]
        )

    def scores(self, frames: Tensor, objectives: Sequence[Objective]) -> Tensor:
        """Return the signed number that each stimulus is driven by; more is better.

        Parameters
        ----------
        frames : float tensor, shape (stimulus, frame, y, x)
            Gray levels.
        objectives : sequence of Objective
            One a stimulus.

        Returns
        -------
        float tensor, shape (stimulus,)
        """
        return self.combine(self.responses(frames), objectives)

    def combine(self, responses: Tensor, objectives: Sequence[Objective]) -> Tensor:
        """Return scores (stimulus,) of responses (view, member, stimulus, neuron)."""
        weighted = responses * self.matrix(objectives)
        totals = [
            weighted[:, :, row].sum(-1)
            if objective.function is None
            else self._custom(objective, weighted[:, :, row])
            for row, objective in enumerate(objectives)
        ]
        sign = torch.tensor([objective.sign for objective in objectives], device=responses.device)
        signed = torch.stack(totals, -1) * sign.to(responses.dtype)
        over_members = _over(signed, self.scoring.over_members, 1)
        return _over(over_members, self.scoring.over_views, 0)

    def combine_all(self, responses: Tensor, objectives: Sequence[Objective]) -> Tensor:
        """Return scores (objective, stimulus) of every objective for every stimulus.

        Parameters
        ----------
        responses : float tensor, shape (view, member, stimulus, neuron)
            As :meth:`responses` gives them.
        objectives : sequence of Objective
            Any number of them.

        Returns
        -------
        float tensor, shape (objective, stimulus)
            What :meth:`combine` gives for each pair, computed for all neurons at once.
        """
        totals = responses.new_empty((*responses.shape[:3], len(objectives)))
        custom = [row for row, objective in enumerate(objectives) if objective.function]
        single = [row for row, o in enumerate(objectives) if o.neuron >= 0 and not o.function]
        summed = sorted(set(range(len(objectives))) - set(custom) - set(single))
        if single:
            # One neuron each: a product with a matrix of nearly nothing but zeros would be wasted.
            places = np.searchsorted(self.neurons, [objectives[row].neuron for row in single])
            factors = [next(iter(objectives[row].weights.values())) for row in single]
            chosen = responses[..., torch.from_numpy(places).to(responses.device)]
            totals[..., single] = chosen * chosen.new_tensor(factors)
        if summed:
            weights = self.matrix([objectives[row] for row in summed])
            totals[..., summed] = responses @ weights.T
        for row in custom:
            weighted = responses * self.matrix([objectives[row]])
            totals[..., row] = self._custom(objectives[row], weighted)
        sign = totals.new_tensor([objective.sign for objective in objectives])
        over_members = _over(totals * sign, self.scoring.over_members, 1)
        return _over(over_members, self.scoring.over_views, 0).T

    def only(self, neurons: Sequence[int]) -> Scorer:
        """Return one that asks the same twin in the same way about some of its neurons alone."""
        if np.array_equal(np.unique(np.asarray(neurons, np.int64)), self.neurons):
            return self
        return Scorer(self.twin, self.mouse, neurons, exposure=self.exposure, scoring=self.scoring)

    def traces(self, frames: Tensor, objectives: Sequence[Objective]) -> Tensor:
        """Return the response (stimulus, frame) of each stimulus's own target, as first viewed.

        Weighted over neurons and averaged over members, in the first state, unshifted; the sign of
        the goal is left out.
        """
        answers = self._views[0].forward(self._presented(frames)).mean(0)
        answers = answers[..., None] if self.twin.kind == "image" else answers
        weights = self.matrix(objectives)
        return torch.einsum("snf,sn->sf", answers, weights)

    def _custom(self, objective: Objective, weighted: Tensor) -> Tensor:
        places = np.searchsorted(self.neurons, list(objective.weights))
        chosen = weighted[..., torch.from_numpy(places).to(weighted.device)]
        values = objective.function(chosen.flatten(0, -2))  # type: ignore[misc]
        return values.reshape(weighted.shape[:-1])

    def _presented(self, frames: Tensor) -> Tensor:
        """Return stimuli in the shape that the twin takes; still ones on every frame."""
        if self.twin.kind == "image":
            return frames[:, 0]
        return frames.expand(-1, self.exposure.frame_count, -1, -1)

    def _shifted(self, frames: Tensor, shift: tuple[int, int]) -> Tensor:
        x, y = shift
        if x == y == 0:
            return frames
        height, width = frames.shape[-2:]
        around = (max(x, 0), max(-x, 0), max(y, 0), max(-y, 0))
        wide = F.pad(frames, around, value=float(self.screen.gray))
        top, left = max(-y, 0), max(-x, 0)
        return wide[..., top : top + height, left : left + width]

    def _reduce(self, answers: Tensor) -> Tensor:
        """Return responses (member, stimulus, neuron) of answers that may have frames."""
        if self.twin.kind == "image":
            return answers
        if self.scoring.over_frames == "peak":
            return answers.amax(-1)
        return answers.mean(-1) if self.scoring.over_frames == "mean" else answers.sum(-1)


def score_all(
    scorer: Scorer, frames: np.ndarray[Any, Any], objectives: Sequence[Objective]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Score many stimuli, batch by batch, without gradients.

    Parameters
    ----------
    scorer : Scorer
        Whom to ask.
    frames : array, shape (stimulus, frame, y, x)
        Gray levels, uint8 or floating.
    objectives : sequence of Objective
        One a stimulus.

    Returns
    -------
    float array, shape (stimulus,)
    """
    step = max(1, ASKED_PIXELS // int(np.prod(frames.shape[1:])))
    scores = []
    with torch.inference_mode():
        for start in range(0, len(frames), step):
            part = slice(start, start + step)
            shown = torch.from_numpy(np.array(frames[part], np.float32))
            scores.append(scorer.scores(shown, objectives[part]).cpu().numpy())
    return np.concatenate(scores).astype(np.float64)


def _over(values: Tensor, what: OverViews, axis: int) -> Tensor:
    return values.mean(axis) if what == "mean" else values.amin(axis)
