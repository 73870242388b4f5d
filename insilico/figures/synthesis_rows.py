"""What belongs together in a set of synthesized stimuli: a target's best of every class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd

from insilico.errors import NotFittedError
from insilico.figures.galleries import in_words
from insilico.figures.style import GRAY, cycle_color
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What is made for a target, and what it is compared with, in the order of columns.
GENERATED = ("exciting", "inhibiting")
CONTROLS = ("natural", "grating", "noise", "swap")
CLASS_OF_GOAL = {"excite": "exciting", "inhibit": "inhibiting"}
#: The column of responses to an empty screen, as figures call it.
GRAY_SCREEN = "gray screen"
#: What a row of a gallery, or a point of a panel, is about.
KEYS = ["mouse", "target", "region", "motion"]
#: Colors of classes, as numbers of the style's cycle; classes beyond these are gray.
CLASS_COLORS = {"exciting": 1, "inhibiting": 0, "natural": 2, "grating": 3, "noise": 4, "swap": 5}


class SynthesizedStimuli(Protocol):
    """What figures ask of a set: that of :mod:`insilico.synthesis.stimulus_set`, read only."""

    @property
    def frames(self) -> np.ndarray[Any, Any]:
        """Gray levels (stimulus[, frame], y, x), uint8."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a stimulus, in the order of the frames."""

    @property
    def traces(self) -> np.ndarray[Any, Any]:
        """Predicted responses (stimulus, frame)."""

    @property
    def weights(self) -> np.ndarray[Any, Any]:
        """Of the region (stimulus, y, x), 0 to 1."""

    @property
    def curves(self) -> pd.DataFrame:
        """Columns ``stimulus_id``, ``step`` and ``score``."""

    @property
    def screen(self) -> Screen:
        """Where the stimuli are shown."""

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second of movies."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """How the set was made."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What it was made with."""


def table_of(stimuli: SynthesizedStimuli) -> pd.DataFrame:
    """Return the table of a set, with what it does not say of target, region and status filled in.

    Raises
    ------
    NotFittedError
        If it has no row, or no responses.
    """
    table = stimuli.table
    if table.empty or "response" not in table:
        lacking = "responses" if len(table) else "stimuli"
        raise NotFittedError(
            f"a figure of a set without {lacking} was asked for; generate the set first"
        )
    targets = [f"neuron {neuron}" for neuron in table["neuron"]]
    missing = {"target": targets, "region": "", "status": "ok"}
    return table.assign(**{name: value for name, value in missing.items() if name not in table})


