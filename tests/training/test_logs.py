"""The log of a run: what is in its files after every row, a kill and a resume; trackers."""

import csv
import json
import sys
import types

import pandas as pd
import pytest

from insilico.errors import RecipeError, RunFolderError, TrainingError
from insilico.training import logs
from insilico.training.logs import TrainingLog


def row_of(epoch, **values):
    return {"epoch": epoch, "loss": 0.1 / epoch, "is_best": epoch == 1, **values}


def read_files(folder):
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return table, [json.loads(line) for line in lines]


def test_both_files_hold_every_row_to_the_last_bit(tmp_path):
    log = TrainingLog(tmp_path)
    for epoch in (1, 2, 3):
        log.add(row_of(epoch))
        table, lines = read_files(tmp_path)
        assert lines == [row_of(number) for number in range(1, epoch + 1)] == log.rows
        assert [float(row["loss"]) for row in table] == [row["loss"] for row in lines]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "log.csv"), pd.DataFrame(log.rows))


def test_column_that_comes_later_is_empty_before(tmp_path):
    log = TrainingLog(tmp_path)
    log.add(row_of(1))
    log.add(row_of(2, score=0.5))
    table, lines = read_files(tmp_path)
    assert [row["score"] for row in table] == ["", "0.5"]
    assert lines == [row_of(1), row_of(2, score=0.5)]


def test_number_that_is_not_finite_is_null_in_strict_json(tmp_path):
    log = TrainingLog(tmp_path)
    log.add(row_of(1, score=float("nan"), other=float("inf")))
    _, (line,) = read_files(tmp_path)
    assert (line["score"], line["other"]) == (None, None)


def test_resumed_log_holds_exactly_the_saved_rows_and_those_after(tmp_path):
    first = TrainingLog(tmp_path)
    for epoch in (1, 2):
        first.add(row_of(epoch))
    saved = first.rows
    first.add(row_of(3, score=0.0))
    (tmp_path / "log.jsonl").write_text('{"epoch": 1, "lo', encoding="utf-8")
    second = TrainingLog(tmp_path)
    second.restore(saved)
    assert read_files(tmp_path)[1] == saved
    second.add(row_of(3))
    table, lines = read_files(tmp_path)
    assert lines == [row_of(1), row_of(2), row_of(3)]
    assert list(table[0]) == ["epoch", "loss", "is_best"]


def test_rows_are_copies(tmp_path):
    log, row = TrainingLog(tmp_path), row_of(1)
    log.add(row)
    row["loss"] = log.rows[0]["loss"] = -1.0
    assert log.rows == [row_of(1)]


def test_failed_write_leaves_the_rows_before(tmp_path, monkeypatch):
    log = TrainingLog(tmp_path)
    log.add(row_of(1))

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(csv.DictWriter, "writerows", full)
        with pytest.raises(RunFolderError, match=r"\(No space left on device\); make room there"):
            log.add(row_of(2))
    assert read_files(tmp_path)[1] == log.rows == [row_of(1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "log.jsonl"]
    log.add(row_of(2))
    assert read_files(tmp_path)[1] == [row_of(1), row_of(2)]


def test_unknown_tracker_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="'mlflow' is not known; choose of tensorboard, wandb"):
        TrainingLog(tmp_path, trackers=["mlflow"])


@pytest.mark.parametrize(
    ("tracker", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")]
)
def test_tracker_that_is_not_installed_is_refused_before_the_first_epoch(
    tmp_path, monkeypatch, tracker, module
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrainingError, match=f"run 'pip install {tracker}', or leave"):
        TrainingLog(tmp_path, trackers=[tracker])


def test_tensorboard_gets_the_numbers_by_epoch_and_hides_what_a_kill_left(tmp_path):
    pytest.importorskip("tensorboard")
    for first, count in ((1, 3), (3, 2)):
        log = TrainingLog(tmp_path, trackers=["tensorboard"])
        for epoch in range(first, first + count):
            log.add(row_of(epoch, score=first + epoch / 8))
        log.close()
    found = scalars(tmp_path / "tensorboard", "score")
    assert found == {1: 1.125, 2: 1.25, 3: 3.375, 4: 3.5}


def scalars(folder, name):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder)).Reload()
        assert set(events.Tags()["scalars"]) == {"loss", "score"}
        return {event.step: event.value for event in events.Scalars(name)}


class FakeWandb(types.ModuleType):
    """Weights & Biases as far as the log knows it; reaches its server or not."""

    def __init__(self, *, key, is_reachable=True):
        super().__init__("wandb")
        self.Error = type("Error", (Exception,), {})
        self.api = types.SimpleNamespace(api_key=key)
        self.is_reachable, self.started, self.logged = is_reachable, [], []
        self.finished = 0

    def init(self, **options):
        self.started.append(options)
        if options["mode"] != "offline" and not self.is_reachable:
            raise self.Error("no connection")
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished += 1


@pytest.mark.parametrize(
    ("key", "is_reachable", "modes"),
    [("secret", True, [None]), (None, True, ["offline"]), ("secret", False, [None, "offline"])],
)
def test_wandb_gets_the_numbers_and_stays_offline_where_it_must(
    tmp_path, monkeypatch, key, is_reachable, modes
):
    wandb = FakeWandb(key=key, is_reachable=is_reachable)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    log = TrainingLog(tmp_path / "run-7", trackers=["wandb"])
    assert wandb.started == []
    log.add(row_of(1))
    log.add(row_of(2, note="text is for the files"))
    log.close()
    assert [options["mode"] for options in wandb.started] == modes
    assert wandb.started[-1]["name"] == "run-7"
    assert wandb.started[-1]["dir"] == str(tmp_path / "run-7")
    assert wandb.logged == [(1, {"loss": 0.1}), (2, {"loss": 0.05})]
    assert wandb.finished == 1


def test_resumed_run_is_the_same_run_to_wandb(tmp_path, monkeypatch):
    wandb = FakeWandb(key="secret")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for epoch in (1, 2):
        TrainingLog(tmp_path / "one", trackers=["wandb"]).add(row_of(epoch))
    TrainingLog(tmp_path / "other", trackers=["wandb"]).add(row_of(1))
    first, resumed, other = (options["id"] for options in wandb.started)
    assert first == resumed != other
    assert wandb.started[1]["resume"] == "allow"


def test_log_without_trackers_imports_none(tmp_path, monkeypatch):
    for name in ("tensorboard", "wandb", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    log = TrainingLog(tmp_path)
    log.add(row_of(1))
    log.close()
    assert set(logs.TRACKERS) == {"tensorboard", "wandb"}
