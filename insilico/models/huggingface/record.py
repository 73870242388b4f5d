"""Which bytes a downloaded run folder consists of, as a small file beside it remembers."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from insilico.errors import DownloadError
from insilico.files import atomic_file


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run folder in a repository, down to its bytes.

    Parameters
    ----------
    repository : str
        Such as "bryanlimy/ViV1T".
    revision : str
        What was asked for: a branch, tag or commit.
    commit : str
        What that stood for, 40 hexadecimal digits.
    folder : str
        Inside the repository; "." is its root.
    sha256 : mapping of str to str
        SHA-256 by file, relative to the folder.
    """

    repository: str
    revision: str
    commit: str
    folder: str
    sha256: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the names and hashes of all files."""
        lines = "".join(f"{digest}  {file}\n" for file, digest in sorted(self.sha256.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the record to a TOML file."""
        text = tomli_w.dumps(dataclasses.asdict(self))
        with atomic_file(path) as draft:
            draft.write_text(text, encoding="utf-8")


def read_record(path: Path) -> RunRecord | None:
    """Read a record; None where there is none.

    Parameters
    ----------
    path : Path
        Written by :meth:`RunRecord.write`.

    Raises
    ------
    DownloadError
        If the file is no record.
    """
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        record = RunRecord(**values)
        dict(record.sha256)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise DownloadError(
            f"{path}, the record of what was downloaded, is damaged; delete it and pull again"
        ) from error
    return record
