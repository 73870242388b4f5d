"""Progress where nobody watches a terminal: few lines, and none for short work."""

import pytest

from insilico import progress
from insilico.progress import ProgressLines, progress_bar


@pytest.fixture
def told(capsys):
    """Advance at given minutes by given steps, and return the lines."""

    def call(total, moments):
        now = [0.0]
        lines = ProgressLines("climbing", total, clock=lambda: now[0])
        for minute, steps in moments:
            now[0] = minute * 60.0
            lines.advance(steps)
        return capsys.readouterr().err.splitlines()

    return call


def test_work_of_less_than_a_minute_says_nothing(told):
    assert told(100, [(minute / 100, 1) for minute in range(100)]) == []


def test_first_line_comes_after_a_minute_and_then_one_a_tenth(told):
    lines = told(1000, [(second / 60, 1) for second in range(1, 1001)])
    assert lines[0] == "climbing: 60 of 1,000 (6%) after 1 min"
    assert lines[1] == "climbing: 160 of 1,000 (16%) after 3 min"
    assert len(lines) == 10


def test_slow_work_says_a_line_every_ten_minutes(told):
    lines = told(100_000, [(minute, 1) for minute in range(1, 62)])
    assert [line.split(" after ")[1] for line in lines] == [
        f"{minute} min" for minute in (1, 11, 21, 31, 41, 51, 61)
    ]


def test_quick_tenths_are_a_minute_apart(told):
    assert len(told(10, [(minute / 2, 1) for minute in range(1, 11)])) == 5


def test_a_new_label_is_told_and_a_total_of_0_divides_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress_bar("one", 0, shown=True) as advance:
        advance(1, label="two")
    assert capsys.readouterr().err == "two: 1 of 0 after 0 min\n"


def test_what_is_not_shown_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress_bar("one", 3, shown=False) as advance:
        advance(3)
    assert capsys.readouterr().err == ""
