import hashlib
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import ShapeError
from insilico.screen import Screen
from insilico.stimuli import Stimuli
from insilico.stimuli.stimuli import BLOCK_PIXELS

SMALL = Screen(width_px=4, height_px=3, width_cm=4.0, height_cm=3.0)


def ramp(rows):
    """Draw every pattern in the level that its row names."""
    return np.broadcast_to(
        rows["level"].to_numpy(np.uint8)[:, None, None], (len(rows), *SMALL.shape)
    ).copy()


def images(count):
    conditions = pd.DataFrame(
        {"trial": np.arange(count), "onset_frame": 0, "level": np.arange(count) % 251}
    )
    return Stimuli("image", SMALL, conditions, ramp)


def movies(**changes):
    """Two trials of ten frames: two still patterns in the first, one in the second."""
    conditions = pd.DataFrame({"trial": [0, 0, 1], "onset_frame": [2, 6, 4], "level": [10, 20, 30]})
    values = {"pattern_frames": 3, "trial_frames": 10, "is_still": True, **changes}
    return Stimuli("movie", SMALL, values.pop("conditions", conditions), ramp, **values)


def test_images_render_in_order_and_in_part():
    stimuli = images(7)
    assert len(stimuli) == 7
    rendered = stimuli.render(range(2, 5))
    assert rendered.shape == (3, 3, 4)
    np.testing.assert_array_equal(rendered[:, 0, 0], [2, 3, 4])


def test_movie_frames_are_gray_wherever_no_pattern_is_shown():
    levels = movies().render(range(2))[:, :, 0, 0]
    g = SMALL.gray
    np.testing.assert_array_equal(levels[0], [g, g, 10, 10, 10, g, 20, 20, 20, g])
    np.testing.assert_array_equal(levels[1], [g, g, g, g, 30, 30, 30, g, g, g])


def test_moving_patterns_keep_their_frames():
    def count_frames(rows):
        frames = np.arange(3, dtype=np.float32)[:, None, None]
        return np.broadcast_to(frames, (len(rows), 3, *SMALL.shape)).copy()

    conditions = pd.DataFrame({"trial": [0], "onset_frame": [1]})
    stimuli = Stimuli("movie", SMALL, conditions, count_frames, pattern_frames=3, trial_frames=5)
    frames = stimuli.render(range(1))
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames[0, :, 0, 0], [SMALL.gray, 0, 1, 2, SMALL.gray])


def test_second_trial_is_the_same_alone_and_in_company():
    np.testing.assert_array_equal(movies().render(range(1, 2))[0], movies().render(range(2))[1])


@given(count=st.integers(0, 1_000_000), side=st.integers(1, 200), frames=st.integers(1, 400))
def test_blocks_cover_all_trials_once_in_even_steps(count, side, frames):
    screen = Screen(side, side, float(side), float(side))
    conditions = pd.DataFrame({"trial": [0], "onset_frame": [0]})
    stimuli = Stimuli("movie", screen, conditions, ramp, trial_frames=frames)
    object.__setattr__(stimuli, "conditions", pd.DataFrame({"trial": [count - 1]} if count else {}))
    blocks = list(itertools.islice(stimuli.blocks(), 50))
    assert [block.start for block in blocks] == [
        sum(map(len, blocks[:index])) for index in range(len(blocks))
    ]
    assert all(len(block) % 2 == 0 for block in blocks[:-1])
    assert all(len(block) <= max(2, BLOCK_PIXELS // (side**2 * frames) + 1) for block in blocks)
    if len(blocks) < 50:
        assert sum(map(len, blocks)) == count


def test_stimulus_id_is_the_hash_of_the_frames_and_does_not_depend_on_the_blocks(monkeypatch):
    expected = hashlib.sha256(images(9).render(range(9)).tobytes()).hexdigest()
    assert images(9).stimulus_id == expected
    monkeypatch.setattr("insilico.stimuli.stimuli.BLOCK_PIXELS", 24)
    assert len(list(images(9).blocks())) > 1
    assert images(9).stimulus_id == expected
    assert images(8).stimulus_id != expected


def test_stimuli_without_conditions_hold_no_trial():
    assert len(images(0)) == 0
    assert list(images(0).blocks()) == []


@pytest.mark.parametrize("trial", [[1, 0, 2], [1, 2, 3], [0, 2, 3]])
def test_trials_that_are_not_numbered_in_order_are_refused(trial):
    conditions = pd.DataFrame({"trial": trial, "onset_frame": 0, "level": 0})
    with pytest.raises(ShapeError, match="must number their trials 0, 1, 2"):
        movies(conditions=conditions)


def test_image_trial_with_two_patterns_is_refused():
    conditions = pd.DataFrame({"trial": [0, 0], "onset_frame": 0})
    with pytest.raises(ShapeError, match="one row a trial"):
        Stimuli("image", SMALL, conditions, ramp)


@pytest.mark.parametrize("changes", [{"trial_frames": 8}, {"pattern_frames": 5}])
def test_pattern_that_does_not_fit_its_trial_is_refused(changes):
    with pytest.raises(ShapeError, match="lengthen the trial"):
        movies(**changes)
