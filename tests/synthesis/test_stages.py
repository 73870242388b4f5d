"""Sets as a whole: what is made first, what stays fixed, what is linked to what."""

import dataclasses

import numpy as np
import pytest
from planted_twins import SMALL_SCREEN, gabor, linear_twin, make, planted_fields

from insilico.synthesis.finding import group_targets
from insilico.synthesis.objectives import neuron
from insilico.synthesis.regions import full_field

PLACES = np.array([(9.0, 8.0), (20.0, 9.0)])
GRATINGS = {
    "grating_direction_count": 4,
    "grating_cpd": [0.04],
    "grating_phase_count": 2,
    "controls": ["grating", "noise"],
}
FEW = {"steps": 6, "ramp_steps": 2}


def placed(place):
    return dataclasses.replace(full_field(SMALL_SCREEN), center_px=tuple(place))


@pytest.fixture(scope="module")
def twin():
    filters = [gabor(x, y, screen=SMALL_SCREEN) for x, y in PLACES]
    return linear_twin(filters, bias=2.0, screen=SMALL_SCREEN)


@pytest.fixture(scope="module")
def fields(twin):
    return planted_fields(twin, *PLACES.T)


def test_the_grating_that_excites_most_stays_in_the_center_whatever_is_made_around(twin, fields):
    options = {"region": "surround", "surround_center": "grating", "goals": ["excite", "inhibit"]}
    table = make(twin, fields=fields, **options, **FEW, **GRATINGS).table
    centers = table[table["region"] == "center"]
    alone = make(twin, fields=fields, region="center", **FEW, **GRATINGS).table
    best = alone[alone["stimulus_class"] == "grating"]
    assert centers["stimulus_id"].tolist() == best["stimulus_id"].tolist()
    around = table[table["region"] == "surround"]
    made = around[around["stimulus_class"].isin(["exciting", "inhibiting"])]
    assert set(around["control_of"].dropna()) == set(made["stimulus_id"])


def test_targets_share_one_search_of_the_full_field_and_keep_their_own_places(twin, fields):
    pairs = [(neuron(index), placed(place)) for index, place in enumerate(PLACES)]
    assert len(group_targets(pairs)) == 1
    table = make(twin, fields=fields, **FEW, **GRATINGS).table
    own = PLACES[table["neuron"].to_numpy()]
    np.testing.assert_array_equal(table[["x_px", "y_px"]].to_numpy(), own)
