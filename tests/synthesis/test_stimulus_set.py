"""Sets of stimuli in memory and on disk: what comes back, and what is refused."""

import contextlib
import dataclasses
import hashlib
import json
import pickle
import platform
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from insilico.errors import InsilicoError, RunFolderError, ShapeError, StimulusError
from insilico.screen import SCREENS, Screen
from insilico.synthesis import set_folder
from insilico.synthesis.stimulus_set import (
    StimulusSet,
    no_curves,
    reload_frames,
    stimulus_digest,
    stimulus_id,
)

SCREEN = Screen(width_px=16, height_px=9, width_cm=56.5, height_cm=31.8)


def make_frames(count, kind="movie", seed=0):
    shape = (count, 5, *SCREEN.shape) if kind == "movie" else (count, *SCREEN.shape)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def make_set(frames=None, *, kind="movie", seed=0, count=4, **changes):
    frames = make_frames(count, kind, seed) if frames is None else frames
    count = len(frames)
    names = [stimulus_id(each) for each in frames]
    table = pd.DataFrame(
        {
            "stimulus_id": names,
            "mouse": "A",
            "neuron": np.arange(count) - 1,
            "motion": ["still", "moving"][:count] * (count // 2) + ["moving"] * (count % 2),
            "stimulus_class": "exciting",
            "response": np.linspace(0, 1, count),
            "diameter_deg": [np.nan, *[20.0] * (count - 1)][:count],
            "control_of": [None, *names[:1] * (count - 1)][:count],
        }
    )
    rng = np.random.default_rng(seed)
    fields = {
        "traces": rng.normal(size=(count, frames.shape[1] if kind == "movie" else 1)),
        "weights": rng.uniform(size=(count, *SCREEN.shape)),
    }
    made = {
        "frames": frames,
        "table": table,
        **{name: values.astype(np.float32) for name, values in fields.items()},
        "curves": pd.DataFrame(
            {"stimulus_id": np.repeat(names, 3), "step": [0, 10, 20] * count, "score": 0.5}
        ),
        "screen": SCREEN,
        "kind": kind,
        "frame_rate_hz": 30.0,
        "lead_frames": 20,
        "protocol": {"seed": 3, "source": "Müller 2020, 40°", "classes": ["exciting"]},
        "provenance": {"model": {"sha256": "ab"}, "command": "insilico generate mev"},
    }
    return StimulusSet(**{**made, **changes})


def assert_same(one, other):
    for field in ("frames", "traces", "weights"):
        first, second = getattr(one, field), getattr(other, field)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.curves, other.curves)
    for field in ("screen", "kind", "frame_rate_hz", "lead_frames", "protocol", "provenance"):
        assert getattr(one, field) == getattr(other, field)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def times(folder):
    return {name: (folder / name).stat().st_mtime_ns for name in names(folder)}


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and text.count(". ") == 0


# The name of a stimulus


def test_id_is_the_hash_of_shape_and_bytes():
    frames = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    digest = hashlib.sha256(b"2x3x4\n" + bytes(range(24))).hexdigest()
    assert stimulus_digest(frames) == digest
    assert stimulus_id(frames) == digest[:16]


def test_id_depends_on_the_shape_and_not_on_the_layout_in_memory():
    frames = np.zeros((2, 3, 4), np.uint8)
    assert stimulus_id(frames) != stimulus_id(frames.reshape(4, 3, 2))
    frames = make_frames(1)[0]
    assert stimulus_id(np.asfortranarray(frames)) == stimulus_id(frames)


@pytest.mark.parametrize("frames", [np.zeros((3, 4)), np.zeros(4, np.uint8)])
def test_only_bytes_of_one_stimulus_have_an_id(frames):
    with pytest.raises(ShapeError, match="give uint8 gray levels"):
        stimulus_id(frames)


# The set in memory


