"""Climbing: many stimuli at once, each step by step towards what drives its own neurons most.

``ascent`` (the default) goes along the blurred gradient of the gray levels and then back to the
nearest pattern that is allowed, from low contrast to the contrast asked for: at low contrast the
best pattern is one and local, so that different starts end with the same stimulus. ``adamw`` moves
the numbers of the parametrization as published (ViV1T-closed-loop,
single_neuron/generate_center_surround.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.synthesis.levels import Levels
from insilico.synthesis.objectives import Objective
from insilico.synthesis.parametrizations import Parametrization
from insilico.synthesis.regions import Region
from insilico.synthesis.schedule import Climb
from insilico.synthesis.scoring import Scorer
from insilico.synthesis.smoothing import blur

#: Betas and epsilon of AdamW, as published.
ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8
#: A stimulus that does not get better is given half the step so often; then it is finished.
HALVINGS = 3
#: Fresh starts of a stimulus without gradient before its neurons are called silent.
FRESH_STARTS = 20
#: What steps change, beside numbers and moments of AdamW.
CHANGING = (
    *("pattern", "velocity", "blur_share", "step_size", "waited", "halvings", "fresh"),
    *("steps", "scores"),
    *("best", "best_score", "best_contrast", "last_clear", "first_response", "has_moved"),
)
#: The blur share from which on gradients are being sharpened.
FULLEST_SHARE = 1 - 1e-6
#: Ascent without a contrast to keep takes steps of this fraction of half the gray range.
FREE_STEP = 0.5
#: What is taken from the score of each stimulus (stimulus,), given what is seen and which they are.
Penalty = Callable[[Tensor, Tensor], Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """One stimulus to be made.

    Parameters
    ----------
    objective : Objective
        What it is to drive.
    region : Region
        Where it is free.
    seed : tuple of int
        Its first pattern, and nothing else, is a function of it.
    pattern : array, shape (frame, y, x), optional
        Gray levels to start from in place of noise.
    """

    objective: Objective
    region: Region
    seed: tuple[int, ...]
    pattern: np.ndarray[Any, Any] | None = None


class Climber:
    """A batch of stimuli on their way up, which can stop after any step and go on later.

    Parameters
    ----------
    scorer : Scorer
        Says how good a stimulus is.
    starts : sequence of Start
        The stimuli.
    levels : Levels
        What gray levels they may have.
    parametrization : Parametrization
        What patterns they may have.
    climb : Climb
        How steps are made.
    frame_count : int
        Frames that can differ: 1 for still stimuli.
    penalty : callable, optional
        Taken from the scores while climbing.

    Raises
    ------
    ProtocolError
        If a region cannot have the levels.
    """

    def __init__(
        self,
        scorer: Scorer,
        starts: Sequence[Start],
        *,
        levels: Levels,
        parametrization: Parametrization,
        climb: Climb,
        frame_count: int,
        penalty: Penalty | None = None,
    ) -> None:
        self._scorer, self._starts, self._levels = scorer, list(starts), levels
        self._parametrization, self._climb, self._penalty = parametrization, climb, penalty
        self._frame_count = frame_count
        for start in self._starts:
            levels.check(start.region)
        self._weights = torch.stack(
            [torch.from_numpy(start.region.weights).float()[None] for start in self._starts]
        )
        self._backgrounds = _stack([start.region.background for start in self._starts])
        count = len(self._starts)
        first = torch.stack([self._first_pattern(row, 0) for row in range(count)])
        self.pattern = self._allowed(first, slice(None), climb.contrast_at(0))
        self.velocity = torch.zeros_like(self.pattern)
        self.best = self.pattern.clone()
        self.best_score = torch.full((count,), -torch.inf)
        self.last_clear = self.best_score.clone()
        self.best_contrast = torch.zeros(count)
        self.step_size = torch.full((count,), climb.step_size)
        self.blur_share = torch.full((count,), climb.blur_share_at(0))
        self.waited, self.halvings, self.fresh, self.steps = (
            torch.zeros(count, dtype=torch.int64) for _ in range(4)
        )
        self.first_response = torch.full((count,), torch.nan)
        self.has_moved = torch.zeros(count, dtype=torch.bool)
        self.scores = torch.full((climb.steps, count), torch.nan)
        self.numbers: tuple[Tensor, ...] = ()
        self.moments: list[Tensor] = []
        if climb.optimizer == "adamw":
            self.numbers = parametrization.fit(first)
            self.moments = [torch.zeros_like(n) for n in self.numbers for _ in range(2)]

    @property
    def is_silent(self) -> Tensor:
        """Which stimuli (stimulus,) never had a gradient."""
        return ~self.has_moved & ((self.fresh > FRESH_STARTS) | self._is_spent)

    @property
    def is_finished(self) -> Tensor:
        """Which stimuli (stimulus,) get no more steps."""
        return self.is_silent | self._is_spent

    @property
    def _is_spent(self) -> Tensor:
        return (self.halvings > HALVINGS) | (self.steps >= self._climb.steps)

    def contents(self) -> Tensor:
        """Return the best patterns so far (stimulus, frame, y, x), with their final levels."""
        return self._shaped(self.best, slice(None), 1.0)

    def advance(self, steps: int) -> None:
        """Make some steps with every stimulus that is not finished."""
        for _ in range(steps):
            rows = torch.nonzero(~self.is_finished).flatten()
            if len(rows) == 0:
                return
            self._step(rows)

    def state(self) -> dict[str, Tensor]:
        """Return everything that changes, by name; :meth:`restore` takes it."""
        state = {name: getattr(self, name) for name in CHANGING}
        state |= {f"number_{index}": value for index, value in enumerate(self.numbers)}
        state |= {f"moment_{index}": value for index, value in enumerate(self.moments)}
        # Steps change tensors in place.
        return {name: value.clone() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to where :meth:`state` was taken."""
        for name, kept in state.items():
            value = kept.clone()
            kind, _, index = name.rpartition("_")
            if kind == "number":
                self.numbers = (*self.numbers[: int(index)], value, *self.numbers[int(index) + 1 :])
            elif kind == "moment":
                self.moments[int(index)] = value
            else:
                setattr(self, name, value)

    def _step(self, rows: Tensor) -> None:
        """Score some stimuli, keep those that got better, and move all of them on."""
        # All stimuli of a batch that still move have made the same number of steps.
        step = int(self.steps[rows[0]])
        contrast = self._climb.contrast_at(step)
        leaves, pattern = self._leaves(rows)
        content = self._shaped(pattern, rows, contrast)
        seen = self._seen(content, rows)
        response = self._response(seen, rows)
        score = response if self._penalty is None else response - self._penalty(seen, rows)
        # Where a twin has no slope, as a root has none at 0, there is none to follow.
        gradients = [
            gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            for gradient in torch.autograd.grad(score.sum(), leaves)
        ]
        with torch.no_grad():
            # Where contrast is free, what was seen early in the ramp counts as much as the rest.
            seen_at = contrast if self._levels.rms_level is not None else 1.0
            self._keep(rows, pattern.detach(), score.detach(), seen_at)
            self.scores[step, rows] = score.detach().float()
            self.steps[rows] += 1
            if self._climb.optimizer == "adamw":
                self._adam(rows, gradients, step + 1)
            else:
                self._ascend(rows, gradients[0], self._climb.contrast_at(step + 1))
                self._sharpen(rows, step + 1)
            self._start_afresh(rows, gradients, response.detach())

    def _leaves(self, rows: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return what is differentiated by, and the pattern that it draws."""
        if self._climb.optimizer == "adamw":
            leaves = tuple(value[rows].requires_grad_() for value in self.numbers)
            return leaves, self._parametrization.draw(leaves)
        pattern = self.pattern[rows].requires_grad_()
        return (pattern,), pattern

    def _shaped(self, pattern: Tensor, rows: Any, contrast: float) -> Tensor:
        """Return gray levels within limits for the pattern of an optimizer."""
        levels = self._levels.at_contrast(contrast)
        if self._climb.optimizer == "ascent":
            # Ascent keeps its pattern within limits; here only rounding is left to mend.
            return pattern if pattern.requires_grad else self._fitted(pattern, rows, levels)
        if self._draws_logits:
            content = levels.lowest + (levels.highest - levels.lowest) * torch.sigmoid(pattern)
        else:
            content = self._gray(rows) + pattern
        return self._fitted(content, rows, levels)

    @property
    def _draws_logits(self) -> bool:
        """Whether patterns are logits of gray levels, as published; else deviations from gray."""
        return self._climb.optimizer == "adamw" and self._levels.rms_level is None

    def _fitted(self, pattern: Tensor, rows: Any, levels: Levels) -> Tensor:
        return levels.fit(pattern, self._weights[rows], self._backgrounds[rows])

    def _allowed(self, pattern: Tensor, rows: Any, contrast: float) -> Tensor:
        """Return the nearest pattern that can be drawn, with the levels of a contrast."""
        # Gray is no pattern: of few that can be drawn it would be the first.
        gray = self._gray(rows)
        drawn = gray + self._parametrization.draw(self._parametrization.fit(pattern - gray))
        return self._fitted(drawn, rows, self._levels.at_contrast(contrast))

    def _gray(self, rows: Any) -> Tensor:
        """Return the gray levels (stimulus, 1, 1, 1) that patterns deviate from."""
        gray = self._backgrounds[rows].mean((1, 2, 3), keepdim=True)
        level = self._levels.luminance_level
        return gray if level is None else torch.full_like(gray, level)

    def _seen(self, content: Tensor, rows: Tensor) -> Tensor:
        weights = self._weights[rows]
        return content * weights + self._backgrounds[rows] * (1 - weights)

    def _response(self, seen: Tensor, rows: Tensor) -> Tensor:
        objectives = [self._starts[row].objective for row in rows.tolist()]
        # The twin may be on another device than its stimuli.
        return self._scorer.scores(seen, objectives).to(seen.device)

    def _keep(self, rows: Tensor, pattern: Tensor, score: Tensor, contrast: float) -> None:
        """Keep what is better than the best so far, or was seen at a higher contrast."""
        score = score.to(self.best_score)
        is_higher = contrast > self.best_contrast[rows]
        gain = score - self.best_score[rows]
        is_better = is_higher | (gain > 0)
        # What is gained in many small steps counts as much as what is gained in one.
        last = self.last_clear[rows]
        is_clear = is_higher | (score - last > self._climb.tolerance * last.abs())
        self.last_clear[rows] = torch.where(is_clear, score, last)
        chosen = rows[is_better]
        self.best[chosen] = pattern[is_better].to(self.best)
        self.best_score[chosen] = score[is_better]
        self.best_contrast[chosen] = contrast
        self.waited[rows] = torch.where(is_clear, 0, self.waited[rows] + 1)
        if self._climb.patience:
            is_stuck = self.waited[rows] >= self._climb.patience
            self._unstick(rows[is_stuck])

    def _unstick(self, rows: Tensor) -> None:
        """Do something about stimuli that get no better."""
        self.waited[rows] = 0
        share = self.blur_share[rows]
        is_sharp = (share == 0) | (self._climb.sharpen_steps == 0)
        # Blurred gradients are sharpened first; while they are, patterns change anyway.
        self.blur_share[rows[~is_sharp]] = share[~is_sharp].clamp_max(FULLEST_SHARE)
        self.step_size[rows[is_sharp]] /= 2
        self.halvings[rows[is_sharp]] += 1

    def _sharpen(self, rows: Tensor, next_step: int) -> None:
        """Let the blur of gradients fall where it has begun to, or has to begin now."""
        if not self._climb.sharpen_steps:
            return
        share = self.blur_share[rows]
        falling = share - 1 / self._climb.sharpen_steps
        share = torch.where(share < 1, falling, share)
        most = self._climb.blur_share_at(next_step)
        self.blur_share[rows] = share.clamp(0, most)

    def _ascend(self, rows: Tensor, gradient: Tensor, next_contrast: float) -> None:
        """Move patterns along their blurred gradients, and back to what is allowed."""
        climb = self._climb
        # By what is seen: a tapered border would else shape the pattern twice.
        weights = self._weights[rows]
        gradient = gradient / weights.where(weights > 0, 1)
        share = self.blur_share[rows].to(gradient)[:, None, None, None]
        blurred = blur(
            gradient, sigma_px=climb.gradient_blur_px, sigma_frames=climb.gradient_blur_frames
        )
        direction = gradient.lerp(blurred, share)
        length = direction.flatten(1).norm(dim=1).clamp_min(torch.finfo(direction.dtype).tiny)
        velocity = climb.momentum * self.velocity[rows] + direction / length[:, None, None, None]
        self.velocity[rows] = velocity
        size = self.step_size[rows] * self._length(rows, next_contrast)
        moved = self.pattern[rows] + size[:, None, None, None] * velocity
        moved = blur(moved, sigma_px=climb.pattern_blur_px)
        self.pattern[rows] = self._allowed(moved, rows, next_contrast)

    def _length(self, rows: Tensor, contrast: float) -> Tensor:
        """Return the length of a stimulus of full contrast: root of pixels times levels."""
        pixels = (self._weights[rows] > 0).sum((1, 2, 3)) * self.pattern.shape[1]
        levels = self._levels
        rms = levels.rms_level
        if rms is None:
            rms = FREE_STEP * (levels.highest - levels.lowest) / 2
        return pixels.sqrt() * rms * contrast

    def _adam(self, rows: Tensor, gradients: Sequence[Tensor], step: int) -> None:
        """Move numbers by AdamW without weight decay (Loshchilov & Hutter 2019)."""
        first_beta, second_beta = ADAM_BETAS
        for index, gradient in enumerate(gradients):
            first, second = self.moments[2 * index], self.moments[2 * index + 1]
            first[rows] = first_beta * first[rows] + (1 - first_beta) * gradient
            second[rows] = second_beta * second[rows] + (1 - second_beta) * gradient.square()
            mean = first[rows] / (1 - first_beta**step)
            spread = (second[rows] / (1 - second_beta**step)).sqrt() + ADAM_EPSILON
            size = self.step_size[rows].reshape(-1, *[1] * (gradient.ndim - 1))
            self.numbers[index][rows] += size * mean / spread

    def _start_afresh(self, rows: Tensor, gradients: Sequence[Tensor], response: Tensor) -> None:
        """Give another first pattern, at full contrast, to stimuli that never had a gradient."""
        is_flat = torch.stack([g.flatten(1).abs().amax(1) == 0 for g in gradients]).all(0)
        response = response.to(self.first_response)
        first = self.first_response[rows]
        self.first_response[rows] = torch.where(first.isnan(), response, first)
        # A penalty has a gradient where the neuron has none.
        has_effect = ~is_flat if self._penalty is None else response != self.first_response[rows]
        self.has_moved[rows] |= has_effect
        # A stimulus that had a gradient before has reached what cannot be improved.
        flat = rows[~self.has_moved[rows] & (is_flat | (self.steps[rows] > 1))]
        self.fresh[flat] += 1
        for row in flat.tolist():
            pattern = self._first_pattern(row, int(self.fresh[row]))[None]
            if self.numbers:
                for value, new in zip(
                    self.numbers, self._parametrization.fit(pattern), strict=True
                ):
                    value[row] = new[0]
            else:
                self.pattern[row] = self._allowed(pattern, slice(row, row + 1), 1.0)[0]

    def _first_pattern(self, row: int, attempt: int) -> Tensor:
        """Return the pattern (frame, y, x) that a stimulus starts from."""
        start = self._starts[row]
        size = (self._frame_count, *self._weights.shape[-2:])
        given = None if start.pattern is None else torch.from_numpy(start.pattern).float()
        if given is not None and attempt == 0:
            return self._unseen(given.expand(size), row)
        random = np.random.default_rng([*start.seed, attempt])
        noise = torch.from_numpy(random.standard_normal(size, dtype=np.float32))
        if self._climb.optimizer == "adamw":
            return noise * PUBLISHED_START
        levels = self._levels
        gray = self._backgrounds[row].mean()
        spread = levels.rms_level or (levels.highest - levels.lowest) * FREE_START
        # Fine noise may reach what coarse noise does not.
        is_fine = attempt % 2 == 1
        noise = noise if is_fine else blur(noise[None], sigma_px=self._climb.gradient_blur_px)[0]
        # Noise beside the region would never be seen, nor leave again.
        return gray + spread * noise * (self._weights[row] > 0)

    def _unseen(self, levels: Tensor, row: int) -> Tensor:
        """Return the pattern of an optimizer that shows some gray levels (frame, y, x)."""
        if self._climb.optimizer == "ascent":
            return levels
        if not self._draws_logits:
            return levels - self._gray(slice(row, row + 1))[0]
        lowest, highest = self._levels.lowest, self._levels.highest
        return torch.logit((levels - lowest) / (highest - lowest), eps=LOGIT_MARGIN)


#: Standard deviation of the published first pattern, in logits (ViV1T-closed-loop).
PUBLISHED_START = 0.01
#: Standard deviation of the first pattern of an ascent of free contrast, as a part of the range.
FREE_START = 0.05
#: Black and white have infinite logits; given patterns are kept this far from them.
LOGIT_MARGIN = 1e-3


def _stack(backgrounds: Sequence[np.ndarray[Any, Any]]) -> Tensor:
    """Return backgrounds (stimulus, frame or 1, y, x)."""
    frames = [b if b.ndim == 3 else b[None] for b in backgrounds]
    count = max(len(f) for f in frames)
    return torch.from_numpy(
        np.stack([np.broadcast_to(f, (count, *f.shape[1:])) for f in frames])
    ).float()
