"""Batches in standardized units, and the order of training."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import RecordingError
from insilico.training.data import MouseData, Order, choose_trials


def test_images_are_standardized_by_their_own_statistics(cached):
    recording = cached()
    data = MouseData(recording, behavior_names=("running_speed",), uses_pupil=True)
    batch = data.batch(np.array([3, 1]))
    known = recording.statistics
    np.testing.assert_allclose(
        batch.stimulus,
        (recording.stimulus[[3, 1]] - known.stimulus_mean) / known.stimulus_std,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        batch.responses, recording.responses[[3, 1]] / known.response_std, rtol=1e-6
    )
    np.testing.assert_allclose(
        batch.behavior, recording.behavior[[3, 1], 1:] / known.behavior_std[1:], rtol=1e-6
    )
    np.testing.assert_allclose(
        batch.pupil_center,
        (recording.pupil_center[[3, 1]] - known.pupil_mean) / known.pupil_std,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        data.mean_response, (recording.responses[:24] / known.response_std).mean(0), rtol=1e-5
    )


def test_movies_are_cut_where_they_are_asked_for(cached):
    recording = cached(kind="movie", train=3, validation=2)
    data = MouseData(recording, behavior_names=("running_speed", "pupil_size"))
    batch = data.batch(np.array([2, 0]), starts=np.array([4, 11]), frame_count=7)
    assert batch.stimulus.shape == (2, 1, 7, 18, 32)
    assert batch.responses.shape == (2, 6, 7)
    assert batch.behavior.shape == (2, 2, 7)
    assert batch.pupil_center is None
    rows = slice(60 + 4, 60 + 11)
    std = recording.statistics.response_std
    np.testing.assert_allclose(batch.responses[0].T, recording.responses[rows] / std, rtol=1e-6)
    # Variables come in the network's order, not the recording's.
    speed = recording.behavior[rows, 1] / recording.statistics.behavior_std[1]
    np.testing.assert_allclose(batch.behavior[0, 0], speed, rtol=1e-6)


def test_statistics_of_the_checkpoint_win(cached):
    recording = cached()
    own = MouseData(recording).mouse
    other = dataclasses.replace(
        own, statistics=dataclasses.replace(own.statistics, stimulus_mean=0.0, stimulus_std=2.0)
    )
    batch = MouseData(recording, mouse=other).batch(np.array([5]))
    np.testing.assert_allclose(batch.stimulus[0], recording.stimulus[5] / 2.0)


def test_what_the_recording_lacks_is_refused(cached):
    recording = cached()
    with pytest.raises(RecordingError, match=r"reads whisking, .* --set behavior_names"):
        MouseData(recording, behavior_names=("whisking",))
    blind = dataclasses.replace(recording, pupil_center=None)
    with pytest.raises(RecordingError, match=r"has no pupil_center; .* has_shifter=false"):
        MouseData(blind, uses_pupil=True)


def test_a_limit_draws_training_trials_and_a_larger_one_keeps_them(cached):
    recording = cached()
    every = recording.trials_of("train")
    np.testing.assert_array_equal(choose_trials(recording, 0, seed=1), every)
    np.testing.assert_array_equal(choose_trials(recording, 999, seed=1), every)
    few, more = (choose_trials(recording, count, seed=1) for count in (5, 12))
    assert (len(few), len(more)) == (5, 12)
    assert set(few) < set(more) < set(every)
    assert (np.diff(more) > 0).all()
    assert not np.array_equal(few, choose_trials(recording, 5, seed=2))


def order(
    counts, *, batch_size=4, micro_batch_size=0, crop_frames=0, frames=30, seed=0, epoch_steps=0
):
    return Order(
        trials={name: 100 + np.arange(count) for name, count in counts.items()},
        frames={name: np.full(count, frames) for name, count in counts.items()},
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
        crop_frames=crop_frames,
        seed=seed,
        epoch_steps=epoch_steps,
    )


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(1, 50),
)
def test_an_epoch_shows_the_longest_mouse_once_and_every_mouse_in_every_step(
    counts, batch_size, micro_batch_size, epoch
):
    made = order(
        dict(zip("abcd", counts, strict=False)),
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
    )
    steps = list(made.epoch(epoch))
    assert len(steps) == made.step_count == -(-max(counts) // batch_size)
    for mouse, count in zip("abcd", counts, strict=False):
        shown = [unit.positions for step in steps for unit in step if unit.mouse == mouse]
        flat = np.concatenate(shown)
        # Every trial is shown before any is shown again.
        for lap in (flat[start : start + count] for start in range(0, len(flat), count)):
            assert len(set(lap)) == len(lap)
        for step in steps:
            own = [unit for unit in step if unit.mouse == mouse]
            assert sum(len(unit.positions) for unit in own) == own[0].batch_size <= batch_size
            assert all(len(unit.positions) <= (micro_batch_size or batch_size) for unit in own)


def test_the_order_is_a_function_of_seed_and_epoch():
    def flat(made, epoch):
        return [
            (u.mouse, u.seed, *u.positions, *u.starts) for step in made.epoch(epoch) for u in step
        ]

    made = order({"a": 9, "b": 5}, crop_frames=10)
    assert flat(made, 3) == flat(order({"a": 9, "b": 5}, crop_frames=10), 3)
    assert flat(made, 3) != flat(made, 4)
    assert flat(made, 3) != flat(order({"a": 9, "b": 5}, crop_frames=10, seed=1), 3)


def test_epochs_of_a_number_of_steps_go_round_and_round():
    made = order({"a": 5}, batch_size=2, epoch_steps=6)
    steps = list(made.epoch(1))
    assert len(steps) == made.step_count == 6
    flat = np.concatenate([unit.positions for step in steps for unit in step])
    assert sorted(flat - 100) == sorted([*range(5)] * 2)
    assert len(list(order({"a": 5}, batch_size=2, epoch_steps=2).epoch(1))) == 2


def test_pieces_of_movies_reach_both_ends():
    made = order({"a": 200}, crop_frames=25)
    starts = np.concatenate([unit.starts for step in made.epoch(1) for unit in step])
    assert starts.min() == 0
    assert starts.max() == 5  # the published code never draws the last piece
    short = order({"a": 3}, crop_frames=100)
    assert {unit.frame_count for step in short.epoch(1) for unit in step} == {30}
