"""Where the published weights of a zoo entry are: a file, a run folder, or with whoever has them.

These are the forms of the table ``[weights]`` of a recipe; the key that names the place tells them
apart: ``url``, ``repository`` or ``origin``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from insilico import configuration
from insilico.errors import RecipeError

#: Files of a run folder: its options, and its weights, bare (ViV1T-closed-loop,
#: viv1t/checkpoint.py) or inside a training state (V1T, src/v1t/utils/scheduler.py; ViV1T,
#: src/viv1t/scheduler.py).
OPTIONS_FILE = "args.yaml"
WEIGHTS_FOLDER = "ckpt"
BARE_WEIGHTS = "model.pt"
TRAINING_STATE = "model_state.pt"
INFO_FILE = "info.yaml"

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class FileWeights:
    """One file at a fixed address.

    Parameters
    ----------
    url : str
        Address of the file, pinned to one version.
    sha256 : str
        Its SHA-256, 64 hexadecimal digits.
    bytes : int
        Its size.
    """

    url: str
    sha256: str
    bytes: int

    @property
    def place(self) -> str:
        """Where they are, for people."""
        return self.url

    @property
    def pins(self) -> Mapping[str, str]:
        """SHA-256 by file name."""
        return {PurePosixPath(unquote(urlsplit(self.url).path)).name: self.sha256}

    @property
    def summary(self) -> str:
        """How to get them, in a few words."""
        return f"download {self.bytes / 1e6:.1f} MB"

    def command(self, name: str) -> str:
        """Return the command that gets them for the entry of that name."""
        return f"insilico models pull {name}"


@dataclasses.dataclass(frozen=True)
class HubWeights:
    """A run folder in a repository on the Hugging Face hub.

    Without ``revision`` and ``sha256`` nobody has recorded yet which bytes are meant: such an entry
    is pulled at a revision that the user names, and never twice with different bytes.

    Parameters
    ----------
    repository : str
        Such as "bryanlimy/ViV1T".
    revision : str
        Commit, 40 hexadecimal digits; empty where the entry is not pinned.
    folder : str
        Folder inside the repository that holds the run, "." for its root; left out, the only run
        folder there is.
    files : tuple of str
        Files of the run, relative to the folder; left out, those that a model needs.
    sha256 : mapping of str to str
        SHA-256 by file; empty where the entry is not pinned.
    bytes : int
        Size of all files; 0 where unknown.
    """

    repository: str
    revision: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()
    sha256: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    bytes: int = 0

    @property
    def is_pinned(self) -> bool:
        """Whether commit and hashes are fixed."""
        return bool(self.revision)

    @property
    def place(self) -> str:
        """Where they are, for people."""
        return f"huggingface.co/{self.repository}"

    @property
    def pins(self) -> Mapping[str, str]:
        """SHA-256 by file."""
        return self.sha256

    @property
    def summary(self) -> str:
        """How to get them, in a few words."""
        size = f" {self.bytes / 1e6:.1f} MB" if self.bytes else ""
        return f"hub{size}" if self.is_pinned else f"hub{size}, not pinned"

    def command(self, name: str) -> str:
        """Return the command that gets them for the entry of that name."""
        return f"insilico models pull {name}" + ("" if self.is_pinned else " --revision main")


@dataclasses.dataclass(frozen=True)
class FolderWeights:
    """A file or run folder that the user has; nothing can be downloaded.

    Parameters
    ----------
    origin : str
        Who makes or shares such folders.
    """

    origin: str

    @property
    def place(self) -> str:
        """Where they are, for people."""
        return self.origin

    @property
    def pins(self) -> Mapping[str, str]:
        """Nothing is pinned."""
        return {}

    @property
    def summary(self) -> str:
        """How to get them, in a few words."""
        return "import"

    def command(self, name: str) -> str:
        """Return the command that gets them for the entry of that name."""
        return f"insilico models import FOLDER --as {name} --out DIR"


Weights = FileWeights | HubWeights | FolderWeights


def read_weights(table: Mapping[str, Any], *, path: Path) -> Weights:
    """Read the table ``[weights]`` of a recipe.

    Parameters
    ----------
    table : mapping
        The table.
    path : Path
        The recipe, for messages.

    Returns
    -------
    FileWeights, HubWeights or FolderWeights

    Raises
    ------
    RecipeError
        If a key is missing, unknown or wrong, or a repository is pinned in part.
    """
    what = f"[weights] of {path}"
    if "url" in table:
        weights: FileWeights = _build(FileWeights, table, what)
        return weights
    if "repository" in table:
        return _read_hub(table, what)
    if "origin" in table:
        folder: FolderWeights = _build(FolderWeights, table, what)
        return folder
    raise RecipeError(
        f"{what} says not where the weights are; give url (a file), repository (on the Hugging "
        "Face hub) or origin (who has them)"
    )


def is_inside(name: str) -> bool:
    """Whether a name with "/" stays below the folder it is joined to, on every system."""
    parts = name.split("/")
    return all(part not in ("", "..") and not set(part) & set('\\:"<>|*?\0') for part in parts)


def _read_hub(table: Mapping[str, Any], what: str) -> HubWeights:
    hashes = table.get("sha256", {})
    if not isinstance(hashes, dict) or not all(isinstance(item, str) for item in hashes.values()):
        raise RecipeError(f"{what}'s sha256 is {hashes!r}; give a table of SHA-256 by file")
    plain = {key: value for key, value in table.items() if key != "sha256"}
    weights: HubWeights = dataclasses.replace(_build(HubWeights, plain, what), sha256=hashes)
    if problem := _problem(weights):
        raise RecipeError(f"{what} {problem}")
    return dataclasses.replace(weights, files=weights.files or tuple(hashes))


def _problem(weights: HubWeights) -> str:
    """Return what is wrong with a place on the hub and what to do, or nothing."""
    if not _REPOSITORY.fullmatch(weights.repository):
        return f"has the repository {weights.repository!r}; write it as owner/name"
    names = [name for name in (weights.folder, *weights.files, *weights.sha256) if name]
    if outside := [name for name in names if not is_inside(name)]:
        return f"names {outside[0]!r}; give a path inside the repository, with '/'"
    if bool(weights.revision) != bool(weights.sha256):
        lacking = "sha256" if weights.revision else "revision"
        return f"is pinned in part: {lacking} is missing; give both, or neither"
    if weights.revision and not _COMMIT.fullmatch(weights.revision):
        return f"has the revision {weights.revision!r}; give a commit, 40 hexadecimal digits"
    if wrong := [file for file, digest in weights.sha256.items() if not _SHA256.fullmatch(digest)]:
        return f"has no SHA-256 of {wrong[0]!r}; give 64 hexadecimal digits"
    if weights.files and weights.sha256 and set(weights.files) != set(weights.sha256):
        return "has files and sha256 of different files; leave files out"
    if (weights.files or weights.sha256) and not weights.folder:
        return "names files and no folder; give the folder they are in, '.' for the root"
    return ""


def _build(kind: type[Any], values: Mapping[str, Any], what: str) -> Any:
    return configuration.build(kind, values, what=what, error=RecipeError)
