import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import UnitsError
from insilico.screen import Screen
from insilico.stimuli import white_noise

SCREEN = Screen()


@given(trial=st.integers(0, 10**6), company=st.lists(st.integers(0, 10**6), max_size=4))
def test_trial_is_the_same_alone_and_in_company(trial, company):
    alone = white_noise(SCREEN, seed=(1, 7), trials=[trial])
    together = white_noise(SCREEN, seed=(1, 7), trials=[*company, trial])
    np.testing.assert_array_equal(together[-1], alone[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("levels", ["uniform", "binary"])
def test_moments_are_those_of_the_distribution(levels, dtype):
    noise = white_noise(SCREEN, seed=(3,), trials=range(100), levels=levels, dtype=dtype)
    assert noise.dtype == dtype
    spread = 127.5 if levels == "binary" else np.sqrt((256**2 - 1) / 12)
    # 230,400 pixels: the standard error of the mean is 0.15 (uniform) or 0.27 (binary).
    assert noise.mean(dtype=np.float64) == pytest.approx(127.5, abs=1)
    assert noise.std(dtype=np.float64) == pytest.approx(spread, rel=0.01)


def test_uniform_noise_uses_all_256_levels_and_binary_noise_two():
    uniform = white_noise(SCREEN, seed=(3,), trials=range(20))
    binary = white_noise(SCREEN, seed=(3,), trials=range(20), levels="binary")
    assert len(np.unique(uniform)) == 256
    np.testing.assert_array_equal(np.unique(binary), [0, 255])


def test_floating_uniform_noise_is_continuous_below_255():
    noise = white_noise(SCREEN, seed=(3,), trials=range(5), dtype=np.float64)
    assert len(np.unique(noise)) == noise.size
    assert noise.min() >= 0
    assert noise.max() < 255


def test_pixels_frames_trials_and_seeds_are_unrelated():
    movies = white_noise(SCREEN, seed=(5,), trials=range(2), frame_count=2)
    other = white_noise(SCREEN, seed=(6,), trials=[0], frame_count=2)
    assert movies.shape == (2, 2, 36, 64)
    flat = np.concatenate([movies.reshape(4, -1), other.reshape(2, -1)])
    correlation = np.corrcoef(flat) - np.eye(6)
    # 2,304 pixels: the standard deviation under independence is 0.02.
    assert np.abs(correlation).max() < 0.1


def test_unknown_levels_are_refused():
    with pytest.raises(UnitsError, match="'pink' are unknown; give 'uniform' or 'binary'"):
        white_noise(SCREEN, seed=(0,), trials=[0], levels="pink")
