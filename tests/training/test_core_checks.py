"""A core that was trained with other options is refused with what makes the recipe fit it."""

import shlex
from types import SimpleNamespace

import pytest

from insilico.configuration import parse_assignments
from insilico.errors import CheckpointError, RecipeError
from insilico.models import registry
from insilico.training.checks import FREE_OF_THE_CORE, check_core
from insilico.training.recipe import read_training_recipe

EXAMPLES = [
    (name, options)
    for name, architecture in sorted(registry.architectures().items())
    for options, _ in architecture.examples().values()
]


def core_with(architecture, options):
    options = registry.parse_options(architecture, options)
    return SimpleNamespace(name="tiny", architecture=architecture, options=options, mice={})


def test_all_options_that_differ_are_named_at_once():
    core = core_with("factorized3d", {"channels": [4, 8], "behavior_names": ["running_speed"]})
    recipe = read_training_recipe("sensorium2023-factorized3d")
    with pytest.raises(CheckpointError) as refusal:
        check_core(recipe, {}, core)
    sentence = str(refusal.value)
    assert f"channels (4, 8) (recipe: {recipe.options.channels})" in sentence
    assert f"('running_speed',) (recipe: {recipe.options.behavior_names})" in sentence
    assert """ --set 'channels=[4, 8]' """ in sentence
    assert """ --set 'behavior_names=["running_speed"]' """ in f"{sentence} "


@pytest.mark.parametrize(("architecture", "options"), EXAMPLES)
def test_the_line_of_the_refusal_makes_the_recipe_fit(architecture, options, tmp_path):
    path = tmp_path / "default.toml"
    path.write_text(f'architecture = "{architecture}"')
    core = core_with(architecture, {"behavior_names": ["licks"], **options})
    with pytest.raises(CheckpointError) as refusal:
        check_core(read_training_recipe(path), {}, core)
    words = shlex.split(str(refusal.value).partition(", or add ")[2])
    assert set(words[::2]) == {"--set"}
    changes = parse_assignments(words[1::2], error=RecipeError)
    assert not FREE_OF_THE_CORE & set(changes)
    check_core(read_training_recipe(path, overrides=changes), {}, core)
