"""The wheel, installed where there is no checkout, finds the zoo and the protocols."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CODE = """
import insilico
from insilico import catalog
assert "catalog_data" in str(catalog.find("experiments", "retinotopy")), insilico.__file__
print(sorted(catalog.entries("models")), sorted(catalog.entries("experiments")))
from insilico.models.recipes import read_recipes
from insilico.figures.style import style
from insilico.experiments import find_experiment, read_protocol
for name in ("retinotopy", "direction"):
    read_protocol(find_experiment(name).protocol_type, None, experiment=name)
with style():
    pass
print([recipe.name for recipe in read_recipes()])
from insilico.simulation import shipped_truth
twin = insilico.load("simulated-image-cnn", device="cpu")
shown = {"kind": twin.kind, "screen": twin.screen("mouse-1")}
print(len(shipped_truth(twin.name, "mouse-1", **shown).ground_truth), "neurons with truth")
"""


@pytest.mark.slow
def test_an_installed_wheel_finds_zoo_protocols_and_style(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--no-deps", "--quiet", wheel], check=True)
    # The dependencies are those of this environment; only insilico itself is the wheel's.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    # -E: a PYTHONPATH with a checkout is not for this one.
    done = subprocess.run(
        [python, "-E", "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sensorium2022plus-ln" in done.stdout
    assert "direction-published" in done.stdout
    assert "150 neurons with truth" in done.stdout
