"""Patterns without contrast, which no scale can give one."""

import numpy as np
import pytest
import torch

from insilico.screen import Screen
from insilico.synthesis.levels import Levels
from insilico.synthesis.regions import full_field


@pytest.mark.parametrize("gray_level", [3.1, 127.3, 200.7])
def test_uniform_patterns_take_the_luminance_and_stay_uniform(gray_level):
    region = full_field(Screen())
    shown = Levels(120.0, 10.0).finish(np.full(region.weights.shape, gray_level), region)
    assert np.unique(shown).tolist() == [120]


def test_uniform_patterns_of_free_luminance_stay_what_they_are():
    levels = torch.tensor([3.1, 127.3, 200.7]).reshape(-1, 1, 1, 1).expand(-1, 1, 36, 64)
    whole = torch.ones(3, 1, 36, 64)
    fitted = Levels(None, 10.0).fit(levels, whole, 127 * whole)
    torch.testing.assert_close(fitted, levels.contiguous(), atol=1e-3, rtol=0)
