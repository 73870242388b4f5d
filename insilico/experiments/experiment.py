"""What every experiment promises, and where it is found."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from insilico.configuration import nearest
from insilico.errors import CatalogError, ShapeError
from insilico.experiments.protocols import Protocol
from insilico.experiments.sites import Site, one_site
from insilico.results import Responses, Result
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind, Stimuli

if TYPE_CHECKING:
    from insilico.twin import PreparedTwin

P = TypeVar("P", bound=Protocol)

#: Experiments by name: where their class lives. Importing it is put off until it is needed.
EXPERIMENTS = {
    "retinotopy": "insilico.experiments.retinotopy:Retinotopy",
    "direction": "insilico.experiments.direction:Direction",
    "similarity": "insilico.experiments.similarity:Similarity",
    "dots": "insilico.experiments.dots:Dots",
    "size": "insilico.experiments.size:Size",
    "frequency": "insilico.experiments.frequency:Frequency",
    "surround": "insilico.experiments.surround:Surround",
    "contrast": "insilico.experiments.contrast:Contrast",
    "onset": "insilico.experiments.onset:Onset",
}

#: Trials at a time that an analysis of existing responses takes in, at most, and the numbers that
#: these may hold: 20 million are 160 MB in double precision.
ANALYZED_TRIALS = 200
ANALYZED_NUMBERS = 20_000_000

#: Earlier results that an experiment builds on, by name.
Given = Mapping[str, Result]


def find_experiment(name: str) -> Experiment[Any]:
    """Return an experiment by name.

    Raises
    ------
    CatalogError
        If there is none of that name.
    """
    if name not in EXPERIMENTS:
        raise CatalogError(
            f"there is no experiment {name!r}; {nearest(name, list(EXPERIMENTS))}there are "
            f"{', '.join(EXPERIMENTS)}"
        )
    module, attribute = EXPERIMENTS[name].split(":")
    return getattr(import_module(module), attribute)()


@dataclasses.dataclass(frozen=True)
class Block:
    """Some consecutive trials on their way into an analysis.

    Attributes
    ----------
    trials : range
        Their numbers.
    conditions : DataFrame
        Their rows of the conditions table.
    frames : callable
        Gives their frames as ``Stimuli.render`` draws them.
    responses : float array, shape (trial, neuron[, frame])
        What the neurons answered; more axes where :meth:`Experiment.ask` measures something else.
    first_frame : int
        The frame of the trial that ``responses[..., 0]`` belongs to.
    site : int
        Number of the site whose stimuli these are.
    rows : int array, shape (neuron,), or None
        Rows of the neurons table that answered; None for all.
    """

    trials: range
    conditions: pd.DataFrame
    frames: Callable[[], np.ndarray[Any, Any]]
    responses: np.ndarray[Any, Any]
    first_frame: int = 0
    site: int = 0
    rows: np.ndarray[Any, np.dtype[np.int64]] | None = None


class Accumulator(ABC):
    """What an experiment keeps of the responses as they come in."""

    @abstractmethod
    def add(self, block: Block) -> None:
        """Take in some trials. Blocks come in order."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return everything kept, so that an interrupted run can be taken up."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up from what :meth:`state` returned."""

    def is_enough(self) -> bool:
        """Whether the measurement may stop before its last trial."""
        return False


@dataclasses.dataclass(frozen=True)
class Setting(Generic[P]):
    """Everything an analysis knows beside the responses.

    Attributes
    ----------
    protocol : Protocol
        Of the experiment.
    kind : {"image", "movie"}
        What was shown.
    screen : Screen
        Where.
    neurons : DataFrame
        Who answered; one row a neuron.
    given : mapping of str to Result
        Earlier results.
    has_trial_noise : bool
        Whether repeated trials differ.
    jobs : int
        Processes for fits.
    keep : callable
        ``keep(name, compute)`` returns a table that an interrupted run had finished, or computes
        and stores it.
    on_done : callable
        Told how many neurons have just been analyzed.
    """

    protocol: P
    kind: Kind
    screen: Screen
    neurons: pd.DataFrame
    given: Given = dataclasses.field(default_factory=dict)
    has_trial_noise: bool = False
    jobs: int = 1
    keep: Callable[[str, Callable[[], pd.DataFrame]], pd.DataFrame] = lambda name, compute: (
        compute()
    )
    on_done: Callable[[int], None] = lambda count: None


class Experiment(ABC, Generic[P]):
    """A question: from a protocol to stimuli, and from responses to numbers.

    Attributes
    ----------
    name : str
        As on the command line.
    protocol_type : type
        Its protocol class.
    kinds : tuple of str
        Which twins can answer it.
    summary_columns : tuple of str
        What the command line summarizes over neurons.
    statuses : mapping of str to str
        What each value of the column ``status`` means.
    quick : mapping
        Values of the protocol with which a test of every experiment takes seconds.
    """

    name: str
    protocol_type: type[P]
    kinds: tuple[Kind, ...] = ("image", "movie")
    summary_columns: tuple[str, ...]
    statuses: ClassVar[Mapping[str, str]]
    quick: ClassVar[Mapping[str, Any]]

    def requires(self, protocol: P, kind: Kind) -> tuple[str, ...]:
        """Return the experiments whose results this one builds on; none by default."""
        return ()

    def sites(self, setting: Setting[P]) -> list[Site]:
        """Return where neurons are asked: all of them by the same stimuli, by default.

        An experiment that only looks at earlier results has no site.
        """
        return one_site(len(setting.neurons))

    @abstractmethod
    def stimuli(self, protocol: P, screen: Screen, kind: Kind, site: Site | None = None) -> Stimuli:
        """Return what is shown at a site; all sites show as many trials and patterns."""

    @abstractmethod
    def window(self, protocol: P, screen: Screen, kind: Kind) -> tuple[int, int] | None:
        """Return the frames of a trial that are needed, the end exclusive; None for images."""

    def ask(
        self,
        protocol: P,
        prepared: PreparedTwin,
        frames: np.ndarray[Any, Any],
        *,
        first_trial: int,
        on_batch: Callable[[int], None],
    ) -> np.ndarray[Any, Any]:
        """Return what is measured of a twin in some trials: its responses, by default."""
        return prepared.respond(frames, first_trial=first_trial, on_batch=on_batch)

    @abstractmethod
    def accumulator(self, setting: Setting[P]) -> Accumulator:
        """Return an empty accumulator."""

    @abstractmethod
    def conclude(
        self, accumulator: Accumulator, setting: Setting[P]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Turn what was accumulated into tables and arrays."""

    def analyze(
        self,
        responses: Responses,
        protocol: P,
        *,
        screen: Screen,
        given: Given | None = None,
        jobs: int = 1,
    ) -> Result:
        """Analyze responses that exist already: recorded ones, or a twin's.

        Parameters
        ----------
        responses : Responses
            With the conditions of the experiment's stimuli.
        protocol : Protocol
            With which they were measured.
        screen : Screen
            Where the stimuli were shown.
        given : mapping of str to Result, optional
            Earlier results.
        jobs : int
            Processes for fits.

        Returns
        -------
        Result

        Raises
        ------
        ShapeError
            If the responses have a member axis.
        """
        if responses.axes[0] != "trial":
            raise ShapeError(
                f"responses with the axes {', '.join(responses.axes)} were given; analyze the mean "
                "over members, or one member at a time"
            )
        kind = responses.kind
        setting = Setting(
            protocol,
            kind,
            screen,
            responses.neurons,
            given=given or {},
            has_trial_noise=responses.has_trial_noise,
            jobs=jobs,
        )
        stimuli = self.stimuli(protocol, screen, kind)
        conditions = stimuli.conditions if responses.conditions is None else responses.conditions
        accumulator = self.accumulator(setting)
        trial_count = len(responses.values)
        fitting = ANALYZED_NUMBERS // max(1, responses.values[:1].size)
        # Even, so that halves balance.
        step = 2 * max(1, min(ANALYZED_TRIALS, fitting) // 2)
        for start in range(0, trial_count, step):
            trials = range(start, min(start + step, trial_count))
            accumulator.add(
                make_block(
                    conditions,
                    trials,
                    responses.values[trials.start : trials.stop],
                    first_frame=responses.first_frame,
                    frames=functools.partial(stimuli.render, trials),
                )
            )
        tables, arrays = self.conclude(accumulator, setting)
        provenance = {"source": dict(responses.source), "units": responses.units}
        return Result(self.name, tables, arrays, protocol.to_dict(), provenance)


def make_block(
    conditions: pd.DataFrame,
    trials: range,
    responses: np.ndarray[Any, Any],
    *,
    first_frame: int,
    frames: Callable[[], np.ndarray[Any, Any]],
    site: int = 0,
    rows: np.ndarray[Any, np.dtype[np.int64]] | None = None,
) -> Block:
    """Put the responses to some trials together with the conditions they were shown in."""
    first, last = np.searchsorted(conditions["trial"], [trials.start, trials.stop])
    shown = conditions.iloc[first:last]
    return Block(trials, shown, frames, responses, first_frame, site, rows)


def result_folder(run: Path, experiment: str) -> Path:
    """Return where a run folder keeps the result of an experiment."""
    return run / experiment
