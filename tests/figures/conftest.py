"""Small results of every experiment, as they come back from disk."""

from pathlib import Path

import pytest

import insilico
from insilico.results import Result

SMALL = {
    "retinotopy": {"image_count": 1000, "frame_count": 1500},
    "direction": {},
}


@pytest.fixture(scope="session")
def result_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Folders of saved results by experiment and kind of twin."""
    root = tmp_path_factory.mktemp("results")
    folders = {}
    for kind in ("image", "movie"):
        twin = insilico.SimulatedV1(kind, simple_count=5, energy_count=5)
        for experiment, overrides in SMALL.items():
            result = insilico.run(experiment, twin, overrides=overrides, jobs=1)
            folders[experiment, kind] = result.save(root / kind / experiment)
    return folders


@pytest.fixture
def retinotopy(result_folders: dict[tuple[str, str], Path]) -> Result:
    return Result.load(result_folders["retinotopy", "image"])


@pytest.fixture
def direction(result_folders: dict[tuple[str, str], Path]) -> Result:
    return Result.load(result_folders["direction", "movie"])


@pytest.fixture
def orientation(result_folders: dict[tuple[str, str], Path]) -> Result:
    return Result.load(result_folders["direction", "image"])
