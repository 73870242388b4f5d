"""A run tells its size and its pace, once, and only where it is asked to."""

import itertools

import pytest

from insilico.training import announcement
from insilico.training.announcement import Announcement, describe_size
from insilico.training.loop import Training, train


@pytest.fixture
def two_mice(cached):
    return {"mouse-1": cached("mouse-1"), "mouse-2": cached("mouse-2", neurons=4, train=15)}


@pytest.fixture
def run(two_mice, recipe, fabric):
    return Training(recipe(batch_size=2, epochs=7), two_mice, fabric)


def ticking(*durations_s):
    """Return a clock that a step of each duration moves on."""
    return iter(itertools.accumulate(durations_s, initial=100.0)).__next__


def test_the_size_counts_what_is_trained(run):
    parameters = sum(p.numel() for p in run.network.parameters())
    assert describe_size(run) == (
        f"test: {parameters:,} trainable parameters, 2 mice with 10 neurons, 39 training trials, "
        "12 steps an epoch, on cpu"
    )
    run.network.core.requires_grad_(False)
    trained = sum(p.numel() for p in run.network.parameters() if p.requires_grad)
    assert trained < parameters
    assert describe_size(run).startswith(f"test: {trained:,} trainable parameters, ")


def test_the_pace_is_that_of_the_steps_after_the_first(run, tmp_path, capsys):
    told = Announcement(run, tmp_path, is_shown=True, clock=ticking(30, *[5] * 7))
    told.start()
    assert capsys.readouterr().err == f"{describe_size(run)}\n"
    for _ in range(4):
        told.step()
    assert capsys.readouterr().err == ""
    told.step()
    assert capsys.readouterr().err == (
        "5 s a step, about 1 min an epoch before its validation, at most 7 epochs; each adds a "
        f"row to {tmp_path}/log.csv\n"
    )
    told.step()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("durations_s", "expected"),
    [
        # A minute is over; the first step alone is no measure.
        ([20, 50], "50 s a step, about 10 min an epoch"),
        ([90, 10], "10 s a step, about 2 min an epoch"),
        ([0.01, *[0.05] * 4], "0.05 s a step, about 0.01 min an epoch"),
        ([1, 10_000], "10,000 s a step, about 2,000 min an epoch"),
    ],
)
def test_the_pace_is_told_after_five_steps_or_a_minute(
    run, tmp_path, capsys, durations_s, expected
):
    told = Announcement(run, tmp_path, is_shown=True, clock=ticking(*durations_s))
    told.start()
    for _ in durations_s:
        assert "a step" not in capsys.readouterr().err
        told.step()
    assert expected in capsys.readouterr().err


def test_an_epoch_of_one_step_still_has_a_pace(two_mice, recipe, fabric, tmp_path, capsys):
    run = Training(recipe(batch_size=64, epochs=1), two_mice, fabric)
    told = Announcement(run, tmp_path, is_shown=True, clock=ticking(3))
    told.start()
    told.step()
    size, pace = capsys.readouterr().err.splitlines()
    assert "1 step an epoch" in size
    assert pace.startswith("3 s a step, about 0.05 min an epoch before its validation, at most 1 ")


def test_training_tells_both_lines_on_request_and_none_by_default(
    two_mice, recipe, fabric, tmp_path, capsys
):
    train(recipe(), two_mice, tmp_path / "quiet", fabric=fabric)
    assert capsys.readouterr() == ("", "")
    train(recipe(), two_mice, tmp_path / "run", fabric=fabric, progress=True)
    size, pace = capsys.readouterr().err.splitlines()
    assert size.startswith("test: ")
    assert "s a step, about " in pace
    # Nothing is left to do.
    train(recipe(), two_mice, tmp_path / "run", fabric=fabric, progress=True, resume=True)
    assert capsys.readouterr() == ("", "")


def test_a_resumed_run_says_where_it_goes_on(
    two_mice, recipe, fabric, tmp_path, capsys, monkeypatch
):
    epochs, original = [], Training.train_epoch

    def stop_in_the_second(run, **options):
        epochs.append(1)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return original(run, **options)

    monkeypatch.setattr(Training, "train_epoch", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), two_mice, tmp_path, fabric=fabric)
    monkeypatch.setattr(announcement, "FIRST_STEPS", 2)
    train(recipe(), two_mice, tmp_path, fabric=fabric, progress=True, resume=True)
    size, pace = capsys.readouterr().err.splitlines()
    assert size.endswith("; going on after epoch 1")
    assert "at most 2 epochs more" in pace