def test_select_keeps_rows_and_their_curves():
    made = make_set()
    chosen = made.select(made.table["neuron"] >= 1)
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen.frames, made.frames[2:])
    np.testing.assert_array_equal(chosen.traces, made.traces[2:])
    np.testing.assert_array_equal(chosen.weights, made.weights[2:])
    assert chosen.table.index.tolist() == [0, 1]
    assert set(chosen.curves["stimulus_id"]) == set(chosen.ids)
    assert len(chosen.curves) == 6


def test_select_takes_rows_in_the_order_wanted_and_none():
    made = make_set()
    assert made.select([3, 0]).ids == [made.ids[3], made.ids[0]]
    assert len(made.select(np.zeros(4, bool))) == 0
    assert len(made.select([])) == 0


@pytest.mark.parametrize("mask", [[True, False], [4], [-1], [0.5], [[0]], ["0"]])
def test_selecting_what_is_not_there_is_refused(mask):
    with pytest.raises(ShapeError, match="among 4 stimuli; give one truth value for each"):
        make_set().select(mask)


def test_concatenated_parts_are_the_whole():
    made = make_set()
    parts = [made.select([0, 1]), made.select([2]), made.select([]), made.select([3])]
    assert_same(StimulusSet.concatenate(parts), made)


def test_concatenated_columns_are_those_of_all_parts():
    one, other = make_set(seed=1), make_set(seed=2)
    other = dataclasses.replace(other, table=other.table.assign(transfer_cnn=2.0))
    table = StimulusSet.concatenate([one, other]).table
    assert table["transfer_cnn"].isna().tolist() == [True] * 4 + [False] * 4
    assert table["neuron"].dtype == np.int64


def test_parts_that_were_made_differently_say_how():
    one, other = make_set(seed=1), make_set(seed=2, provenance={"seconds": 3})
    whole = StimulusSet.concatenate([one, other])
    assert whole.provenance == {"parts": [one.provenance, {"seconds": 3}]}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"frame_rate_hz": 60.0}, "frame rate"),
        ({"lead_frames": 0}, "lead frames"),
        ({"protocol": {"seed": 4}}, "protocol"),
        ({"screen": dataclasses.replace(SCREEN, gray=128), "protocol": {}}, "screen and protocol"),
        ({"frames": make_frames(4)[:, :4]}, "frames and frames of traces"),
    ],
)
def test_sets_that_do_not_belong_together_are_refused(changes, what):
    with pytest.raises(StimulusError, match=f"differ in their {what}, so"):
        StimulusSet.concatenate([make_set(), make_set(**changes)])


def test_no_sets_make_no_set():
    with pytest.raises(StimulusError, match="give at least one"):
        StimulusSet.concatenate([])


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"kind": "sound"}, StimulusError, "kind 'sound'"),
        ({"screen": SCREENS["sensorium"]}, ShapeError, "for a screen of 36 x 64 pixels"),
        ({"traces": np.zeros((3, 5), np.float32)}, ShapeError, r"traces of shape \(3, 5\)"),
        ({"traces": np.zeros(4, np.float32)}, ShapeError, r"traces of shape \(4,\)"),
        ({"traces": np.zeros((4, 5))}, ShapeError, "traces of type float64"),
        ({"weights": np.zeros((4, 9, 15), np.float32)}, ShapeError, "weights of shape"),
        ({"weights": np.full((4, 9, 16), 1.5, np.float32)}, StimulusError, "weights from 1.5"),
        ({"weights": np.full((4, 9, 16), np.nan, np.float32)}, StimulusError, "weights from nan"),
        ({"table": make_set().table[:3]}, ShapeError, "a table of 3 rows"),
        ({"table": make_set().table.drop(columns=["mouse", "motion"])}, StimulusError, "mouse, mo"),
        ({"table": make_set(seed=1).table}, StimulusError, "row 0 of the table names stimulus"),
        ({"curves": pd.DataFrame({"step": [1]})}, StimulusError, "curves of a stimulus set"),
        ({"frame_rate_hz": 0.0}, StimulusError, "0.0 frames per second"),
        ({"lead_frames": -1}, StimulusError, "-1 gray frames"),
    ],
)
def test_fields_that_do_not_fit_each_other_are_refused(changes, error, match):
    with pytest.raises(error, match=match) as refused:
        make_set(**changes)
    assert one_sentence(refused)


