"""The Python that the documents show runs as it stands, block after block."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["README.md", "experiments/README.md"])
def test_python_in_a_document_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)  # noqa: S102
    assert "status" in capsys.readouterr().out


def test_files_and_folders_that_the_documents_link_to_exist():
    for document in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("models/*/*.md")]:
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document}: {link}"
