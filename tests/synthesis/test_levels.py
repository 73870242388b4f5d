"""Gray levels are what was asked, on the bytes, inside the region."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import ProtocolError
from insilico.screen import Screen
from insilico.synthesis.levels import TOLERANCE_LEVELS, Levels, measure_levels
from insilico.synthesis.regions import center_disc, full_field, surround

SCREEN = Screen()
REGIONS = {
    "full": full_field(SCREEN),
    "hard": center_disc(SCREEN, (30, 16), 30.0),
    "tapered": center_disc(SCREEN, (30, 16), 50.0, border_deg=12.0),
    "surround": surround(SCREEN, (30, 16), 30.0),
}


def noise(seed, *, frames=None, smoothing=2):
    """Return smooth noise ([frame,] y, x) about 90, of any contrast."""
    random = np.random.default_rng(seed)
    size = SCREEN.shape if frames is None else (frames, *SCREEN.shape)
    values = random.standard_normal(size)
    for _ in range(smoothing):
        values = values + np.roll(values, 1, -1) + np.roll(values, 1, -2)
    return 90 + random.uniform(0.01, 100) * values


@pytest.mark.parametrize("name", REGIONS)
@given(
    seed=st.integers(0, 99),
    luminance_level=st.floats(60, 190),
    rms_level=st.floats(2, 30),
    frames=st.sampled_from([None, 3]),
)
def test_bytes_have_the_luminance_and_contrast_that_were_asked(
    name, seed, luminance_level, rms_level, frames
):
    # What fades into gray is about as bright as that.
    luminance_level = 127.0 if name == "tapered" else luminance_level
    region, levels = REGIONS[name], Levels(luminance_level, rms_level)
    levels.check(region)

    shown = levels.finish(noise(seed, frames=frames), region)

    assert shown.dtype == np.uint8
    assert shown.shape == (SCREEN.shape if frames is None else (frames, *SCREEN.shape))
    found = measure_levels(shown, region)
    np.testing.assert_allclose(found, (luminance_level, rms_level), atol=TOLERANCE_LEVELS / 2)
    assert (shown[..., ~region.mask] == SCREEN.gray).all()


@given(seed=st.integers(0, 99), fraction=st.floats(0.6, 0.95))
def test_contrasts_that_need_clipping_are_met_too(seed, fraction):
    """Noise of two thirds of the largest contrast is mostly black and white."""
    levels = Levels(127.0, fraction * Levels(127.0).largest_rms_level)
    region = REGIONS["full"]

    shown = levels.finish(noise(seed), region)

    assert np.isin(shown, (0, 255)).mean() > 0.1
    np.testing.assert_allclose(
        measure_levels(shown, region), (127.0, levels.rms_level), atol=TOLERANCE_LEVELS
    )


@given(seed=st.integers(0, 99), lowest=st.integers(0, 90), highest=st.integers(150, 255))
def test_no_byte_leaves_the_range_of_the_monitor(seed, lowest, highest):
    levels = Levels(None, None, lowest, highest)

    shown = levels.finish(noise(seed), REGIONS["full"])

    assert shown.min() >= lowest
    assert shown.max() <= highest


def test_free_levels_stay_what_they_are():
    content = noise(3) * 0.1 + 100
    region = REGIONS["hard"]
    inside = content[region.mask]

    free = measure_levels(Levels().finish(content, region), region)
    same_mean = measure_levels(Levels(None, 7.0).finish(content, region), region)
    same_contrast = measure_levels(Levels(140.0, None).finish(content, region), region)

    np.testing.assert_allclose(free, (inside.mean(), inside.std()), atol=0.2)
    np.testing.assert_allclose(same_mean, (inside.mean(), 7.0), atol=0.2)
    np.testing.assert_allclose(same_contrast, (140.0, inside.std()), atol=0.2)


def test_pattern_is_scaled_and_shifted_where_nothing_clips():
    content = noise(1)

    shown = Levels(127.0, 10.0).finish(content, REGIONS["full"]).astype(float)

    assert np.corrcoef(shown.ravel(), content.ravel())[0, 1] > 0.999


def test_background_moves_under_a_still_pattern():
    fixed = np.random.default_rng(0).uniform(0, 255, (4, *SCREEN.shape)).round()
    region = REGIONS["surround"].around(fixed)

    shown = Levels(127.0, 10.0).finish(noise(0), region)

    np.testing.assert_array_equal(shown[:, ~region.mask], fixed[:, ~region.mask])
    assert (shown[1:, region.mask] == shown[:1, region.mask]).all()


def test_stimuli_of_a_batch_are_fitted_each_on_its_own():
    levels = Levels(127.0, 12.0)
    weights = torch.stack([torch.from_numpy(region.weights)[None] for region in REGIONS.values()])
    content = torch.from_numpy(np.stack([noise(seed)[None] for seed in range(4)]))
    gray = torch.full((4, 1, *SCREEN.shape), 127.0, dtype=torch.float64)

    fitted = levels.fit(content, weights, gray)

    for row in range(4):
        alone = levels.fit(*(values[row : row + 1] for values in (content, weights, gray)))
        torch.testing.assert_close(fitted[row : row + 1], alone)
        seen = fitted[row] * weights[row] + gray[row] * (1 - weights[row])
        found = measure_levels(seen.numpy(), list(REGIONS.values())[row])
        np.testing.assert_allclose(found, (127, 12), atol=0.01)


def test_fitting_lets_gradients_through_and_ignores_scale_and_offset():
    levels = Levels(127.0, 10.0)
    content = torch.from_numpy(noise(0)[None, None]).requires_grad_()
    weights, gray = torch.ones(1, 1, *SCREEN.shape), torch.full((1, 1, *SCREEN.shape), 127.0)
    wanted = torch.from_numpy(noise(1)[None, None])

    fitted = levels.fit(content, weights.double(), gray.double())
    (slope,) = torch.autograd.grad((fitted * wanted).sum(), content)

    assert slope.abs().max() > 0
    size = slope.norm() * content.norm()
    # Neither another offset nor another contrast of the pattern would be seen.
    assert abs(slope.sum()) < 1e-9 * slope.abs().sum()
    assert abs((slope * content.detach()).sum()) < 1e-3 * size
    other = levels.fit(3 * content.detach() - 50, weights.double(), gray.double())
    torch.testing.assert_close(fitted.detach(), other)


@pytest.mark.parametrize("levels", [Levels(127.0, None), Levels(None, 10.0), Levels()])
def test_gradients_reach_what_is_free(levels):
    content = torch.from_numpy(noise(0)[None, None] * 0.05 + 100).requires_grad_()
    weights, gray = torch.ones(1, 1, *SCREEN.shape), torch.full((1, 1, *SCREEN.shape), 127.0)

    fitted = levels.fit(content, weights.double(), gray.double())
    (darker,) = torch.autograd.grad(fitted.mean(), content, retain_graph=True)
    (flatter,) = torch.autograd.grad(fitted.std(), content)

    # How the mean changes with the mean of the content, and the contrast with its contrast.
    assert float(darker.sum()) == pytest.approx(float(levels.luminance_level is None), abs=1e-6)
    deviation = content.detach() - content.detach().mean()
    share = float((flatter * deviation).sum() / deviation.std())
    assert share == pytest.approx(float(levels.rms_level is None), abs=1e-3)


def test_part_of_the_contrast_leaves_the_rest_alone():
    levels = Levels(120.0, 10.0, 5.0, 250.0)

    assert levels.at_contrast(0.25) == Levels(120.0, 2.5, 5.0, 250.0)
    assert Levels(120.0).at_contrast(0.25) == Levels(120.0)


def test_border_that_fades_from_dark_into_gray_is_refused_at_low_contrast():
    words = "rms_level is 10, and a border that fades from a luminance_level of 60 .* has 45.2"
    with pytest.raises(ProtocolError, match=words):
        Levels(60.0, 10.0).check(REGIONS["tapered"])

    Levels(60.0, 10.0).check(REGIONS["hard"])
    Levels(127.0, 10.0).check(REGIONS["tapered"])
    Levels(60.0, None).check(REGIONS["tapered"])
    Levels(None, 10.0).check(REGIONS["tapered"])


def test_largest_contrast_is_that_of_black_and_white_pixels():
    for mean in (20.0, 127.5, 230.0):
        share = mean / 255
        pixels = np.repeat([0.0, 255.0], np.round(1e6 * np.array([1 - share, share])).astype(int))
        assert Levels(mean).largest_rms_level == pytest.approx(pixels.std(), rel=1e-3)
    assert Levels().largest_rms_level == 127.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((127.0, 130.0), "rms_level is 130 about a luminance_level of 127.* less than 127.5"),
        ((20.0, 80.0), "rms_level is 80 about a luminance_level of 20.* less than 68.6"),
        ((127.0, 60.0, 100.0, 150.0), "levels from 100 to 150 can have .* less than 24.9"),
        ((None, 130.0), "rms_level is 130; a stimulus"),
        ((127.0, 0.0), "rms_level is 0 "),
        ((127.0, -3.0), "rms_level is -3 "),
        ((127.0, float("nan")), "rms_level is nan "),
        ((0.0, 10.0), "luminance_level is 0 and gray levels run from 0 to 255"),
        ((20.0, None, 30.0, 255.0), "luminance_level is 20 and gray levels run from 30 to 255"),
        ((None, None, 200.0, 100.0), "gray levels from 200 to 100"),
        ((None, None, -1.0, 100.0), "gray levels from -1 to 100"),
        ((None, None, 0.0, 256.0), "gray levels from 0 to 256"),
    ],
)
def test_levels_that_no_stimulus_has_are_refused_by_name(values, words):
    with pytest.raises(ProtocolError, match=words) as caught:
        Levels(*values)
    assert ". " not in str(caught.value)