def test_movies_for_image_twins_are_refused():
    with pytest.raises(ShapeError, match=r"for image twins; give uint8 .* \(stimulus, y, x\)"):
        dataclasses.replace(make_set(), kind="image")


def test_frames_that_are_no_bytes_are_refused():
    with pytest.raises(ShapeError, match="type float64 were given for movie twins"):
        dataclasses.replace(make_set(), frames=make_frames(4).astype(float))


# Round trip


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_set_survives_saving_and_loading(kind, tmp_path):
    made = make_set(kind=kind)
    assert_same(StimulusSet.load(made.save(tmp_path / "deep" / "set")), made)


def test_set_without_stimuli_and_curves_survives(tmp_path):
    empty = make_set(curves=no_curves()).select([])
    loaded = StimulusSet.load(empty.save(tmp_path / "set"))
    assert loaded.frames.shape == (0, 5, 9, 16)
    assert reload_frames(tmp_path / "set").shape == (0, 5, 9, 16)
    one = make_set(curves=no_curves())
    assert_same(StimulusSet.concatenate([loaded, one]), one)


def test_movies_give_back_the_stimuli(tmp_path):
    frames = make_frames(4)
    frames[0].flat[:256] = np.arange(256)
    made = make_set(frames)
    np.testing.assert_array_equal(reload_frames(made.save(tmp_path / "set")), frames)


def test_images_have_pictures_and_no_movies(tmp_path):
    made = make_set(kind="image")
    made.save(tmp_path / "set")
    assert not (tmp_path / "set" / "movies").exists()
    shown = sorted(path.name for path in (tmp_path / "set" / "previews").iterdir())
    assert shown == sorted(f"{name}.png" for name in made.ids)
    with pytest.raises(RunFolderError, match=r"holds images, .*StimulusSet\.load"):
        reload_frames(tmp_path / "set")


def test_folder_holds_what_the_contract_names(tmp_path):
    made = make_set(count=2)
    made.save(tmp_path / "set")
    expected = ["curves.parquet", "manifest.json", "protocol.toml", "provenance.json"]
    expected += ["stimuli.npy", "table.csv", "table.parquet", "traces.npy", "weights.npy"]
    for name in made.ids:
        expected += [f"movies/{name}.mkv", f"previews/{name}.gif", f"previews/{name}.mp4"]
    assert names(tmp_path / "set") == sorted(expected)
    np.testing.assert_array_equal(np.load(tmp_path / "set" / "stimuli.npy"), made.frames)
    assert pd.read_csv(tmp_path / "set" / "table.csv")["stimulus_id"].tolist() == made.ids


def test_manifest_tells_a_presentation_program_all_it_needs(tmp_path):
    made = make_set()
    manifest = json.loads((made.save(tmp_path / "set") / "manifest.json").read_text())
    assert manifest["screen"] == SCREEN.to_dict()
    assert (manifest["frame_rate_hz"], manifest["lead_frames"]) == (30.0, 20)
    first, second = manifest["stimuli"][:2]
    assert first == {
        "row": 0,
        "stimulus_id": made.ids[0],
        "sha256": stimulus_digest(made.frames[0]),
        "file": f"movies/{made.ids[0]}.mkv",
        "mouse": "A",
        "neuron": -1,
        "motion": "still",
        "stimulus_class": "exciting",
        "controls": made.ids[1:],
    }
    assert second["controls"] == []
    text = f"{'x'.join(map(str, made.frames.shape[1:]))}\n".encode()
    assert hashlib.sha256(text + made.frames[1].tobytes()).hexdigest() == second["sha256"]


