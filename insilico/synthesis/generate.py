"""``insilico.synthesize``: choose neurons, place them, make their stimuli, keep everything."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import insilico
from insilico.errors import ProtocolError, StimulusError
from insilico.experiments.protocols import change_protocol, read_protocol
from insilico.experiments.run_folder import RunFolder, fingerprint
from insilico.experiments.runner import describe
from insilico.results import Result
from insilico.synthesis.checks import check_twins
from insilico.synthesis.choice import Choice, ChoiceRule, choose
from insilico.synthesis.clock import Clock
from insilico.synthesis.objectives import Objective
from insilico.synthesis.protocol import MOTION, SynthesisProtocol
from insilico.synthesis.sources import Candidates, gratings
from insilico.synthesis.spectra import NaturalSpectrum
from insilico.synthesis.stages import Order, make_set
from insilico.synthesis.stimulus_set import StimulusSet
from insilico.synthesis.targets import make_targets
from insilico.synthesis.workshop import Workshop
from insilico.twin.selection import NeuronSelection
from insilico.twin.twin import Twin

logger = logging.getLogger(__name__)

#: What the experiments that synthesis builds on are called.
FIELDS, SIZES = "retinotopy", "size"
#: Of discs whose neuron has no preferred size of its own, as published (ViV1T-closed-loop).
DEFAULT_DIAMETER_DEG = 20.0
#: Natural stimuli that the natural spectrum is measured on.
SPECTRUM_CLIPS = 300
#: Stimuli that fill the screen ask nothing of receptive fields.
FREE_RULE = ChoiceRule(least_field_reliability=-1.0, least_coverage=0.0, on_bad_fit="flag")


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """For whom stimuli are made.

    Parameters
    ----------
    neurons : slice, sequence of int, mask, text or None
        Neurons that come into question; all of the mouse when None.
    best : int or None
        Only so many of them, the most reliable first; all, as they were named, when None.
    is_population : bool
        Whether one stimulus is made for all of them together.
    weights : mapping of int to float, optional
        Of a population, by neuron.
    objectives : sequence of Objective, optional
        Objectives of your own, in place of neurons; discs lie where their neurons see.
    rule : ChoiceRule
        What a neuron must have.
    """

    neurons: NeuronSelection = None
    best: int | None = None
    is_population: bool = False
    weights: Mapping[int, float] | None = None
    objectives: Sequence[Objective] = ()
    rule: ChoiceRule = dataclasses.field(default_factory=ChoiceRule)

    def __post_init__(self) -> None:
        for each in self.objectives:
            if not isinstance(each, Objective):
                raise ProtocolError(
                    f"{each!r} was given as an objective; give an Objective, with a function of "
                    "the responses as Objective(weights, name=..., function=...)"
                )


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """What synthesis can build on beside the twin.

    Parameters
    ----------
    results : mapping of str to Result
        Earlier results by name: retinotopy, and size for discs of the preferred size. What is
        needed and missing is looked for in the run folder, and else measured.
    reliability : DataFrame, optional
        Of recorded neurons, as :func:`insilico.synthesis.recorded_reliability.reliability_of`
        returns it.
    natural : Candidates, optional
        Natural images or clips to search among.
    transfer : mapping of str to Twin
        Other twins of the same neurons, which are shown what was made.
    """

    results: Mapping[str, Result] = dataclasses.field(default_factory=dict)
    reliability: pd.DataFrame | None = None
    natural: Candidates | None = None
    transfer: Mapping[str, Twin] = dataclasses.field(default_factory=dict)


def synthesize(
    twin: Twin,
    what: str = "mei",
    neurons: NeuronSelection | Selection = None,
    *,
    protocol: str | Path | SynthesisProtocol | None = None,
    overrides: Mapping[str, Any] | None = None,
    mouse: str | None = None,
    sources: Sources | None = None,
    out: str | Path | None = None,
    seconds: float | Clock | None = None,
    progress: bool = False,
    command: str = "",
) -> StimulusSet:
    """Make most exciting stimuli of a twin's neurons, with their controls.

    Parameters
    ----------
    twin : Twin
        Whose neurons; of any kind.
    what : {"mei", "mev"}
        Still or moving stimuli; images have only still ones.
    neurons : neurons or Selection
        For whom, such as ``"0:10"``.
    protocol : str, Path or SynthesisProtocol, optional
        A TOML file or the name of a shipped protocol; the default when left out.
    overrides : mapping, optional
        Values that replace those of the protocol.
    mouse : str, optional
        May be left out where there is one.
    sources : Sources, optional
        Earlier results, natural stimuli, other twins.
    out : path, optional
        A run folder: the set is saved in it, usable at any moment, and what was interrupted goes on
        there.
    seconds : float or Clock, optional
        Time for searching, making and checking stimuli, from when it is known what they are made
        for; of a clock, from when that was started. With a deadline steps go where they pay most,
        and the set says how many each stimulus got, which were checked and which targets had no
        time; without one it is a function of the seed.
    progress : bool
        Show progress on stderr.
    command : str
        Recorded in the provenance.

    Returns
    -------
    StimulusSet

    Raises
    ------
    ProtocolError, CatalogError, MouseError, NeuronError, UnitsError, StimulusError
        If an argument does not fit; each says what was expected.
    RunFolderError
        If ``out`` holds another run, or cannot be written.

    Examples
    --------
    >>> import insilico
    >>> twin = insilico.SimulatedV1("image", simple_count=2, energy_count=0)
    >>> made = insilico.synthesize(twin, "mei", "0:2", overrides={"steps": 20, "controls": []})
    >>> made.table["stimulus_class"].tolist()
    ['exciting', 'exciting']
    """
    values = read_synthesis_protocol(what, protocol, overrides)
    wanted = neurons if isinstance(neurons, Selection) else Selection(neurons)
    given = sources or Sources()
    prepared = twin.prepare(mouse, neurons=_pool(wanted), is_gray=True)
    name = prepared.mouse.name
    identity = describe(twin, prepared)
    folder = None if out is None else RunFolder.open(out, identity, command=command)
    workshop = Workshop(twin, name, values, shown=progress)
    candidates = _candidates(values, workshop, given.natural)
    # Other twins that do not fit are refused before receptive fields are measured.
    check_twins(given.transfer, workshop.scorer(prepared.neurons[:1].tolist()))
    bench = _Bench(twin, name, _pool(wanted), folder, progress=progress, command=command)
    choice = bench.choose(values, wanted, given)
    targets = make_targets(
        choice.chosen,
        objectives=wanted.objectives,
        is_population=wanted.is_population,
        weights=wanted.weights,
    )
    digests = _digests(choice, wanted, candidates, given)
    if folder is not None:
        if folder.is_finished(what, values.to_dict(), digests):
            logger.info("%s is finished already: %s", what, folder.path / what)
            return StimulusSet.load(folder.path / what)
        parts = folder.parts(what, values.to_dict(), digests)
        workshop = dataclasses.replace(workshop, folder=parts.folder)
    workshop = dataclasses.replace(workshop, natural=_spectrum(workshop, given.natural))
    provenance = {
        **identity,
        "package": f"insilico {insilico.__version__}",
        "device": str(twin.device),
        "command": command,
        "seed": values.seed,
        "seconds_asked": seconds.asked_s if isinstance(seconds, Clock) else seconds,
        "choice": choice.statement,
        "given": digests,
        "candidates": {key: dict(each.provenance) for key, each in candidates.items()},
        "transfer": {key: dict(other.provenance) for key, other in given.transfer.items()},
    }
    order = Order(targets, candidates, provenance, transfer=given.transfer)
    clock = seconds if isinstance(seconds, Clock) else Clock(seconds)
    if folder is None:
        return make_set(workshop, order, clock)
    return _make_and_save(workshop, order, clock, folder, choice)


def read_synthesis_protocol(
    what: str,
    protocol: str | Path | SynthesisProtocol | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> SynthesisProtocol:
    """Return the protocol of a synthesis.

    Parameters
    ----------
    what : {"mei", "mev"}
        What is made.
    protocol, overrides
        As for :func:`synthesize`.

    Raises
    ------
    ProtocolError, CatalogError
        If what is made, a name or a value is unknown.
    """
    if what not in MOTION:
        raise ProtocolError(f"{what!r} was to be generated; give {' or '.join(MOTION)}")
    if isinstance(protocol, SynthesisProtocol):
        return change_protocol(SynthesisProtocol, protocol, overrides=overrides, experiment=what)
    return read_protocol(SynthesisProtocol, protocol, overrides=overrides, experiment=what)


class _Bench:
    """Finds or measures what synthesis builds on."""

    def __init__(
        self,
        twin: Twin,
        mouse: str,
        neurons: NeuronSelection,
        folder: RunFolder | None,
        *,
        progress: bool,
        command: str,
    ) -> None:
        self._twin, self._mouse, self._neurons, self._folder = twin, mouse, neurons, folder
        self._options = {"progress": progress, "command": command}

    def choose(self, protocol: SynthesisProtocol, wanted: Selection, given: Sources) -> Choice:
        """Return for whom stimuli are made, and where they see."""
        table = self._twin.prepare(self._mouse, neurons=self._neurons).neurons_table()
        needs_place = protocol.region != "full" or (wanted.best and given.reliability is None)
        results = dict(given.results)
        if protocol.diameter_deg == 0 and protocol.region != "full":
            self._find([FIELDS, "direction", SIZES], results, must=True)
        else:
            self._find([FIELDS], results, must=bool(needs_place))
        asked = table["neuron"].astype(int).tolist()
        return choose(
            table,
            screen=self._twin.screen(self._mouse),
            rule=wanted.rule if needs_place or given.reliability is not None else FREE_RULE,
            count=wanted.best,
            named=None if wanted.best else asked,
            reliability=given.reliability,
            fields=results.get(FIELDS),
            sizes=results.get(SIZES),
            diameter_deg=protocol.diameter_deg or DEFAULT_DIAMETER_DEG,
        )

    def _find(self, names: Sequence[str], results: dict[str, Result], *, must: bool) -> None:
        """Add earlier results from the run folder, and measure those that must be there."""
        for name in names:
            if name in results:
                continue
            known = None if self._folder is None else self._folder.result(name)
            if known is None and must:
                known = insilico.run(
                    name,
                    self._twin,
                    mouse=self._mouse,
                    neurons=self._neurons,
                    given=results,
                    out=None if self._folder is None else self._folder.path,
                    **self._options,
                )
            if known is not None:
                results[name] = known


def _pool(wanted: Selection) -> NeuronSelection:
    """Return the neurons that come into question."""
    if wanted.objectives:
        return sorted({index for each in wanted.objectives for index in each.weights})
    return wanted.neurons


def _candidates(
    protocol: SynthesisProtocol, workshop: Workshop, natural: Candidates | None
) -> dict[str, Candidates]:
    """Return what is searched, by class."""
    wanted: set[str] = set(protocol.controls)
    if protocol.region == "surround":
        wanted.add(protocol.surround_center)
    found = {}
    if "grating" in wanted:
        count = workshop.free_frames
        is_still = count == 1
        found["grating"] = gratings(
            workshop.screen,
            directions_deg=_spread(180.0 if is_still else 360.0, protocol.grating_direction_count),
            spatial_frequencies_cpd=protocol.grating_cpd,
            temporal_frequencies_hz=None if is_still else protocol.grating_hz,
            phases_deg=_spread(360.0, protocol.grating_phase_count),
            frame_count=count,
        )
    if "natural" in wanted and natural is not None:
        if natural.frame_count != workshop.free_frames:
            raise StimulusError(
                f"the natural stimuli have {natural.frame_count} frames and what is made has "
                f"{workshop.free_frames}; cut them to the same length"
            )
        found["natural"] = natural
    if protocol.region == "surround" and protocol.surround_center not in {"exciting", *found}:
        raise StimulusError(
            "the center is to be a natural stimulus and none was given; name a folder or a "
            "recording to search, or change surround_center"
        )
    return found


def _spectrum(workshop: Workshop, natural: Candidates | None) -> NaturalSpectrum | None:
    """Return the spectrum of some of the natural stimuli, evenly over all."""
    if natural is None:
        return None
    rows = np.linspace(0, len(natural) - 1, min(len(natural), SPECTRUM_CLIPS)).astype(int)
    return NaturalSpectrum.measure(
        (natural.render([row])[0] for row in rows.tolist()),
        workshop.screen,
        frame_count=natural.frame_count,
        source=str(natural.provenance.get("source", "given clips")),
    )


def _spread(whole_deg: float, count: int) -> list[float]:
    return [float(angle) for angle in np.arange(count) * whole_deg / count]


def _digests(
    choice: Choice,
    wanted: Selection,
    candidates: Mapping[str, Candidates],
    given: Sources,
) -> dict[str, str]:
    """Return hashes of what decides a set beside twin and protocol."""
    goals = [each.identity for each in wanted.objectives]
    weights = None if wanted.weights is None else sorted(wanted.weights.items())
    digests = {
        "choice": choice.digest,
        "targets": fingerprint([goals, wanted.is_population, weights]),
    }
    # Natural stimuli that nobody searches are still what spectra are compared with.
    natural = {} if given.natural is None else {"natural": given.natural}
    sources = {**candidates, **natural}
    digests |= {key: fingerprint(dict(each.provenance)) for key, each in sources.items()}
    return digests | {f"twin {key}": twin.state_sha256[:16] for key, twin in given.transfer.items()}


def _make_and_save(
    workshop: Workshop, order: Order, clock: Clock, folder: RunFolder, choice: Choice
) -> StimulusSet:
    """Make a set in a run folder, which holds what there is at any moment."""
    name = workshop.protocol.experiment
    path = folder.path / name
    path.mkdir(parents=True, exist_ok=True)
    choice.save(path / "choice")

    def keep(so_far: StimulusSet) -> None:
        so_far.save(path, previews=False)

    made = make_set(workshop, order, clock, on_snapshot=keep)
    made.save(path)
    # What a deadline cut short, or left out, goes on with the same command.
    is_whole = not made.provenance["targets_without_time"] and made.table["is_checked"].all()
    if is_whole and not (made.table["status"] == "deadline").any():
        folder.close(name)
    return made
