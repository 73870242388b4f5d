"""From targets to a set: stimuli that are made, then their controls, then what was asked of all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from insilico.errors import StimulusError
from insilico.synthesis.assembly import Checks, assemble, neurons_of, present
from insilico.synthesis.checks import check_twins
from insilico.synthesis.climbing import Start
from insilico.synthesis.clock import Clock
from insilico.synthesis.controls import has_donor, noise_control, swap_controls
from insilico.synthesis.entries import Entry, best_of
from insilico.synthesis.final_checks import checks_of
from insilico.synthesis.finding import Wanted
from insilico.synthesis.identity import stimulus_id
from insilico.synthesis.making import Made
from insilico.synthesis.objectives import CLASS_OF_GOAL, Objective
from insilico.synthesis.pattern_checks import as_movie
from insilico.synthesis.regions import Region
from insilico.synthesis.sources import Candidates
from insilico.synthesis.stimulus_set import StimulusSet
from insilico.synthesis.targets import Target
from insilico.synthesis.workshop import Workshop
from insilico.twin.twin import Twin

#: What is there so far is written down this often, so that it can be used at any moment.
SNAPSHOT_S = 60.0
#: Share of the time that is for making; the rest is for controls and checks, which take about 65
#: passes a target (13 for each of five stimuli) where making takes up to 100 steps of three.
MAKING_SHARE = 0.85
#: Share of the time that centers get before the surrounds around them are made.
CENTER_SHARE = 1 / 3


@dataclasses.dataclass(frozen=True, eq=False)
class Order:
    """What is to be made.

    Parameters
    ----------
    targets : sequence of Target
        For whom, the most important first.
    candidates : mapping of str to Candidates
        "grating" and "natural" stimuli to search among, where they are wanted.
    provenance : mapping
        Kept with the set.
    transfer : mapping of str to Twin
        Other twins of the same neurons, which are shown what was made.
    """

    targets: Sequence[Target]
    candidates: Mapping[str, Candidates]
    provenance: Mapping[str, Any]
    transfer: Mapping[str, Twin] = dataclasses.field(default_factory=dict)


def make_set(
    workshop: Workshop,
    order: Order,
    clock: Clock,
    *,
    on_snapshot: Callable[[StimulusSet], object] | None = None,
) -> StimulusSet:
    """Make, search and control, and ask the twin about the bytes of all.

    Parameters
    ----------
    workshop : Workshop
        Where stimuli are made.
    order : Order
        What is wanted.
    clock : Clock
        The time there is. With a deadline, what is asked of stimuli beside their responses is left
        out where time has ended: ``is_checked`` of the table says where it was not.
    on_snapshot : callable, optional
        Given what there is so far, about once a minute.

    Returns
    -------
    StimulusSet
        Rows: for each target the stimuli that were made, then their controls.

    Raises
    ------
    StimulusError
        If time does not suffice for one target, or a region lies off the screen.
    """
    objectives = [target.objective for target in order.targets]
    # Twins that cannot be asked are refused now, and not after hours of making.
    check_twins(order.transfer, workshop.scorer(neurons_of(objectives)))
    making = _Making(workshop, order, clock, on_snapshot)
    region = workshop.protocol.region
    found = making.search_all("center" if region == "surround" else region)
    clock = clock.part(MAKING_SHARE)
    if region == "surround":
        centers = making.centers(found, clock.part(CENTER_SHARE))
        regions = {
            target.objective.name: target.region(
                "surround", workshop.protocol, workshop.screen
            ).around(centers[target.objective.name].frames)
            for target in order.targets
            if target.objective.name in centers
        }
        found = making.search_around(regions)
        made = making.make("surround", regions, clock, found)
        first = list(centers.values())
    else:
        made = making.make(region, making.regions(region), clock, found)
        first = []
    controls = [*found, *making.derived(made)]
    return making.finish(first, made, controls)


class _Making:
    """The stages of one set."""

    def __init__(
        self,
        workshop: Workshop,
        order: Order,
        clock: Clock,
        on_snapshot: Callable[[StimulusSet], object] | None,
    ) -> None:
        self._workshop, self._order, self._clock = workshop, order, clock
        self._protocol, self._screen = workshop.protocol, workshop.screen
        self._on_snapshot = on_snapshot
        self._snapshot_at = time.monotonic()
        self._so_far: dict[str, dict[tuple[Any, ...], Made]] = {}
        self._parts: dict[str, StimulusSet] = {}

    def regions(self, name: str) -> dict[str, Region]:
        """Return where the stimuli of each target are free, by target."""
        return {
            target.objective.name: target.region(name, self._protocol, self._screen)
            for target in self._order.targets
        }

    def make(
        self,
        stage: str,
        regions: Mapping[str, Region],
        clock: Clock,
        found: Sequence[Entry],
    ) -> list[Entry]:
        """Make every goal and restart of the targets that have a region.

        Where something that was found does better than all that was made of noise, as happens in
        discs of a few pixels, it is climbed from once more.
        """
        objectives = [objective for objective, _ in self._wanted(regions)]
        made = self._climb(stage, objectives, regions, self._protocol.restarts, clock)
        best = {entry.key: entry for entry in best_of(made, all_goals=True)}
        ahead: dict[tuple[str, str], Entry] = {}
        for entry in map(self._penalized, found):
            rival = ahead.get(entry.key, best.get(entry.key))
            if rival is not None and entry.score > rival.score:
                ahead[entry.key] = entry
        better = self._climb_from(f"{stage}-again", ahead, best, clock)
        made = [better.get(id(entry), entry) for entry in made]
        return [
            dataclasses.replace(entry, status="below_control")
            if entry.status == "ok" and entry.key in ahead and entry.score < ahead[entry.key].score
            else entry
            for entry in made
        ]

    def _penalized(self, found: Entry) -> Entry:
        """Return what was found with the score that it would have been climbed to with."""
        frames = as_movie(found)[: self._workshop.free_frames]
        penalty = self._workshop.penalty(found.objective, found.region, frames)
        details = {**found.details, "score": found.score - penalty}
        return dataclasses.replace(found, details=details)

    def _climb_from(
        self,
        stage: str,
        ahead: Mapping[tuple[str, str], Entry],
        best: Mapping[tuple[str, str], Entry],
        clock: Clock,
    ) -> dict[int, Entry]:
        """Return what replaces some of what was made, by the identity of that."""
        longest_s = max((entry.details["seconds"] for entry in best.values()), default=0.0)
        if not ahead or (clock.has_deadline and clock.left_s < longest_s):
            return {}
        # Found stimuli have their contrast; whatever blurred them would lose what made them good.
        climb = dataclasses.replace(
            self._protocol.climb, ramp_steps=0, gradient_blur_px=0.0, pattern_blur_px=0.0
        )
        starts = [
            Start(
                entry.objective,
                best[key].region,
                seed=self._workshop.seed(entry.objective, best[key].details["restart"]),
                pattern=as_movie(entry)[: self._workshop.free_frames].astype(np.float32),
            )
            for key, entry in ahead.items()
        ]
        made = [
            self._entry(each, {"started_from": ahead[each.start.objective.key].stimulus_class})
            for each in self._workshop.make(stage, starts, clock, climb=climb)
        ]
        return {id(best[entry.key]): entry for entry in made if entry.score > best[entry.key].score}

    def centers(self, found: Sequence[Entry], clock: Clock) -> dict[str, Entry]:
        """Return what stays in the disc while surrounds are made, by target."""
        source = self._protocol.surround_center
        if source != "exciting":
            return {e.objective.name: e for e in found if e.stimulus_class == source}
        objectives = [target.exciting for target in self._order.targets]
        made = self._climb("center", objectives, self.regions("center"), 1, clock)
        return {entry.objective.name: entry for entry in made}

    def search_all(self, region: str) -> list[Entry]:
        """Return the best gratings and natural stimuli of every target."""
        wanted = self._wanted_sources()
        if not wanted:
            return []
        if self._protocol.region != "surround":
            return self._search(f"search-{region}", self._wanted(self.regions(region)), wanted)
        # What stays in a center excites, whatever is made around it.
        places = self.regions(region)
        centers = [(t.exciting, places[t.objective.name]) for t in self._order.targets]
        return self._search(f"search-{region}", centers, wanted)

    def search_around(self, regions: Mapping[str, Region]) -> list[Entry]:
        """Return the best gratings and natural stimuli around fixed centers."""
        wanted = [name for name in self._protocol.controls if name in self._order.candidates]
        return self._search("search-around", self._wanted(regions), wanted)

    def derived(self, made: Sequence[Entry]) -> list[Entry]:
        """Return noise and swapped stimuli that control the best exciting ones."""
        best = best_of(made)
        levels = self._protocol.levels
        controls = []
        if "noise" in self._protocol.controls:
            controls += [
                self._controlling(
                    noise_control(entry, levels, self._workshop.seed(entry.objective, 1000)), entry
                )
                for entry in best
            ]
        if "swap" in self._protocol.controls:
            given = [entry for entry in best if has_donor(entry, best)]
            seeds = [self._workshop.seed(entry.objective, 2000) for entry in given]
            swapped = swap_controls(given, best, levels, seeds=seeds) if given else []
            controls += [
                self._controlling(control, entry)
                for control, entry in zip(swapped, given, strict=True)
            ]
        return controls

    def finish(
        self, centers: Sequence[Entry], made: Sequence[Entry], controls: Sequence[Entry]
    ) -> StimulusSet:
        """Return the set, target by target: centers, what was made, and what controls that."""
        best = {entry.key: entry for entry in best_of(made, all_goals=True)}
        linked = [
            control
            if "control_of" in control.details
            else self._controlling(control, best[control.key])
            for control in controls
            if control.key in best
        ]
        place = {target.objective.name: i for i, target in enumerate(self._order.targets)}
        entries = sorted([*centers, *made, *linked], key=lambda entry: place[entry.objective.name])
        # A center alone is not what was asked for.
        had_time = {entry.objective.name for entry in made}
        left = [name for name in place if name not in had_time]
        order = self._order
        checks = checks_of(self._workshop, order.targets, order.transfer, self._clock)
        return self._assemble(entries, checks=checks, further={"targets_without_time": left})

    def _wanted_sources(self) -> list[str]:
        """Return the candidates that are searched first: all, or what makes the center."""
        protocol = self._protocol
        if protocol.region == "surround":
            wanted: Sequence[str] = [protocol.surround_center]
        else:
            wanted = protocol.controls
        return [name for name in wanted if name in self._order.candidates]

    def _wanted(self, regions: Mapping[str, Region]) -> list[Wanted]:
        """Return every goal of the targets that have a region, with that."""
        return [
            (target.toward(goal), regions[target.objective.name])
            for target in self._order.targets
            if target.objective.name in regions
            for goal in self._protocol.goals
        ]

    def _search(self, stage: str, pairs: Sequence[Wanted], sources: Sequence[str]) -> list[Entry]:
        return [
            entry
            for name in sources
            for entry in self._workshop.search(stage, self._order.candidates[name], pairs)
        ]

    def _climb(
        self,
        stage: str,
        objectives: Sequence[Objective],
        regions: Mapping[str, Region],
        restarts: int,
        clock: Clock,
    ) -> list[Entry]:
        starts = [
            Start(objective, regions[objective.name], seed=self._workshop.seed(objective, restart))
            for objective in objectives
            for restart in range(restarts)
        ]
        if not starts:
            raise StimulusError("there is no target to make stimuli for; name at least one")
        made = self._workshop.make(stage, starts, clock, on_made=self._note)
        return [self._entry(each) for each in made]

    def _entry(self, made: Made, further: Mapping[str, Any] | None = None) -> Entry:
        start = made.start
        target = self._target(start.objective)
        content = made.content if self._workshop.free_frames > 1 else made.content[0]
        levels = self._protocol.levels
        frames = levels.finish(content, start.region)
        status = target.status if levels.are_met(frames, start.region) else "levels_differ"
        return Entry(
            frames,
            start.objective,
            start.region,
            CLASS_OF_GOAL[start.objective.goal],
            status=status if made.status == "ok" else made.status,
            details={
                "goal": start.objective.goal,
                "restart": start.seed[-1],
                "seed": self._protocol.seed,
                "score": made.score,
                "steps": made.steps,
                "seconds": made.seconds,
                "last_gain": made.last_gain,
                "x_px": target.x_px,
                "y_px": target.y_px,
                **(further or {}),
            },
            curve=made.curve,
        )

    def _target(self, objective: Objective) -> Target:
        return next(t for t in self._order.targets if t.objective.name == objective.name)

    def _controlling(self, control: Entry, entry: Entry) -> Entry:
        shown = present(entry.frames, self._workshop.twin.kind, self._workshop.exposure)
        details = {
            "goal": entry.objective.goal,
            **control.details,
            "seed": self._protocol.seed,
        }
        return dataclasses.replace(control, details={**details, "control_of": stimulus_id(shown)})

    def _note(self, made: Sequence[Made]) -> None:
        """Remember what a batch has reached, and write all down once in a while."""
        if self._on_snapshot is None:
            return
        for each in made:
            objective = each.start.objective
            key = (objective.goal, each.start.region.name, each.start.seed)
            self._so_far.setdefault(objective.name, {})[key] = each
            self._parts.pop(objective.name, None)
        if time.monotonic() - self._snapshot_at > SNAPSHOT_S:
            # Only those that have come further are asked about again.
            for name in self._so_far.keys() - self._parts.keys():
                entries = [self._entry(each) for each in self._so_far[name].values()]
                self._parts[name] = self._assemble(entries)
            parts = [self._parts[name] for name in self._so_far]
            self._on_snapshot(StimulusSet.concatenate(parts))
            self._snapshot_at = time.monotonic()

    def _assemble(
        self,
        entries: Sequence[Entry],
        *,
        checks: Checks | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> StimulusSet:
        return assemble(
            entries,
            self._workshop.scorer,
            checks=checks,
            protocol=self._protocol.to_dict(),
            provenance={**self._order.provenance, **(further or {})},
        )