def test_equal_stimuli_keep_their_rows_and_share_a_movie(tmp_path):
    frames = make_frames(3)[[0, 1, 0, 2, 0]]
    made = make_set(frames)
    made.save(tmp_path / "set")
    assert len(list((tmp_path / "set" / "movies").iterdir())) == 3
    loaded = StimulusSet.load(tmp_path / "set")
    assert_same(loaded, made)
    assert loaded.table["neuron"].tolist() == [-1, 0, 1, 2, 3]
    np.testing.assert_array_equal(reload_frames(tmp_path / "set"), frames)


def test_numbers_of_numpy_and_paths_in_the_provenance_are_written(tmp_path):
    provenance = {"seed": np.int64(3), "steps": np.arange(2), "data": tmp_path}
    made = make_set(provenance=provenance)
    loaded = StimulusSet.load(made.save(tmp_path / "set"))
    assert loaded.provenance == {"seed": 3, "steps": [0, 1], "data": str(tmp_path)}


def test_set_loads_without_torch_and_without_ffmpeg(tmp_path):
    make_set().save(tmp_path / "set", previews=False)
    program = (
        "import sys; from insilico.synthesis.stimulus_set import StimulusSet; "
        f"StimulusSet.load({str(tmp_path / 'set')!r}); print(*sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True
    )
    assert not {"torch", "av", "matplotlib"} & set(finished.stdout.split())


# Saving again


def test_saving_again_changes_nothing_and_writes_no_movie(tmp_path):
    made = make_set()
    folder = made.save(tmp_path / "set")
    content = {name: (folder / name).read_bytes() for name in names(folder)}
    before = times(folder)
    made.save(folder)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == content
    is_kept = {name: before[name] == time for name, time in times(folder).items() if "/" in name}
    assert len(is_kept) == 12
    assert all(is_kept.values())


def test_missing_movies_and_previews_are_written_again(tmp_path):
    made = make_set()
    folder = made.save(tmp_path / "set")
    (folder / "movies" / f"{made.ids[0]}.mkv").unlink()
    (folder / "previews" / f"{made.ids[1]}.gif").unlink()
    before = times(folder)
    made.save(folder)
    after = times(folder)
    new = {name for name in after if "/" in name and before.get(name) != after[name]}
    assert new == {f"movies/{made.ids[0]}.mkv", f"previews/{made.ids[1]}.gif"}
    np.testing.assert_array_equal(reload_frames(folder), made.frames)


