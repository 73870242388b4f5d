"""Where a published mouse's statistics, coordinates and screen come from, in our terms."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import CheckpointError
from insilico.models.importers.metadata_folder import find_metadata
from insilico.models.importers.published_mice import input_shape, published_screen
from insilico.models.importers.recorded_mouse import RecordedMouse, find_recording
from insilico.models.importers.run_folder import Release, RunFolder, release
from insilico.models.importers.standardization import (
    SIGNALS,
    VARIABLE_COUNT,
    Supply,
    behavior_fields,
    pupil_fields,
    response_fields,
    stimulus_fields,
    transform_of,
)
from insilico.models.mouse import Mouse, Statistics, neurons_table

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: What is known of the gaze without any statistics.
GAZE = "assumed: the standardized gaze has mean 0 by its definition"


def find_statistics(
    run: RunFolder,
    mouse: str,
    neuron_count: int,
    *,
    statistics: Path | None = None,
    data: Path | None = None,
    neuron_index: IntArray | None = None,
    progress: bool = False,
) -> Mouse:
    """Describe a mouse of a published run: its neurons, its screen and how it was standardized.

    Run folders hold none of this. It is looked for in ``statistics``, then in ``data``, then in
    folders ``statistics`` or ``metadata`` inside the run folder; what is in none stays unknown, and
    its source says what would supply it.

    Parameters
    ----------
    run : RunFolder
        The run.
    mouse : str
        Its name in the run.
    neuron_count : int
        Neurons that the weights have of it.
    statistics : Path, optional
        A folder as ``viv1t/data/metadata`` of ViV1T-closed-loop, or one with a folder
        ``mouse<name>`` a mouse.
    data : Path, optional
        The recording, or a folder of recordings. Sensorium 2022 and Franke 2022 ship the statistics
        that V1T used; others are measured on the training tier, which takes minutes.
    neuron_index : int array, shape (neuron,), optional
        Which neurons of the recording the weights are of; what the run says by default.
    progress : bool
        Show a bar while a recording is measured.

    Returns
    -------
    Mouse
        ``response_std`` is what responses were really divided by: the published floor of 1 % of the
        mean over all neurons is in it.

    Raises
    ------
    CheckpointError
        If the run has no such mouse, a path is wrong or has none of the run's mice, statistics are
        damaged, zero where the run divided by them or of another number of neurons, or behavior and
        gaze were standardized in a way that a twin could not reproduce.
    RecordingError
        If a recording is damaged.

    References
    ----------
    Transforms: ViV1T-closed-loop, viv1t/data/data.py; V1T, src/v1t/data.py; ViV1T,
    src/viv1t/data/data.py. Numbers differ from theirs by the float32 rounding of ``std + eps``.
    """
    if mouse not in run.mice:
        raise CheckpointError(
            f"{run.path} has no mouse {mouse!r}; its mice are {', '.join(run.mice)}"
        )
    selection = _selection(run, mouse, neuron_count, neuron_index)
    supplies = _find_supplies(run, mouse, statistics, data, progress=progress)
    asked = " and ".join(str(path) for path in (statistics, data) if path is not None)
    fields, sources = _statistics(run, selection, supplies, asked)
    monitor = next((supply.screen for supply in supplies if supply.screen is not None), None)
    screen, origin = published_screen(run, mouse, monitor=monitor, origin="that of the recording")
    return Mouse(
        mouse,
        screen,
        _neurons(selection, supplies),
        Statistics(**fields, sources={**sources, "screen": origin}),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """Which neurons of a mouse's recording the weights are of.

    Parameters
    ----------
    mouse : str
        Its name.
    index : int array, shape (neuron,)
        Their numbers in the recording.
    is_whole : bool
        Whether these must be all of the recording.
    """

    mouse: str
    index: IntArray
    is_whole: bool

    def of(self, values: np.ndarray[Any, Any], *, where: str) -> np.ndarray[Any, Any]:
        """Return the values of these neurons from those of all.

        Raises
        ------
        CheckpointError
            If they are of another number of neurons.
        """
        count, needed = len(values) if values.ndim else 0, int(self.index.max(initial=-1)) + 1
        if count < needed or (self.is_whole and count != needed):
            expected = f"{needed:,}" if self.is_whole else f"at least {needed:,}"
            raise CheckpointError(
                f"the {where} are of {count:,} neurons of mouse {self.mouse}, the run has "
                f"{expected}; give those of the data that the run was trained on"
            )
        return values[self.index]


def _selection(
    run: RunFolder, mouse: str, neuron_count: int, neuron_index: IntArray | None
) -> Selection:
    index = run.neuron_index(mouse) if neuron_index is None else np.asarray(neuron_index, np.int64)
    every = np.arange(neuron_count)
    index = every if index is None else index
    if index.shape != (neuron_count,):
        raise CheckpointError(
            f"{run.path} lists {index.size:,} neurons of mouse {mouse} (neuron_idx) and has "
            f"weights of {neuron_count:,}; get the whole run folder again"
        )
    is_limited = run.option("limit_neurons", int, default=None) is not None
    return Selection(mouse, index, np.array_equal(index, every) and not is_limited)


def _find_supplies(
    run: RunFolder, mouse: str, statistics: Path | None, data: Path | None, *, progress: bool
) -> list[Supply]:
    """Return the places that know a mouse, the most important first."""
    for folder, flag in ((statistics, "--statistics"), (data, "--data")):
        if folder is not None and not Path(folder).exists():
            raise CheckpointError(f"{folder} does not exist; give {flag} a path that does")
    which = release(run)
    stimulus = "image" if which == "v1t" else "video"
    places: list[Supply | None] = []
    if statistics is not None:
        look = functools.partial(find_metadata, Path(statistics), stimulus=stimulus)
        places.append(_find(run, mouse, look, f"{statistics} has no statistics/mouse{mouse}"))
    if data is not None:
        counts = _recorded_counts(run)
        find = functools.partial(_recorded, Path(data), run, counts, progress)
        places.append(_find(run, mouse, find, f"{data} has no recording of mouse {mouse}"))
    places.append(find_metadata(run.path, mouse, stimulus=stimulus))
    return [place for place in places if place is not None]


def _find(
    run: RunFolder, mouse: str, find: Callable[[str], Supply | None], failure: str
) -> Supply | None:
    """Look for a mouse in a place that the user gave, which must know one of the run's mice."""
    found = find(mouse)
    if found is None and all(find(other) is None for other in run.mice):
        raise CheckpointError(
            f"{failure} nor of any other mouse of the run ({', '.join(run.mice)}); give a path "
            "that holds some of these"
        )
    return found


