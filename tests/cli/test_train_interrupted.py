"""Training that is killed, and training on several processes, end with the weights of one run."""

import json
import multiprocessing
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
from insilico.cli import main

pytestmark = pytest.mark.slow

EPOCHS = 4
#: What a process imports before it trains, which takes it longer than to train.
NEEDED = ["insilico.cli.train", "insilico.training.loop", "insilico.figures.training"]
PATIENCE_S = 120


@pytest.fixture(scope="module")
def start(recordings, small_recipe, tmp_path_factory):
    """Start 'insilico train' in a process that has imported what it needs, and return both."""
    cache = tmp_path_factory.mktemp("cache")
    command = ["train", small_recipe, "--data", recordings, "--cache", cache, "--device", "cpu"]
    command = [*map(str, command), "--set", f"epochs={EPOCHS}", "--set", "batch_size=4"]
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(NEEDED)
    with pytest.MonkeyPatch.context() as patch:
        # Bits depend on the number of threads; torchrun gives each process one.
        patch.setenv("OMP_NUM_THREADS", "1")

        def call(out, *options):
            patch.setattr(sys, "argv", ["insilico", *command, "--out", str(out), *options])
            process = processes.Process(target=main)
            process.start()
            return process

        call.command = command
        yield call


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    process = start(out)
    process.join()
    assert process.exitcode == 0
    return out


def rows_of(folder):
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def weights_of(folder):
    return (folder / "checkpoint/model.safetensors").read_bytes()


def kill_after(epoch, start, out, *, delay_s):
    """Start a run, wait for an epoch's row in its log and a moment longer, and kill it."""
    process = start(out, "--resume")
    waits_until = time.monotonic() + PATIENCE_S
    while len(rows_of(out)) < epoch and process.is_alive():
        assert time.monotonic() < waits_until, f"no epoch {epoch} in {PATIENCE_S} s"
        time.sleep(0.005)
    time.sleep(delay_s)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_a_run_killed_again_and_again_ends_with_the_same_bits(start, whole, tmp_path):
    moments, out = random.Random(0), tmp_path / "run"  # noqa: S311 - no secret
    # Before the first epoch, the moment also falls into the start: opening and caching.
    for epoch in (0, 1, 2):
        kill_after(epoch, start, out, delay_s=moments.uniform(0, 0.4))
        finished = rows_of(out)
        if (out / "checkpoint").exists():
            assert package.load(out, device="cpu").mice == ("mouse-1", "mouse-2")
    last = start(out, "--resume")
    last.join()
    assert last.exitcode == 0
    assert weights_of(out) == weights_of(whole)
    log = rows_of(out)
    # The clock shows that no finished epoch was computed again.
    assert log[: len(finished)] == finished
    assert [row["loss"] for row in log] == [row["loss"] for row in rows_of(whole)]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_two_processes_give_the_curve_of_one(start, whole, tmp_path):
    out = tmp_path / "two"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["-m", "insilico", *start.command, "--out", out]
    done = subprocess.run([sys.executable, *launch], capture_output=True, text=True, check=False)
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