def test_movies_of_stimuli_that_are_gone_are_removed_and_other_files_stay(tmp_path):
    made = make_set()
    folder = made.save(tmp_path / "set")
    for other in ("parts/0.npz", "figures/set.png", "movies/notes.txt", "previews/all.gif"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_text("mine")
    smaller = made.select([1])
    smaller.save(folder)
    kept = [name for name in names(folder) if "/" in name]
    of_set = [f"movies/{made.ids[1]}.mkv", *(f"previews/{made.ids[1]}.{e}" for e in ("gif", "mp4"))]
    others = ["parts/0.npz", "figures/set.png", "movies/notes.txt", "previews/all.gif"]
    assert kept == sorted(of_set + others)
    assert_same(StimulusSet.load(folder), smaller)


def test_previews_may_be_left_out(tmp_path):
    made = make_set()
    made.save(tmp_path / "set", previews=False)
    assert not (tmp_path / "set" / "previews").exists()
    np.testing.assert_array_equal(reload_frames(tmp_path / "set"), made.frames)


def test_drafts_of_a_writer_that_was_killed_are_removed(tmp_path):
    folder = make_set().save(tmp_path / "set")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = platform.node().replace(".", "_")
    draft = folder / "movies" / f".x.{host}.{ended.pid}.part.mkv"
    draft.write_bytes(b"half")
    make_set().save(folder)
    assert not draft.exists()


# Killed, full and unwritable


def test_folder_without_manifest_holds_no_finished_set(tmp_path):
    folder = make_set().save(tmp_path / "set")
    (folder / "manifest.json").unlink()
    for read in (StimulusSet.load, reload_frames):
        with pytest.raises(RunFolderError, match="holds no finished set of stimuli") as refused:
            read(folder)
        assert one_sentence(refused)
    assert_same(StimulusSet.load(make_set().save(folder)), make_set())


@pytest.mark.parametrize("moved", range(9))
def test_set_that_was_killed_between_two_files_is_old_new_or_none(moved, tmp_path, monkeypatch):
    """Stops after some files of a second set have been moved to their places."""
    old, new = make_set(seed=1), make_set(seed=2)
    folder = old.save(tmp_path / "set", previews=False)
    real, count = set_folder.atomic_file, 0

    class KilledError(BaseException):
        pass

    @contextlib.contextmanager
    def killed_file(path):
        nonlocal count
        with real(path) as draft:
            yield draft
            if count == moved:
                raise KilledError
            count += 1

    monkeypatch.setattr(set_folder, "atomic_file", killed_file)
    with pytest.raises(KilledError):
        new.save(folder, previews=False)
    with pytest.raises(RunFolderError, match="holds no finished set of stimuli"):
        StimulusSet.load(folder)
    monkeypatch.undo()
    assert_same(StimulusSet.load(new.save(folder, previews=False)), new)
    np.testing.assert_array_equal(reload_frames(folder), new.frames)


@pytest.mark.parametrize("writer", ["pandas.DataFrame.to_parquet", "numpy.save"])
def test_full_disk_is_one_sentence_and_keeps_the_old_set(writer, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    old = make_set(seed=1)
    folder = old.save(tmp_path / "set")
    monkeypatch.setattr(writer, full_disk)
    with pytest.raises(
        RunFolderError, match=r"4 stimuli .*: No space left on device; free"
    ) as full:
        make_set(seed=2).save(folder)
    assert one_sentence(full)
    monkeypatch.undo()
    assert_same(StimulusSet.load(folder), old)
    np.testing.assert_array_equal(reload_frames(folder), old.frames)
    assert not [name for name in names(folder) if "part" in name]


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunFolderError, match=r"could not be written to .*: Not a directory"):
        make_set().save(tmp_path / "file" / "set")


# Foreign folders


@pytest.mark.parametrize("name", ["stimuli.npy", "manifest.json", "table.csv", "provenance.json"])
def test_files_that_no_set_wrote_are_not_replaced(name, tmp_path):
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(RunFolderError, match="no set of stimuli, so it is not written to"):
        make_set().save(tmp_path)
    assert names(tmp_path) == [name]


def test_file_in_place_of_the_folder_is_not_replaced(tmp_path):
    (tmp_path / "set").write_text("mine")
    with pytest.raises(RunFolderError, match="choose another folder"):
        make_set().save(tmp_path / "set")
    with pytest.raises(RunFolderError, match="set is no folder"):
        StimulusSet.load(tmp_path / "set")


def test_folder_with_unfinished_work_is_written_to(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "run.json").write_text("{}")
    assert len(StimulusSet.load(make_set().save(tmp_path))) == 4


@pytest.mark.parametrize("content", ['{"mine": 1}', "[]", "3"])
def test_manifest_of_something_else_is_refused(content, tmp_path):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"manifest\.json is of no set of stimuli; give"):
        StimulusSet.load(tmp_path)


def test_set_of_a_newer_insilico_is_refused(tmp_path):
    change_manifest(make_set().save(tmp_path / "set"), format=2)
    with pytest.raises(RunFolderError, match="newer insilico"):
        StimulusSet.load(tmp_path / "set")


# Damage


def change_manifest(folder, **changes):
    path = folder / "manifest.json"
    manifest = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in manifest.items() if value != "gone"}))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("row", [0, 2, 3])
def test_one_changed_bit_names_its_stimulus(row, tmp_path):
    made = make_set()
    folder = made.save(tmp_path / "set")
    size = made.frames[0].size
    flip(folder / "stimuli.npy", -(4 - row) * size + 17)
    match = rf"stimulus {made.ids[row]} \(row {row} of .*stimuli\.npy\) is damaged: .*; restore"
    with pytest.raises(RunFolderError, match=match) as damaged:
        StimulusSet.load(folder)
    assert one_sentence(damaged)


