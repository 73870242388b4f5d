"""Batches that stop anywhere and go on, and time that is spent where it pays."""

import types

import numpy as np
import pandas as pd
import pytest
import torch
from planted_twins import SMALL_SCREEN, gabor, linear_twin, make, planted_fields

from insilico.errors import RunFolderError, StimulusError
from insilico.synthesis import StimulusSet, clock, making, stages
from insilico.synthesis.climbing import Climber, Start
from insilico.synthesis.clock import Clock
from insilico.synthesis.kept import keep, kept
from insilico.synthesis.making import Batch, make_all
from insilico.synthesis.objectives import neuron
from insilico.synthesis.regions import full_field

PLACES = [(10, 8), (16, 9), (21, 10)]
FEW = {"steps": 12, "ramp_steps": 4, "targets_per_batch": 1}


@pytest.fixture(scope="module")
def twin():
    filters = [gabor(*place, screen=SMALL_SCREEN) for place in PLACES]
    return linear_twin(filters, bias=0.5, screen=SMALL_SCREEN)


@pytest.fixture(scope="module")
def fields(twin):
    return planted_fields(twin, *zip(*PLACES, strict=True))


@pytest.fixture
def watch(monkeypatch):
    """A watch in place of the time: whoever works adds what it takes."""
    watch = types.SimpleNamespace(now=100.0)
    time = types.SimpleNamespace(monotonic=lambda: watch.now)
    monkeypatch.setattr(making, "time", time)
    monkeypatch.setattr(clock, "time", time)
    return watch


@pytest.fixture
def second_a_step(watch, monkeypatch):
    """Let every step of every climb take a second."""
    advance = Climber.advance

    def tick(climber, steps):
        advance(climber, steps)
        watch.now += steps

    monkeypatch.setattr(Climber, "advance", tick)


class StubClimber:
    """Gains a given score at each step, and takes a given time for it."""

    def __init__(self, watch, gains, seconds):
        self.watch, self.gains, self.seconds = watch, gains, seconds
        self.steps, self.best_score = torch.zeros(1, dtype=torch.int64), torch.full((1,), -np.inf)
        self.is_silent = torch.zeros(1, dtype=torch.bool)
        self.scores = torch.cumsum(torch.tensor(gains), 0)[:, None] + 10

    @property
    def is_finished(self):
        return self.steps >= len(self.gains)

    def advance(self, steps):
        for _ in range(steps):
            self.best_score = self.scores[int(self.steps)].clone()
            self.steps = self.steps + 1
            self.watch.now += self.seconds

    def contents(self):
        return torch.zeros(1, 1, 2, 2)

    def state(self):
        return {"steps": self.steps, "best_score": self.best_score}

    def restore(self, state):
        self.steps, self.best_score = state["steps"], state["best_score"]


def batches_of(watch, gains, *, seconds=1.0, folder=None):
    """Return batches whose climbers gain as given, and a list of those that were made ready."""
    prepared = []

    def prepare(starts):
        row = starts[0].seed[0]
        prepared.append(row)
        return StubClimber(watch, gains[row], seconds)

    starts = [Start(neuron(row), full_field(SMALL_SCREEN), (row,)) for row in range(len(gains))]
    paths = [None if folder is None else folder / f"{row}.npz" for row in range(len(gains))]
    batches = [Batch([start], prepare, path) for start, path in zip(starts, paths, strict=True)]
    return batches, prepared


def steps_of(batches):
    return [int(batch.climber.steps) if batch.is_begun else 0 for batch in batches]


# Time


def test_without_a_deadline_each_batch_gets_all_its_steps_one_after_another(watch):
    batches, prepared = batches_of(watch, [[1.0] * 5, [1.0] * 7, [1.0] * 5])
    seen, ticks = [], []

    make_all(
        batches,
        steps=6,
        first_steps=2,
        clock=Clock(),
        on_step=ticks.append,
        on_batch=lambda batch: seen.append(steps_of([batch])[0]),
    )

    assert seen == [5, 6, 5]
    assert sum(ticks) == 16
    assert prepared == [0, 1, 2]


