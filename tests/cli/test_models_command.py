"""The commands about the zoo, as a user meets them."""

import pytest

from insilico.cli.models import pull
from insilico.errors import DownloadError

ABOUT = 'architecture = "sensorium2022"\ninput = "image 36 x 64"\nlicense = "MIT"\n'


@pytest.fixture
def own_zoo(tmp_path, monkeypatch):
    """A user's folder with an entry on the hub and one that only its makers have."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    entries = {
        "on-the-hub": 'score = "0.7 correlation"\n[weights]\nrepository = "laboratory/networks"\n',
        "on-request": '[weights]\norigin = "run folders that V1T writes"\n',
    }
    for name, text in entries.items():
        folder = tmp_path / "config" / "insilico" / "models" / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text(ABOUT + text, encoding="utf-8")
        (folder / "README.md").write_text(f"# {name}\n\nA card.\n", encoding="utf-8")
    return tmp_path


def test_list_says_how_to_get_every_model_and_how_good_it_is(own_zoo, insilico):
    lines = insilico("models", "list").stdout.splitlines()
    rows = {line.split()[0]: line for line in lines if line}
    assert lines[0].split("  ")[0] == "name"
    assert "score" in lines[0]
    assert "  0.7 correlation  " in rows["on-the-hub"]
    assert rows["on-the-hub"].endswith("MIT      hub, not pinned")
    assert rows["on-request"].endswith("MIT      import")
    assert rows["sensorium2022-cnn"].endswith("download 2.4 MB")
    assert rows["simulated-image-cnn"].endswith("shipped")
    assert rows["sensorium2023-factorized3d"].endswith("train it")


def test_show_prints_the_card_and_then_the_recipe(own_zoo, insilico):
    card, _, facts = insilico("models", "show", "on-the-hub").stdout.partition("## Recipe")
    assert card.startswith("# on-the-hub")
    facts = dict(line.split("  ", 1) for line in facts.splitlines() if line)
    assert {key: value.strip() for key, value in facts.items()} == {
        "architecture": "sensorium2022",
        "input": "image 36 x 64",
        "score": "0.7 correlation",
        "license": "MIT",
        "weights": "hub, not pinned",
        "from": "huggingface.co/laboratory/networks",
        "command": "insilico models pull on-the-hub --revision main",
    }


def test_pull_says_what_is_missing(own_zoo, refused_in_a_process):
    # The address of the hub is read when the client is imported.
    sentence = refused_in_a_process("models", "pull", "on-the-hub", "--revision", "main")
    assert "127.0.0.1:9/laboratory/networks cannot be reached" in sentence
    with pytest.raises(DownloadError, match="insilico models pull on-the-hub --revision main"):
        pull("on-the-hub")
    with pytest.raises(DownloadError, match="the network is not to be used"):
        pull("on-the-hub", revision="main", offline=True)
    assert not (own_zoo / "cache" / "insilico").exists()


def test_import_refuses_before_it_reads_anything(tmp_path, refused):
    (tmp_path / "there").mkdir()
    sentence = refused("models", "import", tmp_path / "missing", "--out", tmp_path / "there")
    assert "there exists already; give a folder that does not" in sentence
    arguments = ("--as", "no-such-model", "--out", tmp_path / "new")
    assert "'no-such-model'" in refused("models", "import", tmp_path / "there", *arguments)
    assert not (tmp_path / "new").exists()
