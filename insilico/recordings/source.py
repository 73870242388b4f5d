"""Where a recording's files lie: a folder, or its zip read member by member."""

from __future__ import annotations

import abc
import stat
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from insilico.errors import RecordingError
from insilico.recordings.npy import (
    ARRAY_LIMIT_BYTES,
    PREFIX_BYTES,
    Array,
    Header,
    parse_array,
    parse_header,
)

#: The file that every published layout has, and by which a recording is found.
LANDMARK = "meta/trials/tiers.npy"

#: Folders inside one another that are searched for a recording.
DEPTH_LIMIT = 4

#: Deflate cannot compress further than 1032:1 (zlib, technical details); what claims more is a
#: bomb or damaged. All-zero responses of hidden tiers come close to it honestly.
COMPRESSION_LIMIT = 1040

#: Digits of a trial's number; longer ones number nothing, and int() refuses thousands of digits.
NUMBER_DIGITS = 15

#: Files that operating systems leave behind.
_LITTER = ("desktop.ini", "Thumbs.db", "__MACOSX")

#: All that zipfile and zlib raise on damaged archives (RuntimeError: a password is needed).
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    IndexError,
    OverflowError,
)


class Source(abc.ABC):
    """The files of one recording by their path inside it, such as ``data/responses/0.npy``.

    Attributes
    ----------
    path : Path
        The folder or zip file.
    name : str
        Name of the recording's folder.
    sizes : mapping of str to int
        Bytes of each file, uncompressed.
    stamp : tuple of str
        Changes when a file does: names, sizes and times of the files on disk.
    """

    path: Path
    name: str
    sizes: Mapping[str, int]
    stamp: tuple[str, ...]

    @abc.abstractmethod
    def _read_parts(self, member: str) -> Iterator[bytes]:
        """Yield the first bytes of a file and then, when asked, the rest."""

    def describe(self, member: str) -> str:
        """Return a file's full name for messages."""
        return f"{self.path / member}"

    def read_header(self, member: str) -> Header:
        """Read what a ``.npy`` file says of itself.

        Raises
        ------
        RecordingError
            As :func:`~insilico.recordings.npy.parse_header`, or if there is no such file.
        """
        self._demand(member)
        parts = self._read_parts(member)
        return parse_header(next(parts), size=self.sizes[member], what=self.describe(member))

    def read_array(self, member: str, *, shape: tuple[int | None, ...], axes: str) -> Array:
        """Read a ``.npy`` file whose shape is known.

        Parameters
        ----------
        member : str
            Path inside the recording.
        shape : tuple
            Length of each axis; None allows any.
        axes : str
            Names of the axes, for messages.

        Returns
        -------
        array, in the type of the file
            It cannot be written to.

        Raises
        ------
        RecordingError
            If the file is missing, damaged, foreign or of another shape; nothing is allocated
            before its header agrees with its size and with ``shape``.
        """
        self._demand(member)
        parts = self._read_parts(member)
        prefix, what = next(parts), self.describe(member)
        header = parse_header(prefix, size=self.sizes[member], what=what)
        fits = len(shape) == len(header.shape) and all(
            (length > 0 if wanted is None else length == wanted)
            for length, wanted in zip(header.shape, shape, strict=True)
        )
        if not fits:
            expected = ", ".join("any" if length is None else str(length) for length in shape)
            raise RecordingError(
                f"{what} has shape {header.shape}, ({expected}) was expected ({axes}); fetch or "
                "write that file again"
            )
        return parse_array(header, prefix[header.offset :] + b"".join(parts), what=what)

    def read_text(self, member: str, *, limit_bytes: int = 100_000) -> str:
        """Read a small text file in UTF-8.

        Raises
        ------
        RecordingError
            If it is missing, damaged, too long or no text.
        """
        self._demand(member)
        what = self.describe(member)
        if self.sizes[member] > limit_bytes:
            raise RecordingError(
                f"{what} has {self.sizes[member]:,} bytes, at most {limit_bytes:,} are read; write "
                "that file again"
            )
        try:
            return b"".join(self._read_parts(member)).decode()
        except UnicodeDecodeError:
            raise RecordingError(f"{what} is no text in UTF-8; write that file again") from None

    def numbered(self, folder: str) -> tuple[set[int], list[str]]:
        """Return the numbers of a folder's ``<number>.npy`` files, and its other files."""
        numbers, others = set(), []
        for member in self.sizes:
            path = PurePosixPath(member)
            if str(path.parent) == folder and not is_litter(path.name):
                is_number = path.suffix == ".npy" and path.stem.isdecimal()
                is_short = len(path.stem) <= NUMBER_DIGITS
                if is_number and is_short and path.stem == str(int(path.stem)):
                    numbers.add(int(path.stem))
                else:
                    others.append(member)
        return numbers, others

    def _demand(self, member: str) -> None:
        if member not in self.sizes:
            raise RecordingError(
                f"{self.describe(member)} is missing; fetch or write that file again"
            )