def test_deadline_gives_all_a_few_steps_and_the_rest_to_those_that_gain_most(watch):
    slow, fast = [0.001] * 60, [0.001] * 3 + [1.0] * 57
    batches, _ = batches_of(watch, [slow, fast, slow])

    make_all(batches, steps=60, first_steps=3, clock=Clock(9 + 60))

    # First steps gain alike; only the next ten of each batch tell them apart.
    assert steps_of(batches)[1] > 50
    assert sum(steps_of(batches)) == 69
    assert min(steps_of(batches)) >= 3


def test_short_deadline_serves_the_first_and_leaves_the_last_out(watch, tmp_path):
    batches, _ = batches_of(watch, [[1.0] * 20] * 4, folder=tmp_path)

    make_all(batches, steps=20, first_steps=4, clock=Clock(10.5))

    # Two steps of the first told what a step takes.
    assert steps_of(batches) == [6, 4, 1, 0]
    assert [batch.is_begun for batch in batches] == [True, True, True, False]
    assert {path.name for path in tmp_path.iterdir()} == {"0.npz", "1.npz", "2.npz"}
    assert [batch.made()[0].status for batch in batches[:3]] == ["deadline"] * 3


def test_batch_without_time_for_a_step_has_not_begun_and_leaves_no_file(watch, tmp_path):
    (batch,), _ = batches_of(watch, [[1.0] * 5], folder=tmp_path)

    batch.advance(5, Clock(0.0), lambda steps: None)

    assert not batch.is_begun
    assert list(tmp_path.iterdir()) == []


def test_time_left_over_is_not_waited_for(watch):
    batches, _ = batches_of(watch, [[1.0] * 5] * 3)

    make_all(batches, steps=5, first_steps=2, clock=Clock(1e6))

    assert watch.now == 100.0 + 15
    assert [batch.made()[0].status for batch in batches] == ["ok"] * 3


@pytest.mark.parametrize("seconds", [5.0, 0.0, -3.0])
def test_deadline_too_short_for_the_first_batch_says_what_would_suffice(watch, seconds):
    batches, _ = batches_of(watch, [[1.0] * 20] * 2)
    words = (
        rf"{max(seconds, 0):.1f} s are left for making, and the first 1 stimulus takes about 8.0 s"
        r" \(8 steps of 1 s\); give at least 16.0 s in all, or fewer ramp_steps"
    )

    with pytest.raises(StimulusError, match=words):
        make_all(batches, steps=20, first_steps=8, clock=Clock(2 * seconds).part(0.5))
    batches, _ = batches_of(watch, [[1.0] * 20] * 2)
    make_all(batches, steps=20, first_steps=8, clock=Clock(16.0).part(0.5))


def test_what_has_begun_goes_on_however_little_time_there_is(watch, tmp_path):
    gains = [[1.0] * 20] * 2
    first, _ = batches_of(watch, gains, folder=tmp_path)
    make_all(first, steps=20, first_steps=4, clock=Clock(10))

    again, _ = batches_of(watch, gains, folder=tmp_path)
    make_all(again, steps=20, first_steps=4, clock=Clock(3))
    assert sum(steps_of(again)) == sum(steps_of(first)) + 3
    last, _ = batches_of(watch, gains, folder=tmp_path)
    make_all(last, steps=20, first_steps=4, clock=Clock(0))

    assert steps_of(last) == steps_of(again)
    assert last[0].seconds == again[0].seconds == steps_of(last)[0]


def test_batches_at_rest_are_made_ready_only_to_go_on(watch):
    batches, prepared = batches_of(watch, [[0.001] * 100] * 5)

    make_all(batches, steps=100, first_steps=3, clock=Clock(15 + 2 + 40))

    # Once for the first steps, and once for each ten of the rest.
    assert prepared[:5] == [0, 1, 2, 3, 4]
    assert len(prepared) <= 5 + 5
    assert all(batch.made() is batch.made() for batch in batches)


def test_time_that_is_no_number_is_refused():
    with pytest.raises(StimulusError, match="not a number"):
        Clock(float("nan"))
    assert Clock().left_s == float("inf")
    assert not Clock().has_deadline


