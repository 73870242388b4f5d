"""'insilico recordings check' as a user meets it."""

import numpy as np
import pytest


@pytest.fixture
def recording(tmp_path):
    """A recording of images: six trials, the last three of one repeated image."""
    rng = np.random.default_rng(0)
    path = tmp_path / "static21067-10-18-GrayImageNet-94c6"
    for folder in ("data/images", "data/responses", "meta/trials", "meta/neurons"):
        (path / folder).mkdir(parents=True)
    repeated = rng.integers(0, 256, (1, 36, 64)).astype(np.uint8)
    for trial in range(6):
        image = repeated if trial > 2 else rng.integers(0, 256, (1, 36, 64)).astype(np.uint8)
        np.save(path / f"data/images/{trial}.npy", image)
        np.save(path / f"data/responses/{trial}.npy", rng.gamma(1, 1, 4))
    np.save(path / "meta/trials/tiers.npy", np.array(["train"] * 2 + ["validation"] + ["test"] * 3))
    np.save(path / "meta/neurons/unit_ids.npy", np.arange(4))
    return path


def test_sound_recording_is_tabulated(insilico, recording):
    done = insilico("recordings", "check", recording)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "21067-10-18  sensorium2022" in done.stdout
    (test_tier,) = [line for line in done.stdout.splitlines() if "  test  " in line]
    assert "1 x 3" in test_tier
    assert "Nothing is wrong." in done.stdout


def test_all_faults_are_listed_and_summed_up(refused, insilico, recording):
    (recording / "data/images/1.npy").unlink()
    (recording / "data/responses/4.npy").write_bytes(b"\x93NUMPY")
    sentence = refused("recordings", "check", recording.parent)
    assert sentence == (
        "insilico: 2 faults were found in 1 of 1 recording; mend or fetch again the files named "
        "above"
    )
    listed = insilico("recordings", "check", recording.parent).stdout
    assert f"{recording}/data/images/1.npy is missing" in listed
    assert f"{recording}/data/responses/4.npy is empty, damaged" in listed


def test_path_without_recording_is_refused(refused, tmp_path):
    assert "holds no recording" in refused("recordings", "check", tmp_path)
    assert "found" in refused("recordings", "check", tmp_path / "missing")
