"""Recipes: complete, checked, changed by key, and explained."""

import dataclasses

import pytest
import torch

from insilico import catalog
from insilico.errors import CatalogError, CheckpointError, RecipeError
from insilico.models import registry
from insilico.training.recipe import (
    TrainingOptions,
    explain,
    read_training_recipe,
    unused_options,
)


@pytest.mark.parametrize("name", catalog.entries("models"))
def test_every_recipe_of_the_zoo_can_be_trained(name):
    recipe = read_training_recipe(name)
    assert recipe.name == name
    assert isinstance(recipe.training, TrainingOptions)


@pytest.mark.parametrize("name", catalog.entries("models"))
def test_a_recipe_reads_back_from_what_a_run_writes(name, tmp_path):
    import tomli_w

    recipe = read_training_recipe(name)
    path = tmp_path / f"{name}.toml"
    path.write_text(tomli_w.dumps(recipe.to_dict()))
    assert read_training_recipe(path) == recipe


@pytest.mark.parametrize("name", sorted(registry.architectures()))
def test_every_key_of_every_architecture_has_a_meaning(name, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'architecture = "{name}"')
    rows = list(explain(read_training_recipe(path)))
    keys = [key for key, *_ in rows]
    fields = dataclasses.fields(registry.find_architecture(name).options)
    assert {f"options.{field.name}" for field in fields} < set(keys)
    for key, _, takes, meaning in rows:
        assert takes, key
        assert len(meaning.split()) > 2, key
        assert "As for" not in meaning, f"{key} refers to another page"


@pytest.mark.parametrize(
    ("changes", "used", "unused"),
    [
        (
            {},
            {"position", "gauss_type", "readout_dropout"},
            {"pool_steps", "key_channels", "modulator_hidden_units", "modulator_activation"},
        ),
        (
            {"readout": "pooled", "modulator": "gru"},
            {"pool_steps", "initial_position_range", "modulator_hidden_units"},
            {"position", "gauss_type", "key_channels", "modulator_activation"},
        ),
        (
            {"readout": "attention", "modulator": "linear", "has_shifter": False},
            {"key_channels", "neck_dropout", "readout_compatibility", "modulator_activation"},
            {"gauss_type", "pool_steps", "modulator_hidden_units"},
        ),
    ],
)
def test_options_of_other_readouts_and_modulators_are_unused(changes, used, unused):
    found = set(unused_options(read_training_recipe("viv1t", overrides=changes)))
    assert unused <= found
    assert not (used | {"readout", "modulator"}) & found
    # The core's are never among them.
    assert not {"spatial_depth", "height_px", "core_activation"} & found


def test_options_that_no_network_can_have_are_told():
    recipe = read_training_recipe(
        "sensorium2022-cnn", overrides={"readout": "attention", "has_shifter": True}
    )
    with pytest.raises(CheckpointError, match="attention readout cannot move with the gaze"):
        unused_options(recipe)


def test_looking_for_unused_options_draws_no_random_number():
    before = torch.get_rng_state()
    unused_options(read_training_recipe("sensorium2022-cnn"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", catalog.entries("models"))
def test_a_changed_unused_option_changes_no_weight(name):
    recipe = read_training_recipe(name)
    unused = unused_options(recipe)
    assert unused
    changed = {
        field: value + 1
        for field in unused
        if isinstance(value := getattr(recipe.options, field), int) and not isinstance(value, bool)
    }
    networks = []
    for options in (recipe.options, dataclasses.replace(recipe.options, **changed)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            networks.append(registry.build(recipe.architecture, options, {"mouse": 2}))
    one, other = (network.state_dict() for network in networks)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_overrides_reach_training_and_options():
    changes = {"learning_rate": 0.5, "options.layers": 2, "training.seed": 3}
    recipe = read_training_recipe("sensorium2022-cnn", overrides=changes)
    assert (recipe.training.learning_rate, recipe.training.seed, recipe.options.layers) == (
        0.5,
        3,
        2,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leraning_rate": 1.0}, r"no key 'leraning_rate'; did you mean 'learning_rate'"),
        ({"training.layers": 1}, r"no key 'training\.layers'"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give more than 0"),
        ({"learning_rate": True}, "learning_rate is True"),
        ({"epochs": 2.5}, "epochs is 2.5; give a whole number"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; give 0 or more"),
        ({"betas": [0.9]}, "betas are .* give two numbers"),
        ({"betas": [0.9, 1.0]}, "betas are .* give two numbers"),
        ({"decay_factor": 1.0}, "decay_factor is 1.0; give a number between 0 and 1"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        (
            {"optimizer": "adamw_schedulefree"},
            "schedule is 'plateau', and adamw_schedulefree needs none; set schedule to 'constant'",
        ),
    ],
)
def test_wrong_keys_and_values_are_told(changes, message):
    with pytest.raises(RecipeError, match=message):
        read_training_recipe("sensorium2022-cnn", overrides=changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "architecture"),
        ("architecture = 3", "architecture"),
        ('architecture = "sensorium2022"\n[trainin]\nseed = 1', "trainin"),
        ('architecture = "sensorium2022"\n[training]\nsede = 1', "'sede'; did you mean 'seed'"),
        ('architecture = "sensorium2022"\n[options]\nlayer = 1', "'layer'; did you mean 'layers'"),
        ("architecture =", "TOML"),
    ],
)
def test_wrong_files_are_told(tmp_path, content, message):
    path = tmp_path / "recipe.toml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        read_training_recipe(path)


def test_unknown_names_are_told_with_the_nearest(tmp_path):
    with pytest.raises(CatalogError, match="sensorium2022-cn"):
        read_training_recipe("sensorium2022-cn")
    path = tmp_path / "recipe.toml"
    path.write_text('architecture = "sensorium2021"')
    with pytest.raises(CatalogError, match="sensorium2022"):
        read_training_recipe(path)
    with pytest.raises((CatalogError, RecipeError), match="missing"):
        read_training_recipe(tmp_path / "missing.toml")


def test_how_the_machine_computes_does_not_make_another_run():
    plain = read_training_recipe("sensorium2022-cnn")
    compiled = read_training_recipe("sensorium2022-cnn", overrides={"compile": True})
    seeded = read_training_recipe("sensorium2022-cnn", overrides={"seed": 1})
    assert plain.identity() == compiled.identity()
    assert plain.identity() != seeded.identity()
