"""Folders and zip files give up their members, and hostile ones are refused."""

import io
import os
import zipfile

import numpy as np
import pytest

from insilico.errors import RecordingError
from insilico.recordings import open_recording
from insilico.recordings.source import LANDMARK, open_source


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def zip_of(tmp_path):
    """Write a zip file from (name, bytes) pairs, tiers included unless told otherwise."""

    def write(*members, tiers=True, method=zipfile.ZIP_DEFLATED):
        path = tmp_path / "mouse.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in members:
                archive.writestr(name, data)
            if tiers:
                archive.writestr(LANDMARK, npy(np.array(["train"])))
        return path

    return write


@pytest.mark.parametrize(
    "name", ["../x.npy", "data/../../x.npy", "/etc/x.npy", "C:/x.npy", "data\\..\\x.npy"]
)
def test_paths_that_lead_outside_are_refused(zip_of, name):
    with pytest.raises(RecordingError, match="paths inside the zip file were expected"):
        open_source(zip_of((name, b"x")))


def test_two_files_of_one_name_are_refused(zip_of):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zip_of(("data/videos/0.npy", b"x"), ("data/videos/0.npy", b"y"))
    with pytest.raises(RecordingError, match="several files of one name"):
        open_source(path)


def test_zip_of_several_recordings_is_refused(zip_of):
    with pytest.raises(RecordingError, match="2 recordings; give one zip file for each mouse"):
        open_source(zip_of((f"other/{LANDMARK}", b"x")))


def test_zip_without_recording_is_refused(zip_of):
    with pytest.raises(RecordingError, match="is not a recording"):
        open_source(zip_of(("readme.txt", b"x"), tiers=False))


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x05\x06" + bytes(18)])
def test_file_that_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "mouse.zip").write_bytes(content)
    with pytest.raises(RecordingError, match=r"no readable zip file|is not a recording"):
        open_source(tmp_path / "mouse.zip")


def test_litter_of_operating_systems_is_passed_over(zip_of):
    path = zip_of((f"__MACOSX/{LANDMARK}", b"x"), ("data/videos/._0.npy", b"x"))
    assert open_source(path).numbered("data/videos") == (set(), [])


def test_number_of_thousands_of_digits_numbers_nothing(zip_of):
    member = f"data/videos/{'1' * 5000}.npy"
    path = zip_of((member, b"x"), ("data/videos/12.npy", b"x"))
    assert open_source(path).numbered("data/videos") == ({12}, [member])


def test_encrypted_member_is_refused(zip_of):
    path = zip_of(("data/videos/0.npy", npy(np.zeros(3))))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="encrypted; zip the folder again without a password"):
        open_source(path).read_header("data/videos/0.npy")


def test_rare_compression_is_refused(zip_of):
    path = zip_of(("data/videos/0.npy", npy(np.zeros(3))), method=zipfile.ZIP_LZMA)
    with pytest.raises(RecordingError, match="rare method"):
        open_source(path).read_header("data/videos/0.npy")


def test_member_that_claims_more_than_it_can_hold_is_refused_unread(zip_of):
    path = zip_of(("data/videos/0.npy", npy(np.zeros(3))))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="claims 2,147,483,648 bytes"):
        open_source(path).read_header("data/videos/0.npy")


def test_bomb_is_stopped_by_the_shape_before_it_is_inflated(zip_of, monkeypatch):
    # An honest ratio of 1000:1; the header says 256 MB where a few numbers are expected.
    bomb = npy(np.zeros((2**25,)))
    source = open_source(zip_of(("data/responses/0.npy", bomb)))
    most = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(
        zipfile.ZipExtFile, "read", lambda file, n=-1: most.append(n) or read(file, n)
    )
    with pytest.raises(RecordingError, match="was expected"):
        source.read_array("data/responses/0.npy", shape=(5,), axes="neuron")
    assert max(most) < 20_000


def test_all_zero_responses_are_no_bomb(zip_of):
    source = open_source(zip_of(("data/responses/0.npy", npy(np.zeros((8000, 300))))))
    values = source.read_array("data/responses/0.npy", shape=(8000, None), axes="neuron, frame")
    assert values.shape == (8000, 300)


def test_damaged_member_is_noticed_by_its_checksum(zip_of):
    path = zip_of(("data/videos/0.npy", npy(np.arange(100.0))), method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="damaged"):
        open_source(path).read_array("data/videos/0.npy", shape=(100,), axes="x")


@pytest.mark.parametrize("part", [0.2, 0.9, 0.999])
def test_truncated_zip_is_refused(write_recording, tmp_path, part):
    path = write_recording("rochefort").zip(tmp_path / "mouse.zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(RecordingError, match="no readable zip file"):
        open_recording(path)


def test_missing_file_is_named(write_recording):
    source = open_source(write_recording("rochefort").path)
    with pytest.raises(RecordingError, match=r"videos.99.npy is missing"):
        source.read_header("data/videos/99.npy")


def test_dangling_link_is_refused(write_recording):
    written = write_recording("rochefort")
    written.file("responses", 0).unlink()
    written.file("responses", 0).symlink_to(written.path / "nowhere")
    with pytest.raises(RecordingError, match="mend the link"):
        open_recording(written.path)


def test_links_to_files_are_followed(write_recording):
    written = write_recording("rochefort")
    moved = written.file("responses", 0).rename(written.path / "elsewhere.npy")
    written.file("responses", 0).symlink_to(moved)
    assert open_recording(written.path).read(0).responses.shape == (5, 12)


def test_pipe_in_place_of_a_file_does_not_hang(write_recording):
    written = write_recording("rochefort")
    written.file("responses", 0).unlink()
    os.mkfifo(written.file("responses", 0))
    with pytest.raises(RecordingError, match="missing"):
        open_recording(written.path).read(0)


def test_folder_inside_itself_does_not_hang(tmp_path):
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop")
    with pytest.raises(RecordingError, match="not a recording"):
        open_source(tmp_path / "loop")


def test_file_that_vanishes_while_reading_is_a_recording_error(write_recording):
    written = write_recording("rochefort")
    recording = open_recording(written.path)
    written.file("responses", 0).unlink()
    with pytest.raises(RecordingError, match="cannot be read"):
        recording.read(0)


def test_file_that_shrinks_while_reading_is_a_recording_error(write_recording):
    written = write_recording("rochefort")
    recording = open_recording(written.path)
    whole = written.file("stimulus", 0).read_bytes()
    written.file("stimulus", 0).write_bytes(whole[:-5000])
    with pytest.raises(RecordingError, match="cut off"):
        recording.read(0)
