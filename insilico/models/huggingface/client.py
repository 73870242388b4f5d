"""What insilico asks of the Hugging Face hub, through the hub's own client.

The client knows addresses, tokens, proxies and mirrors (``HF_TOKEN`` or ``hf auth login``,
``HF_ENDPOINT``). Files are written where the caller says, not to the client's cache, for two
reasons: newer versions of its ``hf_hub_download`` start an interrupted file again from zero
(huggingface_hub, issue 4196), and a run folder of plain files needs no links.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import insilico
from insilico.errors import DownloadError
from insilico.models.download_bar import DownloadBar
from insilico.models.huggingface.listing import Declared, Listing

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import ModelInfo

#: Seconds to wait for a hub that says nothing.
TIMEOUT_S = 30.0

#: The progress bars of the client's downloads.
_CLIENT_BARS = "huggingface_hub.http_get"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BAD_RANGE, _TOO_MANY = 401, 403, 404, 416, 429
_FAULTS = range(500, 600)


@dataclasses.dataclass(frozen=True)
class Repository:
    """A model repository on a hub.

    Parameters
    ----------
    name : str
        Such as "bryanlimy/ViV1T".
    endpoint : str, optional
        Address of the hub; ``HF_ENDPOINT``, or https://huggingface.co, when left out.
    """

    name: str
    endpoint: str | None = None

    @property
    def place(self) -> str:
        """How messages call it."""
        from huggingface_hub import constants

        return f"{urlsplit(self.endpoint or constants.ENDPOINT).netloc}/{self.name}"

    def list_files(self, revision: str) -> Listing:
        """Return the commit that a revision stands for, and its files.

        Parameters
        ----------
        revision : str
            Branch, tag or commit.

        Raises
        ------
        DownloadError
            If the hub cannot be reached, refuses, knows no such repository or revision, or does
            not answer as a hub does.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError

        hub = HfApi(endpoint=self.endpoint, headers=_USER_AGENT)
        with self._explained(f"the revision {revision!r}"):
            try:
                info = hub.model_info(
                    self.name, revision=revision, files_metadata=True, timeout=TIMEOUT_S
                )
            except HfHubHTTPError:
                raise  # some are ValueErrors, too
            except (ValueError, KeyError, TypeError) as error:
                raise DownloadError(
                    f"{self.place} answered with something that is no list of files; check the "
                    "network: a login page may stand before it"
                ) from error
        return self._listing(info, revision)

    def download(
        self,
        file: str,
        partial: Path,
        *,
        commit: str,
        size: int | None = None,
        bar: DownloadBar | None = None,
    ) -> None:
        """Download a file, going on where an earlier attempt has stopped.

        Parameters
        ----------
        file : str
            Path inside the repository.
        partial : Path
            Where to write; what is there already is the beginning of the file. It stays when the
            download is cut off.
        commit : str
            Commit, 40 hexadecimal digits.
        size : int, optional
            Bytes that the file must have.
        bar : DownloadBar, optional
            Advances with every byte.

        Raises
        ------
        DownloadError
            If the hub cannot be reached, refuses, or the download is cut off.
        OSError
            If the file cannot be written.
        """
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        there = _size(partial)
        if size is not None and there > size:
            partial.unlink()
            there = 0
        url = hf_hub_url(self.name, file, revision=commit, endpoint=self.endpoint)
        # Compressed answers cannot be continued in the middle.
        headers = build_hf_headers(headers={**_USER_AGENT, "accept-encoding": "identity"})
        with self._explained(file, partial), _open(partial, bar) as target:
            http_get(url, target, resume_size=there, headers=headers, expected_size=size)

    def _listing(self, info: ModelInfo, revision: str) -> Listing:
        is_commit = _COMMIT.fullmatch(revision)
        if not _COMMIT.fullmatch(info.sha or "") or (is_commit and info.sha != revision):
            raise DownloadError(
                f"{self.place} answers for the revision {revision!r} with the commit {info.sha!r}; "
                "give another revision, or ask another hub"
            )
        files = {
            item.rfilename: Declared(item.size, item.lfs.sha256)
            if item.lfs
            else Declared(item.size, blob_sha1=item.blob_id)
            for item in info.siblings or ()
        }
        return Listing(info.sha or "", files)

    @contextlib.contextmanager
    def _explained(self, what: str, partial: Path | None = None) -> Iterator[None]:
        """Turn the client's errors into one sentence each, and keep it from printing."""
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            with _quiet():
                yield
        except HfHubHTTPError as error:
            raise DownloadError(self._refusal(error, what, partial)) from error
        except OfflineModeIsEnabled as error:
            raise DownloadError(
                f"{self.place} is not asked, because HF_HUB_OFFLINE is set; unset it"
            ) from error
        except _root_of_transport_errors() as error:
            raise DownloadError(
                self._cut_off(what, partial)
                if _size(partial)
                else f"{self.place} cannot be reached; check the network, or import a folder that "
                "you have"
            ) from error
        except OSError as error:
            # The client says so when a file ends early without the connection breaking.
            if error.errno is not None or partial is None:
                raise
            raise DownloadError(self._cut_off(what, partial)) from error

    def _cut_off(self, what: str, partial: Path | None) -> str:
        return (
            f"the download of {what} from {self.place} was cut off after {_size(partial):,} bytes; "
            "run the same command again and it goes on from there"
        )

    def _refusal(self, error: HfHubHTTPError, what: str, partial: Path | None) -> str:
        """Return what an HTTP status means and what to do about it."""
        status = getattr(error.response, "status_code", None)
        if status == _UNAUTHORIZED:
            return (
                f"{self.place} does not exist or is private (HTTP 401); check the name, and log in "
                "with 'hf auth login' or set HF_TOKEN to a token that is still valid"
            )
        if status == _FORBIDDEN:
            return (
                f"{self.place} is closed to this account (HTTP 403); ask for access on its page, "
                "and give a token that may read it"
            )
        if status == _NOT_FOUND:
            return f"{self.place} has not {what}, or is private (HTTP 404); {_ADVICE}"
        if status == _TOO_MANY:
            return f"{self.place} was asked too often (HTTP 429); wait some minutes and try again"
        if status in _FAULTS and _size(partial):
            return self._cut_off(what, partial)
        if status == _BAD_RANGE and partial is not None:
            partial.unlink(missing_ok=True)
        return f"{self.place} answered with the HTTP status {status} for {what}; try again later"