# Files


def test_tensors_come_back_as_they_were(tmp_path):
    state = {
        "a": torch.randn(2, 3),
        "b": torch.tensor([True, False]),
        "c": torch.tensor(3),
        "d": torch.full((2,), float("-inf"), dtype=torch.float64),
    }
    keep(tmp_path / "kept.npz", state)

    found = kept(tmp_path / "kept.npz")

    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]
    assert kept(tmp_path / "none.npz") is None
    assert kept(None) is None
    keep(None, state)


@pytest.mark.parametrize("damage", ["cut", "text", "pickle"])
def test_damaged_file_is_refused_and_runs_no_code(tmp_path, damage):
    path = tmp_path / "kept.npz"
    keep(path, {"a": torch.zeros(50)})
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-30])
    elif damage == "text":
        path.write_text("nothing")
    else:
        np.savez(path, a=np.array([{"run": 1}], object))

    with pytest.raises(RunFolderError, match=r"is damaged .*; delete it to do its work from"):
        kept(path)


# Runs that are stopped


class KilledError(Exception):
    """Stands for whatever ended a run."""


def stop_at(patch, count, *, is_killed):
    """End a run before one of its steps; a killed one leaves what it last wrote."""
    step, write = Climber._step, making.keep
    made, is_over = iter(range(10_000)), []

    def until(climber, rows):
        if next(made) == count:
            is_over.append(True)
            raise KilledError
        step(climber, rows)

    patch.setattr(Climber, "_step", until)
    if is_killed:
        patch.setattr(making, "KEEP_EVERY_S", -1.0 if count % 2 else 1e9)
        patch.setattr(making, "keep", lambda *given: None if is_over else write(*given))


def assert_same_set(one, other):
    assert one.ids == other.ids
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.traces, other.traces)
    changing = ["seconds"]
    pd.testing.assert_frame_equal(
        one.table.drop(columns=changing), other.table.drop(columns=changing)
    )
    pd.testing.assert_frame_equal(one.curves, other.curves)


@pytest.fixture(scope="module")
def whole(twin):
    """The set of 36 steps that no run stopped."""
    return make(twin, **FEW, controls=("noise", "swap"))


@pytest.mark.parametrize(
    ("counts", "is_killed"),
    [
        ([0, 7], False),
        ([7, 3], True),
        ([12], False),
        ([29, 3], False),
        ([30], True),
        ([35], False),
        ([35], True),
    ],
)
def test_run_that_ended_at_any_step_goes_on_to_the_same_set(
    twin, whole, tmp_path, monkeypatch, counts, is_killed
):
    options = {**FEW, "controls": ("noise", "swap"), "out": tmp_path / "run"}

    for count in counts:
        with monkeypatch.context() as patch:
            stop_at(patch, count, is_killed=is_killed)
            with pytest.raises(KilledError):
                make(twin, **options)
    made = make(twin, **options)

    assert_same_set(made, whole)
    assert_same_set(StimulusSet.load(tmp_path / "run" / "mei"), whole)


@pytest.mark.parametrize(("count", "optimizer"), [(20, "ascent"), (50, "adamw")])
def test_surrounds_go_on_to_the_same_set_too(twin, fields, tmp_path, monkeypatch, count, optimizer):
    options = {"region": "surround", "goals": ("excite", "inhibit"), "optimizer": optimizer}
    whole = make(twin, fields=fields, **FEW, **options)

    with monkeypatch.context() as patch:
        stop_at(patch, count, is_killed=False)
        with pytest.raises(KilledError):
            make(twin, fields=fields, out=tmp_path / "run", **FEW, **options)
    made = make(twin, fields=fields, out=tmp_path / "run", **FEW, **options)

    assert_same_set(made, whole)


# Runs with a deadline