def is_generated(table: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each stimulus was made for its target, and is no control."""
    return table["stimulus_class"].isin(GENERATED).to_numpy(bool)


def with_goals(table: pd.DataFrame) -> pd.DataFrame:
    """Say of each stimulus where it stands, and what it, or what it controls, was made for.

    Parameters
    ----------
    table : DataFrame, one row a stimulus
        Of a set.

    Returns
    -------
    DataFrame, one row a stimulus
        With ``row``, its place in the set, and ``made_for``, one of :data:`GENERATED`. A control
        has the region and motion of what it controls. One that names nothing in the set controls
        the stimuli of its goal; without a goal the exciting ones, or the inhibiting ones where
        there are no others.
    """
    table = table.reset_index(drop=True)
    table.insert(0, "row", np.arange(len(table)))
    made = is_generated(table)
    others = "exciting" if (table["stimulus_class"] == "exciting").any() else "inhibiting"
    goals = table["goal"].map(CLASS_OF_GOAL) if "goal" in table else pd.Series(np.nan, table.index)
    table["made_for"] = np.where(made, table["stimulus_class"], goals.fillna(others))
    if "control_of" not in table:
        return table
    # Equal bytes may stand in several rows: a swapped stimulus is another target's own.
    names = ["mouse", "target", "made_for", "stimulus_id"]
    known = table[made].drop_duplicates(names).set_index(names)
    asked = table.assign(stimulus_id=table["control_of"].where(~made))
    controlled = known.reindex(pd.MultiIndex.from_frame(asked[names]))
    for name in ("region", "motion"):
        found = controlled[name].to_numpy(object)
        table[name] = np.where(pd.notna(found), found, table[name].to_numpy(object))
    return table


def best_rows(table: pd.DataFrame, made_for: str) -> pd.DataFrame:
    """Return the best stimulus of each class for every target.

    Best is what drives the target most, or least where the goal is to inhibit: of restarts and
    candidates alike, so that what is generated is compared with the strongest of its controls.

    Parameters
    ----------
    table : DataFrame, one row a stimulus
        Of a set.
    made_for : {"exciting", "inhibiting"}
        The stimuli, and their controls.

    Returns
    -------
    DataFrame
        Indexed by :data:`KEYS`, with a column a class that there is: places in the set, NaN where a
        target has none. Targets without a generated stimulus are left out.
    """
    rows = with_goals(table)
    rows = rows[rows["made_for"] == made_for]
    rows = rows.sort_values(
        "response", ascending=made_for == "inhibiting", kind="stable", na_position="last"
    )
    best = rows.drop_duplicates([*KEYS, "stimulus_class"]).sort_values("row")
    if not (best["stimulus_class"] == made_for).any():
        nowhere = pd.MultiIndex.from_arrays([[] for _ in KEYS], names=KEYS)
        return pd.DataFrame(index=nowhere, dtype=float)
    found = best.pivot_table("row", KEYS, "stimulus_class", sort=False).astype(float)
    return found[ordered(found.columns)].dropna(subset=[made_for])


def gallery_places(table: pd.DataFrame) -> pd.DataFrame:
    """Return what a gallery may show: all that was made for each target, and one set of controls.

    Controls are those of the exciting stimulus, or of the inhibiting one where there is no other.

    Returns
    -------
    DataFrame
        As :func:`best_rows`.

    Raises
    ------
    NotFittedError
        If nothing was made for a target.
    """
    both, inhibiting = best_rows(table, "exciting"), best_rows(table, "inhibiting")
    if len(inhibiting):
        alone = inhibiting.loc[inhibiting.index.difference(both.index, sort=False)]
        both = pd.concat([both.join(inhibiting[["inhibiting"]]), alone]) if len(both) else alone
    if both.empty:
        raise NotFittedError(
            "the set holds nothing that was made for a target; give the controls together with "
            "what they control"
        )
    return both[ordered(both.columns)]


def ordered(classes: Iterable[str]) -> list[str]:
    """Return classes in the order of columns, those that are not known here last."""
    classes = list(classes)
    known = [name for name in (*GENERATED, *CONTROLS) if name in classes]
    return known + [name for name in classes if name not in known]


def values_of(table: pd.DataFrame, places: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column of the table at places that :func:`best_rows` found; NaN where none."""
    numbers = table[column].to_numpy(float)
    rows = places.to_numpy(float)
    known = np.isfinite(rows)
    values = np.where(known, numbers[np.where(known, rows, 0).astype(int)], np.nan)
    return pd.DataFrame(values, places.index, places.columns)


def relative_responses(table: pd.DataFrame, made_for: str) -> tuple[pd.DataFrame, str]:
    """Return each target's responses divided by its own to the exciting stimulus.

    Parameters
    ----------
    table, made_for
        As for :func:`best_rows`.

    Returns
    -------
    ratios : DataFrame
        Indexed by :data:`KEYS`, with a column a class and one for the gray screen. NaN for targets
        whose reference is not above 0.
    reference : str
        "exciting", or :data:`GRAY_SCREEN` where nothing exciting was made.
    """
    places = best_rows(table, made_for)
    responses = values_of(table, places, "response")
    if "blank_response" in table and len(places):
        responses[GRAY_SCREEN] = values_of(table, places[[made_for]], "blank_response")[made_for]
    exciting = best_rows(table, "exciting")
    if len(exciting):
        reference = values_of(table, exciting[["exciting"]], "response")["exciting"]
        reference, name = reference.reindex(responses.index), "exciting"
    elif GRAY_SCREEN in responses:
        reference, name = responses[GRAY_SCREEN], GRAY_SCREEN
    else:
        return responses.iloc[:0], GRAY_SCREEN
    return responses.div(reference.where(reference > 0), axis=0), name


def target_name(table: pd.DataFrame, row: int) -> str:
    """Return what a stimulus is for as a reader sees it, with its mouse where there are several."""
    stimulus = table.iloc[row]
    neuron = int(stimulus["neuron"])
    name = f"neuron {neuron}" if neuron >= 0 else str(stimulus["target"])
    return f"{name}, {stimulus['mouse']}" if varies(table, "mouse") else name


def panel_name(key: Mapping[Any, Any], table: pd.DataFrame) -> str:
    """Return region and motion of a panel, as far as a set has several."""
    return ", ".join(in_words(key[name]) for name in ("region", "motion") if varies(table, name))


def varies(table: pd.DataFrame, column: str) -> bool:
    """Whether a set has several values of a column."""
    return len(table[column].unique()) > 1


def response_label(stimuli: SynthesizedStimuli) -> str:
    """Return the label of an axis of responses, with their units."""
    units = str(stimuli.provenance.get("output_units") or "recorded units")
    return f"response ({'recorded units' if units == 'recorded' else units})"


def class_color(name: str) -> str:
    """Return the color of a class; call it within the style."""
    return cycle_color(CLASS_COLORS[name]) if name in CLASS_COLORS else GRAY
