"""Small populations of cells with known parameters."""

import pytest

from insilico.screen import Screen
from insilico.simulation import draw_population


@pytest.fixture(scope="session")
def screen():
    return Screen()


@pytest.fixture(scope="session")
def population(screen):
    """Six simple and six energy cells."""
    return draw_population(simple_count=6, energy_count=6, screen=screen, seed=11)
