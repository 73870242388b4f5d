"""What all stages of one synthesis share: the twin, the protocol, the time, and where parts lie."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from insilico.progress import progress_bar
from insilico.screen import Screen
from insilico.synthesis.assembly import grouped, neurons_of
from insilico.synthesis.climbing import Climber, Start
from insilico.synthesis.clock import Clock
from insilico.synthesis.entries import Entry
from insilico.synthesis.finding import Wanted
from insilico.synthesis.kept import KEEP_EVERY_S, keep, kept
from insilico.synthesis.making import Batch, Made, make_all
from insilico.synthesis.objectives import Objective
from insilico.synthesis.penalties import SpectrumDistance, published_kl, total_variation
from insilico.synthesis.protocol import SynthesisProtocol
from insilico.synthesis.regions import Region
from insilico.synthesis.schedule import Climb
from insilico.synthesis.scoring import Exposure, Scorer
from insilico.synthesis.search import Search
from insilico.synthesis.sources import Candidates
from insilico.synthesis.spectra import NaturalSpectrum
from insilico.twin.twin import Twin

#: Targets that climb together where the protocol does not say. Images of many neurons share a pass;
#: movies gain nothing from company on a processor (measured on ViV1T), and each neuron's own
#: shortcuts are lost.
TARGETS_PER_BATCH = {"image": 64, "movie": 1}
#: On a graphics card small batches leave it idle. Not measured.
MOVIE_TARGETS_ON_GPU = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Workshop:
    """Where stimuli are made.

    Parameters
    ----------
    twin : Twin
        Whom they are made for.
    mouse : str
        Whose neurons.
    protocol : SynthesisProtocol
        How they are made.
    folder : Path or None
        Where unfinished work is kept.
    natural : NaturalSpectrum or None
        What penalties compare with; the ideal one when None.
    shown : bool
        Whether to show progress.
    """

    twin: Twin
    mouse: str
    protocol: SynthesisProtocol
    folder: Path | None = None
    natural: NaturalSpectrum | None = None
    shown: bool = False

    @functools.cached_property
    def screen(self) -> Screen:
        """The monitor."""
        return self.twin.screen(self.mouse)

    @functools.cached_property
    def exposure(self) -> Exposure:
        """How stimuli are shown."""
        return self.protocol.exposure(self.twin.kind, self.screen)

    @property
    def free_frames(self) -> int:
        """How many frames of a stimulus can differ."""
        return self.protocol.free_frames(self.exposure)

    @property
    def spectrum(self) -> NaturalSpectrum:
        """What penalties compare the spectra of stimuli with."""
        return next(each for each in self.references if each.frame_count == self.free_frames)

    @functools.cached_property
    def references(self) -> list[NaturalSpectrum]:
        """Natural spectra of still stimuli, and of moving ones where they are shown."""
        known = [] if self.natural is None else [self.natural]
        counts = {1, self.exposure.frame_count} - {each.frame_count for each in known}
        return [*known, *(NaturalSpectrum.ideal(self.screen, count) for count in sorted(counts))]

    def scorer(self, neurons: Sequence[int]) -> Scorer:
        """Return who asks the twin about some neurons."""
        return Scorer(
            self.twin,
            self.mouse,
            neurons,
            exposure=self.exposure,
            scoring=self.protocol.scoring,
        )

    def seed(self, objective: Objective, restart: int) -> tuple[int, ...]:
        """Return the seed of one stimulus; it depends on no other."""
        name = f"{self.mouse} {objective.goal} {objective.name}"
        return (self.protocol.seed, zlib.crc32(name.encode()), restart)

    def make(
        self,
        stage: str,
        starts: Sequence[Start],
        clock: Clock,
        *,
        climb: Climb | None = None,
        on_made: Callable[[list[Made]], object] = lambda made: None,
    ) -> list[Made]:
        """Make some stimuli, as far as time allows.

        Parameters
        ----------
        stage : str
            Names the files of unfinished work.
        starts : sequence of Start
            The most important first.
        clock : Clock
            The time there is.
        climb : Climb, optional
            How; as the protocol says when left out.
        on_made : callable, optional
            Called with what there is of a batch whenever it has come further.

        Returns
        -------
        list of Made
            One a start that has had time, in order.
        """
        # Who says how has something already, which is of use without a first few steps.
        is_bare = climb is None
        climb = climb or self.protocol.climb
        batches = self._batches(stage, starts, climb)
        total = climb.steps * len(batches)
        first_steps = min(climb.steps, max(climb.first_steps, 1) + 1) if is_bare else 0
        with progress_bar(f"making stimuli ({stage})", total, shown=self.shown) as advance:
            make_all(
                batches,
                steps=climb.steps,
                first_steps=first_steps,
                clock=clock,
                on_step=advance,
                on_batch=lambda batch: on_made(batch.made()),
            )
        made = []
        for batch in batches:
            if batch.is_begun:
                made += batch.made()
                # Batches of an earlier run for which there was no time hold a twin now.
                batch.rest()
        order = {id(start): index for index, start in enumerate(starts)}
        return sorted(made, key=lambda each: order[id(each.start)])

    def search(
        self,
        stage: str,
        candidates: Candidates,
        targets: Sequence[Wanted],
    ) -> list[Entry]:
        """Return the best candidate of each target; unfinished searches go on.

        Parameters
        ----------
        stage : str
            Names the file of unfinished work.
        candidates : Candidates
            What is searched among.
        targets : sequence of (Objective, Region)
            For whom, and where.
        """
        under_way = Search(
            self.scorer(neurons_of([objective for objective, _ in targets])),
            candidates,
            targets,
            levels=self.protocol.levels,
        )
        name = candidates.stimulus_class
        label = f"{name} search"
        path = self._path(f"{stage}-{name}", targets)
        if (state := kept(path)) is not None:
            under_way.restore(state)
        kept_at = time.monotonic()
        with progress_bar(label, under_way.batch_count, shown=self.shown) as advance:
            advance(under_way.done)
            while not under_way.is_finished:
                under_way.advance()
                advance(1)
                if time.monotonic() - kept_at > KEEP_EVERY_S or under_way.is_finished:
                    keep(path, under_way.state())
                    kept_at = time.monotonic()
        return [entry for found in under_way.entries() for entry in found]

    def penalty(self, objective: Objective, region: Region, frames: np.ndarray[Any, Any]) -> float:
        """Return what is taken from the score of a stimulus (frame, y, x) while climbing."""
        penalty = self._penalty([Start(objective, region, seed=())])
        if penalty is None:
            return 0.0
        seen = torch.from_numpy(frames.astype(np.float32))[None]
        return float(penalty(seen, torch.tensor([0])))

    def _batches(self, stage: str, starts: Sequence[Start], climb: Climb) -> list[Batch]:
        objectives = [start.objective for start in starts]
        return [
            Batch(
                part := [starts[row] for row in rows],
                functools.partial(self._climber, climb=climb),
                self._path(stage, [(start.objective, start.region) for start in part]),
            )
            for rows in grouped(objectives, self._targets_per_batch)
        ]

    def _path(self, stage: str, targets: Sequence[Wanted]) -> Path | None:
        """Return where unfinished work for some targets lies: for others it lies elsewhere.

        Centers that a later run has improved ask for surrounds of their own, and so do batches of
        another size.
        """
        if self.folder is None:
            return None
        digest = hashlib.sha256()
        for objective, region in targets:
            digest.update(f"{objective.goal} {objective.name}\n".encode())
            digest.update(region.weights.tobytes() + region.background.tobytes())
        return self.folder / f"{stage}-{digest.hexdigest()[:16]}.npz"

    @property
    def _targets_per_batch(self) -> int:
        if self.protocol.targets_per_batch:
            return self.protocol.targets_per_batch
        if self.twin.kind == "movie" and self.twin.device.type == "cuda":
            return MOVIE_TARGETS_ON_GPU
        return TARGETS_PER_BATCH[self.twin.kind]

    def _climber(self, starts: Sequence[Start], *, climb: Climb) -> Climber:
        return Climber(
            self.scorer(neurons_of([start.objective for start in starts])),
            starts,
            levels=self.protocol.levels,
            parametrization=self.protocol.drawing(self.screen, self.free_frames),
            climb=climb,
            frame_count=self.free_frames,
            penalty=self._penalty(starts),
        )

    def _penalty(self, starts: Sequence[Start]) -> Any:
        """Return what is taken from the scores of stimuli, or None."""
        protocol = self.protocol
        if not (
            protocol.total_variation or protocol.spectrum_distance or protocol.published_spectrum
        ):
            return None
        masks = [start.region.mask for start in starts]
        # One for all where all see the same pixels, as they do in the full field.
        shared = all((mask == masks[0]).all() for mask in masks)
        distances = [
            SpectrumDistance(self.spectrum, mask) for mask in (masks[:1] if shared else masks)
        ]

        def distance(movie: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            if shared:
                return distances[0](movie)
            each = [distances[row](movie[place, None]) for place, row in enumerate(rows.tolist())]
            return torch.cat(each)

        def penalty(seen: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            movie = seen if self.free_frames > 1 else seen[:, 0]
            total = torch.zeros(len(seen), dtype=seen.dtype, device=seen.device)
            if protocol.total_variation:
                total = total + protocol.total_variation * total_variation(movie)
            if protocol.published_spectrum:
                total = total + protocol.published_spectrum * published_kl(movie, self.spectrum)
            if protocol.spectrum_distance:
                total = total + protocol.spectrum_distance * distance(movie, rows)
            return total

        return penalty
