"""The twins that come with the package: small, honest on their cards, and true to their neurons."""

import re

import pytest

import insilico
from insilico.errors import CatalogError
from insilico.models import zoo
from insilico.models.checkpoint import load_checkpoint
from insilico.simulation import shipped_truth
from insilico.training.recipe import read_training_recipe
from insilico.validation import compare_trained

TWINS = ("simulated-image-cnn", "simulated-movie-cnn")


def truth_of(twin, name, mouse):
    return shipped_truth(name, mouse, kind=twin.kind, screen=twin.screen(mouse))


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_small_and_was_trained_by_its_recipe(name):
    folder = zoo.read_recipe(name).folder
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= 3e6
    checkpoint = load_checkpoint(zoo.pull(name))
    assert checkpoint.origin["trained_by"] == "insilico"
    assert checkpoint.architecture == read_training_recipe(name).architecture
    assert checkpoint.options == read_training_recipe(name).options
    statistics = checkpoint.mice["mouse-1"].statistics
    assert all(statistics.is_measured(what) for what in ("stimulus", "response", "pupil"))


@pytest.mark.parametrize("name", TWINS)
def test_a_card_has_the_numbers_of_its_checkpoint(name):
    origin, card = load_checkpoint(zoo.pull(name)).origin, zoo.card(name)
    assert f"{origin['training_minutes']:.0f} minutes" in card
    assert f"{origin['validation_correlation']:.3f}" in card
    assert re.search(r"two CPU cores", card)


@pytest.mark.parametrize("name", TWINS)
def test_truth_is_there_for_every_mouse_and_no_other(name):
    twin = insilico.load(name, device="cpu")
    for mouse in twin.mice:
        truth = truth_of(twin, name, mouse)
        assert list(truth.ground_truth["neuron"]) == list(range(len(twin.mouse(mouse).neurons)))
    shown = {"kind": twin.kind, "screen": twin.screen(twin.mice[0])}
    with pytest.raises(CatalogError, match=r"truth about no mouse 'mouse-9'.*mouse-1"):
        shipped_truth(name, "mouse-9", **shown)
    with pytest.raises(CatalogError, match="with truth are: none"):
        shipped_truth("sensorium2022-cnn", "mouse-1", **shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_experiments_on_a_twin_find_what_was_planted_in_its_neurons(name):
    twin = insilico.load(name, device="cpu")
    asked = {"mouse": "mouse-1", "jobs": 1}
    # A quarter of the noise that the protocol asks for.
    noise = {"image_count": 5000, "frame_count": 5000}
    results = {
        "retinotopy": insilico.run("retinotopy", twin, overrides=noise, **asked),
        "direction": insilico.run("direction", twin, **asked),
    }
    validation = compare_trained(truth_of(twin, name, "mouse-1"), results)
    assert validation.is_met, validation.summary.to_string()
    checks = validation.summary.set_index("check")
    assert checks.loc["center error (px)", "count"] >= 100
    assert checks.loc["orientation error (deg)", "count"] >= 100
    if twin.kind == "movie":
        assert checks.loc["direction error (deg)", "count"] >= 30
    # What is held to no limit is not nothing either.
    assert checks.loc["OSI", "value"] > 0.4


def test_unreliable_neurons_are_told_and_not_judged():
    twin = insilico.load("simulated-image-cnn", device="cpu")
    truth = truth_of(twin, "simulated-image-cnn", "mouse-1")
    result = insilico.run("direction", twin, mouse="mouse-1", neurons="0:40", jobs=1)
    validation = compare_trained(truth, {"direction": result})
    reliable = truth.ground_truth["reliability_obtained"][:40] >= 0.3
    assert 0 < reliable.sum() < 40
    assert validation.neurons["neuron"].nunique() == 40
    assert validation.summary["count"].max() == reliable.sum()
