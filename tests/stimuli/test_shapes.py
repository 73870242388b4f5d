import numpy as np
import pytest

from insilico.errors import UnitsError
from insilico.screen import Screen
from insilico.stimuli import blank, disc


def test_discs_hold_the_published_numbers_of_pixels():
    counts = [int(disc(Screen(), diameter_deg=size).sum()) for size in range(10, 100, 10)]
    assert counts == [9, 25, 69, 121, 193, 293, 437, 641, 889]


def test_disc_of_no_size_is_empty():
    assert not disc(Screen(), diameter_deg=0).any()


def test_disc_is_centered_where_asked_and_strict_at_its_edge():
    screen = Screen()
    diameter_deg = float(screen.diameter_deg(3.0))  # pixels at exactly 3 are outside
    marked = disc(screen, diameter_deg=diameter_deg - 1e-9, center_px=(10, 5))
    y, x = np.nonzero(marked)
    assert (x.mean(), y.mean()) == (10, 5)
    assert not marked[5, 13]
    assert marked[5, 12]


def test_disc_about_the_origin_pixel_is_not_taken_for_the_default_center():
    assert disc(Screen(), diameter_deg=10, center_px=(0, 0))[0, 0]


def test_blank_is_the_gray_of_the_screen():
    frames = blank(Screen(gray=90), frame_count=3)
    assert frames.shape == (3, 36, 64)
    assert frames.dtype == np.uint8
    assert np.all(frames == 90)
    assert blank(Screen(), dtype=np.float32).shape == (36, 64)


def test_impossible_disc_is_refused():
    with pytest.raises(UnitsError, match="give 0 or more, below 180"):
        disc(Screen(), diameter_deg=-5)
