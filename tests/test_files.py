import os
import platform
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from insilico.files import atomic_file, atomic_folder, remove_drafts


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


def test_drafts_of_a_killed_writer_are_removed_and_nothing_else(tmp_path):
    writing = atomic_file(tmp_path / "state.pt")
    draft = writing.__enter__()  # what is killed never leaves the context
    draft.write_text("half")
    (tmp_path / ".hidden").touch()
    (tmp_path / "state.part.pt").touch()
    remove_drafts(tmp_path)
    assert names(tmp_path) == [".hidden", "state.part.pt"]
    remove_drafts(tmp_path / "missing")


def kill_while_writing(folder, *, moves=99):
    """Replace folder/run in a process that is killed before its second move, or while it fills."""
    code = f"""
        import os, pathlib, signal
        from insilico.files import atomic_file, atomic_folder

        replace, done = pathlib.Path.replace, []

        def move(self, target):
            done.append(target)
            if len(done) == {moves}:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(self, target)

        pathlib.Path.replace = move
        folder = pathlib.Path({str(folder)!r})
        with atomic_folder(folder / "run") as draft:
            (draft / "fresh").write_text("new")
            if {moves} == 99:
                writing = atomic_file(folder / "table.csv")
                writing.__enter__().write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("is_shared", [False, True])
def test_folder_drafts_of_a_killed_writer_are_removed(tmp_path, is_shared):
    kill_while_writing(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    remove_drafts(tmp_path, is_shared=is_shared)
    assert names(tmp_path) == []


@pytest.mark.parametrize("is_shared", [False, True])
def test_folder_that_was_just_being_replaced_comes_back(tmp_path, is_shared):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stale").write_text("old")
    kill_while_writing(tmp_path, moves=2)
    assert not (tmp_path / "run").exists()
    remove_drafts(tmp_path, is_shared=is_shared)
    assert names(tmp_path) == ["run", "stale"]


@pytest.mark.parametrize("writer", ["this process", "another process", "another computer"])
def test_draft_of_who_may_be_at_work_stays_where_others_write(tmp_path, monkeypatch, writer):
    process = os.getppid()
    if writer == "another computer":
        ended = subprocess.Popen("true")
        ended.wait()
        process = ended.pid
        monkeypatch.setattr(platform, "node", lambda: "node.elsewhere.org")
    if writer != "this process":
        monkeypatch.setattr(os, "getpid", lambda: process)
    writing = atomic_folder(tmp_path / "run")
    draft = writing.__enter__()
    monkeypatch.undo()
    remove_drafts(tmp_path, is_shared=True)
    assert draft.is_dir()
    remove_drafts(tmp_path)
    assert not draft.exists()


def test_hidden_folder_that_is_no_draft_stays(tmp_path):
    (tmp_path / ".my.parts").mkdir()
    remove_drafts(tmp_path)
    remove_drafts(tmp_path, is_shared=True)
    assert names(tmp_path) == [".my.parts"]


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
