"""Size tuning against a dense measurement of discs, and against who was given answers to holes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from insilico.experiments.averaging import average_presentations
from insilico.experiments.experiment import Setting
from insilico.experiments.gratings import (
    combine,
    grating_conditions,
    grating_sites,
    grating_stimuli,
)
from insilico.experiments.protocols import build_protocol
from insilico.experiments.sites import UNPLACED
from insilico.experiments.size import SizeProtocol
from insilico.experiments.size_curves import IntArray, shown_diameters
from insilico.results import Result
from insilico.screen import Screen
from insilico.simulation import SimulatedV1
from insilico.validation.comparison import (
    STATUS_CHECK,
    Comparison,
    FloatArray,
    Limits,
    long_table,
    wide_table,
    without_limits,
)
from insilico.validation.truth import planted_results

#: Sizes of the dense measurement, degrees apart: below the first number, and above it.
FINE_UNTIL_DEG = 40.0
FINE_STEP_DEG, COARSE_STEP_DEG = 1.0, 5.0
#: A hole leaves the receptive field gray from this many of its standard deviations in radius.
COVERED_SIGMA = 2.0
#: Preferred sizes are compared where the largest disc evokes this much less than the best: a curve
#: that hardly falls has no size to prefer.
SUPPRESSED = 0.1

LIMITS: Limits = {
    "preferred size error (%)": ("median", "<=", 15.0),
    "suppression index": ("correlation", ">=", 0.95),
    "hole precision (%)": ("share", ">=", 95.0),
    "hole recall (%)": ("share", ">=", 95.0),
    STATUS_CHECK: ("share", ">=", 80.0),
}
#: Reported and held to nothing: recordings with few gratings do not pin down surrounds.
TRAINED_LIMITS = without_limits(LIMITS)


def compare_size(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put size tuning beside a dense measurement, and hole responses beside who has them.

    Parameters
    ----------
    twin : SimulatedV1
        On which it was measured.
    result : Result
        Of size.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`. The truth of preferred size and of
        suppression is the answer of the same noiseless neuron to many sizes of disc, at its planted
        place and direction. It answers to holes if such an answer was planted, and if a hole that
        covers its planted receptive field evokes more than gray and the full field by the share of
        its largest classical response that the protocol asks for: a planted answer that drowns in
        that to the full field is none.
    """
    neurons = result.neurons["neuron"].to_numpy()
    truth = twin.ground_truth.iloc[neurons].reset_index(drop=True)
    protocol = build_protocol(SizeProtocol, result.protocol)
    dense = measure_densely(twin, neurons, protocol)
    best = dense.center.argmax(axis=1)
    peak, last = dense.center.max(axis=1), dense.center[:, -1]
    planted = pd.DataFrame(
        {
            "preferred_size_deg": dense.center_deg[best],
            "suppression_index": (peak - last) / peak,
            "is_hole_responsive": _has_hole_response(dense, truth, twin.screen(), protocol),
        }
    )
    return long_table(twin.kind, "size", truth, planted, result.neurons)


@dataclasses.dataclass(frozen=True, eq=False)
class Dense:
    """Responses above gray, without any error of place or direction.

    Attributes
    ----------
    center_deg : float array, shape (size,)
        Of discs, as drawn.
    center : float array, shape (neuron, size)
        Responses to discs.
    inverse_deg : float array, shape (size,)
        Of holes, from 0.
    inverse : float array, shape (neuron, size)
        Responses to holes.
    """

    center_deg: FloatArray
    center: FloatArray
    inverse_deg: FloatArray
    inverse: FloatArray


def _has_hole_response(
    dense: Dense, truth: pd.DataFrame, screen: Screen, protocol: SizeProtocol
) -> FloatArray:
    if "hole_strength" not in truth:
        return np.zeros(len(truth))
    width_px = truth[["sigma_along_px", "sigma_across_px"]].max(axis=1).to_numpy(float)
    covers = dense.inverse_deg >= screen.diameter_deg(COVERED_SIGMA * width_px)[:, None]
    hole = np.where(covers, dense.inverse, -np.inf).max(axis=1)
    excess = np.minimum(hole, hole - dense.inverse[:, 0])
    is_clear = excess >= protocol.minimum_hole_share * dense.center.max(axis=1)
    return np.asarray(is_clear & (truth["hole_strength"] > 0).to_numpy(), float)


