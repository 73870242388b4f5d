import numpy as np
import pytest

from insilico.errors import RecordingError
from insilico.simulation import SimulationOptions
from insilico.simulation.plan import plan_trials


def counts(kind):
    trials = plan_trials(SimulationOptions(kind=kind), mouse=0)
    return trials, trials["tier"].value_counts().to_dict()


def test_movies_have_the_published_tiers_and_repeats():
    trials, tiers = counts("movie")
    assert tiers == {
        "train": 360,
        "oracle": 48,
        "live_test_main": 48,
        "final_test_main": 16,
        "live_test_bonus": 32,
        "final_test_bonus": 48,
    }
    repeats = trials.groupby("stimulus").size()
    is_train = trials.drop_duplicates("stimulus").set_index("stimulus")["tier"] == "train"
    assert set(repeats[is_train[is_train].index]) == {1}
    assert set(repeats[is_train[~is_train].index]) == {8}
    bonus = trials[trials["tier"].str.endswith("bonus")]
    assert bonus["stimulus_type"].nunique() == 5


def test_images_have_the_published_tiers_and_repeats():
    trials, tiers = counts("image")
    assert tiers == {"train": 3000, "validation": 200, "test": 1000}
    assert set(trials[trials["tier"] == "test"].groupby("stimulus").size()) == {10}


def test_two_in_three_training_stimuli_are_dead_leaves():
    trials, _ = counts("movie")
    share = (trials.loc[trials["tier"] == "train", "source"] == "leaves").mean()
    assert share == pytest.approx(2 / 3, abs=0.01)


def test_trials_are_in_another_random_order_in_each_mouse():
    options = SimulationOptions()
    first, again, other = (plan_trials(options, mouse=mouse) for mouse in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    position = np.flatnonzero(first["tier"] == "oracle")
    assert np.abs(position.mean() / len(first) - 0.5) < 0.15


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"kind": "sound"}, "give 'movie' or 'image'"),
        ({"mice": 0}, "mice is 0; give 1 or more"),
        ({"neurons": 0}, "neurons is 0; give 1 or more"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"repeats": 1}, "repeats is 1; give 2 or more"),
        ({"train_trials": 0}, "train_trials is 0; give 1 or more"),
        ({"reliability": 1.0}, "reliability is 1.0; give a number between 0 and 1"),
        ({"reliability": float("nan")}, "reliability is nan; give a number between 0 and 1"),
        ({"trial_s": 0.2}, "trial_s is 0.2; give 1 second or more"),
        ({"gaze_shift_px": -1.0}, "gaze_shift_px is -1.0; give 0 or more"),
        ({"kind": "image", "image_scale": 2}, "image_scale is 2; give 1, or 4 for the published"),
        ({"image_scale": 0}, "image_scale is 0; give 1, or 4"),
    ],
)
def test_options_out_of_range_are_refused(option, expected):
    with pytest.raises(RecordingError, match=expected):
        SimulationOptions(**option)
