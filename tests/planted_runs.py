"""Run folders with planted tuning, written in milliseconds: what tests of comparisons share."""

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments.direction import measure_direction_tuning, measure_orientation_tuning
from insilico.experiments.run_folder import RunFolder
from insilico.results import Result
from insilico.screen import Screen

DIRECTIONS = np.arange(8) * 45.0


def planted_curves(count, *, seed=0, concentration=3.0, shift_deg=0.0, angle_deg=DIRECTIONS):
    """Return curves with preferences drawn over the circle, and a weaker opposite peak."""
    rng = np.random.default_rng(seed)
    preferred = rng.uniform(0, 360, count)[:, None] + shift_deg
    away = np.radians(angle_deg - preferred)
    peaks = np.exp(concentration * (np.cos(away) - 1))
    opposite = 0.3 * np.exp(concentration * (-np.cos(away) - 1))
    return 0.1 + rng.uniform(1, 3, (count, 1)) * (peaks + opposite)


def write_run(path, curves, *, mouse="mouse-1", source="a-model", columns=None, **options):
    """Write a run folder with direction, and retinotopy or similarity if their values are given."""
    count = len(curves)
    neurons = pd.DataFrame({"mouse": mouse, "neuron": np.arange(count)})
    neurons["neuron_id"] = options.get("neuron_id", np.arange(count) + 100)
    is_recorded = source == "recorded"
    identity = {"recording" if is_recorded else "model": source, "mouse": mouse}
    identity |= {"neuron_count": count, "screen": options.get("screen", Screen()).to_dict()}
    folder = RunFolder.open(path, identity, command="a test")
    kind = options.get("kind", "direction")
    angle_deg = options.get("angle_deg", DIRECTIONS)
    measure = {"direction": measure_direction_tuning, "orientation": measure_orientation_tuning}
    table = pd.concat([neurons, pd.DataFrame(measure[kind](curves, angle_deg))], axis=1)
    table = table.assign(f1_f0=1.0, **(columns or {}))
    arrays = {"tuning_curve": (("neuron", f"{kind}_deg"), curves)}
    if is_recorded:
        arrays["tuning_curve_sem"] = (("neuron", f"{kind}_deg"), 0.05 * np.abs(curves))
    arrays = xr.Dataset(arrays, {"neuron": neurons["neuron"], f"{kind}_deg": angle_deg})
    protocol = {"experiment": "direction", "source": "a test", "contrast": 1.0}
    finish(folder, Result("direction", {"neurons": table}, arrays, protocol, identity))
    if "sigma_px" in options:
        finish(folder, _fields(neurons, options["sigma_px"], identity))
    if "similarity" in options:
        finish(folder, _pairs(neurons, options["similarity"], identity))
    return path


def finish(folder, result):
    """Save a result as a finished experiment."""
    folder.parts(result.experiment, dict(result.protocol))
    folder.finish(result)


def _fields(neurons, sigma_px, identity):
    rng = np.random.default_rng(3)
    screen = Screen.from_dict(identity["screen"])
    x_px, y_px = rng.uniform(10, 50, len(neurons)), rng.uniform(8, 28, len(neurons))
    x_deg, y_deg = screen.position_deg(x_px, y_px)
    table = neurons.assign(
        status="ok",
        x_deg=x_deg,
        y_deg=y_deg,
        sigma_major_px=sigma_px,
        sigma_minor_px=0.5 * sigma_px,
        sigma_major_deg=sigma_px * screen.degrees_per_px,
        sigma_minor_deg=0.5 * sigma_px * screen.degrees_per_px,
    )
    protocol = {"experiment": "retinotopy", "source": "a test"}
    arrays = xr.Dataset(attrs=screen.to_dict())
    return Result("retinotopy", {"neurons": table}, arrays, protocol, identity)


def _pairs(neurons, similarity, identity):
    """Return a similarity result whose means over all depths are given, by distance in µm."""
    pairs = pd.DataFrame(
        {
            "measure": "signal_correlation",
            "is_pooled": True,
            "even_horizontal_um": list(similarity),
            "mean": list(similarity.values()),
            "neuron_filter": "osi >= 0.2",
            "selected_neurons": len(neurons),
        }
    )
    # One depth alone, which is no part of the comparison.
    pairs = pd.concat([pairs, pairs.assign(is_pooled=False, mean=0.9)], ignore_index=True)
    tables = {"neurons": neurons.assign(status="ok"), "pairs": pairs}
    protocol = {"experiment": "similarity", "source": "a test"}
    return Result("similarity", tables, xr.Dataset(), protocol, identity)
