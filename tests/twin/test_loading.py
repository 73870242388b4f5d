"""From a name, a path or neither to a twin."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import insilico
from insilico import catalog
from insilico.errors import CatalogError, CheckpointError, UnitsError
from insilico.twin.loading import find_checkpoint


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def published_server(shared_data, tmp_path, monkeypatch):
    """Serve the real weight files, and let the zoo's recipes point to this server."""
    handler = functools.partial(Quiet, directory=shared_data / "sensorium2022")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    models = tmp_path / "user" / "models"
    for name in ("sensorium2022-cnn", "sensorium2022-ln"):
        shutil.copytree(catalog.find("models", name), models / name)
        recipe = models / name / "recipe.toml"
        text = recipe.read_text()
        (start,) = (line for line in text.splitlines() if line.startswith("url = "))
        file = start.rsplit("/", 1)[1].rstrip('"')
        url = f'url = "http://127.0.0.1:{server.server_port}/{file}"'
        recipe.write_text(text.replace(start, url))
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / "user")
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "parameters"), [("sensorium2022-cnn", 576376), ("sensorium2022-ln", 564920)]
)
def test_published_model_loads_by_name_and_then_from_the_cache(
    published_server, tmp_path, name, parameters
):
    from insilico.models.network import count_parameters

    twin = insilico.load(name, cache=tmp_path / "cache")
    assert twin.mice == ("26872-17-20",)
    assert len(twin.neurons()) == 7776
    assert count_parameters(twin._networks[0]) == parameters
    published_server.shutdown()
    again = insilico.load(name, cache=tmp_path / "cache")
    images = np.random.default_rng(0).standard_normal((2, 36, 64)).astype(np.float32)
    np.testing.assert_array_equal(again.respond(images).values, twin.respond(images).values)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UnitsError, match="the device 'gpu' cannot be used here"):
        insilico.load("simulated-v1-image", device="gpu")


def test_bytes_are_gray_levels_for_a_twin_with_assumed_statistics(published_server, tmp_path):
    twin = insilico.load("sensorium2022-cnn", cache=tmp_path / "cache")
    images = np.random.default_rng(0).integers(0, 256, (2, 36, 64), np.uint8)
    expected = twin.respond(images.astype(float), input_units="gray", neurons="0:9").values
    np.testing.assert_allclose(twin.respond(images, neurons="0:9").values, expected, rtol=1e-5)


def test_simulated_twins_load_by_name_with_the_same_neurons():
    image, movie = (insilico.load(f"simulated-v1-{kind}") for kind in ("image", "movie"))
    assert (image.kind, movie.kind) == ("image", "movie")
    assert image.ground_truth.equals(movie.ground_truth)


def test_unknown_name_lists_the_models():
    with pytest.raises(CatalogError, match=r"no model and no folder 'sensorium'; .*the models are"):
        insilico.load("sensorium")


def test_missing_and_foreign_folders_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        insilico.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"model\.toml"):
        insilico.load(tmp_path)


def test_a_training_run_stands_for_its_best_weights(tmp_path):
    assert find_checkpoint(tmp_path) == tmp_path
    run = tmp_path / "run"
    (run / "checkpoint").mkdir(parents=True)
    assert find_checkpoint(run) == find_checkpoint(str(run)) == run / "checkpoint"
    # A checkpoint with a folder of that name in it is still the checkpoint.
    (run / "model.toml").touch()
    assert find_checkpoint(run) == run


def test_a_shipped_twin_is_found_without_a_download(tmp_path):
    folder = find_checkpoint("simulated-image-cnn", cache=tmp_path / "cache")
    assert (folder / "model.toml").is_file()
    assert not (tmp_path / "cache").exists()
    with pytest.raises(CatalogError, match="is a recipe without weights; train it with"):
        find_checkpoint("sensorium2023-factorized3d")


def test_a_name_that_is_also_a_folder_is_not_guessed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("simulated-v1-image").mkdir()
    with pytest.raises(CatalogError, match=r"write \./simulated-v1-image for the folder"):
        insilico.load("simulated-v1-image")
