"""Whether attention follows the eye: the center of the map against the center of the pupil."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import NotFittedError
from insilico.results import Result
from insilico.statistics.bootstrap import bootstrap_correlations, percentile_interval
from insilico.statistics.correlation import correlate_rows
from insilico.statistics.permutation import correlation_permutation_test, rows_of_equal_trials

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Name of the result.
GAZE = "attention_gaze"
#: What is related to what: a column of the map, and one of the animal's state (V1T,
#: misc/center_of_attention_maps.py; there the spread is another: of the summed map's values).
PAIRS = (
    ("center_x_deg", "pupil_x"),
    ("center_y_deg", "pupil_y"),
    ("spread_x_deg", "pupil_size"),
    ("spread_y_deg", "pupil_size"),
)
#: Trials that a test needs: five have 120 orders, four only 24, of which one alone is a p of 0.04.
LEAST_TRIALS = 5
SHUFFLES, DRAWS, CONFIDENCE = 1000, 2000, 0.95


def relate_to_gaze(
    attention: Result,
    *,
    shuffle_count: int = SHUFFLES,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    command: str = "",
) -> Result:
    """Correlate where attention maps lie with where the animal looked, mouse by mouse.

    All images, or all frames of all movies, are taken together. Frames of a trial resemble each
    other, so tests move whole trials, and intervals draw whole trials (see
    :func:`~insilico.statistics.permutation.correlation_permutation_test`). Trials with the same
    stimulus may be exchanged with any others: a gaze that the stimulus drives counts.

    Parameters
    ----------
    attention : Result
        What :func:`~insilico.attention.mapping.map_attention` returned of a recording with gaze.
    shuffle_count, draws : int
        Shuffles of the test, and samples of the interval.
    confidence : float
        Of the interval.
    seed : int
        Of both.
    command : str
        What the user typed, for the record.

    Returns
    -------
    Result
        ``tables["attention_gaze"]``, one row a mouse and pair: ``mouse``, ``attention`` and
        ``animal`` (the columns related), ``correlation`` with the interval ``ci_low`` to
        ``ci_high`` over trials, ``p_value`` (two-sided, uncorrected for the number of rows),
        ``slope`` and ``intercept`` of the regression on the animal's column, ``trial_count``,
        ``row_count`` (images or frames), ``shuffle_count``, ``seed``, and ``status``: "ok",
        "too_few_trials" (fewer than five that another of the same length can replace: there is no
        test), "constant_attention" or "constant_animal". ``tables["points"]`` has the values
        related. Maps without a center are left out.

    Raises
    ------
    NotFittedError
        If no gaze was recorded.

    References
    ----------
    V1T, misc/compute_center_of_attention.py: Pearson correlations of single images with the p-value
    of normal, independent samples; misc/center_of_attention_maps.py gives absolute values. Data
    sets do not state which way recorded gaze counts, so signs tell directions in the camera only.
    """
    table = attention.tables["attention"]
    known = [pair for pair in PAIRS if pair[1] in table and table[pair[1]].notna().any()]
    if not {"pupil_x", "pupil_y"} <= {name for _, name in known}:
        raise NotFittedError(
            "the attention result holds no gaze to relate to; map the attention to trials of a "
            "recording with pupil centers"
        )
    rows = []
    for mouse, part in table.groupby("mouse", sort=False):
        good = part[part["status"] == "ok"]
        for pair in known:
            values = good[["trial", *pair]].dropna()
            mouse_seed = [seed, zlib.crc32(str(mouse).encode())]
            row = {"mouse": mouse, "attention": pair[0], "animal": pair[1]}
            test = _relate(values, shuffle_count, draws, confidence, mouse_seed)
            rows.append({**row, **test, "shuffle_count": shuffle_count, "seed": seed})
    names = list(dict.fromkeys(name for pair in known for name in pair))
    labels = [name for name in ("mouse", "trial", "frame") if name in table]
    points = table.loc[table["status"] == "ok", [*labels, *names]].reset_index(drop=True)
    return Result(
        GAZE,
        {GAZE: pd.DataFrame(rows), "points": points},
        xr.Dataset(),
        {
            **attention.protocol,
            "shuffle_count": shuffle_count,
            "draws": draws,
            "confidence": confidence,
            "least_trials": LEAST_TRIALS,
            "seed": seed,
        },
        {**attention.provenance, "command": command or attention.provenance.get("command", "")},
    )


def _relate(
    values: pd.DataFrame, shuffle_count: int, draws: int, confidence: float, seed: list[int]
) -> dict[str, Any]:
    """Return the numbers of one row; ``values`` are trial, attention and animal."""
    trial = values["trial"].to_numpy()
    first, second = values.iloc[:, 1].to_numpy(float), values.iloc[:, 2].to_numpy(float)
    row: dict[str, Any] = dict.fromkeys(
        ("correlation", "ci_low", "ci_high", "p_value", "slope", "intercept"), np.nan
    )
    row |= {"trial_count": len(np.unique(trial)), "row_count": len(values)}
    row["status"] = _status(trial, first, second)
    if row["status"].startswith("constant") or len(values) < 2:
        return row
    row["correlation"] = float(correlate_rows(first[None], second[None])[0])
    row["slope"], row["intercept"] = map(float, np.polyfit(second, first, 1))
    if row["status"] != "ok":
        return row
    samples = bootstrap_correlations(first, second, trial=trial, draws=draws, seed=seed)
    row["ci_low"], row["ci_high"] = percentile_interval(samples, confidence=confidence)
    options: dict[str, Any] = {"trial": trial, "shuffle_count": shuffle_count, "seed": seed}
    row["p_value"] = correlation_permutation_test(first, second, **options).p_value
    return row


def _status(trial: Any, first: FloatArray, second: FloatArray) -> str:
    if len(first) > 1:
        for name, values in (("constant_attention", first), ("constant_animal", second)):
            rounding = 1e-6 * float(np.abs(values).max())
            if float(np.ptp(values)) <= rounding:
                return name
    return "ok" if _movable_trials(trial) >= LEAST_TRIALS else "too_few_trials"


def _movable_trials(trial: Any) -> int:
    """Return how many trials have another one as long."""
    groups = rows_of_equal_trials(trial) if len(trial) else []
    return sum(len(group) for group in groups if len(group) > 1)
