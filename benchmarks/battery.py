"""Time and memory of both experiments on all neurons: ``python benchmarks/battery.py MODEL``.

The whole command runs in a process of its own; a second run of its parts in this process says where
the time goes.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import insilico
from insilico.experiments import retinotopy, runner
from insilico.twin import PreparedTwin


def tree_gb(root):
    """Memory of a process and its children, shared pages counted once (Linux)."""
    pids, total_kb = [root], 0
    for pid in pids:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pids.extend(map(int, children))
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total_kb += int(line.split()[1]) if line.startswith("Pss:") else 0
    return total_kb / 1e6


def whole_command(model):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "insilico", "run", "retinotopy", "direction"]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--model", model, "--out", f"{folder}/run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak_gb = 0.0
        while process.poll() is None:
            peak_gb = max(peak_gb, tree_gb(process.pid))
            time.sleep(0.2)
        seconds = time.perf_counter() - started
    print(f"whole command: {seconds:.1f} s, exit code {process.returncode}")
    print(f"peak memory: {peak_gb:.2f} GB, all processes together, sampled every 0.2 s")


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
