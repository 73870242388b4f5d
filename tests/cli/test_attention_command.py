"""'insilico attention' on recordings of simulated mice, with transformers that learned nothing."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest

from insilico.cli.attention import PRINTED, attention
from insilico.errors import RecordingError, RunFolderError, StimulusError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint, save_checkpoint
from insilico.recordings import cache_recordings, open_recordings
from insilico.results import Result
from insilico.simulation import SimulationOptions, write_recordings
from insilico.training.data import MouseData

pytestmark = pytest.mark.usefixtures("rough_figures")

OPTIONS = {
    "image": SimulationOptions(
        kind="image",
        mice=2,
        neurons=6,
        train_trials=30,
        validation_stimuli=10,
        test_stimuli=2,
        repeats=2,
    ),
    "movie": SimulationOptions(
        kind="movie",
        mice=1,
        neurons=6,
        train_trials=4,
        validation_stimuli=3,
        test_stimuli=1,
        final_stimuli=0,
        bonus_stimuli=0,
        repeats=2,
        trial_s=2.2,
    ),
}
NETWORKS = {
    "image": (
        "v1t",
        {
            "stride_px": 4,
            "token_width": 8,
            "blocks": 2,
            "heads": 2,
            "feedforward": 8,
            "behavior_names": ("pupil_size", "running_speed"),
        },
    ),
    "movie": (
        "vivit",
        {
            "patch_stride_px": 6,
            "patch_frames": 3,
            "max_frames": 70,
            "width": 8,
            "heads": 2,
            "head_width": 4,
            "feedforward": 8,
            "spatial_depth": 2,
            "temporal_depth": 2,
            "registers": 2,
        },
    ),
    "plain": ("sensorium2022", {"layers": 2, "hidden_channels": 2}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with recordings of images and of movies, and random networks of their mice."""
    place = tmp_path_factory.mktemp("attention")
    for kind, options in OPTIONS.items():
        write_recordings(place / kind, options=options)
    for name, (architecture, values) in NETWORKS.items():
        save_random(place, name, architecture, values)
    return place


def save_random(place, name, architecture, values):
    opened = open_recordings(place / ("movie" if name == "movie" else "image"))
    cached = cache_recordings(opened, folder=place / "cache")
    size = {"height_px": 36, "width_px": 64}
    options = registry.parse_options(architecture, size | values)
    neurons = {mouse: len(recording.neurons) for mouse, recording in opened.items()}
    network = registry.build(architecture, options, neurons)
    reads = {"behavior_names": network.behavior_names, "uses_pupil": network.uses_pupil}
    mice = {mouse: MouseData(recording, **reads).mouse for mouse, recording in cached.items()}
    checkpoint = Checkpoint(f"random-{name}", architecture, options, network.eval(), mice)
    save_checkpoint(checkpoint, place / f"{name}-model")


