"""The whole similarity experiment on 8,000 neurons: ``python benchmarks/similarity_experiment.py``.

All are selected, eight directions in 72 conditions as in the recordings, and every pair is in a
bin: 32 million pairs, for orientation and direction curves and for signal correlations, with fits,
tests and neighbors. Prints seconds and the peak memory of the process.
"""

import resource
import sys
import time

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.experiment import Setting
from insilico.results import Result
from insilico.screen import Screen

NEURONS = 8000
DIRECTION_DEG = np.arange(8) * 45.0
CONDITIONS = 9
#: A field as large as the recorded ones; the last edge holds its diagonal.
FIELD_UM = 615.0
EDGES = {"horizontal_edges_um": [*range(0, 201, 25), 250, 300, 400, 500, 700, 900]}


def direction_result():
    """Return random tuning of neurons at random places, and the table of neurons."""
    random = np.random.default_rng(0)
    neurons = pd.DataFrame({"mouse": "m", "neuron": np.arange(NEURONS)})
    places = random.uniform(0, FIELD_UM, (2, NEURONS))
    depth = random.choice(np.arange(200.0, 450.0, 25.0), NEURONS)
    table = neurons.assign(
        osi=0.5, dsi=0.5, preferred_direction_deg=0.0, preferred_orientation_deg=0.0, status="ok"
    )
    responses = random.gamma(2.0, size=(NEURONS, len(DIRECTION_DEG), CONDITIONS))
    arrays = xr.Dataset(
        {
            "tuning_curve": (("neuron", "direction_deg"), responses.mean(axis=2)),
            "condition_mean": (("neuron", "condition"), responses.reshape(NEURONS, -1)),
        },
        coords={
            "direction_deg": DIRECTION_DEG,
            "condition_direction_deg": ("condition", DIRECTION_DEG.repeat(CONDITIONS)),
        },
    )
    placed = neurons.assign(x_um=places[0], y_um=places[1], z_um=depth)
    return Result("direction", {"neurons": table}, arrays, {}, {}), placed


def main():
    question = find_experiment("similarity")
    direction, neurons = direction_result()
    for name, overrides in (("default protocol", {}), ("all pairs", EDGES)):
        protocol = read_protocol(
            question.protocol_type, None, overrides=overrides, experiment="similarity"
        )
        setting = Setting(protocol, "movie", Screen(), neurons, {"direction": direction})
        started = time.perf_counter()
        tables, _ = question.conclude(question.accumulator(setting), setting)
        seconds = time.perf_counter() - started
        pooled = tables["pairs"][tables["pairs"]["is_pooled"]]
        pairs = pooled.groupby("measure")["pair_count"].sum().iloc[0]
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
        print(f"{name:18s}{pairs:>12,} pairs{seconds:8.1f} s{peak:7.2f} GB peak", flush=True)


if __name__ == "__main__":
    main()
