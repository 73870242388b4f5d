"""The folder of a run: claimed once, compared when resumed, whole after every epoch."""

import json
import tomllib

import pytest
import torch

from insilico.errors import RunFolderError
from insilico.training.run_state import TrainingFolder

RECIPE = {"training": {"seed": 0, "compile": True}}
IDENTITY = {"recipe": {"training": {"seed": 0}}, "data": {"mouse-1": "abc"}, "core": None}


@pytest.fixture
def folder(tmp_path):
    made = TrainingFolder(tmp_path / "run")
    made.begin(IDENTITY, recipe=RECIPE, command="insilico train", is_resumed=False)
    return made


def test_a_run_says_what_it_is(folder):
    record = json.loads((folder.path / "run.json").read_text())
    assert record == {"training_run": 1, "command": "insilico train", **IDENTITY}
    # Complete: also what does not decide the weights.
    assert tomllib.loads((folder.path / "recipe.toml").read_text()) == RECIPE


def test_resuming_where_nothing_is_begins(tmp_path):
    made = TrainingFolder(tmp_path / "new")
    made.begin(IDENTITY, recipe=RECIPE, command="", is_resumed=True)
    assert made.load() is None


def test_a_run_killed_while_it_began_is_resumed(folder):
    (folder.path / "recipe.toml").unlink()
    (folder.path / ".state.123.part.pt").write_bytes(b"half")
    folder.begin(IDENTITY, recipe=RECIPE, command="", is_resumed=True)
    assert {path.name for path in folder.path.iterdir()} == {"run.json", "recipe.toml"}
    # Killed even before: only a draft is there.
    (folder.path / "run.json").rename(folder.path / ".run.9.part.json")
    (folder.path / "recipe.toml").unlink()
    folder.begin(IDENTITY, recipe=RECIPE, command="", is_resumed=True)
    assert (folder.path / "run.json").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"recipe": {"training": {"seed": 1}}}, r"its recipe\.training\.seed is 0, now 1"),
        ({"data": {"mouse-1": "abd"}}, r"its data\.mouse-1 is abc, now abd"),
        ({"data": {"mouse-1": "abc", "mouse-2": "e"}}, r"its data\.mouse-2 is None, now e"),
        ({"core": "f" * 64}, r"its core is None, now ffffffffffff…"),
    ],
)
def test_another_run_is_refused_with_the_first_difference(folder, changed, message):
    with pytest.raises(RunFolderError, match=message):
        folder.begin({**IDENTITY, **changed}, recipe=RECIPE, command="", is_resumed=True)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_damaged_record_is_told(folder, content):
    (folder.path / "run.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"run\.json is damaged"):
        folder.begin(IDENTITY, recipe=RECIPE, command="", is_resumed=True)


def test_a_file_or_foreign_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "run.json").write_text('{"experiments": {}}')
    for name in ("file", "thesis", "experiment"):
        with pytest.raises(RunFolderError, match="is no training run"):
            TrainingFolder(tmp_path / name).begin(
                IDENTITY, recipe=RECIPE, command="", is_resumed=False
            )


def test_states_replace_each_other_and_run_no_code(folder):
    for epoch in (1, 2):
        folder.save({"epoch": epoch, "weights": torch.full((3,), float(epoch))})
    assert folder.load()["epoch"] == 2
    assert folder.load()["weights"].tolist() == [2.0, 2.0, 2.0]
    torch.save({"call": print}, folder.path / "state.pt")
    with pytest.raises(RunFolderError, match=r"state\.pt"):
        folder.load()


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_a_flipped_bit_is_noticed(folder, place):
    folder.save({"weights": torch.randn(2000)})
    path = folder.path / "state.pt"
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"state\.pt is damaged"):
        folder.load()
