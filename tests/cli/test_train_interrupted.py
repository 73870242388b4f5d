"""Training that is killed, and training on several processes, end with the weights of one run."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

import insilico as package

pytestmark = pytest.mark.slow

EPOCHS = 5
#: Bits depend on the number of threads; torchrun gives each process one.
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
PATIENCE_S = 120


@pytest.fixture(scope="module")
def command(recordings, small_recipe, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    options = ["--data", recordings, "--cache", cache, "--device", "cpu"]
    options += ["--set", f"epochs={EPOCHS}", "--set", "batch_size=4"]
    return ["-m", "insilico", "train", *map(str, [small_recipe, *options])]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    command = [sys.executable, *command, "--out", out]
    subprocess.run(command, check=True, capture_output=True, env=ONE_THREAD)
    return out


def rows_of(folder):
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def weights_of(folder):
    return (folder / "checkpoint/model.safetensors").read_bytes()


def kill_after(epoch, command, out, *, delay_s):
    """Start a run, wait for an epoch's row in its log and a moment longer, and kill it."""
    command = [sys.executable, *command, "--out", out, "--resume"]
    with subprocess.Popen(command, env=ONE_THREAD) as process:
        waits_until = time.monotonic() + PATIENCE_S
        while len(rows_of(out)) < epoch and process.poll() is None:
            assert time.monotonic() < waits_until, f"no epoch {epoch} in {PATIENCE_S} s"
            time.sleep(0.005)
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_a_run_killed_again_and_again_ends_with_the_same_bits(command, whole, tmp_path):
    moments, out = random.Random(0), tmp_path / "run"  # noqa: S311 - no secret
    for epoch in (0, 1, 2, 3):
        # Before the first epoch, the moment also falls into the start: imports, opening, caching.
        longest_s = 3.0 if epoch == 0 else 0.4
        kill_after(epoch, command, out, delay_s=moments.uniform(0, longest_s))
        finished = rows_of(out)
        if (out / "checkpoint").exists():
            assert package.load(out, device="cpu").mice == ("mouse-1", "mouse-2")
    subprocess.run([sys.executable, *command, "--out", out, "--resume"], check=True, env=ONE_THREAD)
    assert weights_of(out) == weights_of(whole)
    log = rows_of(out)
    # The clock shows that no finished epoch was computed again.
    assert log[: len(finished)] == finished
    assert [row["loss"] for row in log] == [row["loss"] for row in rows_of(whole)]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_two_processes_give_the_curve_of_one(command, whole, tmp_path):
    out = tmp_path / "two"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, *command, "--out", out],
        capture_output=True,
        text=True,
        check=False,
        env=ONE_THREAD,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("validation correlation") == 1
    one, two = (pd.read_csv(folder / "log.csv") for folder in (whole, out))
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-4)
    np.testing.assert_allclose(
        two["validation_correlation"], one["validation_correlation"], atol=2e-3
    )
    first, second = (load_file(f / "checkpoint/model.safetensors") for f in (whole, out))
    for name, values in first.items():
        np.testing.assert_allclose(second[name], values, atol=0.02, err_msg=name)
