"""Zoo entries whose weights are on the Hugging Face hub, or with the user."""

import re

import pytest
from hub_server import COMMIT, OTHER_COMMIT, REPOSITORY, running_hub, sha256
from reference import closed_loop

from insilico.errors import CatalogError, CheckpointError, DownloadError, RecipeError
from insilico.models import zoo
from insilico.models.checkpoint import load_checkpoint

SMALL = {"core_emb_dim": 8, "core_spatial_depth": 1, "core_temporal_depth": 1}

RECIPE = """
architecture = "vivit"
input = "movie 36 x 64, 30 Hz"
mouse = "A"
neurons = 12
parameters = 1000

[weights]
{weights}

[assumed]
screen = "sensorium"
screen_reason = "a test"
stimulus_mean = 110.0
stimulus_std = 60.0
stimulus_reason = "a test"
"""


def run_files(folder, *, seed):
    """Return the files that a pull takes of a random run of the closed-loop study."""
    closed_loop.write_run_folder(folder, closed_loop.default_args(**SMALL), seed=seed)
    names = ("args.yaml", "ckpt/model.pt", "ckpt/info.yaml")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture
def files(tmp_path):
    return run_files(tmp_path / "published", seed=1)


@pytest.fixture
def hub(files, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with running_hub({f"run/{file}": data for file, data in files.items()}) as server:
        yield server


@pytest.fixture
def entry(tmp_path):
    """Write an entry of that [weights] to a user's folder, and return what pulls it."""

    def write(weights):
        folder = tmp_path / "user" / "models" / "my-run"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.toml").write_text(RECIPE.format(weights=weights))

        def pull(server=None, **options):
            address = server.url if server else "http://127.0.0.1:9"
            places = {"cache": tmp_path / "cache", "user_folder": tmp_path / "user"}
            return zoo.pull("my-run", **places, endpoint=address, **options)

        return pull

    return write


def test_entry_without_pins_becomes_a_checkpoint_that_says_where_it_is_from(
    hub, entry, files, tmp_path
):
    pull = entry(f'repository = "{REPOSITORY}"')
    with pytest.raises(DownloadError, match="pull my-run --revision main"):
        pull(hub)
    places = {"cache": tmp_path / "cache", "user_folder": tmp_path / "user"}
    assert zoo.pin_note("my-run", **places) == ""
    folder = pull(hub, revision="main")
    checkpoint = load_checkpoint(folder)
    assert checkpoint.name == "my-run"
    assert checkpoint.network.neuron_counts == {"A": 12, "L": 7}
    assert {key: checkpoint.origin[key] for key in ("repository", "commit", "folder")} == {
        "repository": REPOSITORY,
        "commit": COMMIT,
        "folder": "run",
    }
    assert checkpoint.origin["files_sha256"] == {name: sha256(data) for name, data in files.items()}
    assert checkpoint.origin["pinned_by"] == "the first download"
    note = zoo.pin_note("my-run", **places)
    assert note.startswith("insilico does not pin these weights: they are what huggingface.co/")
    assert COMMIT in note
    hub.requests.clear()
    assert pull(hub) == pull(hub, offline=True) == folder
    assert hub.requests == []


def test_deleted_record_lets_another_version_in_beside_the_first(hub, entry, tmp_path):
    pull = entry(f'repository = "{REPOSITORY}"\nfolder = "run"')
    first = pull(hub, revision="main")
    other = run_files(tmp_path / "other", seed=5)
    new = {f"run/{name}": data for name, data in other.items()}
    hub.commits[OTHER_COMMIT] = hub.commits[COMMIT] | new
    hub.branches["main"] = OTHER_COMMIT
    with pytest.raises(DownloadError, match=r"delete .*my-run\.toml to take the other"):
        pull(hub, revision="main")
    assert pull(hub) == first
    next((tmp_path / "cache").rglob("my-run.toml")).unlink()
    second = pull(hub, revision="main")
    assert second != first
    assert load_checkpoint(second).weights_sha256 != load_checkpoint(first).weights_sha256


def test_pinned_entry_needs_no_revision(hub, entry, files):
    hashes = "\n".join(f'"{name}" = "{sha256(data)}"' for name, data in files.items())
    pull = entry(
        f'repository = "{REPOSITORY}"\nrevision = "{COMMIT}"\nfolder = "run"\n'
        f"[weights.sha256]\n{hashes}"
    )
    origin = load_checkpoint(pull(hub)).origin
    assert (origin["commit"], origin["pinned_by"]) == (COMMIT, "insilico")


def test_run_that_does_not_match_its_recipe_is_refused(hub, entry, tmp_path):
    pull = entry(f'repository = "{REPOSITORY}"')
    path = tmp_path / "user" / "models" / "my-run" / "recipe.toml"
    path.write_text(path.read_text().replace("vivit", "factorized3d"))
    with pytest.raises(CheckpointError, match=r"is a vivit network .* my-run is factorized3d"):
        pull(hub, revision="main")
    assert not (tmp_path / "cache" / "checkpoints").exists()


def test_weights_that_only_the_user_has_are_imported(entry, tmp_path):
    pull = entry('origin = "run folders that V1T writes"')
    with pytest.raises(
        CatalogError, match=r"run folders that V1T writes.*import FOLDER --as my-run"
    ):
        pull()
    [recipe] = [
        recipe
        for recipe in zoo.list_models(user_folder=tmp_path / "user")
        if recipe.name == "my-run"
    ]
    assert recipe.weights.summary == "import"


def test_revision_of_what_is_not_on_the_hub_is_refused():
    with pytest.raises(CatalogError, match="leave --revision and --folder out"):
        zoo.pull("sensorium2022-cnn", revision="main")
    with pytest.raises(CatalogError, match="leave --revision and --folder out"):
        zoo.pull("simulated-image-cnn", folder="run")


def test_run_folder_needs_no_assumptions_but_assumptions_need_weights(entry, tmp_path):
    entry(f'repository = "{REPOSITORY}"')
    path = tmp_path / "user" / "models" / "my-run" / "recipe.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[assumed]")].replace("neurons = 12\n", ""))
    assert zoo.read_recipe("my-run", user_folder=tmp_path / "user").assumed is None
    path.write_text(re.sub(r"\[weights\].*?\n\n", "", text, flags=re.DOTALL))
    with pytest.raises(RecipeError, match=r"\[weights\] of .* is missing"):
        zoo.read_recipe("my-run", user_folder=tmp_path / "user")
