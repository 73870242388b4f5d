"""What a parametrization draws, and the nearest pattern it can draw."""

import math

import numpy as np
import pytest
import torch

from benchmarks import published_generation as published
from insilico.errors import ProtocolError
from insilico.screen import Screen
from insilico.synthesis.parametrizations import Fourier, LowRank, Pixels

SCREEN = Screen()
FRAMES = 12
#: Half of the largest frequency along each axis, as published.
PUBLISHED_CPD = 0.25 / SCREEN.degrees_per_px

ALL = {
    "pixels": Pixels(),
    "round band": Fourier(SCREEN, FRAMES, highest_cpd=0.05, highest_hz=6.0),
    "box": Fourier(SCREEN, FRAMES, highest_cpd=0.05, band_shape="box"),
    "no limit": Fourier(SCREEN, FRAMES),
    "one course": LowRank(1),
    "two courses": LowRank(2),
    "as many as frames": LowRank(FRAMES + 5),
}


def noise(count=2, frames=FRAMES, seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.standard_normal((count, frames, *SCREEN.shape)))


def drawn(parametrization, pattern):
    return parametrization.draw(parametrization.fit(pattern))


def share_beyond(pattern, band):
    """Return the share of power that a band does not hold."""
    power = torch.fft.fftn(pattern, dim=(1, 2, 3)).abs().square()
    rate = np.abs(np.fft.fftfreq(pattern.shape[1])) * SCREEN.frame_rate_hz
    y, x = (np.abs(np.fft.fftfreq(size)) / SCREEN.degrees_per_px for size in SCREEN.shape)
    rate, y, x = rate[:, None, None], y[:, None], x
    spatial = np.hypot(x, y) if band.band_shape == "round" else np.maximum(x, y)
    is_out = (spatial > (band.highest_cpd or np.inf)) | (rate > (band.highest_hz or np.inf))
    return float(power[:, torch.from_numpy(is_out)].sum() / power.sum())


@pytest.mark.parametrize("name", ALL)
def test_drawing_what_was_fitted_is_the_nearest_pattern_that_can_be_drawn(name):
    parametrization, pattern = ALL[name], noise()

    nearest = drawn(parametrization, pattern)

    torch.testing.assert_close(drawn(parametrization, nearest), nearest)
    # What is left is at right angles to what can be drawn.
    assert abs(((pattern - nearest) * nearest).sum()) < 1e-9 * pattern.square().sum()
    others = drawn(parametrization, noise(seed=1))
    assert (pattern - nearest).norm() <= (pattern - others).norm()


@pytest.mark.parametrize("name", ALL)
def test_numbers_have_slopes_where_they_draw(name):
    parametrization = ALL[name]
    numbers = tuple(value.requires_grad_() for value in parametrization.fit(noise()))

    slopes = torch.autograd.grad((parametrization.draw(numbers) * noise(seed=2)).sum(), numbers)

    assert all(slope.isfinite().all() and slope.abs().max() > 0 for slope in slopes)
    assert all(len(value) == 2 for value in numbers)


@pytest.mark.parametrize("name", ["round band", "box"])
def test_fourier_keeps_frequencies_within_its_limits_and_nothing_else(name):
    band, pattern = ALL[name], noise()

    nearest = drawn(band, pattern)

    assert share_beyond(nearest, band) < 1e-20
    assert share_beyond(pattern - nearest, band) > 1 - 1e-9


def test_round_band_is_that_of_the_frequency_whatever_its_direction():
    round_band = Fourier(SCREEN, highest_cpd=0.06)
    box = Fourier(SCREEN, highest_cpd=0.06, band_shape="box")

    assert (box.kept | ~round_band.kept).all()
    assert int(round_band.kept.sum()) / int(box.kept.sum()) == pytest.approx(math.pi / 4, rel=0.03)


def test_fourier_without_limits_draws_everything():
    pattern = noise()

    torch.testing.assert_close(drawn(ALL["no limit"], pattern), pattern)


def test_published_band_has_the_published_numbers():
    """In the published spectrum, what can move: the half under the cutoff."""
    band = Fourier(SCREEN, 30, highest_cpd=PUBLISHED_CPD, band_shape="box")
    kept = published.kept_frequencies(30, SCREEN.shape)
    pattern = noise(1, 30)

    (numbers,) = band.fit(pattern)

    assert numbers.shape == (1, 30 * 19 * 17, 2)
    spectrum = torch.fft.fftn(pattern, dim=(1, 2, 3), norm="ortho")
    theirs = published.logits(spectrum.to(torch.complex64), kept)
    torch.testing.assert_close(band.draw((numbers,))[0].float(), theirs, atol=1e-5, rtol=1e-4)


def test_limit_that_is_a_frequency_of_the_grid_keeps_it():
    for index in (3, 7, 16):
        band = Fourier(SCREEN, highest_cpd=index / 64 / SCREEN.degrees_per_px)
        assert band.kept[0, 0, index]
        assert not band.kept[0, 0, index + 1]


def test_rate_of_zero_leaves_still_patterns():
    nearest = drawn(Fourier(SCREEN, FRAMES, highest_hz=0.0), noise())

    torch.testing.assert_close(nearest, nearest[:, :1].expand_as(nearest))
    torch.testing.assert_close(nearest, noise().mean(1, keepdim=True).expand_as(nearest))


@pytest.mark.parametrize("name", ["one course", "two courses", "as many as frames"])
def test_few_patterns_with_courses_have_that_rank(name):
    rank = ALL[name].rank

    nearest = drawn(ALL[name], noise())

    sizes = torch.linalg.svdvals(nearest.flatten(2))
    assert ((sizes > 1e-9 * sizes[:, :1]).sum(1) == min(rank, FRAMES)).all()


def test_two_patterns_with_courses_can_drift_and_one_cannot():
    x, frame = torch.arange(64).double(), torch.arange(FRAMES).double()[:, None]
    grating = torch.cos(2 * math.pi * (x / 8 - frame / 6))[None, :, None]
    grating = grating.expand(1, FRAMES, *SCREEN.shape)

    torch.testing.assert_close(drawn(LowRank(2), grating), grating.contiguous())
    assert (drawn(LowRank(1), grating) - grating).norm() > 0.5 * grating.norm()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fourier(SCREEN, highest_cpd=0.001), "highest_cpd is 0.001, below the 0.004"),
        (lambda: Fourier(SCREEN, highest_cpd=-1.0), "highest_cpd is -1"),
        (lambda: Fourier(SCREEN, 30, highest_hz=-2.0), "highest_hz is -2; give 0 or more"),
        (lambda: LowRank(0), "rank is 0; give 1 or more"),
    ],
)
def test_what_could_draw_nothing_is_refused(make, words):
    with pytest.raises(ProtocolError, match=words):
        make()
