"""Bytes of a .npy file become the array that NumPy wrote, or a sentence; never anything else."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from insilico.errors import RecordingError
from insilico.recordings.npy import ARRAY_LIMIT_BYTES, parse_array, parse_header

TYPES = st.sampled_from(["|b1", "|u1", "<i2", ">i4", "<i8", "<f2", "<f4", ">f8", "<U7", "|S5"])
TEXT = st.characters(min_codepoint=33, max_codepoint=126)


def written(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def read(data):
    header = parse_header(data, size=len(data), what="x.npy")
    return parse_array(header, data[header.offset :], what="x.npy")


def forged(header, body=b"", version=1):
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode("latin1") + body


@given(
    TYPES.flatmap(
        lambda dtype: arrays_of.arrays(
            dtype,
            arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0),
            elements=st.text(TEXT, max_size=7) if dtype == "<U7" else None,
        )
    ),
    st.sampled_from([(1, 0), (2, 0), (3, 0)]),
    st.booleans(),
)
def test_what_numpy_writes_is_read_the_same(array, version, fortran):
    array = np.asfortranarray(array) if fortran else array
    again = read(written(array, version))
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


@given(st.binary(max_size=300))
def test_any_bytes_are_an_array_or_a_recording_error(data):
    for start in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', "):
        try:
            assert isinstance(read(start + data), np.ndarray)
        except RecordingError:
            continue


@given(st.data())
def test_altered_header_is_an_array_or_a_recording_error(data):
    whole = bytearray(written(np.arange(12, dtype=np.float32).reshape(3, 4)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 127))] = data.draw(st.integers(0, 255))
    try:
        array = read(bytes(whole))
    except RecordingError:
        return
    assert array.nbytes <= 48


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code of a recording was run",))


def test_objects_are_refused_and_their_code_never_runs():
    body = pickle.dumps([Trap()])
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    with pytest.raises(RecordingError, match=r"type '\|O'.*objects are never loaded"):
        read(forged(header, body))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "a structure"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "'<c8'"),
        ("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", "<M8"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "damaged"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,) + (2,), }", "damaged"),
        ("{'descr': '<f4', 'fortran_order': False}", "damaged"),
        ("__import__('os').abort()", "damaged"),
        ("(" * 9000, "damaged"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }", "claims an array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "cut off"),
        ("{'descr': '<U9999', 'fortran_order': False, 'shape': (9,), }", "cut off"),
    ],
)
def test_forged_header_is_refused(header, sentence):
    with pytest.raises(RecordingError, match=sentence):
        read(forged(header, b"12345678"))


def test_header_that_claims_to_be_huge_is_refused_unread():
    data = b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"{"
    with pytest.raises(RecordingError, match="claims a header of 2,147,483,648 bytes"):
        read(data)


def test_empty_array_of_huge_axes_is_refused_though_it_has_no_bytes():
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {10**14}, {10**14}), }}"
    with pytest.raises(RecordingError, match="claims an array"):
        read(forged(header))


def test_array_beyond_the_limit_is_refused_before_it_is_allocated():
    shape = (ARRAY_LIMIT_BYTES // 4 + 1,)
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    data = forged(header)
    with pytest.raises(RecordingError, match=r"claims an array of 1\.0 GB"):
        parse_header(data, size=len(data) + shape[0] * 4, what="x.npy")


@pytest.mark.parametrize("count", [0, 5, 9, 40, 127, 129])
def test_truncated_file_is_refused_at_any_length(count):
    data = written(np.arange(4.0))[:count]
    with pytest.raises(RecordingError, match="fetch or write that file again"):
        read(data)


def test_file_with_more_than_its_header_promises_is_refused():
    with pytest.raises(RecordingError, match="too long"):
        read(written(np.arange(4.0)) + b"x")


def test_text_of_no_characters_is_refused():
    codes = np.array([0x110000, 65], np.uint32)
    header = "{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }"
    with pytest.raises(RecordingError, match="damaged text"):
        read(forged(header, codes.tobytes()))
