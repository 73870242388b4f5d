"""``insilico run --recording``: from a folder of recordings to figures, or one sentence."""

from pathlib import Path

import numpy as np
import pytest

from insilico.cli.run_recorded import the_recording
from insilico.errors import MouseError, ProtocolError, RecordingError
from insilico.experiments.recorded import analyze_recording
from insilico.results import Result
from insilico.simulation import SimulationOptions, write_recordings

pytestmark = pytest.mark.usefixtures("rough_figures")


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    """Recordings of two simulated mice that saw Gabors and dots."""
    folder = tmp_path_factory.mktemp("recorded") / "movies"
    few = {"train_trials": 1, "validation_stimuli": 0, "test_stimuli": 1, "final_stimuli": 0}
    write_recordings(folder, options=SimulationOptions(mice=2, neurons=6, repeats=2, **few))
    return folder


def test_direction_and_dots_of_a_recording_are_saved_with_figures(insilico, movies, tmp_path):
    done = insilico(
        *("run", "direction", "dots", "--recording", movies, "--mouse", "mouse-2"),
        *("--out", tmp_path / "run", "--jobs", 1, "--set", "shuffle_count=19"),
    )
    assert done.returncode == 0, done.stderr
    assert "direction: 6 neurons" in done.stdout
    assert "dots: 6 neurons" in done.stdout
    for experiment in ("direction", "dots"):
        result = Result.load(tmp_path / "run" / experiment)
        assert set(result.neurons["mouse"]) == {"mouse-2"}
        assert result.provenance["source"]["type"] == "recording"
        assert result.provenance["command"].endswith("shuffle_count=19")
        figures = tmp_path / "run" / experiment / "figures"
        assert {"gallery.png", "population.pdf"} <= {path.name for path in figures.iterdir()}


def test_metadata_tell_what_trials_showed(movies, tmp_path):
    recording = the_recording(movies / "mouse-1", model=None, mouse=None)
    shown = recording.trials.query("stimulus_type == 'drifting_gabor'")["trial"]
    metadata = tmp_path / "ood_features" / "drifting_gabor" / "mouse-1"
    metadata.mkdir(parents=True)
    rows = np.stack([45.0 * (np.arange(12) % 8), np.full(12, 0.38), np.full(12, 0.022)], axis=1)
    np.save(metadata / f"{shown.iloc[0]}.npy", rows.repeat(25, axis=0).astype(np.float32))
    result = analyze_recording(
        "direction", recording, metadata=tmp_path, overrides={"shuffle_count": 19}
    )
    assert result.provenance["source"]["conditions_from"] == ["metadata", "movie"]


def test_a_question_that_a_recording_cannot_answer_ends_in_one_sentence(refused, movies, tmp_path):
    sentence = refused(
        "run", "retinotopy", "--recording", movies / "mouse-1", "--out", tmp_path / "run"
    )
    assert "cannot answer retinotopy: its trials show" in sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("path", "model", "sentence"),
    [
        (None, None, "neither --model nor --recording was given; give one of the two"),
        (Path("recording"), "model", "both --model and --recording were given"),
        (None, "model", "--metadata describes a recording, and a model was given"),
    ],
)
def test_either_a_model_or_a_recording_is_needed(path, model, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        the_recording(path, model=model, mouse=None)


def test_one_of_several_mice_must_be_named(movies):
    with pytest.raises(MouseError, match=r"2 mice and none was named; .* mouse-1, mouse-2"):
        the_recording(movies, model=None, mouse=None)
    assert the_recording(movies, model=None, mouse="mouse-2").mouse == "mouse-2"


def test_foreign_metadata_are_refused_before_anything_is_written(movies, tmp_path):
    recording = the_recording(movies / "mouse-1", model=None, mouse=None)
    with pytest.raises(RecordingError, match="has no metadata of mouse mouse-1"):
        analyze_recording("dots", recording, metadata=tmp_path, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_answer_nothing(recordings):
    recording = the_recording(recordings / "mouse-1", model=None, mouse=None)
    with pytest.raises(RecordingError, match=r"its trials show image \(\d+\), which answer no"):
        analyze_recording("direction", recording)
