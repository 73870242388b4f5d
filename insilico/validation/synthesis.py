"""Most exciting stimuli against the largest response there is, and against planted tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from insilico.results import Result
from insilico.simulation import SimulatedV1
from insilico.simulation.optima import largest_response
from insilico.synthesis import StimulusSet, synthesize
from insilico.validation.comparison import (
    STATUS_CHECK,
    Comparison,
    FloatArray,
    Limits,
    long_table,
    wide_table,
    without_limits,
)
from insilico.validation.gabors import fit_gabor

#: So many cells of each class get stimuli.
COUNTS = {"mei": 12, "mev": 4}
#: What differs from the default protocol. Half its contrast, since the largest response in closed
#: form knows no black and white; nothing shown before the pattern, since these neurons remember
#: gray anyway; and more starts for movies, where a rectified mean has many peaks.
ASKED: dict[str, dict[str, Any]] = {
    "mei": {"controls": (), "rms_level": 5.0, "restarts": 2},
    "mev": {"controls": (), "rms_level": 5.0, "restarts": 3, "pattern_s": 0.6, "lead_s": 0.0},
}
#: Directions are compared where the null one weighs so much less; at 0 both are as good.
SELECTIVE = 0.1
#: Rounding to 8 bits and to float32 may put a response so far above the largest there is.
ROUNDING = 1.01

LIMITS: Limits = {
    "response / largest possible": ("median", ">=", 0.95),
    "response above the largest possible (%)": ("share", "<=", 0.0),
    "center error (px)": ("median", "<=", 0.5),
    "orientation error (deg)": ("median", "<=", 2.0),
    STATUS_CHECK: ("share", ">=", 97.0),
}
MOVING_LIMITS: Limits = {**LIMITS, "direction error (deg)": ("median", "<=", 2.0)}


def make_stimuli(twin: SimulatedV1, what: str) -> Result:
    """Make most exciting stimuli of some neurons, over the whole screen.

    Parameters
    ----------
    twin : SimulatedV1
        Whose first neurons of each class are asked.
    what : {"mei", "mev"}
        Still or moving stimuli.

    Returns
    -------
    Result
        See :func:`describe_best`.
    """
    truth = twin.ground_truth
    chosen = truth.groupby("cell_class").head(COUNTS[what])["neuron"].tolist()
    return describe_best(synthesize(twin, what, chosen, overrides=ASKED[what]))


def describe_best(made: StimulusSet) -> Result:
    """Return the best stimulus of each neuron, and the Gabor in it, as a table of neurons.

    Parameters
    ----------
    made : StimulusSet
        Exciting stimuli of single neurons, of the whole screen.

    Returns
    -------
    Result
        Columns ``neuron``, ``status``, ``rms_level``, ``frame_count`` (of what can differ),
        ``optimal_response``, ``optimal_x_px``, ``optimal_y_px``, ``optimal_orientation_deg`` and,
        of movies, ``optimal_direction_deg``.
    """
    best = made.table.loc[made.table.groupby("neuron")["response"].idxmax()]
    movies = made.movies[best.index].astype(float)
    gabors = [fit_gabor(movie - movie.mean()) for movie in movies]
    direction = np.array([gabor.direction_deg for gabor in gabors])
    described = pd.DataFrame(
        {
            "mouse": best["mouse"].to_numpy(),
            "neuron": best["neuron"].to_numpy(),
            "status": best["status"].to_numpy(),
            "rms_level": best["rms_level"].to_numpy(),
            "frame_count": movies.shape[1],
            "optimal_response": best["response"].to_numpy(),
            "optimal_x_px": [gabor.x_px for gabor in gabors],
            "optimal_y_px": [gabor.y_px for gabor in gabors],
            "optimal_orientation_deg": direction % 180,
        }
    )
    if made.kind == "movie":
        described["optimal_direction_deg"] = direction
    tables = {"neurons": described}
    return Result(
        str(made.protocol["experiment"]), tables, xr.Dataset(), made.protocol, made.provenance
    )


def compare_synthesis(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put responses beside the largest there is, and stimuli beside the neurons' own filters.

    Parameters
    ----------
    twin : SimulatedV1
        Whose neurons were asked; they have no surround and no contrast gain.
    result : Result
        Of :func:`make_stimuli`.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`; planted directions are missing where
        the selectivity is below :data:`SELECTIVE`.
    """
    neurons = result.neurons
    truth = twin.ground_truth.iloc[neurons["neuron"]].reset_index(drop=True)
    planted = pd.DataFrame(
        {
            "optimal_response": largest_responses(twin, neurons),
            "optimal_x_px": truth["x_px"],
            "optimal_y_px": truth["y_px"],
            "optimal_orientation_deg": truth["orientation_deg"],
        }
    )
    if twin.kind == "movie":
        is_clear = truth["selectivity"] >= SELECTIVE
        planted["optimal_direction_deg"] = truth["direction_deg"].where(is_clear)
    return long_table(twin.kind, result.experiment, truth, planted, neurons)


def largest_responses(twin: SimulatedV1, neurons: pd.DataFrame) -> list[float]:
    """Return the largest response of each neuron at the contrast and length of its stimulus."""
    screen = twin.screen()
    whole = np.ones(screen.shape)
    largest = []
    for row in neurons.index:
        made = neurons.loc[row]
        largest.append(
            largest_response(
                twin.ground_truth.iloc[[int(made["neuron"])]],
                whole,
                screen=screen,
                rms_level=float(made["rms_level"]),
                frame_count=None if twin.kind == "image" else int(made["frame_count"]),
            )
        )
    return largest


def synthesis_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return shares of the largest response, and errors of place and angles."""
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
    ratio = (recovered["optimal_response"] / planted["optimal_response"]).to_numpy()
    error = recovered - planted
    checks = {
        "response / largest possible": ratio,
        "response above the largest possible (%)": np.where(ratio > ROUNDING, 100.0, 0.0),
        "center error (px)": np.hypot(
            error["optimal_x_px"].to_numpy(), error["optimal_y_px"].to_numpy()
        ),
    }
    for name, period in (("orientation", 180.0), ("direction", 360.0)):
        if (column := f"optimal_{name}_deg") in error:
            asked = error.loc[planted[column].notna(), column].to_numpy()
            checks[f"{name} error (deg)"] = np.abs((asked + period / 2) % period - period / 2)
    return checks


def _comparison(what: str, kind: str, limits: Limits) -> Comparison:
    """Return what holds one kind of stimuli to the truth."""
    return Comparison(
        experiment=what,
        compare=compare_synthesis,
        checks=synthesis_checks,
        limits=limits,
        trained_limits=without_limits(limits),
        kinds=(kind,),
        measure=lambda twin: make_stimuli(twin, what),
    )


MEI = _comparison("mei", "image", LIMITS)
MEV = _comparison("mev", "movie", MOVING_LIMITS)
