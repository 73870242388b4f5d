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
