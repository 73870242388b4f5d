import dataclasses

import numpy as np
import pytest
from torch import nn

from insilico.errors import CheckpointError
from insilico.twin import Twin, ensemble


def test_ensemble_answers_with_the_mean_of_its_members(make_twin, full_statistics, images):
    twins = [make_twin(statistics=full_statistics, seed=seed) for seed in range(3)]
    joined = ensemble(twins)
    assert joined.member_count == 3
    alone = np.stack([twin.respond(images).values for twin in twins])
    apart = joined.respond(images, members=True).values
    np.testing.assert_allclose(apart, alone)
    np.testing.assert_allclose(joined.respond(images).values, alone.mean(0))


def test_member_axis_comes_first_for_movies_in_batches_and_windows(
    make_twin, full_statistics, movies, monkeypatch
):
    joined = ensemble(
        [make_twin("movie", statistics=full_statistics, seed=seed) for seed in range(2)]
    )
    monkeypatch.setattr("insilico.twin.prepared.BATCH_PIXELS", 1)
    apart = joined.respond(movies, members=True, window=(3, 6), neurons=[4, 0])
    assert apart.values.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(
        apart.values.mean(0), joined.respond(movies, window=(3, 6), neurons=[4, 0]).values
    )


def test_single_twin_has_a_member_axis_of_one_when_asked(make_twin, images):
    assert make_twin().respond(images, members=True).values.shape == (1, 6, 5)


def test_ensemble_of_ensembles_is_flat(make_twin):
    pair = ensemble([make_twin(seed=0), make_twin(seed=1)])
    assert ensemble([pair, make_twin(seed=2)]).member_count == 3


def test_ensemble_is_named_after_its_members_and_keeps_their_provenance(make_twin):
    twins = [make_twin(name=name, provenance={"sha256": name}) for name in "xy"]
    assert ensemble(twins).name == "x + y"
    assert ensemble(twins, name="both").name == "both"
    assert ensemble(twins).provenance == {"members": [{"sha256": "x"}, {"sha256": "y"}]}


def test_own_modules_of_different_names_form_an_ensemble():
    twins = [
        Twin(nn.Sequential(nn.Flatten(), nn.Linear(36 * 64, 3)), name=name)
        for name in ("first", "second")
    ]
    assert ensemble(twins).respond(np.zeros((1, 36, 64))).values.shape == (1, 3)


def test_ensemble_of_nobody_is_refused():
    with pytest.raises(CheckpointError, match="give at least one"):
        ensemble([])


@pytest.mark.parametrize("name", ["stimulus_std", "response_std", "behavior_std", "pupil_mean"])
def test_twins_of_other_statistics_are_refused(make_twin, full_statistics, name):
    other = dataclasses.replace(full_statistics, **{name: 2 * getattr(full_statistics, name)})
    twins = [
        make_twin(statistics=statistics, name=label)
        for statistics, label in ((full_statistics, "x"), (other, "y"))
    ]
    with pytest.raises(CheckpointError, match=r"y and x differ .* needs twins of the same neurons"):
        ensemble(twins)


@pytest.mark.parametrize(
    "changes",
    [{"kind": "movie"}, {"mice": ("b",)}, {"reads_state": True}, {"precision": "float32"}],
)
def test_twins_of_other_neurons_kind_or_precision_are_refused(make_twin, changes):
    with pytest.raises(CheckpointError, match="an ensemble needs twins of the same neurons"):
        ensemble([make_twin(), make_twin(**changes)])
