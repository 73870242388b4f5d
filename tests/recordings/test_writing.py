"""Files that grow by rows are those that NumPy would have written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.recordings.writing import HEADER_BYTES, LevelWriter, RowWriter, closing, is_whole


def test_rows_are_read_back_as_a_memory_map(tmp_path):
    writer = RowWriter(tmp_path / "x.npy", row_shape=(3,), dtype=np.float32)
    pieces = [np.random.default_rng(0).normal(size=(count, 3)) for count in (1, 4, 2)]
    for piece in pieces:
        writer.write(piece)
    writer.close()
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert stored.dtype == np.float32
    assert np.array_equal(stored, np.concatenate(pieces).astype(np.float32))
    assert (tmp_path / "x.npy").stat().st_size == HEADER_BYTES + 7 * 3 * 4


def test_file_without_its_header_cannot_be_read(tmp_path):
    writer = RowWriter(tmp_path / "x.npy", row_shape=(3,), dtype=np.float32)
    writer.write(np.zeros((10_000, 3)))
    with closing(writer), pytest.raises(ValueError, match=r"pickle|magic"):
        np.load(tmp_path / "x.npy")


@given(st.lists(st.sampled_from(["bytes", "whole", "fraction"]), min_size=1, max_size=5))
def test_levels_are_bytes_until_one_is_no_whole_number(tmp_path_factory, kinds):
    path = tmp_path_factory.mktemp("levels") / "stimulus.npy"
    rng = np.random.default_rng(0)
    writer, pieces = LevelWriter(path, row_shape=(1, 2, 3)), []
    for kind in kinds:
        piece = rng.integers(0, 256, (300, 1, 2, 3))
        piece = {
            "bytes": piece.astype(np.uint8),
            "whole": piece.astype(np.float32),
            "fraction": piece.astype(np.float32) + np.float32(0.25),
        }[kind]
        writer.write(piece)
        pieces.append(piece)
    writer.close()
    stored = np.load(path)
    assert stored.dtype == (np.float32 if "fraction" in kinds else np.uint8)
    assert np.array_equal(stored, np.concatenate(pieces))
    assert [file.name for file in path.parent.iterdir()] == ["stimulus.npy"]


@pytest.mark.parametrize(("level", "whole"), [(0, True), (255, True), (0.5, False), (256, False)])
def test_whole_levels_fit_a_byte(level, whole):
    assert is_whole(np.array([12, level], np.float32)) is whole
    assert not is_whole(np.array([-1.0], np.float32))