class FolderSource(Source):
    """A recording's folder."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.resolve().name
        status = {}
        try:
            for folder in ("data/*", "meta", "meta/trials", "meta/neurons"):
                for file in path.glob(f"{folder}/*"):
                    if stat.S_ISREG((found := file.stat()).st_mode):
                        status[file.relative_to(path).as_posix()] = found
        except OSError as error:
            raise RecordingError(
                f"the recording {path} cannot be read ({error.strerror}: {error.filename}); mend "
                "the link or the permissions"
            ) from error
        members = sorted(status)
        self.sizes = MappingProxyType({member: status[member].st_size for member in members})
        self.stamp = tuple(
            f"{member} {status[member].st_size} {status[member].st_mtime_ns}" for member in members
        )

    def _read_parts(self, member: str) -> Iterator[bytes]:
        try:
            with (self.path / member).open("rb") as file:
                yield file.read(PREFIX_BYTES)
                # Not more than was there at opening, should the file still be growing.
                yield file.read(max(self.sizes[member] - PREFIX_BYTES, 0))
        except OSError as error:
            raise RecordingError(
                f"{self.describe(member)} cannot be read ({error.strerror}); mend its permissions "
                "or fetch it again"
            ) from error


class ZipSource(Source):
    """A recording's zip file, as published; its members are read one by one, never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            status = path.stat()
            self._zip = zipfile.ZipFile(path)
            weakref.finalize(self, self._zip.close)
            infos = self._zip.infolist()
        except _ZIP_FAULTS as error:
            raise RecordingError(
                f"{path} is no readable zip file ({error}); fetch it again"
            ) from error
        files = {info.filename: info for info in infos if not info.is_dir()}
        root = _find_root(list(files), path)
        self.name = PurePosixPath(root).name or path.stem
        self._infos = {name[len(root) :]: files[name] for name in files if name.startswith(root)}
        if len(files) != sum(not info.is_dir() for info in infos):
            raise RecordingError(f"{path} holds several files of one name; zip the folder again")
        self.sizes = MappingProxyType({name: info.file_size for name, info in self._infos.items()})
        self.stamp = (f"zip {status.st_size} {status.st_mtime_ns}",)

    def describe(self, member: str) -> str:
        """Return a file's full name for messages."""
        return f"{member} in {self.path}"

    def _read_parts(self, member: str) -> Iterator[bytes]:
        info, what = self._infos[member], self.describe(member)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RecordingError(
                f"{what} is compressed by a rare method; zip the folder again with plain deflate"
            )
        if info.file_size > min(
            info.compress_size * COMPRESSION_LIMIT, ARRAY_LIMIT_BYTES + PREFIX_BYTES
        ):
            raise RecordingError(
                f"{what} claims {info.file_size:,} bytes from {info.compress_size:,} compressed "
                "ones, which no trial needs; fetch the zip file again from a source you trust"
            )
        if info.flag_bits & 0x1:
            raise RecordingError(f"{what} is encrypted; zip the folder again without a password")
        try:
            with self._zip.open(info) as file:
                prefix = file.read(PREFIX_BYTES)
                yield prefix
                # zipfile compares the checksum when the last byte has been read.
                rest = file.read(info.file_size - len(prefix))
        except _ZIP_FAULTS as error:
            raise RecordingError(f"{what} is damaged ({error}); fetch it again") from error
        if len(prefix) + len(rest) != info.file_size:
            raise RecordingError(f"{what} is cut off; fetch it again")
        yield rest


def open_source(path: Path) -> Source:
    """Find the files of the recording at a path.

    Parameters
    ----------
    path : Path
        A recording's folder or zip file; in both the recording may lie a few folders deeper,
        alone.

    Raises
    ------
    RecordingError
        If there is nothing, or no single recording, or the zip file is damaged, encrypted or holds
        paths that lead outside it.
    """
    if path.is_dir():
        if (root := find_folder(path)) is None:
            raise _not_a_recording(path)
        return FolderSource(root)
    if not path.exists():
        raise RecordingError(f"there is no {path}; give the folder or the zip file of a recording")
    if not path.is_file():
        raise RecordingError(f"{path} is neither a folder nor a file; give a recording")
    return ZipSource(path)


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden or left behind by an operating system."""
    return name.startswith((".", *_LITTER))


def find_folder(path: Path) -> Path | None:
    """Return the recording's folder, which may lie inside others that hold nothing else."""
    root = path
    for _ in range(DEPTH_LIMIT):
        if (root / LANDMARK).is_file():
            return root
        inner = [child for child in root.iterdir() if child.is_dir() and not is_litter(child.name)]
        if len(inner) != 1 or (root / "data").is_dir():
            break
        root = inner[0]
    return None


def _find_root(names: list[str], path: Path) -> str:
    """Return the folder inside a zip file in which the recording lies, '' or ending in '/'."""
    for name in names:
        is_absolute = name.startswith("/") or (len(name) > 1 and name[1] == ":")
        if is_absolute or "\\" in name or ".." in name.split("/") or "\0" in name:
            raise RecordingError(
                f"{path} holds a file with the path {name[:80]!r}, paths inside the zip file were "
                "expected; zip the folder again"
            )
    roots = [
        name.removesuffix(LANDMARK)
        for name in names
        if (name == LANDMARK or name.endswith(f"/{LANDMARK}")) and not name.startswith(_LITTER)
    ]
    if len(roots) > 1:
        raise RecordingError(
            f"{path} holds {len(roots)} recordings; give one zip file for each mouse"
        )
    if not roots:
        raise _not_a_recording(path)
    return roots[0]


def _not_a_recording(path: Path) -> RecordingError:
    return RecordingError(
        f"{path} is not a recording: {LANDMARK} is missing; give a folder or zip file with data/ "
        "and meta/ as Sensorium publishes them"
    )
