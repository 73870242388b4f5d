"""What a hub says a repository holds."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Declared:
    """What the hub declares about a file.

    Parameters
    ----------
    size : int, optional
        Bytes.
    sha256 : str, optional
        Of a file in large-file storage.
    blob_sha1 : str, optional
        Git's hash of the content, for other files.
    """

    size: int | None = None
    sha256: str | None = None
    blob_sha1: str | None = None

    def contradicts(self, path: Path) -> bool:
        """Whether a file on disk is another one than is declared."""
        if self.size is not None and path.stat().st_size != self.size:
            return True
        if self.sha256 is not None:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() != self.sha256
        return self.blob_sha1 is not None and _git_sha1(path) != self.blob_sha1


@dataclasses.dataclass(frozen=True)
class Listing:
    """A repository at one commit.

    Parameters
    ----------
    commit : str
        40 hexadecimal digits.
    files : mapping of str to Declared
        By path inside the repository, with "/".
    """

    commit: str
    files: Mapping[str, Declared]


def _git_sha1(path: Path) -> str:
    """Return the hash by which git names a file's content."""
    data = path.read_bytes()
    # Not for security: the hub declares no other hash of small files.
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
