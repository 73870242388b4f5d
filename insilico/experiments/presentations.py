"""What is kept of the response to every presented pattern."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError
from insilico.experiments.experiment import Accumulator, Block, Setting

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: From responses (presentation, neuron, frame) and their conditions to what is kept of them,
#: (presentation, neuron, …).
Reduce = Callable[[FloatArray, pd.DataFrame], FloatArray]


def mean_over_frames(responses: FloatArray, conditions: pd.DataFrame) -> FloatArray:
    """Return the mean over the frames of a measure."""
    return np.asarray(responses.mean(axis=2))


def mean_over_recorded_frames(responses: FloatArray, conditions: pd.DataFrame) -> FloatArray:
    """Return the mean over the frames of a measure before the end of the recorded trial.

    Frames after it are NaN for all neurons; at least one of a measure's frames lies before it.
    """
    is_recorded = ~np.isnan(responses).all(axis=1, keepdims=True)
    total = np.where(is_recorded, responses, 0).sum(axis=2)
    return np.asarray(total / is_recorded.sum(axis=2))


def every_frame(responses: FloatArray, conditions: pd.DataFrame) -> FloatArray:
    """Return the response frame by frame."""
    return responses


@dataclasses.dataclass(frozen=True)
class Measure:
    """One thing that is measured of the response to a pattern.

    Attributes
    ----------
    first, stop : int
        Frames after the pattern's onset, the end exclusive; negative before it. Not read for
        images, whose one response counts as one frame.
    reduce : callable
        What becomes of these frames.
    """

    first: int
    stop: int
    reduce: Reduce = mean_over_frames


class Presentations(Accumulator):
    """Measures of the response to every presented pattern, for every neuron.

    Parameters
    ----------
    setting : Setting
        Of the analysis.
    measures : mapping of str to Measure
        What is kept, by name.

    Raises
    ------
    ShapeError
        By :meth:`add`, if a measure reaches frames without responses.
    """

    def __init__(self, setting: Setting[Any], measures: Mapping[str, Measure]) -> None:
        self._setting = setting
        self._measures = dict(measures)
        #: By site: its neurons, and the parts that came in.
        self._rows: dict[int, np.ndarray[Any, Any]] = {}
        self._conditions: dict[int, list[pd.DataFrame]] = {}
        self._values: dict[int, list[dict[str, np.ndarray[Any, Any]]]] = {}

    def add(self, block: Block) -> None:
        """Cut the frames of each presentation, and reduce them."""
        values: dict[str, np.ndarray[Any, Any]] = {}
        for name, measure in self._measures.items():
            frames = self._cut(block, measure).astype(np.float64)
            reduced = measure.reduce(frames, block.conditions)
            # Not kept more precisely than responses came: there are many.
            is_single = block.responses.dtype == np.float32
            values[name] = reduced.astype(np.float32) if is_single else reduced
        self._rows[block.site] = self._all_rows() if block.rows is None else block.rows
        self._conditions.setdefault(block.site, []).append(block.conditions)
        self._values.setdefault(block.site, []).append(values)

    @property
    def is_empty(self) -> bool:
        """Whether nothing came in."""
        return not self._conditions

    def add_unasked(self, conditions: pd.DataFrame) -> None:
        """Take in presentations that no neuron was asked about."""
        self._rows[0] = np.arange(0)
        self._conditions[0] = [conditions]
        nobody = {
            name: np.empty((len(conditions), 0, measure.stop - measure.first))
            for name, measure in self._measures.items()
        }
        self._values[0] = [
            {name: self._measures[name].reduce(v, conditions) for name, v in nobody.items()}
        ]

    def _all_rows(self) -> np.ndarray[Any, Any]:
        return np.arange(len(self._setting.neurons))

    def _cut(self, block: Block, measure: Measure) -> np.ndarray[Any, Any]:
        """Return the responses (presentation, neuron, frame) that a measure is taken from."""
        trial = block.conditions["trial"].to_numpy() - block.trials.start
        if self._setting.kind == "image":
            return block.responses[trial][..., None]
        onset = block.conditions["onset_frame"].to_numpy() - block.first_frame
        frames = onset[:, None] + np.arange(measure.first, measure.stop)
        if frames.size and (frames.min() < 0 or frames.max() >= block.responses.shape[2]):
            raise ShapeError(
                f"frames {measure.first} to {measure.stop} after a pattern's onset are measured, "
                f"which reaches frame {frames.max() + block.first_frame} of the trial, and there "
                f"are responses from frame {block.first_frame} to "
                f"{block.first_frame + block.responses.shape[2]}; shorten the window or respond to "
                "more frames"
            )
        return np.stack(
            [block.responses[row][:, columns] for row, columns in zip(trial, frames, strict=True)]
        )

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return everything, flat: one array a site and column, and a site and measure."""
        state = {}
        for site, rows in self._rows.items():
            conditions = pd.concat(self._conditions[site])
            state[f"{site}/rows"] = rows
            for column in conditions:
                values = conditions[column].to_numpy()
                is_text = values.dtype.kind in "OT"
                state[f"{site}/condition/{column}"] = values.astype(str) if is_text else values
            for name in self._measures:
                parts = [values[name] for values in self._values[site]]
                state[f"{site}/measure/{name}"] = np.concatenate(parts)
        return state

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up from what :meth:`state` returned."""
        for key, values in state.items():
            site, what, *name = key.split("/")
            if what == "rows":
                self._rows[int(site)] = values
            elif what == "condition":
                table = self._conditions.setdefault(int(site), [pd.DataFrame()])[0]
                table[name[0]] = values
            else:
                self._values.setdefault(int(site), [{}])[0][name[0]] = values

    def conditions(self) -> pd.DataFrame:
        """Return the conditions of the first site, one row a presentation.

        Sites differ in where they are and in their direction; these columns are those of the first.
        """
        if not self._conditions:
            return pd.DataFrame()
        return pd.concat(self._conditions[min(self._conditions)], ignore_index=True)

    def collected(self, name: str) -> FloatArray:
        """Return one measure (presentation, neuron, …); NaN for neurons that no site asked.

        All sites show the same presentations in the same order, each at its own place.
        """
        count = len(self._setting.neurons)
        if not self._values:
            return np.full((0, count), np.nan)
        first = [values[name] for values in next(iter(self._values.values()))]
        length = sum(map(len, first))
        collected = np.full((length, count, *first[0].shape[2:]), np.nan)
        for site, blocks in self._values.items():
            start = 0
            for values in blocks:
                part = values[name]
                collected[start : start + len(part), self._rows[site]] = part
                start += len(part)
        return collected


def own(accumulator: Accumulator, experiment: str) -> Presentations:
    """Return an accumulator as the presentations that an experiment made it.

    Raises
    ------
    TypeError
        If it is another experiment's.
    """
    if not isinstance(accumulator, Presentations):
        raise TypeError(f"{experiment} concludes from the presentations it accumulated itself")
    return accumulator