def dense_diameters(screen: Screen, largest_deg: float) -> FloatArray:
    """Return sizes close together, each of which draws pixels of its own."""
    fine = np.arange(FINE_STEP_DEG, min(FINE_UNTIL_DEG, largest_deg), FINE_STEP_DEG)
    coarse = np.arange(FINE_UNTIL_DEG, largest_deg, COARSE_STEP_DEG)
    asked = np.concatenate([fine, coarse, [largest_deg]])
    _, first = np.unique(shown_diameters(screen, asked), return_index=True)
    return np.asarray(asked[first])


def measure_densely(twin: SimulatedV1, neurons: IntArray, protocol: SizeProtocol) -> Dense:
    """Measure classical size tuning at many sizes, and holes at those of the protocol.

    Parameters
    ----------
    twin : SimulatedV1
        Whose neurons.
    neurons : int array, shape (neuron,)
        Which.
    protocol : SizeProtocol
        Gratings and timing.

    Returns
    -------
    Dense
    """
    screen = twin.screen()
    exact = dataclasses.replace(
        protocol, centers="neuron", center_grid_px=1, direction_deg=(), patterns_per_trial=1
    )
    discs = dense_diameters(screen, protocol.diameter_deg[-1])
    parts = {"center": [0.0, *discs], "inverse": protocol.diameter_deg}
    patterns = pd.concat(
        combine({"arrangement": [name], "diameter_deg": sizes, "contrast": [protocol.contrast]})
        for name, sizes in parts.items()
    )
    everybody = twin.prepare().neurons_table().iloc[neurons].reset_index(drop=True)
    setting = Setting(exact, twin.kind, screen, everybody, given=planted_results(twin))
    curves = np.full((len(neurons), len(patterns)), np.nan)
    for site in grating_sites(setting):
        shown = grating_conditions(exact, screen, twin.kind, site, patterns)
        responses = _respond(twin, neurons[site.rows], exact, shown)
        # In the order of the patterns: by arrangement, then by size.
        keys = ["arrangement", "diameter_deg"]
        curves[site.rows] = average_presentations(
            responses, shown, keys, has_trial_noise=False
        ).mean.T
    evoked = curves - curves[:, :1]
    return Dense(
        shown_diameters(screen, discs),
        evoked[:, 1 : len(discs) + 1],
        np.array(protocol.diameter_deg),
        evoked[:, len(discs) + 1 :],
    )


def _respond(
    twin: SimulatedV1, neurons: IntArray, protocol: SizeProtocol, conditions: pd.DataFrame
) -> FloatArray:
    """Return the mean responses (presentation, neuron) within the protocol's window."""
    screen, is_movie = twin.screen(), twin.kind == "movie"
    window = protocol.measured_frames(screen) if is_movie else None
    stimuli = grating_stimuli(protocol, screen, twin.kind, conditions)
    prepared = twin.prepare(neurons=neurons, is_gray=True, window=window)
    blocks = [prepared.respond(stimuli.render(block)) for block in stimuli.blocks()]
    responses = np.concatenate(blocks).astype(float)
    if not is_movie:
        return responses
    first, stop = protocol.window(screen)
    return np.asarray(responses[:, :, responses.shape[2] - (stop - first) :].mean(axis=2))


def size_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return errors of preferred size, suppression indices, and hits among holes.

    Neurons that were shown nothing, for want of a receptive field, are no misses of holes.
    """
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
    size, index = "preferred_size_deg", "suppression_index"
    is_suppressed = (planted[index] >= SUPPRESSED).to_numpy()
    relative = 100 * (recovered[size] / planted[size] - 1).abs().to_numpy()
    has_hole = (planted["is_hole_responsive"] == 1).to_numpy()
    found = (recovered["is_hole_responsive"] == 1).to_numpy()
    status = group.drop_duplicates("neuron").set_index("neuron")["status"]
    is_asked = ~status.reindex(planted.index).isin(UNPLACED).to_numpy()
    return {
        "preferred size error (%)": relative[is_suppressed],
        "suppression index": np.stack([planted[index], recovered[index]]),
        "hole precision (%)": 100.0 * has_hole[found],
        "hole recall (%)": 100.0 * found[has_hole & is_asked],
    }


COMPARISON = Comparison(
    experiment="size",
    compare=compare_size,
    checks=size_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    population="contextual",
)
