"""Finds what scientists edit: zoo entries, protocols and styles."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from insilico.errors import CatalogError

#: What marks an entry of each kind, inside its folder.
PATTERNS = {"models": "*/recipe.toml", "experiments": "*.toml", "figures": "*.mplstyle"}

#: A line of this project's own ``pyproject.toml``.
_PROJECT_MARK = 'name = "insilico-physiology"'


def entries(kind: str, *, user_folder: Path | None = None) -> dict[str, Path]:
    """Return all entries of one kind by name.

    A name is looked for in the user's folder, then beside the package in a checkout, then inside
    an installed package; the first wins, so a user can replace an entry by one of the same name.

    Parameters
    ----------
    kind : {"models", "experiments", "figures"}
        A zoo entry is a folder with a ``recipe.toml``, an experiment a protocol ``NAME.toml``, a
        figure style a ``NAME.mplstyle``.
    user_folder : Path, optional
        Holds folders ``models``, ``experiments`` and ``figures``; the platform's configuration
        folder of ``insilico`` when left out.

    Returns
    -------
    dict of str to Path
        Folder of a zoo entry, or file of a protocol or style, sorted by name.

    Raises
    ------
    CatalogError
        If the kind is unknown.
    """
    if kind not in PATTERNS:
        raise CatalogError(f"the catalog has no kind {kind!r}; it has {', '.join(PATTERNS)}")
    found: dict[str, Path] = {}
    for folder in _folders(kind, user_folder):
        for path in folder.glob(PATTERNS[kind]):
            is_folder_entry = kind == "models"
            name = path.parent.name if is_folder_entry else path.stem
            found.setdefault(name, path.parent if is_folder_entry else path)
    return dict(sorted(found.items()))


def find(kind: str, name: str, *, user_folder: Path | None = None) -> Path:
    """Return the path of one entry.

    Parameters
    ----------
    kind, user_folder
        As for :func:`entries`.
    name : str
        Name of the entry.

    Returns
    -------
    Path
        Folder of a zoo entry, or file of a protocol or style.

    Raises
    ------
    CatalogError
        If the kind or the name is unknown; the message lists what there is.
    """
    known = entries(kind, user_folder=user_folder)
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise CatalogError(
        f"there is no {name!r} among the {kind}; {hint}there are: {', '.join(known) or 'none'}"
    )


def _folders(kind: str, user_folder: Path | None) -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    user = user_folder or platformdirs.user_config_path("insilico")
    yield Path(user) / kind
    project = package.parent / "pyproject.toml"
    if project.is_file() and _PROJECT_MARK in project.read_text(encoding="utf-8"):
        yield package.parent / kind
    yield package / "catalog_data" / kind
