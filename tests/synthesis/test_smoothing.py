"""The blur of many patterns at once is the Gaussian one."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from insilico.synthesis.smoothing import blur


def noise(*size, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(size))


@pytest.mark.parametrize(("sigma_px", "sigma_frames"), [(1, 0), (0.5, 0), (2, 1), (0, 2)])
def test_blur_is_that_of_scipy(sigma_px, sigma_frames):
    patterns = noise(3, 9, 18, 32)

    found = blur(patterns, sigma_px=sigma_px, sigma_frames=sigma_frames)

    sigmas = (0, sigma_frames, sigma_px, sigma_px)
    wanted = scipy.ndimage.gaussian_filter(patterns.numpy(), sigmas, mode="mirror", truncate=3.0)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@given(sigma_px=st.floats(0, 40), sigma_frames=st.floats(0, 40), level=st.floats(-99, 99))
def test_uniform_patterns_stay_so_however_wide_the_blur(sigma_px, sigma_frames, level):
    patterns = torch.full((2, 4, 5, 7), level, dtype=torch.float64)

    found = blur(patterns, sigma_px=sigma_px, sigma_frames=sigma_frames)

    torch.testing.assert_close(found, patterns)


def test_no_blur_returns_what_was_given():
    patterns = noise(2, 3, 5, 7)

    assert blur(patterns) is patterns
    assert blur(patterns[:, :1], sigma_frames=3.0).equal(patterns[:, :1])


def test_patterns_do_not_mix():
    patterns = noise(4, 3, 8, 9)

    together = blur(patterns, sigma_px=1.3, sigma_frames=0.7)

    apart = [blur(each[None], sigma_px=1.3, sigma_frames=0.7)[0] for each in patterns]
    torch.testing.assert_close(together, torch.stack(apart))
    assert blur(patterns.float(), sigma_px=1.0).dtype == torch.float32
