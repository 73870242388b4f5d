import numpy as np
import pandas as pd
import pytest

from insilico.errors import UnitsError
from insilico.screen import Screen
from insilico.simulation import draw_population
from insilico.simulation.population import RANGES


@pytest.fixture(scope="module")
def many(screen):
    return draw_population(simple_count=300, energy_count=200, screen=screen, seed=0)


def test_population_has_the_asked_cells_in_mixed_order(many):
    assert (many["cell_class"] == "simple").sum() == 300
    assert (many["cell_class"] == "energy").sum() == 200
    assert list(many["neuron"]) == list(range(500))
    assert 100 < (many["cell_class"].iloc[:250] == "simple").sum() < 200


def test_same_seed_draws_the_same_table_and_another_seed_another(screen):
    first, again, other = (
        draw_population(simple_count=3, energy_count=2, screen=screen, seed=seed)
        for seed in (4, 4, 5)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["direction_deg"], other["direction_deg"])


@pytest.mark.parametrize(
    "name",
    [name for name in RANGES if not name.endswith("_cycles")],
)
def test_parameters_fill_their_range(many, name):
    low, high = RANGES[name]
    assert many[name].between(low, high).all()
    assert np.ptp(many[name]) > 0.95 * (high - low)


def test_positions_in_degrees_and_pixels_agree_and_lie_on_the_screen(many, screen):
    x_deg, y_deg = screen.position_deg(many["x_px"], many["y_px"])
    np.testing.assert_allclose(x_deg, many["x_deg"])
    np.testing.assert_allclose(y_deg, many["y_deg"])
    assert screen.contains(many["x_px"], many["y_px"]).all()


def test_receptive_fields_are_retinotopic_over_cortex(many):
    assert np.corrcoef(many["x_um"], many["x_deg"])[0, 1] > 0.9
    assert np.corrcoef(many["y_um"], many["y_deg"])[0, 1] > 0.8


def test_orientation_is_the_direction_modulo_180(many):
    np.testing.assert_allclose(many["orientation_deg"], many["direction_deg"] % 180)


@pytest.mark.parametrize("counts", [(0, 0), (-1, 3)])
def test_population_of_nobody_is_refused(counts):
    with pytest.raises(UnitsError, match="give counts of 0 or more, not both 0"):
        draw_population(simple_count=counts[0], energy_count=counts[1], screen=Screen(), seed=0)
