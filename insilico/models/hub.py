"""Downloads of pinned files: whole and as expected, or not at all."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs
import pooch
import requests

from insilico.errors import DownloadError
from insilico.models.download_bar import DownloadBar
from insilico.models.weights import file_sha256

#: Seconds to wait for a server that says nothing.
TIMEOUT_S = 30.0

#: Bytes read at a time.
CHUNK_BYTES = 1 << 16


def cache_folder(cache: Path | None = None) -> Path:
    """Return the given cache folder, or the platform's own one for ``insilico``."""
    return Path(cache) if cache is not None else platformdirs.user_cache_path("insilico")


def fetch(
    url: str,
    *,
    sha256: str,
    cache: Path | None = None,
    progress: bool = False,
    offline: bool = False,
) -> Path:
    """Download a pinned file once, and return where it is.

    Parameters
    ----------
    url : str
        ``https`` or ``http`` address.
    sha256 : str
        SHA-256 that the file must have, 64 hexadecimal digits.
    cache : Path, optional
        Folder to keep it in; the platform's cache folder of ``insilico`` when left out.
    progress : bool
        Show a progress bar.
    offline : bool
        Use what is in the cache, and no network.

    Returns
    -------
    Path
        The file in the cache. A file that is there with the right hash is not downloaded again.

    Raises
    ------
    DownloadError
        If there is no connection or none is allowed, the server has no such file, the download is
        cut off or has another hash, or the cache cannot be written. Nothing half-written is left.
    """
    folder = cache_folder(cache) / "downloads"
    name = f"{sha256[:8]}-{_file_name(url)}"
    if offline:
        return _cached(folder / name, sha256, url)
    pooch.get_logger().setLevel("WARNING")
    bar = DownloadBar() if progress else None
    try:
        path = pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=name,
            path=folder,
            downloader=pooch.HTTPDownloader(
                progressbar=bar or False, timeout=TIMEOUT_S, chunk_size=CHUNK_BYTES
            ),
        )
    except requests.exceptions.RequestException as error:
        raise DownloadError(_connection_sentence(url, error)) from error
    except ValueError as error:
        raise DownloadError(
            f"{url} sent a file whose SHA-256 is not the pinned {sha256[:8]}…, so it was deleted; "
            "it was changed on the way or at its source, so do not use it"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"the cache folder {folder} cannot be written ({error.strerror}); make room there or "
            "give another folder"
        ) from error
    finally:
        if bar is not None:
            bar.close()
    return Path(path)


def _cached(path: Path, sha256: str, url: str) -> Path:
    if not path.is_file() or file_sha256(path) != sha256:
        raise DownloadError(
            f"{url} is not in the cache {path.parent} and the network is not to be used; pull it "
            "once without --offline"
        )
    return path


def _file_name(url: str) -> str:
    return Path(unquote(urlsplit(url).path)).name or "file"


def _connection_sentence(url: str, error: requests.exceptions.RequestException) -> str:
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        code = error.response.status_code
        return f"{url} answered with the HTTP status {code} instead of the file; check the address"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{url} said nothing for {TIMEOUT_S:g} s; try again later"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the download of {url} was cut off; try again"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"{url} cannot be reached; check the network, or import a file that you have"
    return f"{url} cannot be downloaded ({type(error).__name__}); check the address"
