"""Gratings that are searched among."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.screen import Screen
from insilico.stimuli.gratings import drifting_grating
from insilico.synthesis.sources import Candidates, gratings

SCREEN = Screen()


def test_moving_gratings_are_the_published_eight_by_default():
    found = gratings(SCREEN, frame_count=30)

    assert found.table["direction_deg"].tolist() == [0, 45, 90, 135, 180, 225, 270, 315]
    assert (found.table["spatial_frequency_cpd"] == 0.04).all()
    assert (found.table["temporal_frequency_hz"] == 2).all()
    assert (found.table["phase_deg"] == 0).all()


def test_each_row_draws_its_own_grating():
    found = gratings(SCREEN, directions_deg=(0, 90), temporal_frequencies_hz=(1, 4), frame_count=6)

    drawn = found.render([3, 0])

    for frames, row in zip(drawn, found.table.iloc[[3, 0]].to_dict("records"), strict=True):
        expected = drifting_grating(SCREEN, **row, frame_count=6, dtype=np.float32)
        assert np.array_equal(frames, expected)


def test_still_gratings_have_all_phases_and_only_frequencies_that_the_screen_shows():
    coarse = Screen(width_px=32, height_px=18)

    fine, few = gratings(SCREEN), gratings(coarse)

    assert len(fine) == 8 * 5 * 4
    assert fine.render([0]).shape == (1, 1, 36, 64)
    assert few.table["spatial_frequency_cpd"].max() <= 0.5 / coarse.degrees_per_px
    assert sorted(fine.table["phase_deg"].unique()) == [0, 90, 180, 270]
    assert fine.table["direction_deg"].max() < 180


def test_some_candidates_keep_their_names():
    found = gratings(SCREEN).select([5, 9])

    assert found.table.index.tolist() == [5, 9]
    assert np.array_equal(found.render([1]), gratings(SCREEN).render([9]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"spatial_frequencies_cpd": (0.04, 1.0)}, UnitsError, "the pixels of this screen"),
        ({"temporal_frequencies_hz": (20.0,), "frame_count": 5}, UnitsError, "at most 15"),
        ({"directions_deg": (0.0, np.nan)}, UnitsError, "NaN"),
        ({"temporal_frequencies_hz": (2.0,)}, StimulusError, "leave them out"),
        ({"directions_deg": ()}, StimulusError, "at least one"),
    ],
)
def test_gratings_that_cannot_be_shown_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        gratings(SCREEN, **options)


def test_source_that_draws_another_shape_is_refused():
    table = pd.DataFrame({"level": [1, 2]})
    flat = Candidates("natural", SCREEN, table, lambda rows: np.zeros((len(rows), 36, 64)))

    with pytest.raises(ShapeError, match=r"draw \(candidate, frame, y, x\)"):
        flat.render([0, 1])