_USER_AGENT = {"user-agent": f"insilico/{insilico.__version__}"}
_ADVICE = "check the names and the revision, and log in with 'hf auth login' if it is private"


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids the network."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _root_of_transport_errors() -> type[Exception]:
    """Return what all network errors derive from: of requests, httpx or httpx2.

    Which of them the client builds on depends on its version.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return [kind for kind in HfHubHTTPError.__mro__ if kind.__module__ != "builtins"][-1]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's warnings and progress bars off the screen."""
    from huggingface_hub import constants
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    verbosity = logging.get_verbosity()
    # Where the environment decides about bars, code cannot.
    has_bars = constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled(
        _CLIENT_BARS
    )
    logging.set_verbosity(logging.ERROR)
    if has_bars:
        disable_progress_bars(_CLIENT_BARS)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            enable_progress_bars(_CLIENT_BARS)


class _CountedFile(io.FileIO):
    """A file that advances a bar by what is written to its end."""

    def __init__(self, path: Path, bar: DownloadBar | None) -> None:
        super().__init__(path, "ab")
        self._bar = bar

    def write(self, data: Any, /) -> int:
        count = super().write(data)
        if self._bar is not None:
            self._bar.update(count)
        return count


def _size(path: Path | None) -> int:
    return path.stat().st_size if path and path.exists() else 0


def _open(path: Path, bar: DownloadBar | None) -> io.BufferedWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return io.BufferedWriter(_CountedFile(path, bar))
