"""The command line as a user meets it: arguments in; output, an exit code and files out.

Commands run in this process, since a new one spends seconds on imports; 'in_a_process' starts one
where that is the point.
"""

import contextlib
import io
import logging
import subprocess
import sys

import pytest

from insilico.cli import main
from insilico.figures.style import style


@pytest.fixture(scope="session")
def insilico(tmp_path_factory):
    """Run 'insilico ARGUMENTS' in a fresh folder and return how it ended."""
    home = tmp_path_factory.mktemp("command")

    def call(*arguments, cwd=home):
        command = ["insilico", *map(str, arguments)]
        said, told = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(told),
            logging_of_a_new_process(),
        ):
            patch.setattr(sys, "argv", command)
            code = exit_code(main)
        return subprocess.CompletedProcess(command, code, said.getvalue(), told.getvalue())

    return call


def exit_code(command):
    """Return what a process that runs a command would end with; other errors are not caught."""
    try:
        command()
    except SystemExit as stop:
        return stop.code or 0
    return 0


@contextlib.contextmanager
def logging_of_a_new_process():
    """Let the command set up logging as if nobody had, and leave it as it was."""
    loggers = [logging.getLogger(), logging.getLogger("insilico")]
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    loggers[0].handlers[:] = []
    try:
        yield
    finally:
        for logger, (handlers, level) in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
            logger.setLevel(level)


@pytest.fixture(scope="session")
def in_a_process():
    """Run 'python -m insilico ARGUMENTS' and return the finished process."""

    def call(*arguments):
        command = [sys.executable, "-m", "insilico", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="session")
def refused(insilico):
    """Run a command that must fail, check how, and return its one sentence."""

    def call(*arguments, **options):
        return sentence_of(insilico(*arguments, **options))

    return call


@pytest.fixture(scope="session")
def refused_in_a_process(in_a_process):
    """The same in a process of its own, for what is read once when a process starts."""

    def call(*arguments):
        return sentence_of(in_a_process(*arguments))

    return call


def sentence_of(done):
    """Return the one sentence of a command that failed as commands fail."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith("insilico: ")
    return sentence


@pytest.fixture(scope="module")
def rough_figures():
    """Save figures with few pixels and no drawings: how they look is for the tests of figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("insilico.cli.saving.save_figure", save_roughly)
        yield


def save_roughly(figure, folder, name):
    """Write the files that save_figure writes; one is a figure."""
    folder.mkdir(parents=True, exist_ok=True)
    with style():
        figure.savefig(folder / f"{name}.png", dpi=40)
    (folder / f"{name}.pdf").write_bytes(b"a drawing")


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
