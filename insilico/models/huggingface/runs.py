"""Run folders of zoo entries: the bytes that were pinned, or the same ones every time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from insilico.errors import DownloadError
from insilico.models.huggingface.client import is_offline
from insilico.models.huggingface.files import Access, Entry, fetch_files, is_complete, writing
from insilico.models.huggingface.folders import choose_run
from insilico.models.huggingface.listing import Listing
from insilico.models.huggingface.record import RunRecord, read_record
from insilico.models.published import HubWeights


@dataclasses.dataclass(frozen=True)
class LocalRun:
    """A run folder in the cache, checked.

    Parameters
    ----------
    path : Path
        The folder; holds ``args.yaml`` and ``ckpt``.
    record : RunRecord
        What it consists of.
    is_pinned : bool
        Whether the recipe says so, or only the record of the first download.
    """

    path: Path
    record: RunRecord
    is_pinned: bool


def recorded(weights: HubWeights, name: str, *, cache: Path | None = None) -> RunRecord | None:
    """Return what an entry's weights must be: as pinned, or else as first pulled.

    Parameters
    ----------
    weights : HubWeights
        Where they are.
    name : str
        Name of the zoo entry.
    cache : Path, optional
        As in :class:`Access`.

    Returns
    -------
    RunRecord or None
        None where the entry is not pinned and was never pulled.

    Raises
    ------
    DownloadError
        If the record in the cache is damaged.
    """
    if weights.is_pinned:
        commit = weights.revision
        return RunRecord(weights.repository, commit, commit, weights.folder, weights.sha256)
    return read_record(Entry(name, weights, Access(cache)).record_path)


def fetch_run(
    weights: HubWeights,
    name: str,
    *,
    revision: str | None = None,
    folder: str | None = None,
    access: Access | None = None,
) -> LocalRun:
    """Download a run folder once, and return where it is.

    Parameters
    ----------
    weights : HubWeights
        Where it is.
    name : str
        Name of the zoo entry; an entry that is not pinned is recorded under it.
    revision : str, optional
        Branch, tag or commit; needed the first time that an entry without pins is pulled.
    folder : str, optional
        Which run folder, where the repository has several and the entry names none.
    access : Access, optional
        How to download.

    Returns
    -------
    LocalRun
        Files that are there with the right hash are not downloaded again; a file that was cut off
        goes on where it stopped.

    Raises
    ------
    DownloadError
        If no revision is given and none is recorded, the hub cannot be reached or refuses, which
        folder is meant is unclear, the bytes are not the pinned or recorded ones (nothing of them
        is kept then), or the cache cannot be written.
    """
    entry = Entry(name, weights, access or Access())
    known = recorded(weights, name, cache=entry.access.cache)
    _check_request(entry, known, revision, folder)
    is_here = known is not None and is_complete(entry, known)
    is_closed = entry.access.offline or is_offline()
    accepted = (None, known.commit, known.revision if is_closed else None) if known else ()
    if known and is_here and revision in accepted:
        return LocalRun(entry.local(known), known, weights.is_pinned)
    if is_closed:
        raise DownloadError(
            f"{name}{f' at {revision!r}' if revision else ''} is not in the cache {entry.home} and "
            "the network is not to be used; pull it once without --offline and HF_HUB_OFFLINE"
        )
    listing = entry.repository.list_files(revision or (known.commit if known else ""))
    run = known or _choose(entry, listing, revision or "", folder)
    run = fetch_files(entry, listing, dataclasses.replace(run, commit=listing.commit))
    if not known:
        with writing(entry.home):
            run.write(entry.record_path)
    return LocalRun(entry.local(run), known or run, weights.is_pinned)


def _check_request(
    entry: Entry, known: RunRecord | None, revision: str | None, folder: str | None
) -> None:
    """Refuse what contradicts the recipe or the record, or says too little."""
    name, weights = entry.name, entry.weights
    if weights.is_pinned and revision not in (None, weights.revision):
        raise DownloadError(
            f"{name} is pinned to the commit {weights.revision} of {weights.place}, not to "
            f"{revision!r}; leave --revision out"
        )
    if weights.folder and folder not in (None, weights.folder):
        raise DownloadError(
            f"{name} is the run folder {weights.folder!r} of {weights.place}, not {folder!r}; "
            "leave --folder out"
        )
    if known and folder not in (None, known.folder):
        raise DownloadError(
            f"{name} was first pulled from the run folder {known.folder!r}, not {folder!r}; leave "
            f"--folder out, or delete {entry.record_path} to choose again"
        )
    if not known and not revision:
        raise DownloadError(
            f"insilico does not pin {name}: which commit of {weights.place} is meant was never "
            f"recorded; name one, as in 'insilico models pull {name} --revision main'"
        )


def _choose(entry: Entry, listing: Listing, revision: str, folder: str | None) -> RunRecord:
    """Return which files make up the run; their hashes are not known yet."""
    weights = entry.weights
    chosen, files = weights.folder, weights.files
    if not files:
        place = f"{entry.repository.place} at {revision!r}"
        chosen, files = choose_run(listing.files.keys(), folder or weights.folder, place=place)
    return RunRecord(weights.repository, revision, listing.commit, chosen, dict.fromkeys(files, ""))
