"""The command line as a user meets it: a process with arguments, output and an exit code."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def insilico(tmp_path_factory):
    """Run 'insilico ARGUMENTS' in a fresh folder and return the finished process."""
    home = tmp_path_factory.mktemp("command")

    def call(*arguments, cwd=home):
        return subprocess.run(
            [sys.executable, "-m", "insilico", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def refused(insilico):
    """Run a command that must fail, check how, and return its one sentence."""

    def call(*arguments, **options):
        done = insilico(*arguments, **options)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        sentence = done.stderr.strip().splitlines()[-1]
        assert sentence.startswith("insilico: ")
        return sentence

    return call


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A folder with recordings of two simulated mice that saw a few images."""
    from insilico.simulation.plan import SimulationOptions
    from insilico.simulation.writer import write_recordings

    folder = tmp_path_factory.mktemp("recordings") / "images"
    few = {"train_trials": 240, "validation_stimuli": 40, "test_stimuli": 4, "repeats": 3}
    write_recordings(folder, options=SimulationOptions(kind="image", mice=2, neurons=10, **few))
    return folder


@pytest.fixture(scope="session")
def small_recipe(tmp_path_factory):
    """A recipe for a network that trains in seconds."""
    path = tmp_path_factory.mktemp("recipes") / "small.toml"
    path.write_text(
        """
        architecture = "sensorium2022"
        [options]
        layers = 2
        hidden_channels = 8
        input_kernel = 9
        hidden_kernel = 3
        momentum = 0.1
        behavior_names = ["pupil_size", "running_speed"]
        has_shifter = true
        [training]
        batch_size = 8
        epochs = 3
        """,
        encoding="utf-8",
    )
    return path
