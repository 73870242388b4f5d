"""Evaluation of models whose scores are known: perfect ones, constant ones, wrong ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from insilico.errors import MouseError, RecordingError, RunFolderError, UnitsError
from insilico.models.checkpoint import Checkpoint
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.models.network import Network
from insilico.results import Result
from insilico.screen import Screen
from insilico.statistics import performance, reliability
from insilico.training import evaluation, storage
from insilico.training.evaluation import evaluate
from insilico.training.summary import METRICS, summarize

NEURONS = 6
SCREEN = Screen(8, 2, width_cm=20.0, height_cm=5.0, distance_cm=15.0)
STATISTICS = Statistics(
    stimulus_mean=100.0,
    stimulus_std=50.0,
    response_std=np.linspace(0.1, 20.0, NEURONS),
    sources={"stimulus": "measured", "response": "measured"},
)


class PixelNetwork(Network):
    """Neuron n says what pixel n of the first row shows, above 2; or always the same."""

    def __init__(self, kind, mice, *, is_constant=False, dropped=0):
        super().__init__()
        self.kind = kind
        self._mice, self._is_constant, self._dropped = mice, is_constant, dropped
        self.weight = nn.Parameter(torch.ones(1))

    @property
    def neuron_counts(self):
        return dict.fromkeys(self._mice, NEURONS)

    def response_frames(self, frame_count):
        return frame_count - self._dropped

    def forward(self, stimulus, *, mouse, neurons=None, behavior=None, pupil_center=None):
        answer = stimulus[:, 0, ..., 0, :NEURONS] + 2 * self.weight
        if self._is_constant:
            answer = torch.full_like(answer, 0.3)
        return answer if self.kind == "image" else answer[:, self._dropped :].transpose(1, 2)


@dataclasses.dataclass
class Cached:
    """A recording as the cache hands it out, made here."""

    recording: SimpleNamespace
    trials: pd.DataFrame
    stimulus: np.ndarray
    responses: np.ndarray
    first_row: np.ndarray
    folder: Path
    behavior: None = None
    pupil_center: None = None
    statistics: Statistics = STATISTICS
    content_sha256: str = "ab" * 32

    @property
    def response_mean(self):
        return self.responses.mean(axis=0)

    def trials_of(self, *tiers):
        chosen = self.trials["tier"].isin(tiers) & self.trials["has_responses"]
        return np.flatnonzero(chosen)


def make_trials(kind):
    """Trials of three tiers, with and without repeats, and a tier whose responses are withheld."""
    types = ("image", "image") if kind == "image" else ("movie", "drifting_gabor")
    rows = [("train", types[0], i) for i in range(4)]
    rows += [("validation", types[0], 10 + i % 5) for i in range(40)]
    rows += [("live_bonus", types[1], 20 + i % 4) for i in range(24)]
    rows += [("test", types[0], 30 + i) for i in range(8)]
    rows += [("final_main", types[0], 40) for _ in range(3)]
    table = pd.DataFrame(rows, columns=["tier", "stimulus_type", "stimulus_index"])
    table.insert(0, "trial", np.arange(len(table)) + 100)
    frames = 1 if kind == "image" else np.where(np.arange(len(table)) % 2, 30, 34)
    return table.assign(frame_count=frames, has_responses=table["tier"] != "final_main")


def make_recording(tmp_path, kind="movie", mouse="A", *, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    trials = make_trials(kind)
    first_row = np.concatenate([[0], np.cumsum(trials["frame_count"])])
    movies = {index: rng.integers(0, 256, (34, 1, 2, 8)) for index in trials["stimulus_index"]}
    stimulus = np.concatenate(
        [
            movies[index][:count]
            for index, count in zip(trials["stimulus_index"], trials["frame_count"], strict=True)
        ]
    ).astype(np.uint8)
    signal = (stimulus[:, 0, 0, :NEURONS].astype(float) - 100) / 50 + 2
    standardized = signal + noise * rng.normal(size=signal.shape)
    responses = (standardized * STATISTICS.response_std).astype(np.float32)
    recording = SimpleNamespace(
        mouse=mouse,
        kind=kind,
        source=Path(f"recordings/{mouse}"),
        screen=SCREEN,
        neurons=neurons_table(NEURONS, neuron_id=np.arange(NEURONS) + 7),
        channel_names=("gray",),
        behavior_names=(),
        has_pupil=False,
    )
    return Cached(recording, trials, stimulus, responses, first_row[:-1], tmp_path)


def make_checkpoint(recordings, *, is_constant=False, dropped=0, statistics=STATISTICS):
    (kind,) = {cached.recording.kind for cached in recordings.values()}
    mice = {
        name: Mouse(name, SCREEN, cached.recording.neurons, statistics)
        for name, cached in recordings.items()
    }
    network = PixelNetwork(kind, tuple(mice), is_constant=is_constant, dropped=dropped)
    return Checkpoint("pixels", "pixels", None, network, mice)


@pytest.fixture
def movies(tmp_path):
    return {"A": make_recording(tmp_path)}


@pytest.fixture
def images(tmp_path):
    return {"A": make_recording(tmp_path, "image")}


def table_of(result, tier, kind=None):
    table = result.neurons[result.neurons["tier"] == tier]
    return table if kind is None else table[table["stimulus_type"] == kind]


def summary_of(result, metric, *, mouse="A", tier="validation"):
    table = result.tables["summary"]
    chosen = (table["mouse"] == mouse) & (table["tier"] == tier) & (table["metric"] == metric)
    return table[chosen].iloc[0]


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_model_that_knows_the_signal_scores_the_ceiling(tmp_path, kind):
    recordings = {"A": make_recording(tmp_path, kind)}
    result = evaluate(make_checkpoint(recordings), recordings, burn_in_frames=4)
    table = table_of(result, "validation")
    assert (table["status"] == "ok").all()
    # Gray levels are uniform over 256 levels of 50 each; noise has variance 1.
    variance = (256**2 - 1) / 12 / 50**2
    loose = 0.15 if kind == "image" else 0.03
    assert table["correlation"].mean() == pytest.approx(
        np.sqrt(variance / (variance + 1)), abs=loose
    )
    assert table["normalized_correlation"].mean() == pytest.approx(1, abs=loose)
    assert table["feve"].mean() == pytest.approx(1, abs=loose)
    assert summary_of(result, "fraction_oracle")["mean"] > 1
    assert (table["correlation"] <= table["conservative_oracle"] + loose).all()


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_noiseless_recordings_are_predicted_perfectly(tmp_path, kind):
    recordings = {"A": make_recording(tmp_path, kind, noise=0.0)}
    result = evaluate(make_checkpoint(recordings), recordings, burn_in_frames=4)
    table = table_of(result, "validation")
    perfect = [name for name in METRICS if name != "poisson_loss"]
    np.testing.assert_allclose(table[perfect], 1.0, atol=2e-5)
    assert summary_of(result, "fraction_oracle")["mean"] == pytest.approx(1, abs=1e-6)


def test_metrics_are_those_of_the_rows_after_the_burn_in_in_recorded_units(movies):
    cached = movies["A"]
    table = table_of(evaluate(make_checkpoint(movies), movies, burn_in_frames=10), "validation")
    positions = cached.trials_of("validation")
    index = cached.trials["stimulus_index"].to_numpy()[positions]
    recorded, predicted = [], []
    for position in positions:
        start = cached.first_row[position] + 10
        stop = cached.first_row[position] + cached.trials["frame_count"][position]
        recorded.append(cached.responses[start:stop].astype(float))
        standardized = (cached.stimulus[start:stop, 0, 0, :NEURONS].astype(float) - 100) / 50 + 2
        predicted.append(standardized * STATISTICS.response_std)
    pair = (predicted, recorded)
    expected = {
        "single_trial_correlation": performance.single_trial_correlation(*pair),
        "correlation": performance.correlation(*pair),
        "correlation_to_average": performance.correlation_to_average(*pair, index),
        "normalized_correlation": performance.normalized_correlation(*pair, index),
        "fev": reliability.explainable_variance_fraction(recorded, index),
        "feve": performance.feve(*pair, index),
        "oracle": reliability.oracle_correlation(recorded, index),
        "conservative_oracle": reliability.conservative_oracle(recorded, index),
        "poisson_loss": performance.poisson_loss(*pair),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_table_has_a_row_a_mouse_tier_type_and_neuron(movies):
    table = evaluate(make_checkpoint(movies), movies, burn_in_frames=4).neurons
    keys = ["mouse", "tier", "stimulus_type", "neuron"]
    assert not table.duplicated(keys).any()
    groups = table.groupby(["tier", "stimulus_type"])[["trial_count", "stimulus_count"]].first()
    assert groups.loc[("validation", "movie")].tolist() == [40, 5]
    assert groups.loc[("live_bonus", "drifting_gabor")].tolist() == [24, 4]
    assert groups.loc[("test", "movie")].tolist() == [8, 8]
    assert set(table["tier"]) == {"validation", "live_bonus", "test"}
    assert table["neuron_id"].tolist() == [7, 8, 9, 10, 11, 12] * 3


def test_tier_without_repeats_has_correlations_and_nothing_that_needs_repeats(movies):
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    table = table_of(result, "test")
    assert (table["status"] == "too_few_repeats").all()
    assert table[["single_trial_correlation", "correlation", "poisson_loss"]].notna().all(axis=None)
    needs_repeats = ["correlation_to_average", "normalized_correlation", "fev", "feve", "oracle"]
    assert table[needs_repeats].isna().all(axis=None)
    assert not table["is_explainable"].any()
    assert (table["repeat_count"] == 1).all()
    row = summary_of(result, "oracle", tier="test")
    assert np.isnan(row["mean"])
    assert row["neuron_count"] == 0


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_constant_model_has_no_correlation_and_no_crash(tmp_path, kind):
    recordings = {"A": make_recording(tmp_path, kind)}
    checkpoint = make_checkpoint(recordings, is_constant=True)
    result = evaluate(checkpoint, recordings, burn_in_frames=4)
    table = table_of(result, "validation")
    assert (table["status"] == "constant_prediction").all()
    assert table[["correlation", "single_trial_correlation"]].isna().all(axis=None)
    assert table["oracle"].notna().all()
    assert np.isnan(summary_of(result, "correlation")["mean"])
    assert np.isnan(summary_of(result, "fraction_oracle")["mean"])


def test_silent_and_broken_neurons_have_a_status_and_leave_the_others_alone(movies):
    expected = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    movies["A"].responses[:, 1] = 0
    movies["A"].responses[-200:, 2] = np.nan
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    table = table_of(result, "validation")
    assert table["status"].tolist() == ["ok", "constant_response", "ok", "ok", "ok", "ok"]
    assert table_of(result, "test")["status"].tolist()[2] == "not_finite"
    others = [0, 3, 4, 5]
    pd.testing.assert_frame_equal(table.iloc[others], table_of(expected, "validation").iloc[others])
    assert summary_of(result, "correlation")["neuron_count"] == NEURONS - 1


def test_withheld_responses_are_skipped_and_said_so(movies):
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    assert "final_main" not in set(result.neurons["tier"])
    assert result.provenance["skipped"] == [
        {"mouse": "A", "tier": "final_main", "reason": "3 of 3 trials without responses"}
    ]
    with pytest.raises(RecordingError, match=r"no trial to evaluate .*3 of 3 trials without"):
        evaluate(make_checkpoint(movies), movies, tiers=["final_main"])


def test_movies_that_end_within_the_burn_in_are_skipped_and_said_so(movies):
    result = evaluate(make_checkpoint(movies), movies, tiers=["validation"], burn_in_frames=32)
    assert (result.neurons["trial_count"] == 20).all()
    reason = "20 of 40 trials end within the burn-in of 32 frames"
    assert result.provenance["skipped"][0]["reason"] == reason
    with pytest.raises(RecordingError, match="end within the burn-in of 50 frames"):
        evaluate(make_checkpoint(movies), movies)


def test_negative_burn_in_is_refused(movies):
    with pytest.raises(UnitsError, match="burn-in of -1 frames"):
        evaluate(make_checkpoint(movies), movies, burn_in_frames=-1)


def test_frames_that_the_network_does_not_answer_are_not_judged(movies):
    whole = evaluate(make_checkpoint(movies), movies, burn_in_frames=12)
    late = evaluate(make_checkpoint(movies, dropped=12), movies, burn_in_frames=4)
    pd.testing.assert_frame_equal(whole.neurons, late.neurons)


def test_model_statistics_standardize_and_not_those_of_the_recording(movies):
    expected = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    movies["A"].statistics = Statistics(
        stimulus_mean=0.0, stimulus_std=1.0, response_std=np.full(NEURONS, 3.0)
    )
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    pd.testing.assert_frame_equal(result.neurons, expected.neurons)


def test_blocks_of_neurons_and_files_change_nothing(movies, monkeypatch):
    expected = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    monkeypatch.setattr(evaluation, "BLOCK_NUMBERS", 3000)
    monkeypatch.setattr(storage, "MEMORY_BYTES", 0)
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    pd.testing.assert_frame_equal(result.neurons, expected.neurons)
    assert list(movies["A"].folder.iterdir()) == []


def test_full_disk_is_refused_before_predicting(movies, monkeypatch):
    monkeypatch.setattr(storage, "MEMORY_BYTES", 0)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(RunFolderError, match="make room or give another --cache"):
        evaluate(make_checkpoint(movies), movies, burn_in_frames=4)


def test_feve_averages_explainable_neurons_only(movies):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(len(movies["A"].responses), 2))
    movies["A"].responses[:, [0, 3]] = 2 + noise
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4)
    table = table_of(result, "validation")
    assert table["is_explainable"].tolist() == [False, True, True, False, True, True]
    expected = table.loc[table["is_explainable"], "feve"].mean()
    row = summary_of(result, "feve")
    assert row["mean"] == pytest.approx(expected, abs=1e-12)
    assert row["neuron_count"] == 4


def test_summary_averages_neurons_and_then_mice_without_weights(tmp_path):
    recordings = {
        name: make_recording(tmp_path, mouse=name, seed=seed, noise=1.0 + seed)
        for seed, name in enumerate("AB")
    }
    result = evaluate(make_checkpoint(recordings), recordings, burn_in_frames=4)
    table = table_of(result, "validation")
    means = table.groupby("mouse")["correlation"].mean()
    for mouse, expected in {**means, "all mice": means.mean()}.items():
        row = summary_of(result, "correlation", mouse=mouse)
        assert row["mean"] == pytest.approx(expected, abs=1e-12)
        assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert summary_of(result, "correlation", mouse="all mice")["neuron_count"] == 2 * NEURONS
    slope = performance.fraction_oracle(
        *table.loc[table["mouse"] == "B", ["correlation", "oracle"]].to_numpy().T
    )
    assert summary_of(result, "fraction_oracle", mouse="B")["mean"] == pytest.approx(slope)
    pd.testing.assert_frame_equal(summarize(result.neurons), result.tables["summary"])


def test_result_survives_a_round_trip(movies, tmp_path):
    result = evaluate(make_checkpoint(movies), movies, burn_in_frames=4, command="insilico x")
    loaded = Result.load(result.save(tmp_path / "run" / "evaluation"))
    pd.testing.assert_frame_equal(loaded.neurons, result.neurons)
    pd.testing.assert_frame_equal(loaded.tables["summary"], result.tables["summary"])
    assert loaded.protocol == result.protocol
    assert loaded.protocol["burn_in_frames"] == 4
    assert loaded.provenance["recordings"] == {"A": "ab" * 32}
    assert len(loaded.provenance["weights"]["weights_sha256"]) == 64
    assert loaded.provenance["output_units"] == "recorded"


def test_images_have_no_burn_in(images):
    result = evaluate(make_checkpoint(images), images)
    assert result.protocol["burn_in_frames"] == 0
    assert (table_of(result, "validation")["trial_count"] == 40).all()


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_predictions_are_kept_in_recorded_units(tmp_path, kind):
    recordings = {"A": make_recording(tmp_path, kind)}
    cached, checkpoint = recordings["A"], make_checkpoint(recordings)
    path = tmp_path / "run" / "predictions.h5"
    evaluate(checkpoint, recordings, tiers=["validation"], burn_in_frames=4, predictions=path)
    with h5py.File(path) as file:
        assert file.attrs["units"] == "recorded"
        assert file.attrs["weights_sha256"] == checkpoint.weights_sha256
        mouse = file["A"]
        assert mouse["neuron_id"][:].tolist() == [7, 8, 9, 10, 11, 12]
        assert mouse.attrs["frame_rate_hz"] == 30.0
        numbers = cached.trials["trial"][cached.trials["tier"] == "validation"]
        assert set(mouse) == {"neuron_id", *map(str, numbers)}
        trial, position = mouse[str(numbers.iloc[3])], numbers.index[3]
        first = 0 if kind == "image" else 4
        assert trial.attrs["first_frame"] == first
        assert trial.attrs["tier"] == "validation"
        rows = slice(
            cached.first_row[position] + first,
            cached.first_row[position] + cached.trials["frame_count"][position],
        )
        shown = (cached.stimulus[rows, 0, 0, :NEURONS].astype(float) - 100) / 50 + 2
        expected = (shown * STATISTICS.response_std).T
        assert trial.dtype == np.float32
        np.testing.assert_allclose(
            trial[:], expected[:, 0] if kind == "image" else expected, rtol=1e-5
        )


def test_predictions_that_cannot_be_written_are_refused(movies, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFolderError, match=r"the predictions .* cannot be written"):
        evaluate(make_checkpoint(movies), movies, predictions=tmp_path / "file" / "p.h5")


def test_failed_evaluation_leaves_no_predictions(movies, tmp_path):
    with pytest.raises(RecordingError, match="no trial to evaluate"):
        evaluate(make_checkpoint(movies), movies, predictions=tmp_path / "run" / "p.h5")
    assert list((tmp_path / "run").iterdir()) == []


def test_mouse_that_the_model_does_not_have_is_refused_with_those_it_has(movies, tmp_path):
    others = {"Z": make_recording(tmp_path, mouse="Z")}
    with pytest.raises(MouseError, match="of mouse Z, and pixels has A; name the mice"):
        evaluate(make_checkpoint(movies), others)


def with_neurons(cached, ids):
    cached.recording.neurons = neurons_table(len(ids), neuron_id=ids)


def with_screen(cached, screen):
    cached.recording.screen = screen


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: with_neurons(c, np.arange(5)), "has 5 neurons and mouse A of pixels has 6"),
        (lambda c: with_neurons(c, [7, 9, 8, 10, 11, 12]), "neuron 1 is 9 and should be 8"),
        (lambda c: setattr(c.recording, "kind", "image"), "holds images and pixels predicts"),
        (lambda c: with_screen(c, Screen(16, 4, 20.0, 5.0, 15.0)), r"\(1, 4, 16\) and pixels"),
        (lambda c: setattr(c.recording, "channel_names", ("uv", "green")), r"\(2, 2, 8\) and"),
        (lambda c: with_screen(c, dataclasses.replace(SCREEN, frame_rate_hz=60.0)), "60 frames"),
    ],
)
def test_recording_of_something_else_is_refused(movies, change, expected):
    checkpoint = make_checkpoint(movies)
    change(movies["A"])
    with pytest.raises(RecordingError, match=expected):
        evaluate(checkpoint, movies)


def test_neurons_without_names_of_their_own_are_only_counted(movies):
    checkpoint = make_checkpoint(movies)
    mouse = checkpoint.mice["A"]
    unnamed = dataclasses.replace(mouse, neurons=neurons_table(NEURONS))
    anonymous = Checkpoint("pixels", "pixels", None, checkpoint.network, {"A": unnamed})
    result = evaluate(anonymous, movies, burn_in_frames=4)
    assert result.neurons["neuron_id"].tolist()[:NEURONS] == [7, 8, 9, 10, 11, 12]


def test_tier_that_does_not_exist_is_refused_with_those_that_do(movies):
    with pytest.raises(RecordingError, match="'oracle'; the tiers are train, validation, test"):
        evaluate(make_checkpoint(movies), movies, tiers=["oracle"])
