"""The files of a run folder: in the cache, right to the byte, or refused."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from insilico.errors import DownloadError
from insilico.models.download_bar import DownloadBar
from insilico.models.hub import cache_folder
from insilico.models.huggingface.client import Repository
from insilico.models.huggingface.folders import join
from insilico.models.huggingface.listing import Declared, Listing
from insilico.models.huggingface.record import RunRecord
from insilico.models.published import HubWeights
from insilico.models.weights import file_sha256

#: Ends the name of a file that is not complete.
PARTIAL = ".incomplete"


@dataclasses.dataclass(frozen=True)
class Access:
    """How downloads are made.

    Parameters
    ----------
    cache : Path, optional
        Folder to keep files in; the platform's cache folder of ``insilico`` when left out.
    endpoint : str, optional
        Address of the hub; ``HF_ENDPOINT``, or https://huggingface.co, when left out.
    offline : bool
        Use what is in the cache, and no network; ``HF_HUB_OFFLINE=1`` means the same.
    progress : bool
        Show a progress bar.
    """

    cache: Path | None = None
    endpoint: str | None = None
    offline: bool = False
    progress: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
    """One zoo entry: where its run folder comes from, and where it goes.

    Parameters
    ----------
    name : str
        Name in the zoo.
    weights : HubWeights
        Where the run folder is.
    access : Access
        How it is downloaded.
    """

    name: str
    weights: HubWeights
    access: Access

    @property
    def repository(self) -> Repository:
        """The repository on the hub."""
        return Repository(self.weights.repository, self.access.endpoint)

    @property
    def home(self) -> Path:
        """The folder for everything of the repository."""
        folder = self.weights.repository.replace("/", "--")
        return cache_folder(self.access.cache) / "huggingface" / folder

    @property
    def record_path(self) -> Path:
        """The record of what was first pulled, for an entry that is not pinned."""
        return self.home / f"{self.name}.toml"

    def local(self, run: RunRecord, file: str = "") -> Path:
        """Return where a run folder, or a file of it, is kept."""
        return self.home / run.commit / run.folder / file


def is_complete(entry: Entry, run: RunRecord) -> bool:
    """Whether all files of a run are in the cache, with the hashes of the record."""
    return all(_is_good(entry.local(run, file), digest) for file, digest in run.sha256.items())


def _is_good(path: Path, sha256: str, declared: Declared | None = None) -> bool:
    """Whether a file is there, and is the pinned or recorded one and the one that is declared."""
    if not path.is_file() or (declared and declared.contradicts(path)):
        return False
    return not sha256 or file_sha256(path) == sha256


def fetch_files(entry: Entry, listing: Listing, run: RunRecord) -> RunRecord:
    """Bring all files of a run to their places, or refuse the first that is another one.

    Parameters
    ----------
    entry : Entry
        Whose run it is.
    listing : Listing
        What the hub says about the run's commit.
    run : RunRecord
        The run; files whose SHA-256 is empty there are taken as the hub declares them.

    Returns
    -------
    RunRecord
        The run, with the hashes of all files.

    Raises
    ------
    DownloadError
        If a file is missing on the hub, is another one than the record, the pins or the hub say
        (nothing of it is kept then), or cannot be downloaded or written.
    """
    with writing(entry.home), _alone(entry.home):
        _bring(entry, listing, run)
        hashes = {file: file_sha256(entry.local(run, file)) for file in run.sha256}
    return dataclasses.replace(run, sha256=hashes)


def _bring(entry: Entry, listing: Listing, run: RunRecord) -> None:
    declared = _declarations(entry, listing, run)
    missing = [
        file
        for file, sha256 in run.sha256.items()
        if not _is_good(entry.local(run, file), sha256, declared[file])
    ]
    partial = [_partial(entry.local(run, file)) for file in missing]
    there = sum(path.stat().st_size for path in partial if path.exists())
    to_come = max(sum(declared[file].size or 0 for file in missing) - there, 0)
    _check_space(entry.home, to_come)
    bar = DownloadBar() if entry.access.progress else None
    try:
        if bar is not None:
            bar.total = to_come
        for file in missing:
            _fetch_file(entry, run, file, declared=declared[file], bar=bar)
    finally:
        if bar is not None:
            bar.close()


def _declarations(entry: Entry, listing: Listing, run: RunRecord) -> dict[str, Declared]:
    """Return what the hub says about each file, where that is what it must be."""
    declared = {}
    for file, sha256 in run.sha256.items():
        path = join(run.folder, file)
        if path not in listing.files:
            raise DownloadError(
                f"{entry.repository.place} has no {path} at the commit {run.commit[:8]}…; check "
                f"folder and files of {entry.name}, or give another revision"
            )
        declared[file] = listing.files[path]
        if sha256 and declared[file].sha256 not in (None, sha256):
            raise DownloadError(_other_bytes(entry, run, file))
    return declared


def _fetch_file(
    entry: Entry, run: RunRecord, file: str, *, declared: Declared, bar: DownloadBar | None
) -> None:
    path = entry.local(run, file)
    partial = _partial(path)
    entry.repository.download(
        join(run.folder, file), partial, commit=run.commit, size=declared.size, bar=bar
    )
    if declared.contradicts(partial):
        partial.unlink()
        raise DownloadError(
            f"{entry.repository.place} sent a {file} that is not the one it declares, so it was "
            "deleted; it was changed on the way, so try again from another network"
        )
    if not _is_good(partial, run.sha256[file]):
        partial.unlink()
        raise DownloadError(_other_bytes(entry, run, file))
    partial.replace(path)


def _other_bytes(entry: Entry, run: RunRecord, file: str) -> str:
    expected = f"{run.sha256[file][:8]}…"
    if entry.weights.is_pinned:
        return (
            f"{entry.repository.place} offers a {file} whose SHA-256 is not the pinned {expected}, "
            "so it was not kept; it was changed on the way or at its source, so do not use it"
        )
    return (
        f"{entry.repository.place} at the commit {run.commit[:8]}… offers another {file} than the "
        f"one (SHA-256 {expected}) that {entry.name} was first pulled with; leave --revision out "
        f"to keep that one, or delete {entry.record_path} to take the other"
    )


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _check_space(home: Path, needed: int) -> None:
    folder = next(folder for folder in (home, *home.parents) if folder.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"the download needs {needed / 1e6:,.1f} MB and {folder} has {free / 1e6:,.1f} MB "
            "left; make room there or give another cache folder"
        )


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Wait until no other process downloads from the same repository."""
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / ".lock"):
        yield


@contextlib.contextmanager
def writing(home: Path) -> Iterator[None]:
    """Say in one sentence that the disk refuses a file."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"the cache folder {home} cannot be written ({error.strerror or error}); make room "
            "there or give another folder"
        ) from error
