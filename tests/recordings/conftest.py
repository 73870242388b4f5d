"""Tiny recordings in every published layout, as folders and as zip files."""

import dataclasses
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

NAMES = {
    "sensorium2022": "static21067-10-18-GrayImageNet-94c6ff995dac583098847cfecd43e7b6",
    "franke2022": "static25311-10-26-ColorImageNet-104e446ed0128d89c639eef0abe4655b",
    "sensorium2023": "dynamic29156-11-10-Video-8744edeac3b4d1ce16b680916b5267ce",
    "rochefort": "VIPcre232_FOV1_day1",
}
LAYOUTS = tuple(NAMES)
TIERS = {
    "sensorium2022": ["train"] * 4 + ["validation"] * 2 + ["test"] * 4 + ["none"],
    "franke2022": ["train"] * 4 + ["validation"] * 2 + ["test"] * 4,
    "sensorium2023": ["train"] * 4
    + ["oracle"] * 4
    + ["live_test_main", "final_test_bonus", "none"],
    "rochefort": ["train"] * 4 + ["validation"] * 4 + ["live_main"] * 2,
}
STIMULI = {"image": "images", "movie": "videos"}


@dataclasses.dataclass
class Written:
    """A recording on disk and what was written to it, without padding."""

    path: Path
    layout: str
    tiers: list
    stimulus: list
    responses: list
    behavior: list
    pupil_center: list

    @property
    def kind(self):
        return "image" if self.layout in ("sensorium2022", "franke2022") else "movie"

    def file(self, signal, trial):
        folder = STIMULI[self.kind] if signal == "stimulus" else signal
        return self.path / "data" / folder / f"{trial}.npy"

    def save(self, name, values):
        np.save(self.path / "meta" / f"{name}.npy", values)

    def zip(self, target, *, inside="", method=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(target, "w", method) as archive:
            for file in sorted(self.path.rglob("*")):
                if file.is_file():
                    archive.write(file, inside + file.relative_to(self.path).as_posix())
        return target


@pytest.fixture
def write_recording(tmp_path):
    """Write a recording: write_recording(layout, name=…, neurons=…, tiers=…, frames=…)."""

    def write(layout, *, name=None, neurons=5, tiers=None, frames=12, seed=0, folder=None):
        path = (folder or tmp_path) / (name or NAMES[layout])
        shutil.rmtree(path, ignore_errors=True)
        tiers = TIERS[layout] if tiers is None else tiers
        written = Written(path, layout, tiers, [], [], [], [])
        _fill(written, np.random.default_rng(seed), neurons, frames)
        written.save("trials/tiers", np.array(tiers))
        written.save("neurons/unit_ids", np.arange(neurons) + 100)
        written.save("neurons/cell_motor_coordinates", np.arange(3 * neurons).reshape(-1, 3))
        return written

    return write


def _fill(written, rng, neurons, frames):
    for signal in (STIMULI[written.kind], "responses", "behavior", "pupil_center"):
        (written.path / "data" / signal).mkdir(parents=True)
    for table in ("trials", "neurons"):
        (written.path / "meta" / table).mkdir(parents=True)
    shape = {"sensorium2022": (1, 144, 256), "franke2022": (2, 36, 64)}.get(written.layout)
    for trial in range(len(written.tiers)):
        # Sensorium pads its movies with NaN; the shorter ones of this Rochefort are not padded.
        shown = frames - trial % 3
        time = () if written.kind == "image" else (shown,)
        values = {
            "stimulus": rng.integers(0, 256, shape or (36, 64, shown)).astype(np.uint8),
            "responses": rng.gamma(1.0, 2.0, (neurons, *time)),
            "behavior": rng.gamma(2.0, 1.0, (3 if written.kind == "image" else 2, *time)),
            "pupil_center": rng.normal(100, 5, (2, *time)),
        }
        for signal, array in values.items():
            getattr(written, signal).append(array)
            if written.layout == "sensorium2023":
                pad = [(0, 0)] * (array.ndim - 1) + [(0, frames - shown)]
                array = np.pad(array.astype(np.float64), pad, constant_values=np.nan)
            np.save(written.file(signal, trial), array)
