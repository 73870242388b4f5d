"""Reliability and prediction of neurons whose signal and noise are known."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import insilico
from insilico.errors import MouseError, NeuronError, RecordingError, ShapeError, UnitsError
from insilico.models.checkpoint import Checkpoint
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.models.network import Network
from insilico.recordings.cache import CachedRecording
from insilico.recordings.recording import Recording
from insilico.screen import Screen
from insilico.synthesis.choice import choose
from insilico.synthesis.recorded_reliability import pair_correlation, reliability_of
from insilico.training.evaluation import evaluate
from insilico.twin.twin import ensemble

NEURONS = 6
SCREEN = Screen(8, 2, width_cm=20.0, height_cm=5.0, distance_cm=15.0)
STATISTICS = Statistics(
    stimulus_mean=100.0,
    stimulus_std=50.0,
    response_std=np.linspace(0.1, 20.0, NEURONS),
    behavior_mean=np.array([1.0, 2.0]),
    behavior_std=np.array([2.0, 4.0]),
    pupil_mean=np.array([5.0, 5.0]),
    pupil_std=np.array([2.0, 2.0]),
    sources={"stimulus": "measured", "response": "measured"},
)
BEHAVIOR = ("running_speed", "pupil_size")


class PixelNetwork(Network):
    """Neuron n says what pixel n of the first row shows, above 2, times a weight."""

    def __init__(self, kind, *, reads_state=False, dropped=0, weight=1.0):
        super().__init__()
        self.kind = kind
        self.behavior_names = ("pupil_size",) if reads_state else ()
        self.uses_pupil = reads_state
        self._dropped = dropped
        self.weight = nn.Parameter(torch.full((1,), weight))

    @property
    def neuron_counts(self):
        return {"A": NEURONS}

    def response_frames(self, frame_count):
        return frame_count - self._dropped

    def forward(self, stimulus, *, mouse, neurons=None, behavior=None, pupil_center=None):
        answer = self.weight * stimulus[:, 0, ..., 0, :NEURONS] + 2
        if behavior is not None:
            answer = answer + (behavior[:, 0] + pupil_center[:, 0])[..., None]
        if neurons is not None:
            answer = answer[..., neurons]
        return answer if self.kind == "image" else answer[:, self._dropped :].transpose(1, 2)


def make_twin(kind, **options):
    mouse = Mouse("A", SCREEN, neurons_table(NEURONS), STATISTICS)
    return insilico.Twin(
        PixelNetwork(kind, **options), mice={"A": mouse}, name="pixels", device="cpu"
    )


def make_cached(tmp_path, kind="movie", *, noise=1.0, repeats=8, stimuli=20, mouse="A"):
    """A recording of two tiers, of which the test tier has repeats."""
    rng = np.random.default_rng(0)
    index = np.concatenate([np.arange(6), 10 + np.arange(stimuli * repeats) % stimuli])
    trials = pd.DataFrame(
        {
            "trial": np.arange(len(index)),
            "tier": ["validation"] * 6 + ["test"] * (stimuli * repeats),
            "stimulus_type": kind,
            "stimulus_index": index,
            "frame_count": 1 if kind == "image" else 40 + np.arange(len(index)) % 3,
            "has_responses": True,
        }
    )
    shown = {one: rng.integers(0, 256, (42, 1, 2, 8)) for one in np.unique(index)}
    parts = zip(index, trials["frame_count"], strict=True)
    stimulus = np.concatenate([shown[one][:count] for one, count in parts]).astype(np.uint8)
    behavior = rng.gamma(2, 1, (len(stimulus), 2)).astype(np.float32)
    pupil = rng.normal(5, 2, (len(stimulus), 2)).astype(np.float32)
    signal = (stimulus[:, 0, 0, :NEURONS].astype(float) - 100) / 50 + 2
    responses = (signal + noise * rng.normal(size=signal.shape)) * STATISTICS.response_std
    starts = np.concatenate([[0], np.cumsum(trials["frame_count"])[:-1]])
    recording = Recording(
        mouse,
        kind,
        "sensorium2022",
        tmp_path / mouse,
        SCREEN,
        neurons_table(NEURONS, neuron_id=np.arange(NEURONS) + 7),
        trials,
        None,
        behavior_names=BEHAVIOR,
        has_pupil=True,
    )
    return CachedRecording(
        recording,
        tmp_path,
        trials,
        stimulus,
        responses.astype(np.float32),
        behavior,
        pupil,
        starts,
        STATISTICS,
        responses.mean(axis=0),
        "ab" * 32,
    )


def brute_force(stacks):
    """Mean over movies of the mean over pairs, one Pearson correlation at a time."""
    movies = []
    for stack in stacks:
        pairs = []
        for one, two in itertools.combinations(stack, 2):
            with np.errstate(invalid="ignore", divide="ignore"):
                pairs.append(
                    [np.corrcoef(one[:, n], two[:, n])[0, 1] for n in range(stack.shape[2])]
                )
        movies.append(np.nanmean(pairs, axis=0))
    return np.nanmean(movies, axis=0)


# Pairs


def test_pairs_of_movies_are_those_of_the_formula_where_some_repeats_are_constant():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(2, 1, 30, 4))
    stacks = signal + rng.normal(size=(2, 5, 30, 4)) * [0.1, 0.5, 1, 3]
    stacks[0, 2, :, 1] = 7.0
    trials = [*stacks[0], *stacks[1]]
    order = rng.permutation(10)
    index = np.repeat([3, 8], 5)[order]
    found = pair_correlation([trials[one] for one in order], index)
    np.testing.assert_allclose(found, brute_force(stacks), atol=1e-12)
    assert (np.diff(found) < 0).all()


def test_trials_of_unknown_or_single_stimuli_do_not_count():
    rng = np.random.default_rng(2)
    trials = list(rng.normal(size=(6, 20, 3)))
    found = pair_correlation(trials, [4, 4, -1, -1, 5, 6])
    np.testing.assert_allclose(found, brute_force([np.stack(trials[:2])]), atol=1e-12)
    assert np.isnan(pair_correlation(trials, np.arange(6))).all()


def test_constant_and_missing_traces_have_no_reliability_and_leave_others_theirs():
    rng = np.random.default_rng(3)
    trials = rng.normal(size=(4, 20, 3)) + rng.normal(size=(1, 20, 3))
    expected = brute_force([trials])
    trials[..., 0] = 0.1
    trials[:, 3, 1] = np.nan
    found = pair_correlation(list(trials.astype(np.float32)), np.zeros(4, int))
    assert np.isnan(found[:2]).all()
    assert found[2] == pytest.approx(expected[2], abs=1e-6)


def test_pairs_of_images_correlate_over_images_as_random_pairs_do():
    rng = np.random.default_rng(4)
    images, repeats, deviation = 300, 6, np.array([0.3, 1.0, 2.0])
    values = rng.normal(size=(images, 1, 3)) + deviation * rng.normal(size=(images, repeats, 3))
    index = np.repeat(np.arange(images), repeats)
    found = pair_correlation(list(values.reshape(-1, 1, 3)), index)
    drawn = []
    for _ in range(100):
        pair = np.stack([rng.permutation(repeats)[:2] for _ in range(images)])
        one, two = (values[np.arange(images), pair[:, side]] for side in (0, 1))
        drawn.append([np.corrcoef(one[:, n], two[:, n])[0, 1] for n in range(3)])
    np.testing.assert_allclose(found, np.mean(drawn, axis=0), atol=0.01)
    np.testing.assert_allclose(found, 1 / (1 + deviation**2), atol=0.06)


def test_trials_without_an_index_are_refused():
    with pytest.raises(ShapeError, match="give one a trial"):
        pair_correlation([np.zeros((3, 2))] * 2, [1])


# A recording and a twin


@pytest.mark.parametrize("kind", ["image", "movie"])
@pytest.mark.parametrize("reads_state", [False, True])
def test_prediction_is_that_of_an_evaluation(tmp_path, kind, reads_state):
    cached = make_cached(tmp_path, kind)
    twin = make_twin(kind, reads_state=reads_state, dropped=3 if kind == "movie" else 0)
    table = reliability_of(twin, cached, burn_in_frames=5)
    checkpoint = Checkpoint("pixels", "pixels", None, twin.networks[0], {"A": twin.mouse("A")})
    judged = evaluate(checkpoint, {"A": cached}, tiers=["test"], burn_in_frames=5).neurons
    # An evaluation predicts whole trials, and cuts repeats to the same length afterwards.
    np.testing.assert_allclose(
        table["prediction_correlation"], judged["correlation_to_average"], atol=1e-6
    )
    assert table["tier"].unique().tolist() == ["test"]
    assert table["neuron_id"].tolist() == judged["neuron_id"].tolist()
    assert (table["stimulus_count"].unique(), table["repeat_count"].unique()) == ([20], [8])


@pytest.mark.parametrize("kind", ["image", "movie"])
@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
def test_reliability_is_the_share_of_the_signal_and_the_mean_over_repeats_is_predicted_better(
    tmp_path, kind, noise
):
    cached = make_cached(tmp_path, kind, noise=noise, stimuli=150 if kind == "image" else 10)
    table = reliability_of(make_twin(kind), cached, burn_in_frames=0)
    signal = (256**2 - 1) / 12 / 50**2
    loose = 0.06 if kind == "image" else 0.04
    np.testing.assert_allclose(table["trial_reliability"], signal / (signal + noise**2), atol=loose)
    expected = np.sqrt(signal / (signal + noise**2 / 8))
    np.testing.assert_allclose(table["prediction_correlation"], expected, atol=loose)


def test_burn_in_and_frames_without_an_answer_are_not_judged(tmp_path):
    cached = make_cached(tmp_path, noise=0.5)
    for start, count in zip(cached.first_row, cached.trials["frame_count"], strict=True):
        cached.responses[start : start + min(10, count)] = 1e6 * (1 + start % 7)
    for twin, burn_in in ((make_twin("movie"), 10), (make_twin("movie", dropped=10), 0)):
        table = reliability_of(twin, cached, burn_in_frames=burn_in)
        assert table["trial_reliability"].min() > 0.7
        assert table["prediction_correlation"].min() > 0.9


def test_some_neurons_are_asked_as_all_are(tmp_path):
    cached, twin = make_cached(tmp_path), make_twin("movie")
    every = reliability_of(twin, cached, burn_in_frames=5)
    some = reliability_of(twin, cached, neurons="4,1", burn_in_frames=5)
    assert some["neuron"].tolist() == [4, 1]
    pd.testing.assert_frame_equal(some, every.iloc[[4, 1]].reset_index(drop=True))


def test_ensemble_is_judged_by_its_mean(tmp_path):
    cached = make_cached(tmp_path)
    twins = [make_twin("movie"), make_twin("movie", weight=-3.0)]
    joined = reliability_of(ensemble(twins), cached, burn_in_frames=5)
    assert (joined["prediction_correlation"] < -0.9).all()


def test_silent_neuron_has_no_numbers_and_is_not_chosen(tmp_path):
    cached = make_cached(tmp_path, noise=0.5)
    cached.responses[:, 2] = 0.0
    twin = make_twin("movie")
    table = reliability_of(twin, cached, burn_in_frames=5)
    lacking = table[["trial_reliability", "prediction_correlation"]].isna()
    assert lacking.all(axis=1).tolist() == [neuron == 2 for neuron in range(NEURONS)]
    neurons = twin.neurons("A").assign(mouse="A")
    choice = choose(neurons, screen=SCREEN, reliability=table)
    assert choice.table["status"].tolist() == ["chosen"] * 2 + ["not_known"] + ["chosen"] * 3


def test_stimuli_with_fewer_repeats_do_not_count(tmp_path):
    cached = make_cached(tmp_path, stimuli=4)
    # Of the first stimulus only four presentations remain.
    lost = np.flatnonzero(cached.trials["stimulus_index"] == 10)[:4]
    trials = cached.trials.copy()
    trials.loc[lost, "has_responses"] = False
    fewer = dataclasses.replace(cached, trials=trials)
    table = reliability_of(make_twin("movie"), fewer, burn_in_frames=5)
    assert (table["stimulus_count"].unique(), table["repeat_count"].unique()) == ([3], [8])


# Refusals


def test_recording_without_repeats_is_refused(tmp_path):
    cached = make_cached(tmp_path, repeats=3, stimuli=4)
    with pytest.raises(RecordingError, match=r"shown 5 times in the tiers .* \(at most 3 times"):
        reliability_of(make_twin("movie"), cached)
    table = reliability_of(make_twin("movie"), cached, least_repeats=3, burn_in_frames=5)
    assert table["repeat_count"].unique() == [3]
    with pytest.raises(RecordingError, match="in the tiers validation "):
        reliability_of(make_twin("movie"), cached, tier="validation")
    with pytest.raises(RecordingError, match="the tiers are validation, test"):
        reliability_of(make_twin("movie"), cached, tier="oracle")


def test_too_few_images_or_frames_are_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"2 images of .* needs 3"):
        reliability_of(make_twin("image"), make_cached(tmp_path, "image", stimuli=2))
    with pytest.raises(RecordingError, match="within the burn-in of 50 frames"):
        reliability_of(make_twin("movie"), make_cached(tmp_path, stimuli=2))


def test_recording_that_lacks_what_the_twin_reads_is_refused(tmp_path):
    cached = make_cached(tmp_path, stimuli=2)
    twin = make_twin("movie", reads_state=True)
    recording = dataclasses.replace(cached.recording, behavior_names=())
    without = dataclasses.replace(cached, recording=recording, behavior=None)
    with pytest.raises(RecordingError, match=r"reads pupil_size, and .* has no behavior"):
        reliability_of(twin, without)
    with pytest.raises(RecordingError, match="has no pupil_center"):
        reliability_of(twin, dataclasses.replace(cached, pupil_center=None))


def test_recording_of_another_mouse_or_kind_is_refused(tmp_path):
    with pytest.raises(MouseError, match="is of mouse B"):
        reliability_of(make_twin("movie"), make_cached(tmp_path, mouse="B", stimuli=2))
    with pytest.raises(RecordingError, match="holds images and pixels predicts movies"):
        reliability_of(make_twin("movie"), make_cached(tmp_path, "image", stimuli=2))


def test_numbers_out_of_range_are_refused(tmp_path):
    cached, twin = make_cached(tmp_path, stimuli=2), make_twin("movie")
    for options in ({"least_repeats": 1}, {"burn_in_frames": -1}):
        with pytest.raises(UnitsError, match="give 2 or more repeats"):
            reliability_of(twin, cached, **options)
    with pytest.raises(NeuronError, match="does not exist"):
        reliability_of(twin, cached, neurons=[99])