def _recorded(
    data: Path, run: RunFolder, counts: Mapping[str, int | None], progress: bool, mouse: str
) -> Supply | None:
    recording = find_recording(data, mouse, which=release(run), neuron_counts=counts)
    return None if recording is None else RecordedMouse(recording, progress)


def _recorded_counts(run: RunFolder) -> dict[str, int | None]:
    """Return how many neurons the recording of each mouse has, where the run says."""
    known = run.neuron_counts if run.args.get("output_shapes") else {}
    counts: dict[str, int | None] = {}
    for mouse in run.mice:
        index = run.neuron_index(mouse)
        if index is not None:
            is_whole = _selection(run, mouse, len(index), None).is_whole
            counts[mouse] = len(index) if is_whole else None
        else:
            counts[mouse] = known.get(mouse)
    return counts


def _statistics(
    run: RunFolder, selection: Selection, supplies: Sequence[Supply], asked: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields of :class:`Statistics`, and their sources."""
    transform = transform_of(run)
    transforms = (transform.stimulus, transform.response, transform.state, transform.state)
    fields: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for what, how in zip(SIGNALS, transforms, strict=True):
        found, source = _signal(run, what, how, selection, supplies)
        if source is None:
            source = _unknown(release(run), selection.mouse, asked)
        if what == "pupil" and how == "standard" and not found:
            source = f"{GAZE}; recorded units are {source}"
        fields |= found
        if source:
            sources[what] = source
    return fields, sources


def _signal(
    run: RunFolder, what: str, how: str, selection: Selection, supplies: Sequence[Supply]
) -> tuple[dict[str, Any], str | None]:
    """Return the statistics of one signal and their source, None where no place has them."""
    if not how:
        return {}, ""
    if how == "raw" and what in ("stimulus", "response"):
        count = len(selection.index)
        raw = {"stimulus_mean": 0.0, "stimulus_std": 1.0} if what == "stimulus" else {}
        return raw or {"response_std": np.ones(count)}, "the run was trained on raw values"
    if how not in ("standard", "range"):
        return {}, f"unknown: {how}"
    lacking = [supply.lacks(what, input_shape(run)) for supply in supplies]
    if all(lacking):
        return {}, f"unknown: {lacking[0]}" if lacking else None
    supply = supplies[lacking.index("")]
    if what == "stimulus":
        return stimulus_fields(supply, how), supply.where
    if what == "behavior":
        return behavior_fields(supply, VARIABLE_COUNT[release(run)]), supply.where
    if what == "pupil":
        return pupil_fields(supply), supply.where
    select = functools.partial(selection.of, where=supply.where)
    if fields := response_fields(supply, how, select):
        return fields, supply.where
    return {}, (
        "unknown: the run moved the lowest response of each neuron to 0 (transform_output: 2), "
        "which no factor undoes"
    )


def _unknown(which: Release, mouse: str, asked: str) -> str:
    flags = "--statistics FOLDER or --data RECORDING" if which != "v1t" else "--data RECORDING"
    if asked:
        return f"unknown: {asked} has nothing of mouse {mouse}; give {flags} of it when importing"
    return f"unknown: give {flags} when importing"


def _neurons(selection: Selection, supplies: Sequence[Supply]) -> pd.DataFrame:
    columns: dict[str, Any] = {"neuron_id": selection.index}
    for supply in reversed(supplies):
        for name, values in supply.columns().items():
            columns[name] = selection.of(values, where=f"neurons in {supply.where}")
    return neurons_table(len(selection.index), **columns)