@pytest.mark.usefixtures("second_a_step")
def test_set_with_a_deadline_says_what_each_got_and_goes_on_to_the_set_without_one(twin, tmp_path):
    few = {**FEW, "steps": 30, "patience": 0, "goals": ("excite", "inhibit")}
    whole = make(twin, **few)

    hurried = make(twin, "0:3", out=tmp_path / "run", seconds=50.0 / stages.MAKING_SHARE, **few)
    assert hurried.table["target"].nunique() == 3
    assert hurried.table["steps"].min() >= 5
    is_done = hurried.table["steps"] == 30
    assert (hurried.table["status"] == np.where(is_done, "ok", "deadline")).all()
    assert (~is_done).any()
    loaded = StimulusSet.load(tmp_path / "run" / "mei")
    assert loaded.ids == hurried.ids
    made = make(twin, "0:3", out=tmp_path / "run", seconds=1000.0, **few)

    assert_same_set(made, whole)
    assert set(made.table["status"]) == {"ok"}


@pytest.mark.usefixtures("second_a_step")
def test_set_in_too_little_time_has_the_most_important_targets(twin, tmp_path):
    made = make(twin, [2, 0, 1], out=tmp_path / "run", seconds=13.0 / stages.MAKING_SHARE, **FEW)

    assert made.table["neuron"].tolist() == [2, 0, 1]
    assert made.table["steps"].tolist() == [7, 5, 1]
    assert made.table["is_checked"].all()
    fewer = make(twin, [2, 0, 1], seconds=8.0 / stages.MAKING_SHARE, **FEW)
    assert fewer.table["neuron"].tolist() == [2, 0]
    assert fewer.provenance["targets_without_time"] == ["neuron 1"]


@pytest.mark.usefixtures("second_a_step")
def test_checks_that_time_does_not_suffice_for_are_left_out_and_made_up_for(
    twin, tmp_path, monkeypatch
):
    """Making takes all the time there is; the same command, given more, asks the rest."""
    monkeypatch.setattr(stages, "MAKING_SHARE", 1.0)
    options = {**FEW, "patience": 0}
    whole = make(twin, "0:2", **options)
    hurried = make(twin, "0:2", out=tmp_path / "run", seconds=24.0, **options)

    assert hurried.table["steps"].tolist() == [12, 12]
    assert not hurried.table["is_checked"].any()
    assert hurried.provenance["targets_without_time"] == []
    assert "gaze_robustness_1px" not in hurried.table
    made = make(twin, "0:2", out=tmp_path / "run", **options)
    assert made.table["is_checked"].all()
    assert_same_set(made, whole)


@pytest.mark.usefixtures("second_a_step")
def test_target_with_nothing_but_a_center_had_no_time(twin, fields, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "CENTER_SHARE", 0.75)
    options = {**FEW, "region": "surround", "diameter_deg": 20.0, "patience": 0}

    # All three get a center, and surrounds of two fill the rest.
    hurried = make(twin, fields=fields, out=tmp_path / "run", seconds=36.0, **options)

    assert hurried.provenance["targets_without_time"] == ["neuron 2"]
    has_surround = hurried.table["region"] == "surround"
    assert set(hurried.table["target"][has_surround]) == {"neuron 0", "neuron 1"}
    made = make(twin, fields=fields, out=tmp_path / "run", **options)
    assert made.provenance["targets_without_time"] == []


def test_time_to_ask_for_counts_what_was_used_before(watch):
    whole = Clock(100.0)
    watch.now += 20.0
    making_ = whole.part(0.5)
    watch.now += 10.0
    center = making_.part(0.25)

    assert center.left_s == pytest.approx(0.25 * (0.5 * 80.0 - 10.0))
    # Seconds of the last part, of the middle one, and of the whole.
    assert center.whole_s(5.0) == pytest.approx(20.0 + (10.0 + 5.0 / 0.25) / 0.5)
    assert whole.whole_s(5.0) == 5.0
    again = Clock(20.0 + (10.0 + 5.0 / 0.25) / 0.5)
    watch.now += 20.0
    part = again.part(0.5)
    watch.now += 10.0
    assert part.part(0.25).left_s == pytest.approx(5.0)


@pytest.mark.usefixtures("second_a_step")
def test_set_in_no_time_is_refused(twin):
    with pytest.raises(StimulusError, match=r"1.7 s are left.* takes about 5.0 s \(5 steps"):
        make(twin, seconds=2.0, **FEW)
