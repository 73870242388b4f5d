import shutil

import pytest

from insilico.files import atomic_file, atomic_folder


class DiskFullError(OSError):
    """What the operating system says of a full disk."""


def full_disk(*args, **kwargs):
    raise DiskFullError(28, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_file_appears_whole_under_its_name_with_missing_parents(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    with atomic_file(path) as draft:
        assert draft.suffix == ".csv"
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(tmp_path) == ["deep", "table.csv"]


def test_interrupted_file_keeps_the_old_content_and_leaves_no_draft(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_and_stop():
        with atomic_file(path) as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_file_that_nobody_wrote_is_no_success(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "table.csv"):
        pass
    assert names(tmp_path) == []


def test_folder_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "stale").write_text("old")
    with atomic_folder(path) as draft:
        (draft / "fresh").write_text("new")
        assert names(path) == ["stale"]
    assert names(tmp_path) == ["fresh", "run"]


def test_folder_may_be_read_by_everybody(tmp_path):
    with atomic_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


def test_interrupted_folder_keeps_the_old_content_and_leaves_no_draft(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "stale").write_text("old")

    def fill_and_stop():
        with atomic_folder(path) as draft:
            (draft / "fresh").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_and_stop()
    assert names(tmp_path) == ["run", "stale"]


def test_old_folder_comes_back_when_the_new_one_cannot_be_moved_in(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    (path / "stale").write_text("old")
    replace = type(path).replace

    def refuse_draft(self, target):
        if target == path and (self / "fresh").exists():
            full_disk()
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", refuse_draft)
    with pytest.raises(DiskFullError), atomic_folder(path) as draft:
        (draft / "fresh").write_text("new")
    assert names(tmp_path) == ["run", "stale"]


def test_old_folder_that_cannot_be_deleted_does_not_undo_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    rmtree = shutil.rmtree

    def refuse_old(folder, *, ignore_errors=False):
        if not str(folder).endswith(".old"):
            rmtree(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", refuse_old)
    with atomic_folder(path) as draft:
        (draft / "fresh").write_text("new")
    assert names(path) == ["fresh"]
