"""What the battery costs 200 neurons of full-size ViV1T: ``python benchmarks/vivit_battery.py``.

Trials are counted over all sites of the shipped protocols; the seconds of one are measured on a few
trials of each experiment, on the fast path (gray once, then as often as a run would) and on the
plain one. The network has random weights, and so no receptive fields: centers are spread over the
middle of the screen and directions over the circle, in place of what retinotopy and direction would
have found.
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch
import xarray as xr
from fast_path import build

from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.experiment import Setting
from insilico.results import Result

#: Experiments, and the protocol that is shown.
BATTERY = {
    "retinotopy": ("retinotopy-published", {"image_count": 2000}),
    "direction": (None, {}),
    "size": (None, {}),
    "surround": (None, {}),
    "contrast": (None, {}),
    "onset": (None, {"hole_responses": "own"}),
}


def earlier_results(neurons):
    """Return stand-ins for what retinotopy and direction find."""
    random = np.random.default_rng(0)
    count = len(neurons)
    fields = neurons.assign(
        status="ok",
        x_px=random.uniform(16, 48, count),
        y_px=random.uniform(9, 27, count),
        sigma_major_px=3.0,
        sigma_minor_px=2.0,
    )
    direction_deg = random.uniform(0, 360, count)
    tuning = neurons.assign(
        status="ok",
        preferred_direction_deg=direction_deg,
        fitted_direction_deg=direction_deg,
        preferred_orientation_deg=direction_deg % 180,
        fitted_orientation_deg=direction_deg % 180,
    )
    tables = {"retinotopy": fields, "direction": tuning}
    return {
        name: Result(name, {"neurons": table}, xr.Dataset(), {}, {})
        for name, table in tables.items()
    }


def seconds_a_trial(twin, stimuli, *, rows, window, plan, trials):
    """Return the seconds of one trial, and those of getting ready."""
    shown = stimuli.render(range(min(trials + 1, len(stimuli))))
    started = time.perf_counter()
    prepared = twin.prepare(neurons=rows, window=window, is_gray=True, plan=plan)
    if plan == "auto":
        prepared.respond(shown[:1])
    ready = time.perf_counter() - started
    rest = shown[-trials:]
    started = time.perf_counter()
    prepared.respond(rest)
    each = (time.perf_counter() - started) / len(rest)
    return each, max(0.0, ready - each) if plan == "auto" else 0.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--grid", type=int, default=1, help="center_grid_px of the protocols")
    options = parser.parse_args()
    _, twin, _ = build(1)
    neurons = pd.DataFrame({"mouse": "A", "neuron": np.arange(options.neurons)})
    given, screen = earlier_results(neurons), twin.screen()
    print(f"{options.neurons} neurons, {torch.get_num_threads()} threads, grid {options.grid} px")
    print("experiment     sites   trials  fast s/trial   fast total  plain s/trial  plain total")
    totals = np.zeros(2)
    for name, (source, overrides) in BATTERY.items():
        question = find_experiment(name)
        protocol = read_protocol(
            question.protocol_type, source, overrides=overrides, experiment=name
        )
        if hasattr(protocol, "center_grid_px"):
            overrides = {**overrides, "center_grid_px": options.grid}
            protocol = read_protocol(
                question.protocol_type, source, overrides=overrides, experiment=name
            )
        setting = Setting(protocol, "movie", screen, neurons, given=given)
        sites = question.sites(setting)
        stimuli = question.stimuli(protocol, screen, "movie", sites[0])
        window = question.window(protocol, screen, "movie")
        trials = len(stimuli) * len(sites)
        ask = {"rows": sites[0].rows, "window": window}
        fast, ready = seconds_a_trial(twin, stimuli, **ask, plan="auto", trials=4)
        plain, _ = seconds_a_trial(twin, stimuli, **ask, plan="plain", trials=1)
        spent = np.array([fast * trials + ready * len(sites), plain * trials])
        totals += spent
        print(
            f"{name:12} {len(sites):7,} {trials:8,} {fast:13.2f} {spent[0] / 60:8.1f} min "
            f"{plain:14.1f} {spent[1] / 3600:10.1f} h"
        )
    print(f"together: {totals[0] / 3600:.2f} h against {totals[1] / 3600:.1f} h")


if __name__ == "__main__":
    main()
