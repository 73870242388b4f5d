"""What movies showed: planted Gabors and dots are read back, from movies and from metadata."""

import numpy as np
import pandas as pd
import pytest

from insilico.errors import RecordingError
from insilico.recordings import Recording, Trial
from insilico.recordings.conditions import (
    extract_dots,
    extract_gabors,
    presented_dots,
    presented_gabors,
)
from insilico.screen import Screen
from insilico.stimuli.dots import gaussian_dots
from insilico.stimuli.gabors import FREQUENCIES, drifting_gabors, gabor_bank

SCREEN = Screen()


def movie_of(bank):
    levels = drifting_gabors(SCREEN, **{name: bank[name] for name in bank})
    return levels.reshape(-1, *SCREEN.shape).astype(np.uint8)


def dots_at(x_px, y_px, polarity, *, radius_px=4.75, amplitude=120):
    shown = gaussian_dots(
        SCREEN,
        x_px=np.asarray(x_px, float),
        y_px=np.asarray(y_px, float),
        radius_px=np.full(len(x_px), radius_px),
        polarity=np.asarray(polarity, float),
        amplitude=amplitude,
    )
    return np.rint(shown).astype(np.uint8)


@pytest.fixture
def record(tmp_path):
    """Make a recording of some movies: record(movies, type, index=…, mouse=…)."""

    def make(movies, stimulus_type, *, index=None, mouse="29228-2-10", tiers=None):
        trials = pd.DataFrame(
            {
                "trial": np.arange(len(movies)),
                "tier": tiers or ["live_bonus"] * len(movies),
                "stimulus_type": stimulus_type,
                "stimulus_index": np.full(len(movies), -1) if index is None else index,
            }
        )
        return Recording(
            mouse=mouse,
            kind="movie",
            layout="sensorium2023",
            source=tmp_path / "recording",
            screen=SCREEN,
            neurons=pd.DataFrame({"neuron": [0]}),
            trials=trials,
            read=lambda trial: Trial(movies[trial][None], np.zeros((1, len(movies[trial])))),
        )

    return make


def test_all_72_gabors_are_told_apart():
    bank = gabor_bank()
    found = extract_gabors(movie_of(bank), SCREEN)
    pd.testing.assert_frame_equal(found[list(bank)], bank)
    assert (found["correlation"] > 0.999).all()
    assert found["onset_frame"].tolist() == list(range(0, 1800, 25))


def test_a_gabor_with_direction_0_moves_rightward_and_with_90_upward():
    right, up = drifting_gabors(
        SCREEN,
        direction_deg=np.array([0.0, 90.0]),
        wavelength=np.array([0.65, 0.65]),
        frequency=np.array([0.008, 0.008]),
    )
    # The peak nearest to the middle goes to larger columns, and to smaller rows.
    assert right[3, 18, 27:38].argmax() > right[0, 18, 27:38].argmax()
    assert up[3, 13:24, 32].argmax() < up[0, 13:24, 32].argmax()


def test_noise_and_gray_are_not_taken_for_gabors():
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (25, *SCREEN.shape))
    gray = np.full((25, *SCREEN.shape), 127)
    found = extract_gabors(np.concatenate([noise, gray]).astype(float), SCREEN)
    assert found["status"].tolist() == ["unlike_bank", "blank"]
    assert found["direction_deg"].isna().all()


def test_noisy_gabors_are_recognized_with_their_correlation():
    bank = gabor_bank().iloc[[5, 40]].reset_index(drop=True)
    noise = 20 * np.random.default_rng(0).standard_normal((50, *SCREEN.shape))
    found = extract_gabors(movie_of(bank) + noise, SCREEN)
    pd.testing.assert_frame_equal(found[list(bank)], bank)
    assert found["correlation"].between(0.5, 0.95).all()
    assert (extract_gabors(movie_of(bank) + noise, SCREEN, minimum_correlation=0.99)["status"]
            == "unlike_bank").all()  # fmt: skip


def test_dots_are_found_to_a_fraction_of_a_pixel():
    random = np.random.default_rng(1)
    x, y = random.uniform(8.5, 54.5, 40), random.uniform(7.5, 28.5, 40)
    polarity = random.choice([-1, 1], 40)
    found = extract_dots(dots_at(x, y, polarity).repeat(9, axis=0))
    assert (found["status"] == "ok").all()
    assert (found["frame_count"] == 9).all()
    assert found["polarity"].tolist() == polarity.tolist()
    assert np.hypot(found["x_px"] - x, found["y_px"] - y).max() < 0.1
    np.testing.assert_allclose(found["radius_px"], 4.75, atol=0.35)


def test_dots_cut_off_by_an_edge_are_not_pulled_inward():
    x, y = [1.0, 62.5, 30.0, 0.5], [18.0, 20.0, 34.5, 0.5]
    found = extract_dots(dots_at(x, y, [1, -1, 1, -1]).repeat(3, axis=0))
    assert (found["status"] == "ok").all()
    assert np.hypot(found["x_px"] - x, found["y_px"] - y).max() < 0.2
    np.testing.assert_allclose(found["radius_px"], 4.75, atol=0.3)


def test_blank_frames_between_dots_are_told():
    gray = np.full((4, *SCREEN.shape), 127, np.uint8)
    dots = dots_at([20, 40], [10, 20], [1, -1])
    found = extract_dots(np.concatenate([gray, dots[:1], gray, dots[1:]]))
    assert found["status"].tolist() == ["blank", "ok", "blank", "ok"]
    assert found["onset_frame"].tolist() == [0, 4, 5, 9]


