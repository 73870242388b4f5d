"""Every entry of the zoo: what its recipe builds, and what was published of it."""

import pytest

from insilico.models import registry, zoo
from insilico.models.network import count_parameters
from insilico.training.recipe import read_training_recipe

RECIPES = {recipe.name: recipe for recipe in zoo.list_models()}

#: Learned numbers of the core, as published.
CORES = {
    "viv1t": 3_787_042,
    "viv1t-five-mice": 3_787_042,
    "viv1t-closed-loop": 3_787_042,
    "viv1t-2023": 2_916_074,
    "viv1t-fcnn": 389_776,
    "viv1t-ln": 389_296,
    "v1t-movie": 2_464_276,
    "v1t-sensorium2022": 2_465_200,
    "v1t-franke2022": 2_475_120,
    "v1t-cnn": 40_256,
}

#: Neurons of the mice A to J of Sensorium 2023.
SENSORIUM_2023 = (7440, 7928, 8285, 7671, 7495, 7863, 7908, 8202, 7939, 8122)


def build(name, neuron_counts):
    recipe = RECIPES[name]
    return registry.build(recipe.architecture, recipe.options, neuron_counts)


@pytest.mark.parametrize("name", CORES)
def test_core_has_the_published_number_of_parameters(name):
    assert count_parameters(build(name, {"mouse-a": 3}).core) == CORES[name]


@pytest.mark.parametrize(("name", "mice"), [("viv1t", 10), ("viv1t-five-mice", 5)])
def test_network_of_all_mice_has_the_listed_number_of_parameters(name, mice):
    counts = {f"mouse-{index}": count for index, count in enumerate(SENSORIUM_2023[:mice])}
    assert RECIPES[name].neurons == sum(counts.values())
    assert RECIPES[name].parameters == count_parameters(build(name, counts))


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].mouse])
def test_network_of_one_mouse_has_the_listed_number_of_parameters(name):
    recipe = RECIPES[name]
    assert recipe.parameters == count_parameters(build(name, {recipe.mouse: recipe.neurons}))


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_builds_and_can_be_trained(name):
    assert build(name, {"mouse-a": 3}).neuron_counts == {"mouse-a": 3}
    assert read_training_recipe(name).training.epochs > 0


@pytest.mark.parametrize("name", RECIPES)
def test_card_says_what_it_is_and_how_to_get_it(name):
    text = zoo.card(name)
    assert text.startswith(f"# {name}")
    assert "MIT" in text
    commands = ("pull", "train")
    assert any(f"insilico {verb} {name}" in text.replace("models ", "") for verb in commands)
