"""Recipes: complete, checked, changed by key, and explained."""

import dataclasses

import pytest

from insilico import catalog
from insilico.errors import CatalogError, RecipeError
from insilico.models import registry
from insilico.training.recipe import TrainingOptions, explain, read_training_recipe


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