def test_a_dot_at_one_place_that_turns_black_is_another_dot():
    found = extract_dots(dots_at([20, 20], [10, 10], [1, -1]).repeat(9, axis=0))
    assert found["polarity"].tolist() == [1, -1]


def test_repeats_without_an_index_are_recognized(record):
    bank = gabor_bank()
    first, second = movie_of(bank.iloc[:3]), movie_of(bank.iloc[30:33])
    found = presented_gabors(record([first, second, first], "drifting_gabor"))
    assert found.groupby("trial")["movie"].first().tolist() == [0, 1, 0]
    assert found["conditions_from"].unique().tolist() == ["movie"]
    levels = found["frequency_level"].to_numpy()
    np.testing.assert_allclose(np.array(FREQUENCIES)[levels], found["frequency"])


def test_other_trials_and_images_have_no_known_conditions(record):
    assert presented_gabors(record([np.zeros((25, 36, 64))], "movie")).empty
    hidden = record([np.zeros((25, 36, 64))], "drifting_gabor", tiers=["none"])
    assert presented_dots(hidden).empty


@pytest.fixture
def metadata(tmp_path):
    folder = tmp_path / "metadata"
    gabors = folder / "ood_features" / "drifting_gabor" / "mouseB"
    dots = folder / "ood_features" / "gaussian_dots" / "mouseB"
    gabors.mkdir(parents=True)
    dots.mkdir(parents=True)
    rows = np.array([[0, 0.18, 0.055], [270, 0.65, 0.008]], np.float32)
    np.save(gabors / "1.npy", rows.repeat(25, axis=0))
    rows = np.array([[20.5, 10, 4.5, 1], [40, 20, 5, 0]], np.float32)
    np.save(dots / "1.npy", rows.repeat(9, axis=0))
    for name, ids in (("stimulus_ids", [0, 4, 4, -1]), ("video_ids", [7, 8, 8, -1])):
        (folder / name).mkdir()
        np.save(folder / name / "mouseB.npy", np.array(ids))
    return folder


def test_metadata_tell_types_repeats_and_gabors(record, metadata):
    gray = np.full((50, *SCREEN.shape), 127, np.uint8)
    tiers = ["train", "live_bonus", "live_bonus"]
    shown = record([gray] * 3, ["movie", "unknown", "unknown"], tiers=tiers)
    found = presented_gabors(shown, metadata=metadata)
    assert found["trial"].tolist() == [1, 1, 2, 2]
    assert found["movie"].unique().tolist() == [8]
    # The published 0 is leftward, 270 is upward.
    assert found["direction_deg"].tolist() == [180, 90] * 2
    assert found["wavelength"].tolist() == [0.18, 0.65] * 2
    assert found["frequency_level"].tolist() == [2, 0] * 2
    assert found["conditions_from"].unique().tolist() == ["metadata"]
    assert found["spatial_frequency_cpd"].tolist() == pytest.approx([0.0942, 0.0261] * 2, abs=1e-3)


def test_metadata_tell_dots(record, metadata):
    gray = np.full((9, *SCREEN.shape), 127, np.uint8)
    found = presented_dots(
        record([gray, None, None], "gaussian_dots", index=[2, 3, 3]), metadata=metadata
    )
    assert found["status"].tolist() == ["blank"] + ["ok"] * 4
    found = found[found["status"] == "ok"]
    assert found["x_px"].tolist() == [20.5, 40] * 2
    assert found["polarity"].tolist() == [-1, 1] * 2
    assert found["frame_count"].unique().tolist() == [9]


def test_movies_that_metadata_do_not_describe_are_looked_at(record, metadata):
    bank = gabor_bank().iloc[:2]
    movies = [movie_of(bank), None, None]
    found = presented_gabors(record(movies, "drifting_gabor", index=[5, 6, 6]), metadata=metadata)
    assert found.groupby("trial")["conditions_from"].first().tolist() == [
        "movie", "metadata", "metadata",
    ]  # fmt: skip


def test_metadata_of_other_mice_are_refused(record, metadata):
    shown = record([None], "drifting_gabor", mouse="29513-3-5")
    with pytest.raises(RecordingError, match=r"no metadata of mouse 29513-3-5; .* mouseD or"):
        presented_gabors(shown, metadata=metadata)


@pytest.mark.parametrize(
    ("where", "values", "message"),
    [
        ("ood_features/drifting_gabor/mouseB/1", np.zeros((50, 4)), r"\(frame, 3\) were expected"),
        ("ood_features/drifting_gabor/mouseB/1", np.arange(75.0).reshape(25, 3), "change within"),
        ("ood_features/drifting_gabor/mouseB/9", np.zeros((25, 3)), "showed no drifting_gabor"),
        ("video_ids/mouseB", np.zeros(2, int), "whole numbers of the 3 trials"),
        ("stimulus_ids/mouseB", np.array([0, 4, 9]), "the id 9, numbers from -1 to 5"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(record, metadata, where, values, message):
    np.save(metadata / f"{where}.npy", values)
    shown = record([np.zeros((25, 36, 64))] * 3, "drifting_gabor")
    with pytest.raises(RecordingError, match=message):
        presented_gabors(shown, metadata=metadata)


def test_a_damaged_metadata_file_is_refused(record, metadata):
    (metadata / "video_ids" / "mouseB.npy").write_bytes(b"nothing")
    with pytest.raises(RecordingError, match="cannot be read"):
        presented_gabors(record([None] * 3, "drifting_gabor"), metadata=metadata)
