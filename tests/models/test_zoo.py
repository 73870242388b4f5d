"""The zoo: recipes, cards, and a pull from end to end."""

import collections
import hashlib
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import published_format as published
import pytest
import torch

from insilico.errors import CatalogError, CheckpointError, DownloadError, RecipeError
from insilico.models import zoo
from insilico.models.checkpoint import load_checkpoint
from insilico.variables import IMAGE_BEHAVIOR

PUBLISHED = (
    "sensorium2022-cnn",
    "sensorium2022-ln",
    "sensorium2022plus-cnn",
    "sensorium2022plus-ln",
)


def test_all_four_published_models_are_listed(tmp_path):
    recipes = {recipe.name: recipe for recipe in zoo.list_models(user_folder=tmp_path)}
    assert set(PUBLISHED) <= set(recipes)
    for name in PUBLISHED:
        recipe = recipes[name]
        assert recipe.species_area == "mouse V1"
        assert recipe.license == "MIT"
        assert recipe.neurons == (7538 if "plus" in name else 7776)
        assert recipe.options.get("has_shifter", False) == ("plus" in name)
        assert tuple(recipe.options.get("behavior_names", ())) == (
            IMAGE_BEHAVIOR if "plus" in name else ()
        )
        assert re.fullmatch("[0-9a-f]{64}", recipe.weights.sha256)
        assert re.search("/[0-9a-f]{40}/", recipe.weights.url)  # pinned to a commit


def test_pins_are_those_of_the_published_files(shared_data):
    for name, file in published.PUBLISHED_FILES.items():
        weights = zoo.read_recipe(f"sensorium2022-{name}").weights
        data = (shared_data / "sensorium2022" / file).read_bytes()
        assert weights.url.endswith(f"/{file}")
        assert (weights.bytes, weights.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", PUBLISHED)
def test_card_says_what_is_assumed_and_repeats_the_recipe(name):
    recipe, text = zoo.read_recipe(name), zoo.card(name)
    assert "## What is assumed" in text
    for number in (recipe.neurons, recipe.parameters, recipe.weights.bytes):
        assert f"{number:,}" in text
    assert recipe.mouse in text
    assert f"insilico models pull {name}" in text


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def own_zoo(tmp_path, monkeypatch):
    """A user's folder with one recipe, whose weights are on a server of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = tmp_path / "served"
    served.mkdir()
    state = published.synthetic_state(layers=4)
    torch.save(collections.OrderedDict(state), served / "weights.pth")
    data = (served / "weights.pth").read_bytes()
    handler = partial(Quiet, directory=served)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        original = zoo.read_recipe("sensorium2022plus-cnn")
        text = (original.folder / "recipe.toml").read_text()
        address = f"http://127.0.0.1:{server.server_port}/weights.pth"
        text = text.replace(original.weights.url, address)
        text = text.replace(original.weights.sha256, hashlib.sha256(data).hexdigest())
        text = text.replace(f"bytes = {original.weights.bytes}", f"bytes = {len(data)}")
        entry = tmp_path / "user" / "models" / "my-network"
        entry.mkdir(parents=True)
        (entry / "recipe.toml").write_text(text)
        yield tmp_path / "user"
        server.shutdown()
        thread.join()


def test_pull_makes_a_checkpoint_once(own_zoo, tmp_path):
    cache = tmp_path / "cache"
    folder = zoo.pull("my-network", cache=cache, user_folder=own_zoo)
    assert folder.parent == cache / "checkpoints"
    checkpoint = load_checkpoint(folder)
    assert checkpoint.name == "my-network"
    assert checkpoint.network.neuron_counts == {published.PLUS_MOUSE: 30}
    assert checkpoint.origin["url"].startswith("http://127.0.0.1")
    answer = checkpoint.network(
        published.images(),
        mouse=published.PLUS_MOUSE,
        behavior=published.behavior(),
        pupil_center=published.pupil_center(),
    )
    assert answer.shape == (9, 30)
    (tmp_path / "served" / "weights.pth").unlink()
    assert zoo.pull("my-network", cache=cache, user_folder=own_zoo) == folder


def test_changed_recipe_makes_another_checkpoint(own_zoo, tmp_path):
    first = zoo.pull("my-network", cache=tmp_path / "cache", user_folder=own_zoo)
    path = own_zoo / "models" / "my-network" / "recipe.toml"
    path.write_text(path.read_text().replace("stimulus_mean = 113.52469635", "stimulus_mean = 100"))
    second = zoo.pull("my-network", cache=tmp_path / "cache", user_folder=own_zoo)
    assert second != first
    mouse = load_checkpoint(second).mice[published.PLUS_MOUSE]
    assert mouse.statistics.stimulus_mean == 100


def test_pull_of_a_tampered_file_leaves_nothing(own_zoo, tmp_path):
    path = tmp_path / "served" / "weights.pth"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DownloadError, match="SHA-256"):
        zoo.pull("my-network", cache=tmp_path / "cache", user_folder=own_zoo)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_weights_that_do_not_match_their_recipe_are_refused(own_zoo, tmp_path):
    path = own_zoo / "models" / "my-network" / "recipe.toml"
    path.write_text(path.read_text().replace("layers = 4", "layers = 3"))
    with pytest.raises(CheckpointError, match="layer3"):
        zoo.pull("my-network", cache=tmp_path / "cache", user_folder=own_zoo)
    assert not (tmp_path / "cache" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("neurons = 7538", "", "lacks mouse, neurons or parameters"),
        ('architecture = "sensorium2022"', "", "lacks the key 'architecture'"),
        ("neurons = 7538", "neuron = 7538", "no key 'neuron'; did you mean 'neurons'"),
        ("neurons = 7538", 'neurons = "many"', "neurons is 'many'; give a whole number"),
        ("[weights]", "[weight]", "no key 'weight'; "),
        ('screen = "sensorium"', 'screen = "cinema"', "screen 'cinema'"),
        ("neurons = 7538", "neurons = ", "is not TOML"),
    ],
)
def test_wrong_recipe_is_refused_by_name(own_zoo, old, new, message):
    path = own_zoo / "models" / "my-network" / "recipe.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecipeError, match=message):
        zoo.list_models(user_folder=own_zoo)


def test_unknown_name_and_missing_card_are_refused(own_zoo):
    with pytest.raises(CatalogError, match="did you mean 'my-network'"):
        zoo.pull("my-netwrok", user_folder=own_zoo)
    with pytest.raises(CatalogError, match="has no card"):
        zoo.card("my-network", user_folder=own_zoo)
