"""Time and memory of both experiments on all neurons: ``python benchmarks/battery.py MODEL``.

The whole command runs in a process of its own; a second run of its parts in this process says where
the time goes.
"""

import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

import insilico
from insilico.experiments import retinotopy, runner
from insilico.twin import PreparedTwin


def whole_command(model):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "insilico", "run", "retinotopy", "direction"]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--model", model, "--out", f"{folder}/run"], check=True, capture_output=True
        )
        seconds = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"whole command: {seconds:.1f} s, largest process {peak_gb:.2f} GB")


@contextlib.contextmanager
def timed(spent, owner, name, label):
    original = getattr(owner, name)

    def wrapper(*args, **kwargs):
        started = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent[label] += time.perf_counter() - started

    setattr(owner, name, wrapper)
    try:
        yield
    finally:
        setattr(owner, name, original)


def stages(model):
    twin = insilico.load(model, device="cpu")
    spent = defaultdict(float)
    with contextlib.ExitStack() as stack:
        for owner, name, label in (
            (PreparedTwin, "respond", "network"),
            (retinotopy.EnergyFeatures, "__call__", "Gabor-bank energy"),
            (retinotopy.LaggedCovariance, "add", "covariance products"),
            (retinotopy, "white_noise", "noise"),
            (retinotopy, "fit_gaussians", "Gaussian fits"),
            (retinotopy, "combine_components", "maps and reliabilities"),
            (runner, "run", "all of retinotopy"),
        ):
            stack.enter_context(timed(spent, owner, name, label))
        runner.run("retinotopy", twin)
    for label, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{label:26s} {seconds:6.1f} s")


if __name__ == "__main__":
    whole_command(sys.argv[1])
    stages(sys.argv[1])
