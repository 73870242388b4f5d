"""Sets as a whole: what is made first, what stays fixed, what is linked to what."""

import dataclasses
import weakref

import numpy as np
import pytest
import torch
from planted_twins import SMALL_SCREEN, gabor, linear_twin, make, planted_fields

from insilico.errors import NeuronError, RunFolderError
from insilico.synthesis import Objective, Selection, Sources
from insilico.synthesis.climbing import Climber, Start
from insilico.synthesis.clock import Clock
from insilico.synthesis.finding import group_targets
from insilico.synthesis.levels import Levels
from insilico.synthesis.making import Batch
from insilico.synthesis.objectives import neuron
from insilico.synthesis.parametrizations import Pixels
from insilico.synthesis.protocol import SynthesisProtocol
from insilico.synthesis.regions import full_field
from insilico.synthesis.schedule import Climb
from insilico.synthesis.scoring import Exposure, Scorer
from insilico.synthesis.workshop import Workshop

PLACES = np.array([(9.0, 8.0), (20.0, 9.0)])
GRATINGS = {
    "grating_direction_count": 4,
    "grating_cpd": [0.04],
    "grating_phase_count": 2,
    "controls": ["grating", "noise"],
}
PROTOCOL = SynthesisProtocol(experiment="mei", source="", seed=1, steps=3, ramp_steps=1)
FEW = {"steps": 6, "ramp_steps": 2}


class Bump(torch.nn.Module):
    """Responds most to a drive of 6, and less to more."""

    def forward(self, drive):
        return 10 * torch.exp(-(((drive - 6) / 2) ** 2))


def climber_of(twin, starts):
    return Climber(
        Scorer(twin, twin.mice[0], [0], exposure=Exposure()),
        starts,
        levels=Levels(127.0, 10.0),
        parametrization=Pixels(),
        climb=Climb(steps=5),
        frame_count=1,
    )


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


def test_free_contrast_keeps_the_best_of_all_steps_those_of_the_ramp_included():
    peak = linear_twin([gabor(15, 9, screen=SMALL_SCREEN)], then=Bump(), screen=SMALL_SCREEN)
    free = {"luminance_level": 0.0, "rms_level": 0.0, "step_size": 0.5, "patience": 0}
    found = make(peak, steps=45, ramp_steps=40, sharpen_steps=0, **free)
    # The curve is of gray levels before they are rounded.
    assert found.table["response"][0] == pytest.approx(found.curves["score"].max(), rel=0.02)
    assert found.curves["score"].max() > 2 * found.curves["score"].iloc[-1]


def test_batches_that_rest_have_let_go_of_their_twins(twin):
    prepared = []

    def prepare(starts):
        prepared.append(climber_of(twin, starts))
        return prepared[-1]

    batch = Batch([Start(neuron(0), full_field(SMALL_SCREEN), (1,))], prepare, None)
    batch.advance(2, Clock(), lambda steps: None)
    batch.rest()
    held = weakref.ref(prepared.pop())
    (made,) = batch.made()
    assert (made.steps, held(), prepared) == (2, None, [])


def test_objectives_that_are_to_be_inhibited_are(twin):
    table = make(twin, Selection(objectives=[-neuron(0)]), **FEW).table
    assert table["stimulus_class"].tolist() == ["inhibiting"]
    assert table["response"][0] < table["blank_response"][0]


def test_another_function_of_the_responses_is_another_set(twin, tmp_path):
    def wanted(function):
        return Selection(objectives=[Objective({0: 1.0, 1: 1.0}, name="own", function=function)])

    first = make(twin, wanted(lambda own: own[:, 0]), out=tmp_path / "run", **FEW)
    again = make(twin, wanted(lambda own: own[:, 0]), out=tmp_path / "run", **FEW)
    assert first.ids == again.ids
    with pytest.raises(RunFolderError, match="targets"):
        make(twin, wanted(lambda own: own[:, 1]), out=tmp_path / "run", **FEW)


def test_twins_that_cannot_be_asked_are_refused_before_anything_is_made(twin, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("something was made")

    monkeypatch.setattr("insilico.synthesis.workshop.Workshop.make", never)
    other = linear_twin([gabor(9, 8, screen=SMALL_SCREEN)], screen=SMALL_SCREEN)
    with pytest.raises(NeuronError, match="'other'"):
        make(twin, fields=Sources(transfer={"other": other}), **FEW)


def test_surrounds_go_on_around_the_centers_they_were_made_for_alone(twin, tmp_path):
    workshop = Workshop(twin, twin.mice[0], PROTOCOL, folder=tmp_path)
    region = full_field(SMALL_SCREEN)
    other = region.around(np.full(SMALL_SCREEN.shape, 100.0))
    (made,) = workshop.make("surround", [Start(neuron(0), region, (1,))], Clock())
    elsewhere = Workshop(twin, twin.mice[0], PROTOCOL, folder=tmp_path / "other")
    (fresh,) = elsewhere.make("surround", [Start(neuron(0), other, (1,))], Clock())
    (moved,) = workshop.make("surround", [Start(neuron(0), other, (1,))], Clock())
    assert made.steps == moved.steps == 3
    assert len(list(tmp_path.glob("surround-*.npz"))) == 2
    assert moved.score == fresh.score


def test_contrast_that_a_tapered_border_leaves_no_room_for_is_a_status(twin, fields):
    options = {"region": "center", "border_deg": 10.0, **FEW}
    high = make(twin, fields=fields, rms_level=100.0, **options).table
    assert (high["rms_level"] < 99).all()
    assert set(high["status"]) == {"levels_differ"}
    assert set(make(twin, fields=fields, rms_level=10.0, **options).table["status"]) == {"ok"}


def test_penalties_count_for_what_is_found_as_for_what_is_made(twin):
    options = {**FEW, **GRATINGS, "steps": 40, "controls": ["grating"], "total_variation": 1.0}
    table = make(twin, **options).table
    made, found = (table[table["stimulus_class"] == name] for name in ("exciting", "grating"))
    # Less its penalty each of them scores below what a grating drives.
    assert (made["score"].to_numpy() < found["score"].to_numpy()).all()
    assert set(made["status"]) == {"ok"}


def test_every_start_that_a_grating_beats_says_so(twin):
    """In small steps noise stays noise: the best start goes on from the grating, one does not."""
    made = make(
        twin, "0:1", steps=3, ramp_steps=0, step_size=0.01, restarts=2, controls=("grating",)
    ).table

    exciting = made[made["stimulus_class"] == "exciting"].set_index("started_from")
    grating = made.loc[made["stimulus_class"] == "grating", "response"].item()
    assert exciting.loc["grating", "status"] == "ok"
    assert exciting.loc["grating", "response"] > 0.95 * grating
    rest = exciting[exciting.index.isna()]
    assert rest["status"].tolist() == ["below_control"]
    assert rest["response"].item() < grating
