"""The figures of training: what is drawn is what the tables say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from insilico.errors import NotFittedError
from insilico.figures.style import style
from insilico.figures.training import plot_data_efficiency, plot_training


def log_of(count, **columns):
    epochs = np.arange(1, count + 1)
    table = {
        "epoch": epochs,
        "loss": 1 / epochs,
        "validation_correlation": 0.1 * np.minimum(epochs, 4) - 0.05 * (epochs > 4),
    }
    return pd.DataFrame(table | columns)


def line_of(axes, label):
    (line,) = (line for line in axes.lines if str(line.get_label()).startswith(label))
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def texts_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_panels_show_loss_and_correlation_of_every_epoch():
    log = log_of(6)
    loss, correlation = plot_training(log).axes
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), log["loss"])
    np.testing.assert_array_equal(correlation.lines[0].get_xdata(), log["epoch"])
    np.testing.assert_array_equal(correlation.lines[0].get_ydata(), log["validation_correlation"])


def test_epoch_with_the_best_correlation_is_marked():
    _, correlation = plot_training(log_of(6)).axes
    x, y = line_of(correlation, "best")
    assert (x.tolist(), y.tolist()) == ([4], [0.4])
    assert texts_of(correlation) == ["best: 0.400, epoch 4"]


def test_mice_are_drawn_beside_their_mean():
    mice = {f"validation_correlation_{name}": np.full(6, 0.1 * k) for k, name in enumerate("AB")}
    _, correlation = plot_training(log_of(6, **mice)).axes
    assert texts_of(correlation) == ["each of 2 mice", "mean", "best: 0.400, epoch 4"]
    levels = [line.get_ydata()[0] for line in correlation.lines[:2]]
    assert levels == pytest.approx([0.0, 0.1])


def test_only_mouse_is_not_drawn_twice():
    log = log_of(6)
    log["validation_correlation_A"] = log["validation_correlation"]
    _, correlation = plot_training(log).axes
    assert texts_of(correlation) == ["best: 0.400, epoch 4"]


@pytest.mark.parametrize(("core", "lines"), [(0.01, 1), (0.001, 2)])
def test_groups_with_one_learning_rate_share_a_line(core, lines):
    log = log_of(6, learning_rate_core=core, learning_rate_rest=0.01)
    rates = plot_training(log).axes[2]
    assert len(rates.lines) == lines
    assert rates.get_yscale() == "log"
    assert (rates.get_legend() is not None) == (lines == 2)


def test_learning_rate_of_zero_is_drawn_on_a_linear_axis():
    rates = plot_training(log_of(6, learning_rate_rest=[0.0, 0.1, 0.2, 0.1, 0.0, 0.0])).axes[2]
    assert rates.get_yscale() == "linear"


def test_minutes_on_top_are_those_of_the_epochs_below():
    minutes = np.array([2.0, 4.0, 6.0, 7.0, 8.0, 9.0])
    figure = plot_training(log_of(6, minutes=minutes))
    (top,) = figure.axes[0].child_axes
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    assert (low, high) == (0.5, 6.5)
    # Half an epoch before the first end, at its pace, and half an epoch on at the mean pace.
    assert top.get_xlim() == pytest.approx((1.0, 9.0 + 0.5 * 9 / 6), abs=1e-4)
    to_minutes, to_epochs = top._functions
    np.testing.assert_allclose(to_minutes(np.arange(1, 7)), minutes, atol=1e-4)
    np.testing.assert_allclose(to_epochs(minutes), np.arange(1, 7), atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("minutes", [0.0, 3.0])
def test_run_of_any_length_saves_without_a_warning(tmp_path, count, minutes):
    figure = plot_training(log_of(count, minutes=minutes, learning_rate_rest=0.01))
    with style():
        figure.savefig(tmp_path / "training.png", dpi=40)
        figure.savefig(tmp_path / "training.pdf")
    ticks = [tick for tick in figure.axes[-1].get_xticks() if 0.5 < tick < count + 0.5]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_run_whose_correlation_is_never_known_has_no_best_epoch():
    log = log_of(3)
    log["validation_correlation"] = np.nan
    _, correlation = plot_training(log).axes
    assert correlation.get_legend() is None


def test_log_is_drawn_as_it_comes_back_from_its_file(tmp_path):
    from insilico.training.logs import TrainingLog

    log = TrainingLog(tmp_path)
    for row in log_of(5, minutes=1.5).to_dict("records"):
        log.add(row)
    loss, _ = plot_training(pd.read_csv(tmp_path / "log.csv")).axes
    np.testing.assert_allclose(loss.lines[0].get_ydata(), log_of(5)["loss"])


def test_log_without_rows_or_columns_is_refused():
    with pytest.raises(NotFittedError, match="training log has no row to draw; train first"):
        plot_training(log_of(0))
    with pytest.raises(NotFittedError, match="no column 'loss'; it needs epoch, loss, val"):
        plot_training(log_of(3).drop(columns="loss"))


def efficiency(trials=(16, 64, 256), **columns):
    parts = [
        pd.DataFrame({"trials": trials, "condition": condition, "correlation": level})
        for condition, level in (("frozen core", 0.4), ("direct training", 0.2))
    ]
    table = pd.concat(parts, ignore_index=True)
    table["ci_low"], table["ci_high"] = table["correlation"] - 0.05, table["correlation"] + 0.02
    return table.assign(**columns)


def test_every_condition_is_a_line_with_its_intervals():
    (axes,) = plot_data_efficiency(efficiency()).axes
    assert texts_of(axes) == ["frozen core", "direct training"]
    for container, level in zip(axes.containers, [0.4, 0.2], strict=True):
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_ydata(), level)
        # Within the few percent that keep error bars apart.
        np.testing.assert_allclose(line.get_xdata(), [16, 64, 256], rtol=0.02)
        for segment in bars.get_segments():
            np.testing.assert_allclose(segment[:, 1], [level - 0.05, level + 0.02])


def test_trials_are_in_order_and_written_under_a_logarithmic_axis():
    (axes,) = plot_data_efficiency(efficiency((256, 16, 280))).axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["16", "256", ""]
    assert (np.diff(axes.containers[0].lines[0].get_xdata()) > 0).all()


def test_ceiling_is_drawn_where_it_is_known():
    (axes,) = plot_data_efficiency(efficiency(ceiling=0.5)).axes
    x, y = line_of(axes, "ceiling")
    assert (x.tolist(), set(y)) == ([16, 64, 256], {0.5})
    (axes,) = plot_data_efficiency(efficiency(ceiling=np.nan)).axes
    assert "ceiling of the recording" not in texts_of(axes)


def test_correlation_axis_starts_at_zero():
    (axes,) = plot_data_efficiency(efficiency()).axes
    assert axes.get_ylim()[0] == 0


def test_table_that_cannot_be_drawn_is_refused():
    with pytest.raises(NotFittedError, match="no row to draw; train on some trials first"):
        plot_data_efficiency(efficiency().iloc[:0])
    with pytest.raises(NotFittedError, match="no column 'ci_low'"):
        plot_data_efficiency(efficiency().drop(columns="ci_low"))
    with pytest.raises(NotFittedError, match="has 0 trials, and the axis is logarithmic"):
        plot_data_efficiency(efficiency((0, 16, 64)))


def test_figures_of_training_need_no_torch():
    script = "import sys, insilico.figures.training; assert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root)
