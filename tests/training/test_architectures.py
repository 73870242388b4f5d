"""Every registered architecture passes through the training pipeline."""

import numpy as np
import pytest
import torch

import insilico
from insilico.errors import RecipeError
from insilico.models import registry
from insilico.models.checkpoint import load_checkpoint
from insilico.screen import Screen
from insilico.training.loop import train
from insilico.training.recipe import TrainingOptions, TrainingRecipe

ARCHITECTURES = registry.architectures()
#: What recordings of images and of movies tell of behavior, by number of variables.
NAMES = {
    2: ("pupil_size", "running_speed"),
    3: ("pupil_size", "pupil_size_derivative", "running_speed"),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_first_example_learns_and_loads_as_a_twin(name, cached, fabric, tmp_path):
    options, _ = next(iter(ARCHITECTURES[name].examples().values()))
    if "max_frames" in options:
        options = {**options, "max_frames": 30}
    recipe = TrainingRecipe(
        name=name,
        architecture=name,
        options=registry.parse_options(name, options),
        training=TrainingOptions(
            epochs=4, batch_size=4, burn_in_frames=8, learning_rate=0.003, patience_epochs=9
        ),
    )
    network = registry.build(name, recipe.options, {"mouse-1": 6})
    width, height = recipe.options.width_px, recipe.options.height_px
    screen = Screen(width_px=width, height_px=height, width_cm=width, height_cm=height)
    behavior = NAMES[max(2, len(network.behavior_names))]
    mice = {"mouse-1": cached("mouse-1", kind=network.kind, screen=screen, behavior_names=behavior)}
    log = train(recipe, mice, tmp_path / "run", fabric=fabric).log
    assert np.isfinite(log["loss"]).all()
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]
    twin = insilico.load(tmp_path / "run", device="cpu")
    frames = (30,) if twin.kind == "movie" else ()
    answer = twin.respond(np.full((2, *frames, *screen.shape), 100, np.uint8))
    assert np.isfinite(answer.values).all()
    torch.manual_seed(recipe.training.seed)
    start = registry.build(name, recipe.options, {"mouse-1": 6}).core.state_dict()
    trained = load_checkpoint(tmp_path / "run" / "checkpoint").network.core
    learned = {name for name, _ in trained.named_parameters()} - trained.idle_parameters
    still = {key for key in learned if torch.equal(trained.get_parameter(key), start[key])}
    assert still == set()


def test_movies_longer_than_the_positions_are_refused_before_training(cached, fabric, tmp_path):
    options, _ = ARCHITECTURES["vivit"].examples()["learned positions"]
    recipe = TrainingRecipe(
        name="short",
        architecture="vivit",
        options=registry.parse_options("vivit", options),
        training=TrainingOptions(crop_frames=12, burn_in_frames=8),
    )
    screen = Screen(width_px=14, height_px=10, width_cm=14, height_cm=10)
    mice = {"mouse-1": cached("mouse-1", kind="movie", screen=screen)}
    with pytest.raises(
        RecipeError, match=r"up to 30 frames, .* positions for 16; raise max_frames"
    ):
        train(recipe, mice, tmp_path / "run", fabric=fabric)