@pytest.fixture(scope="module")
def mapped(place, insilico):
    """Run folders of both kinds, and what the command printed."""
    run = insilico(
        "attention", place / "image-model", "--data", place / "image", "--out",
        place / "image-run", "--device", "cpu",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    text = call(place / "movie-model", out=place / "movie-run", data=place / "movie")
    return {"image": (place / "image-run", run.stdout), "movie": (place / "movie-run", text)}


def call(model, **options):
    """Run the command in this process, which has imported all it needs; return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        attention(str(model), device="cpu", **options)
    return text.getvalue()


@pytest.mark.parametrize("kind", OPTIONS)
def test_recording_gives_two_results_each_with_table_arrays_and_figure(mapped, kind):
    out, text = mapped[kind]
    for name, figure in (("attention", "maps"), ("attention_gaze", "gaze")):
        files = {path.name for path in (out / name).iterdir()}
        assert {f"{name}.parquet", "arrays.nc", "protocol.toml", "provenance.json"} <= files
        figures = {path.name for path in (out / name / "figures").iterdir()}
        assert figures == {f"{figure}.png", f"{figure}.pdf"}
        assert f"{out / name}" in text
    maps, gaze = (Result.load(out / name) for name in ("attention", "attention_gaze"))
    if kind == "image":
        assert "attention" in maps.provenance["command"]
    assert maps.provenance["weights"]["architecture"] == NETWORKS[kind][0]
    assert maps.arrays["map"].shape[-2:] == (36, 64)
    assert np.isfinite(maps.arrays["map"]).all()
    assert set(maps.tables["attention"]["tier"]) == {"validation"}
    mice = list(open_recordings(out.parent / kind))
    assert list(dict.fromkeys(gaze.tables["attention_gaze"]["mouse"])) == mice
    assert len(gaze.tables["attention_gaze"]) == 4 * len(mice)


def test_command_prints_what_the_tables_hold(mapped):
    out, text = mapped["image"]
    table = Result.load(out / "attention").tables["attention"]
    (line,) = [line for line in text.splitlines() if line.startswith("mouse-1      10      10")]
    median = table.loc[table["mouse"] == "mouse-1", "center_x_deg"].median()
    assert f"{median:.3g}" in line.split()
    for title in (*PRINTED.values(), "constant maps", "95% interval"):
        assert title in text
    row = Result.load(out / "attention_gaze").tables["attention_gaze"].iloc[0]
    assert f"{row['correlation']:.3g}" in text


def test_movies_say_that_attention_in_time_is_causal(mapped):
    assert "falls with time by construction" in mapped["movie"][1]
    assert "falls with time" not in mapped["image"][1]


def test_trials_tier_mouse_and_state_are_those_asked_for(place):
    out = place / "other"
    text = call(
        place / "image-model",
        data=place / "image",
        out=out,
        mouse=["mouse-2"],
        tier=["test"],
        trials="1:3",
        pupil="mean",
        behavior="running",
        compatibility=True,
    )
    result = Result.load(out / "attention")
    table = result.tables["attention"]
    assert set(table["mouse"]) == {"mouse-2"}
    assert set(table["tier"]) == {"test"}
    assert len(table) == 2
    assert result.protocol == {
        "burn_in_frames": 0,
        "compatibility": True,
        "behavior": "running",
        "pupil_center": "mean",
    }
    few = [line.split() for line in text.splitlines() if line.endswith("too_few_trials")]
    assert len(few) == 4
    assert all(line[3:5] == ["-", "-"] for line in few)


def test_stimuli_need_no_recording(place):
    np.save(place / "stimuli.npy", np.full((3, 36, 64), 127, np.uint8))
    np.save(place / "behavior.npy", np.full((3, 2), 1.0))
    out = place / "own"
    call(
        place / "image-model",
        stimuli=place / "stimuli.npy",
        mouse=["mouse-1"],
        behavior=str(place / "behavior.npy"),
        out=out,
    )
    assert {path.name for path in out.iterdir()} == {"attention"}
    assert len(Result.load(out / "attention").tables["attention"]) == 3


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("image", [], "neither a recording nor a stimulus file were given"),
        ("plain", ["--data", "image"], "architecture sensorium2022, which has no attention to map"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(place, refused, model, options, expected):
    out = place / "none"
    arguments = ["attention", place / f"{model}-model", "--out", out, *options]
    assert expected in refused(*arguments, cwd=place)
    assert not out.exists()


def test_recording_and_stimuli_at_once_and_trials_beyond_the_last_are_refused(place):
    options = {"data": place / "image", "out": place / "none"}
    with pytest.raises(RecordingError, match="both a recording and a stimulus file were given"):
        call(place / "image-model", stimuli=place / "x.npy", **options)
    with pytest.raises(RecordingError, match="have trials 0 to 9"):
        call(place / "image-model", trials="0:11", **options)
    assert not (place / "none").exists()


@pytest.mark.parametrize("name", ["attention", "attention_gaze"])
def test_earlier_result_is_refused_before_the_model_is_loaded_and_kept(place, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "provenance.json").write_text("earlier", encoding="utf-8")
    with pytest.raises(RunFolderError, match=f"{name} holds an earlier result, which is not"):
        call(place / "no-such-model", data=place / "image", out=tmp_path)
    assert (tmp_path / name / "provenance.json").read_text(encoding="utf-8") == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_stimuli_shorter_than_the_burn_in_name_the_option(place):
    np.save(place / "short.npy", np.full((1, 20, 36, 64), 127, np.uint8))
    with pytest.raises(StimulusError, match="--burn-in-frames"):
        call(place / "movie-model", stimuli=place / "short.npy", out=place / "none")
    assert not (place / "none").exists()


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from insilico.cli.app import app; app.help_print(['attention'])\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'scipy', 'xarray'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--stimuli" in done.stdout
    assert "heavy: []" in done.stdout