@pytest.mark.parametrize("name", set_folder._HASHED)
def test_one_changed_bit_in_another_file_names_the_file(name, tmp_path):
    folder = make_set().save(tmp_path / "set")
    flip(folder / name, len((folder / name).read_bytes()) // 2)
    with pytest.raises(RunFolderError, match=rf"{name} is damaged: .*; restore it") as damaged:
        StimulusSet.load(folder)
    assert one_sentence(damaged)


@pytest.mark.parametrize("name", ["stimuli.npy", "traces.npy", "table.parquet"])
def test_missing_and_cut_files_are_named(name, tmp_path):
    folder = make_set().save(tmp_path / "set")
    content = (folder / name).read_bytes()
    for length in (0, 5, len(content) - 1):
        (folder / name).write_bytes(content[:length])
        with pytest.raises(RunFolderError, match=f"{name} is damaged"):
            StimulusSet.load(folder)
    (folder / name).unlink()
    with pytest.raises(RunFolderError, match=f"{name} .*No such file"):
        StimulusSet.load(folder)


class Dangerous:
    def __reduce__(self):
        return (sys.exit, ("code was run",))


@pytest.mark.parametrize("name", ["stimuli.npy", "traces.npy"])
def test_nothing_in_a_set_is_run(name, tmp_path):
    folder = make_set().save(tmp_path / "set")
    hashes = json.loads((folder / "manifest.json").read_text())["files"]
    for write in (
        lambda path: path.write_bytes(pickle.dumps(Dangerous())),
        lambda path: np.save(path, np.array([Dangerous()], object), allow_pickle=True),
    ):
        write(folder / name)
        content = (folder / name).read_bytes()
        change_manifest(folder, files={**hashes, name: hashlib.sha256(content).hexdigest()})
        with pytest.raises(RunFolderError, match="damaged"):
            StimulusSet.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"stimuli": "gone"},
        {"screen": "gone"},
        {"screen": {"width": 3}},
        {"screen": 5},
        {"kind": "sound"},
        {"shape": [4, 5, 9]},
        {"shape": []},
        {"files": {}},
        {"files": []},
        {"stimuli": []},
        {"stimuli": [{"stimulus_id": "../../etc"}]},
        {"format": "one"},
        {"lead_frames": None},
        {"frame_rate_hz": "fast"},
    ],
)
def test_manifest_with_gaps_is_refused(changes, tmp_path):
    folder = make_set().save(tmp_path / "set", previews=False)
    change_manifest(folder, **changes)
    with pytest.raises(RunFolderError, match=r"damaged|do not fit") as damaged:
        StimulusSet.load(folder)
    assert one_sentence(damaged)


def test_manifest_that_is_no_json_is_refused(tmp_path):
    folder = make_set().save(tmp_path / "set", previews=False)
    (folder / "manifest.json").write_bytes(b'{"content": "insil\xff')
    with pytest.raises(RunFolderError, match=r"manifest\.json is damaged \("):
        StimulusSet.load(folder)


def test_damaged_movie_names_its_stimulus_and_is_repaired_by_saving_again(tmp_path):
    made = make_set()
    folder = made.save(tmp_path / "set")
    movie = folder / "movies" / f"{made.ids[2]}.mkv"
    made.select([1]).save(tmp_path / "other")
    movie.write_bytes((tmp_path / "other" / "movies" / f"{made.ids[1]}.mkv").read_bytes())
    with pytest.raises(RunFolderError, match=f"does not show stimulus {made.ids[2]} as it was"):
        reload_frames(folder)
    movie.unlink()
    with pytest.raises(RunFolderError, match=rf"{made.ids[2]}\.mkv cannot be read") as missing:
        reload_frames(folder)
    assert isinstance(missing.value, InsilicoError)
    made.save(folder)
    np.testing.assert_array_equal(reload_frames(folder), made.frames)
