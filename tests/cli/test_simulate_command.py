import numpy as np
import pytest

FEW = ["--mice", "1", "--neurons", "4", "--repeats", "2", "--test-stimuli", "3"]
IMAGES = ["--kind", "image", "--train-trials", "6", "--validation-stimuli", "2", *FEW]


def test_simulate_writes_a_recording_says_what_is_in_it_and_keeps_it(insilico, tmp_path):
    out = tmp_path / "mice"
    done = insilico("simulate", out, *IMAGES)
    assert done.returncode == 0, done.stderr
    header, _, row = done.stdout.splitlines()[:3]
    assert header.split()[:5] == ["mouse", "neurons", "train", "validation", "test"]
    assert row.split()[:5] == ["mouse-1", "4", "6", "2", "6"]
    assert float(row.split()[5]) == pytest.approx(0.45, abs=0.05)
    assert len(np.load(out / "mouse-1/meta/trials/tiers.npy")) == 14
    again = insilico("simulate", out, *IMAGES)
    assert again.returncode == 0
    assert "was complete already" in again.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--reliability", "2"], "reliability is 2.0; give a number between 0 and 1"),
        (["--neurons", "0"], "neurons is 0; give 1 or more"),
        (["--kind", "sound"], "sound"),
    ],
)
def test_options_out_of_range_are_refused_in_one_sentence(refused, tmp_path, options, expected):
    assert expected in refused("simulate", tmp_path / "mice", *options)
    assert not (tmp_path / "mice").exists()


def test_folder_with_other_content_is_refused_in_one_sentence(refused, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert "name a new folder for the recordings" in refused("simulate", tmp_path, *IMAGES)
