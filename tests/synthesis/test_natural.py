"""Natural images and clips that are searched among."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from insilico.errors import RecordingError, ShapeError, StimulusError, UnitsError
from insilico.recordings.cache import cache_recording
from insilico.recordings.opening import open_recording
from insilico.recordings.recording import Recording, Trial
from insilico.screen import Screen
from insilico.synthesis.image_folder import folder_clips
from insilico.synthesis.natural import given_clips, recorded_clips

SCREEN = Screen()
RANDOM = np.random.default_rng(5)
SHOWN = (40, 29, 40, 36)


def movies(lengths=SHOWN):
    return [RANDOM.integers(0, 256, (length, *SCREEN.shape)).astype(np.uint8) for length in lengths]


@pytest.fixture
def padded(tmp_path):
    """A recording of four movies, padded with NaN to 40 frames, as Sensorium 2023 pads them."""
    folder = tmp_path / "dynamic1-1-1-Video-x"
    shown = movies()
    for name in ("data/videos", "data/responses", "meta/trials", "meta/neurons"):
        (folder / name).mkdir(parents=True)
    for trial, movie in enumerate(shown):
        video = np.full((*SCREEN.shape, 40), np.nan)
        video[..., : len(movie)] = np.moveaxis(movie, 0, -1)
        responses = np.full((3, 40), np.nan)
        responses[:, : len(movie)] = RANDOM.random((3, len(movie)))
        np.save(folder / f"data/videos/{trial}.npy", video)
        np.save(folder / f"data/responses/{trial}.npy", responses)
    np.save(folder / "meta/trials/tiers.npy", np.array(["train", "train", "oracle", "train"]))
    np.save(folder / "meta/neurons/unit_ids.npy", np.arange(3))
    np.save(folder / "meta/neurons/cell_motor_coordinates.npy", np.arange(9).reshape(3, 3))
    return open_recording(folder), shown


def recording_of(shown, *, kind="movie", tiers=None, types=None, index=None, channels=("gray",)):
    """Return a recording of arrays, and the list of trials that were read."""
    count, was_read = len(shown), []

    def read(trial):
        was_read.append(trial)
        return Trial(shown[trial][None], np.zeros(1, np.float32))

    trials = pd.DataFrame(
        {
            "trial": np.arange(count),
            "tier": tiers or ["train"] * count,
            "stimulus_type": types or [kind] * count,
            "stimulus_index": index or [-1] * count,
        }
    )
    layout = "sensorium2022" if kind == "image" else "rochefort"
    neurons = pd.DataFrame({"neuron_id": [0]})
    made = Recording("m", kind, layout, Path("shown"), SCREEN, neurons, trials, read, channels)
    return made, was_read


def test_clips_start_every_fifth_frame_and_never_reach_into_padding(padded):
    recording, shown = padded

    found = recorded_clips(recording, SCREEN, frame_count=30)

    # Trial 1 has 29 frames and trial 2 is not for training.
    assert found.table.to_dict("list") == {"trial": [0, 0, 0, 3, 3], "frame": [0, 5, 10, 0, 5]}
    drawn = found.render(range(5))
    assert np.isfinite(drawn).all()
    for clip, row in zip(drawn, found.table.itertuples(), strict=True):
        assert np.array_equal(clip, shown[row.trial][row.frame : row.frame + 30])


def test_stills_are_every_fifth_frame_that_was_shown(padded):
    recording, shown = padded

    found = recorded_clips(recording, SCREEN)

    assert len(found) == 8 + 6 + 8
    assert found.table.groupby("trial")["frame"].max().to_dict() == {0: 35, 1: 25, 3: 35}
    assert np.array_equal(found.render([8])[0, 0], shown[1][0])


def test_cached_recording_gives_the_same_clips(padded, tmp_path):
    recording, _ = padded
    cached = cache_recording(recording, folder=tmp_path / "cache")

    found, quick = (recorded_clips(one, SCREEN, frame_count=30) for one in (recording, cached))

    assert found.table.equals(quick.table)
    assert np.array_equal(found.render([4, 0]), quick.render([4, 0]))


def test_repeats_tests_and_what_is_not_natural_are_left_out():
    recording, _ = recording_of(
        movies((40,) * 6),
        tiers=["train", "train", "validation", "train", "train", "train"],
        types=["movie", "pink_noise", "movie", "movie", "movie", "movie"],
        index=[7, -1, 7, 7, -1, -1],
    )

    assert recorded_clips(recording, SCREEN).table["trial"].unique().tolist() == [0, 4, 5]


def test_movies_are_read_once_where_clips_are_drawn_in_order():
    recording, was_read = recording_of(movies((60,) * 5))
    found = recorded_clips(recording, SCREEN, frame_count=30)
    was_read.clear()

    for start in range(0, len(found), 4):
        found.render(range(start, min(start + 4, len(found))))

    assert was_read == [0, 1, 2, 3, 4]


def test_images_of_a_recording_are_known_without_reading_them():
    shown = [movie[0] for movie in movies()]
    recording, was_read = recording_of(shown, kind="image")

    found = recorded_clips(recording, SCREEN)

    assert not was_read
    assert np.array_equal(found.render([2])[0, 0], shown[2])


def test_limit_draws_some_clips_at_random_and_in_order():
    everything = given_clips(movies((200, 200)), SCREEN)

    first, again, other = (
        given_clips(movies((200, 200)), SCREEN, limit=30, seed=seed) for seed in (1, 1, 2)
    )

    names = first.table.index.to_numpy()
    assert len(first) == 30
    assert np.all(np.diff(names) > 0)
    assert first.table.equals(everything.table.iloc[names])
    assert first.table.equals(again.table)
    assert not first.table.equals(other.table)
    assert first.provenance["available"] == 80


def test_given_movie_ends_before_its_first_nan():
    movie = movies((40,))[0].astype(np.float32)
    movie[35, 3, 3] = np.nan

    found = given_clips([movie], SCREEN, frame_count=30)

    assert found.table["frame"].tolist() == [0, 5]
    movie[20] = np.nan
    with pytest.raises(StimulusError, match="movie 0 has 20 frames, and clips of 30"):
        given_clips([movie], SCREEN, frame_count=30)


def test_clips_of_another_size_are_cut_in_the_middle_and_averaged():
    large = np.zeros((1, 4 * 36, 4 * 64 + 80), np.uint8)
    large[:, :, 40:-40] = np.kron(movies((1,))[0] // 2 * 2, np.ones((4, 4), np.uint8))

    drawn = given_clips(large[None], SCREEN).render([0])

    # Hamming's filter looks half a pixel beyond each; the mean of neighbors tells what it averages.
    assert drawn.shape == (1, 1, 36, 64)
    assert drawn.dtype == np.uint8
    inner = large[:, :, 40:-40].reshape(1, 36, 4, 64, 4).mean((2, 4))
    assert np.corrcoef(drawn.ravel(), inner.ravel())[0, 1] > 0.95
    assert drawn.mean() == pytest.approx(inner.mean(), abs=0.5)


@pytest.mark.parametrize(
    ("movie", "error", "message"),
    [
        (np.zeros((2, 3, 36, 64), np.uint8), ShapeError, r"shape \(2, 3, 36, 64\)"),
        (np.zeros((3, 36, 64), np.int64), ShapeError, "type int64"),
        (np.random.default_rng(0).random((3, 36, 64)), StimulusError, "levels of 0 to 255"),
        (np.full((3, 36, 64), 300.0), StimulusError, "from 300 to 300"),
        (np.full((3, 36, 64), np.nan), StimulusError, "0 frames before the first NaN"),
    ],
)
def test_arrays_that_are_no_gray_levels_are_refused(movie, error, message):
    with pytest.raises(error, match=message):
        given_clips([movie], SCREEN)


def test_recordings_without_usable_clips_are_refused():
    recording, _ = recording_of(movies())
    with pytest.raises(RecordingError, match=r"has 40 frames, and clips of 41 were asked for"):
        recorded_clips(recording, SCREEN, frame_count=41)
    with pytest.raises(RecordingError, match="no natural image or movie in the tier test"):
        recorded_clips(recording, SCREEN, tiers=("test",))
    colored = dataclasses.replace(recording, channel_names=("uv", "green"))
    with pytest.raises(StimulusError, match="uv, green"):
        recorded_clips(colored, SCREEN)


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"stride_frames": 0}, {"frame_count": 0}]
)  # fmt: skip
def test_numbers_below_one_are_refused(options):
    with pytest.raises(UnitsError, match="give 1 or more"):
        given_clips(movies(), SCREEN, **options)


def save_image(path, shape=(90, 160), *, mode="L"):
    levels = np.linspace(20, 230, shape[1]) * np.ones((shape[0], 1))
    if mode == "I;16":
        Image.fromarray((levels * 257).astype(np.uint16)).save(path)
    else:
        Image.fromarray(levels.astype(np.uint8)).convert(mode).save(path)


def test_folder_gives_images_of_every_kind_and_movies(tmp_path):
    (tmp_path / "deeper").mkdir()
    for name, mode in (("a.png", "L"), ("b.PNG", "RGB"), ("c.tif", "I;16"), ("d.png", "RGBA")):
        save_image(tmp_path / name, mode=mode)
    np.save(tmp_path / "deeper" / "e.npy", movies((12,))[0])
    (tmp_path / "notes.txt").write_text("no image")

    found = folder_clips(tmp_path, SCREEN)

    assert (
        found.table["file"].tolist()
        == [*("a.png", "b.PNG", "c.tif", "d.png")] + ["deeper/e.npy"] * 3
    )
    drawn = found.render(range(len(found)))
    assert drawn.shape == (7, 1, 36, 64)
    for other in drawn[1:4]:
        assert np.abs(other - drawn[0]).max() <= 2
    assert np.array_equal(drawn[5, 0], np.load(tmp_path / "deeper" / "e.npy")[5])


def test_crops_of_one_photograph_differ_and_are_functions_of_the_seed(tmp_path):
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (300, 700), np.uint8)).save(tmp_path / "a.png")

    found = folder_clips(tmp_path, SCREEN, crops_per_image=40)

    drawn = found.render(range(40))
    assert found.table["crop"].tolist() == list(range(40))
    assert len({crop.tobytes() for crop in drawn}) == 40
    assert np.array_equal(drawn[[7]], found.select([7]).render([0]))
    # Small crops keep the contrast that large ones average away.
    assert drawn[:, 0].std((1, 2)).max() > 2 * drawn[0].std()
    other = folder_clips(tmp_path, SCREEN, crops_per_image=40, seed=1)
    assert not np.array_equal(drawn[7], other.render([7])[0])


def test_pictures_smaller_than_the_screen_are_enlarged(tmp_path):
    save_image(tmp_path / "a.png", (20, 30))

    assert folder_clips(tmp_path, SCREEN, crops_per_image=3).render([0, 2]).shape[2:] == (36, 64)


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(StimulusError, match="holds no image or movie"):
        folder_clips(tmp_path, SCREEN)
    with pytest.raises(StimulusError, match=r"nowhere, where .* does not exist; give a folder"):
        folder_clips(tmp_path / "nowhere", SCREEN)
    save_image(tmp_path / "a.png")
    with pytest.raises(StimulusError, match=r"a.png, where .* is no folder; give a folder"):
        folder_clips(tmp_path / "a.png", SCREEN)
    with pytest.raises(StimulusError, match=r"a.png has 1 frame, and clips of 30"):
        folder_clips(tmp_path, SCREEN, frame_count=30)
    with pytest.raises(UnitsError, match="0 crops"):
        folder_clips(tmp_path, SCREEN, crops_per_image=0)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(StimulusError, match=r"b.jpg cannot be read as an image or movie"):
        folder_clips(tmp_path, SCREEN)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_damaged_movie_file_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)

    with pytest.raises(StimulusError, match=r"a.npy cannot be read as an image or movie"):
        folder_clips(tmp_path, SCREEN)


def test_movie_file_with_objects_is_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)

    with pytest.raises(StimulusError, match=r"a.npy cannot be read"):
        folder_clips(tmp_path, SCREEN)
