"""The three forms of [weights] in a recipe."""

from pathlib import Path

import pytest

from insilico.errors import RecipeError
from insilico.models.published import (
    FileWeights,
    FolderWeights,
    HubWeights,
    is_inside,
    read_weights,
)

COMMIT, SHA256 = "c" * 40, "d" * 64
PINNED = {
    "repository": "laboratory/networks",
    "revision": COMMIT,
    "folder": "seed-1",
    "sha256": {"args.yaml": SHA256, "ckpt/model.pt": SHA256},
}


def read(**table):
    return read_weights(table, path=Path("recipe.toml"))


def test_file_is_pinned_by_its_hash():
    weights = read(url="https://host/a%20b.pth?raw=1", sha256=SHA256, bytes=2_400_000)
    assert isinstance(weights, FileWeights)
    assert weights.pins == {"a b.pth": SHA256}
    assert weights.place == "https://host/a%20b.pth?raw=1"
    assert weights.summary == "download 2.4 MB"
    assert weights.command("name") == "insilico models pull name"


def test_run_folder_on_the_hub_is_pinned_by_commit_and_hashes():
    weights = read(**PINNED, bytes=55_000_000)
    assert isinstance(weights, HubWeights)
    assert weights.is_pinned
    assert weights.files == ("args.yaml", "ckpt/model.pt")
    assert weights.pins == PINNED["sha256"]
    assert weights.place == "huggingface.co/laboratory/networks"
    assert weights.summary == "hub 55.0 MB"
    assert weights.command("name") == "insilico models pull name"


def test_run_folder_on_the_hub_without_pins_says_so():
    weights = read(repository="laboratory/networks")
    assert weights == HubWeights("laboratory/networks")
    assert not weights.is_pinned
    assert weights.summary == "hub, not pinned"
    assert weights.command("name") == "insilico models pull name --revision main"


def test_folder_that_the_user_has_is_imported():
    weights = read(origin="run folders that V1T writes")
    assert weights == FolderWeights("run folders that V1T writes")
    assert (weights.summary, weights.pins) == ("import", {})
    assert weights.command("name") == "insilico models import FOLDER --as name --out DIR"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repository": "networks"}, "write it as owner/name"),
        ({"repository": "../networks"}, "write it as owner/name"),
        ({"revision": "main"}, "give a commit, 40 hexadecimal digits"),
        ({"revision": ""}, "pinned in part: revision is missing"),
        ({"sha256": {}}, "pinned in part: sha256 is missing"),
        ({"sha256": {"args.yaml": "abc"}}, "has no SHA-256 of 'args.yaml'"),
        ({"sha256": SHA256}, "give a table of SHA-256 by file"),
        ({"sha256": {"args.yaml": 3}}, "give a table of SHA-256 by file"),
        ({"files": ["args.yaml"]}, "files and sha256 of different files"),
        ({"files": "args.yaml"}, "files is 'args.yaml'; give a list of texts"),
        ({"folder": "../seed-1"}, "names '../seed-1'; give a path inside"),
        ({"sha256": {"/etc/args.yaml": SHA256}}, "names '/etc/args.yaml'; give a path inside"),
        ({"folder": ""}, "names files and no folder; .* '.' for the root"),
        ({"branch": "main"}, "has no key 'branch'"),
    ],
)
def test_wrong_place_on_the_hub_is_refused(change, message):
    with pytest.raises(RecipeError, match=message) as caught:
        read(**(PINNED | change))
    assert "[weights] of recipe.toml" in str(caught.value)


def test_weights_that_are_nowhere_are_refused():
    with pytest.raises(RecipeError, match="says not where the weights are; give url"):
        read(sha256=SHA256)
    with pytest.raises(RecipeError, match="lacks the key 'bytes'"):
        read(url="https://host/file", sha256=SHA256)


@pytest.mark.parametrize("name", ["a", "a/b.c", ".", "a-1/ckpt/model.pt"])
def test_plain_names_are_inside(name):
    assert is_inside(name)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "C:/a", "a\\b", "a/", "a\0"])
def test_names_that_lead_elsewhere_are_not_inside(name):
    assert not is_inside(name)
