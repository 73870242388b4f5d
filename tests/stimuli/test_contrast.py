"""The contrast that gratings of whole gray levels have."""

import numpy as np
import pytest

from insilico.errors import UnitsError
from insilico.screen import Screen
from insilico.stimuli.contrast import shown_contrast
from insilico.stimuli.gratings import static_grating


@pytest.mark.parametrize("contrast", [0.01, 0.02, 0.035, 0.05, 0.2, 1.0])
def test_shown_contrast_is_that_of_the_drawn_pixels(contrast):
    values = {"orientation_deg": 30.0, "spatial_frequency_cpd": 0.04}
    phases = {"phase_deg": np.arange(0, 360, 10.0)}
    shown = static_grating(Screen(), **values, **phases, contrast=contrast).astype(float)
    wave = static_grating(Screen(), **values, **phases, contrast=1.0, dtype=np.float64)
    wave -= wave.mean()
    amplitude = ((shown - shown.mean()) * wave).sum() / (wave**2).sum()
    assert shown_contrast(contrast) == pytest.approx(amplitude, rel=5e-3)


def test_a_blank_has_none_and_high_contrasts_are_what_was_asked_for():
    assert shown_contrast(0.0) == 0
    np.testing.assert_allclose(shown_contrast([0.1, 0.33, 1.0]), [0.1, 0.33, 1.0], rtol=0.01)
    assert abs(shown_contrast(0.01) / 0.01 - 1) > 0.05


def test_contrast_beyond_one_is_refused():
    with pytest.raises(UnitsError, match="give numbers from 0 to 1"):
        shown_contrast(1.2)
