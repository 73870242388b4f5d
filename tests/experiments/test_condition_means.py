"""Means over conditions, and halves of the trials."""

import numpy as np
import pandas as pd

from insilico.experiments.condition_means import condition_means, halves_of_trials


def shown(programs):
    """Conditions of trials that each show some directions in turn."""
    rows = [
        (trial, 10 * order, direction)
        for trial, program in enumerate(programs)
        for order, direction in enumerate(program)
    ]
    return pd.DataFrame(rows, columns=["trial", "onset_frame", "direction_deg"])


def test_repeats_of_a_trial_go_to_the_halves_in_turn_and_whole():
    conditions = shown([(0, 90), (180, 0), (0, 90), (0, 90), (180, 0)])
    half = halves_of_trials(conditions, ["direction_deg"])
    by_trial = conditions.assign(half=half).groupby("trial")["half"]
    assert by_trial.min().equals(by_trial.max())
    assert list(by_trial.first()) == [0, 1, 1, 0, 0]


def test_trials_that_nothing_repeats_alternate():
    conditions = shown([(0, 90), (90, 180), (180, 270), (270, 0)])
    half = halves_of_trials(conditions, ["direction_deg"])
    assert list(half[::2]) == [0, 1, 0, 1]


def test_half_means_average_to_the_mean_and_lack_what_a_half_did_not_show():
    conditions = shown([(0,), (90,), (0,), (90,), (180,)])
    responses = np.array([[1.0], [5.0], [3.0], [7.0], [9.0]])
    arrays = condition_means(responses, conditions, ["direction_deg"], has_trial_noise=True)
    np.testing.assert_allclose(arrays["condition_mean"], [[2, 6, 9]])
    halves = arrays["condition_mean_half"].to_numpy()
    np.testing.assert_allclose(halves[:, 0, :2].mean(axis=0), [2, 6])
    assert np.isnan(halves[:, 0, 2]).sum() == 1
    assert list(arrays["condition_direction_deg"]) == [0, 90, 180]


def test_a_twin_has_no_halves():
    arrays = condition_means(
        np.ones((2, 3)), shown([(0,), (90,)]), ["direction_deg"], has_trial_noise=False
    )
    assert "condition_mean_half" not in arrays
