"""Figures of synthesized stimuli show the bytes, responses and curves of the set."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesized_sets import SCREEN, fake_set

from insilico.errors import CatalogError, NotFittedError
from insilico.figures.style import style
from insilico.figures.synthesis import (
    draw,
    figure_names,
    plot_checks,
    plot_classes,
    plot_curves,
    plot_gallery,
    plot_motion,
)
from insilico.figures.synthesis_motion import differing_values, has_motions
from insilico.figures.synthesis_rows import best_rows, with_goals
from insilico.synthesis.stimulus_set import StimulusSet


def texts(figure):
    return [text.get_text() for text in figure.texts]


def caption(figure):
    return " ".join(texts(figure))


def pictures(figure):
    return [axes for axes in figure.axes if axes.images]


def trace_panels(figure):
    return [axes for axes in figure.axes if not axes.images]


def put_together(*sets):
    """Return one set of several, as StimulusSet.concatenate does."""
    return fake_like(
        sets[0],
        **{
            name: np.concatenate([getattr(each, name) for each in sets])
            for name in ("frames", "traces", "weights")
        },
        table=pd.concat([each.table for each in sets], ignore_index=True),
        curves=pd.concat([each.curves for each in sets], ignore_index=True),
    )


def fake_like(stimuli, **changes):
    return type(stimuli)(**(vars(stimuli) | changes))


def with_table(stimuli, **columns):
    return fake_like(stimuli, table=stimuli.table.assign(**columns))


def selected(stimuli, mask):
    rows = np.flatnonzero(mask)
    return fake_like(
        stimuli,
        frames=stimuli.frames[rows],
        traces=stimuli.traces[rows],
        weights=stimuli.weights[rows],
        table=stimuli.table.iloc[rows].reset_index(drop=True),
    )


def test_every_figure_of_one_target_draws():
    stimuli = fake_set("movie", 1)
    names = figure_names(stimuli)
    assert names == ("gallery", "classes", "curves", "checks")
    for name in names:
        figure = draw(stimuli, name)
        assert figure.axes
        with style():
            figure.draw_without_rendering()


def test_gallery_shows_the_bytes_of_each_stimulus_about_its_region():
    stimuli = fake_set("image", 2)
    panels = pictures(plot_gallery(stimuli, [0, 3]))
    assert len(panels) == 12
    for axes, frame in zip(panels, stimuli.frames, strict=True):
        shown = np.asarray(axes.images[0].get_array())
        windows = np.lib.stride_tricks.sliding_window_view(frame, shown.shape)
        assert (windows == shown).all(axis=(2, 3)).any()


def test_gallery_of_many_says_how_many_it_shows_from_the_best_to_the_worst():
    stimuli = fake_set("image", 30, classes=("exciting",), checks=False)
    figure = plot_gallery(stimuli)
    assert "12 of 30 targets" in caption(figure)
    exciting = stimuli.table[stimuli.table["stimulus_class"] == "exciting"]["response"]
    numbers = [text for text in texts(figure) if text.replace(".", "").isdigit()]
    assert len(numbers) == 12
    assert numbers[0] == f"{exciting.max():.3g}"
    assert numbers[-1] == f"{exciting.min():.3g}"
    assert [float(text) for text in numbers] == sorted(map(float, numbers), reverse=True)


@settings(max_examples=3)
@given(seed=st.integers(0, 1000), count=st.integers(1, 4))
def test_numbers_of_the_figures_are_those_of_the_table(seed, count):
    stimuli = fake_set("image", count, seed=seed)
    table = stimuli.table
    shown = texts(plot_gallery(stimuli))
    assert {f"{value:.3g}" for value in table["response"]} <= set(shown)
    ratios = table.pivot_table("response", "neuron", "stimulus_class")
    ratios = ratios.div(ratios["exciting"], axis=0)
    labels = [label.get_text() for label in plot_classes(stimuli).axes[0].get_xticklabels()]
    for name in ("natural", "grating", "noise", "swap"):
        assert f"{name}\n{ratios[name].median():.2g}\nN = {count}" in labels


def test_movie_gallery_shows_three_frames_and_the_traces_on_one_scale_a_row():
    stimuli = fake_set("movie", 2)
    figure = plot_gallery(stimuli, [3])
    assert [len(axes.images) for axes in pictures(figure)] == [3] * 6
    assert "frames 0, 10, 20 of 30" in caption(figure)
    panels = trace_panels(figure)
    assert len({axes.get_ylim() for axes in panels}) == 1
    for axes, row in zip(panels, range(6, 12), strict=True):
        trace, gray = axes.lines
        np.testing.assert_allclose(trace.get_ydata(), stimuli.traces[row])
        np.testing.assert_allclose(trace.get_xdata(), np.arange(30) / 30)
        assert gray.get_ydata()[0] == pytest.approx(stimuli.table["blank_response"][row])


def test_gray_screen_of_a_sum_is_drawn_as_its_mean_over_frames():
    stimuli = fake_set("movie", 1, classes=("exciting",))
    summed = fake_like(stimuli, protocol={"over_frames": "sum"})
    gray = trace_panels(plot_gallery(summed))[0].lines[1]
    assert gray.get_ydata()[0] == pytest.approx(stimuli.table["blank_response"][0] / 30)


def test_still_stimulus_of_a_movie_twin_is_one_picture():
    figure = plot_gallery(fake_set("movie", 1, motion="still"))
    assert [len(axes.images) for axes in pictures(figure)] == [1] * 6
    assert "arrow" not in caption(figure)
    assert len(trace_panels(figure)) == 6


def test_low_contrast_is_enlarged_by_one_number_that_is_said():
    figure = plot_gallery(fake_set("image", 2, rms_level=6.0))
    limits = {axes.images[0].get_clim() for axes in pictures(figure)}
    assert len(limits) == 1
    low, high = limits.pop()
    factor = SCREEN.gray / (SCREEN.gray - low)
    assert (255 - SCREEN.gray) / (high - SCREEN.gray) == pytest.approx(factor)
    assert factor >= 2
    stimuli = fake_set("image", 2, rms_level=6.0)
    exciting = stimuli.frames[stimuli.table["stimulus_class"] == "exciting"]
    assert low <= exciting.min()
    assert exciting.max() <= high
    assert f"drawn {factor:.0f} times higher, about gray (level 127)" in caption(figure)


def test_pixels_of_controls_beyond_black_and_white_are_counted():
    stimuli = fake_set("image", 1, rms_level=6.0, classes=("exciting", "noise"))
    frames = stimuli.frames.copy()
    frames[1] = 255
    assert "(50.0% of pixels cut)" in caption(plot_gallery(fake_like(stimuli, frames=frames)))


def test_full_contrast_is_shown_from_black_to_white():
    figure = plot_gallery(fake_set("image", 1, rms_level=55.0))
    assert {axes.images[0].get_clim() for axes in pictures(figure)} == {(0, 255)}
    assert "gray levels from 0 (black) to 255 (white)" in caption(figure)


@pytest.mark.parametrize("region", ["center", "surround"])
def test_outline_follows_the_pixels_of_the_region(region):
    stimuli = fake_set("image", 1, region=region, classes=("exciting",))
    axes = pictures(plot_gallery(stimuli))[0]
    mask = stimuli.weights[0] > 0
    perimeter = np.abs(np.diff(mask.astype(int), axis=0)).sum()
    perimeter += np.abs(np.diff(mask.astype(int), axis=1)).sum()
    assert len(axes.collections[0].get_segments()) == perimeter


def test_full_field_is_shown_whole_and_has_no_outline():
    axes = pictures(plot_gallery(fake_set("image", 1, region="full", classes=("exciting",))))[0]
    assert axes.images[0].get_array().shape == SCREEN.shape
    assert not axes.collections[0].get_segments()


def test_missing_classes_have_no_column_and_missing_stimuli_no_cell():
    stimuli = fake_set("image", 3, classes=("exciting", "natural", "swap"))
    assert {"exciting", "natural", "swap"} <= set(texts(plot_gallery(stimuli)))
    assert "noise" not in texts(plot_gallery(stimuli))
    fewer = selected(stimuli, np.arange(9) != 4)
    assert len(pictures(plot_gallery(fewer))) == 8


def test_best_of_several_restarts_and_candidates_is_shown():
    stimuli = put_together(fake_set("image", 1, seed=1), fake_set("image", 1, seed=2))
    shown = texts(plot_gallery(stimuli))
    for name, rows in stimuli.table.groupby("stimulus_class"):
        best = rows["response"].min() if name == "inhibiting" else rows["response"].max()
        assert f"{best:.3g}" in shown


def test_swapped_stimulus_stands_with_its_own_target():
    stimuli = fake_set("image", 2, classes=("exciting", "swap"))
    ids = stimuli.table["stimulus_id"].tolist()
    # Each is shown the other's stimulus, whose bytes have the other's identity.
    swapped = with_table(stimuli, stimulus_id=[ids[0], ids[2], ids[2], ids[0]])
    found = best_rows(swapped.table, "exciting")
    assert found["exciting"].tolist() == [0, 2]
    assert found["swap"].tolist() == [1, 3]


def test_still_control_of_a_moving_stimulus_stands_beside_it():
    table = fake_set("movie", 1).table
    table.loc[table["stimulus_class"] == "natural", ["motion", "region"]] = "still", "full"
    goals = with_goals(table)
    assert goals["motion"].unique().tolist() == ["moving"]
    assert goals["region"].unique().tolist() == ["center"]


def test_controls_of_inhibiting_stimuli_are_compared_with_these():
    both = fake_set("image", 4, classes=("exciting", "inhibiting", "natural"))
    table = both.table
    of_inhibiting = table[table["stimulus_class"] == "natural"].assign(
        goal="inhibit",
        response=0.07,
        control_of=table.loc[table["stimulus_class"] == "inhibiting", "stimulus_id"].to_numpy(),
    )
    table = pd.concat([table, of_inhibiting], ignore_index=True)
    assert best_rows(table, "exciting")["natural"].tolist() == [2, 5, 8, 11]
    assert best_rows(table, "inhibiting")["natural"].tolist() == [12, 13, 14, 15]
    figure = plot_classes(fake_like(both, table=table))
    exciting = table.loc[table["stimulus_class"] == "exciting", "response"]
    label = figure.axes[1].get_xticklabels()[1].get_text()
    assert label.startswith(f"natural\n{(0.07 / exciting).median():.2g}")


def test_set_that_only_inhibits_is_compared_with_a_gray_screen():
    stimuli = fake_set("image", 2, classes=("inhibiting", "noise"))
    stimuli = with_table(stimuli, goal="inhibit")
    assert len(pictures(plot_gallery(stimuli))) == 4
    axes = plot_classes(stimuli).axes[0]
    assert "gray screen" in axes.get_ylabel()
    rows = stimuli.table[stimuli.table["stimulus_class"] == "inhibiting"]
    median = (rows["response"] / rows["blank_response"]).median()
    assert f"inhibiting\n{median:.2g}" in axes.get_xticklabels()[0].get_text()


def test_units_are_those_of_the_set():
    stimuli = fake_set("image", 1, classes=("exciting",))
    assert "response (recorded units)" in caption(plot_gallery(stimuli))
    standardized = fake_like(stimuli, provenance={"output_units": "standardized"})
    assert "response (standardized)" in caption(plot_gallery(standardized))


def test_unknown_neurons_and_empty_sets_are_refused():
    stimuli = fake_set("image", 2)
    with pytest.raises(NotFittedError, match=r"neuron 99 was to be drawn.* 2 neurons from 0 to 3"):
        plot_gallery(stimuli, [99])
    with pytest.raises(NotFittedError, match="no neuron was to be drawn"):
        plot_gallery(stimuli, [])
    with pytest.raises(NotFittedError, match="without stimuli"):
        plot_gallery(selected(stimuli, np.zeros(12, bool)))
    with pytest.raises(NotFittedError, match="without responses"):
        plot_gallery(fake_like(stimuli, table=stimuli.table.drop(columns="response")))
    with pytest.raises(NotFittedError, match="nothing that was made for a target"):
        plot_gallery(fake_set("image", 2, classes=("natural",)))


def test_p_values_are_written_only_where_a_table_has_them():
    stimuli = fake_set("image", 5)
    assert not any("p =" in label.get_text() for label in plot_classes(stimuli).axes[0].texts)
    tests = pd.DataFrame(
        {
            "stimulus_class": ["natural", "noise", "gray screen"],
            "made_for": ["exciting", "exciting", "inhibiting"],
            "p_value": [0.0312, np.nan, 0.5],
        }
    )
    labels = [
        [label.get_text() for label in axes.get_xticklabels()]
        for axes in plot_classes(stimuli, tests).axes
    ]
    written = [[text for text in panel if "p = " in text] for panel in labels]
    assert [len(panel) for panel in written] == [1, 1]
    assert written[0][0].startswith("natural")
    assert written[0][0].endswith("p = 0.03")


def test_targets_without_a_positive_response_are_counted_and_left_out():
    stimuli = fake_set("image", 5)
    silent = (stimuli.table["neuron"] == 6) & (stimuli.table["stimulus_class"] == "exciting")
    changed = with_table(stimuli, response=stimuli.table["response"].where(~silent, 0.0))
    title = plot_classes(changed).axes[0].get_title()
    assert "N = 4" in title
    assert "1 without a response above 0" in title


def test_still_and_moving_sets_have_panels_of_their_own():
    still = fake_set("movie", 2, motion="still")
    both = put_together(still, fake_set("movie", 2, motion="moving"))
    titles = [axes.get_title() for axes in plot_classes(both).axes]
    assert sum(title.startswith("exciting, still") for title in titles) == 1
    assert sum(title.startswith("exciting, moving") for title in titles) == 1
    assert "4 targets and motions" in caption(plot_gallery(both))
    assert "motion" in figure_names(both)


def test_classes_without_anything_to_compare_are_refused():
    stimuli = fake_set("image", 2, classes=("exciting",))
    alone = fake_like(stimuli, table=stimuli.table.drop(columns="blank_response"))
    with pytest.raises(NotFittedError, match="generate controls"):
        plot_classes(alone)
    assert "classes" not in figure_names(alone)


def test_motion_has_a_point_for_every_target_with_both():
    still, moving = fake_set("movie", 6, motion="still"), fake_set("movie", 5)
    figure = plot_motion(still, moving)
    x, y = np.asarray(figure.axes[0].collections[0].get_offsets()).T
    for values, stimuli in ((x, still), (y, moving)):
        exciting = stimuli.table[stimuli.table["stimulus_class"] == "exciting"]
        np.testing.assert_allclose(values, exciting["response"].to_numpy()[:5])
    assert f"N = 5\nmoving above still: {(y > x).sum()}" in figure.axes[0].get_title()
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim()


def test_example_of_motion_is_the_target_in_the_middle():
    still, moving = fake_set("movie", 5, motion="still"), fake_set("movie", 5)
    figure = plot_motion(still, moving)
    rows = still.table["stimulus_class"] == "exciting"
    gains = (moving.table["response"] - still.table["response"])[rows]
    middle = gains.sort_values().index[2]
    titles = [axes.get_title() for axes in figure.axes]
    assert f"still: {still.table['response'][middle]:.3g}" in titles
    assert f"moving: {moving.table['response'][middle]:.3g}" in titles
    traces = figure.axes[-1]
    np.testing.assert_allclose(traces.lines[1].get_ydata(), moving.traces[middle])


def test_motion_without_targets_in_common_is_refused():
    moving = fake_set("movie", 2)
    with pytest.raises(NotFittedError, match="both a still and a moving"):
        plot_motion(moving)
    with pytest.raises(NotFittedError, match="both a still and a moving"):
        plot_motion(fake_set("movie", 2, motion="still", region="surround"), moving)


def test_motion_of_two_lengths_says_how_long_and_shows_both_traces():
    still, moving = fake_set("movie", 3, motion="still"), fake_set("movie", 3)
    short = fake_like(still, frames=still.frames[:, :15], traces=still.traces[:, :15])
    figure = plot_motion(short, moving)
    axes = figure.axes[0]
    assert axes.get_xlabel().startswith("still, 0.5 s:")
    whole_s = moving.traces.shape[1] / moving.frame_rate_hz
    assert axes.get_ylabel().startswith(f"moving, {whole_s:.2g} s:")
    assert figure.axes[-1].get_xlim() == pytest.approx((0, whole_s))
    assert plot_motion(still, moving).axes[0].get_xlabel().startswith("still: response")


def test_sets_whose_responses_say_nothing_about_motion_are_told_apart():
    still, moving = fake_set("movie", 2, motion="still"), fake_set("movie", 2)
    assert differing_values(still, moving) == []
    other = {**still.protocol, "over_frames": "peak", "rms_level": 20.0, "steps": 7}
    assert differing_values(fake_like(still, protocol=other), moving) == [
        "over_frames",
        "rms_level",
    ]
    for over_frames, expected in (("mean", []), ("sum", ["pattern_s"])):
        pair = [
            fake_like(each, protocol={"over_frames": over_frames, "pattern_s": pattern_s})
            for each, pattern_s in ((still, 0.5), (moving, 1.0))
        ]
        assert differing_values(*pair) == expected


def test_a_motion_is_in_one_set_or_in_two():
    still, moving = fake_set("movie", 2, motion="still"), fake_set("movie", 2)
    assert has_motions(still, moving)
    assert not has_motions(moving)


def test_curves_rise_to_one_and_finished_stimuli_count_on():
    stimuli = fake_set("image", 9)
    axes = plot_curves(stimuli).axes[0]
    segments = axes.collections[0].get_segments()
    assert len(segments) == 9
    for segment in segments:
        assert segment[0, 1] == 0
        assert segment[-1, 1] == pytest.approx(1)
        assert (np.diff(segment[:, 1]) >= 0).all()
    at_110 = [np.interp(110, *segment.T) for segment in segments]
    median = next(line for line in axes.lines if line.get_linewidth() > 1.5)
    drawn = dict(zip(median.get_xdata(), median.get_ydata(), strict=True))
    assert drawn[110] == pytest.approx(np.median(at_110))


def test_curves_count_statuses_and_those_that_never_rose():
    stimuli = fake_set("image", 4, classes=("exciting",))
    silent = stimuli.table["stimulus_id"][1]
    is_silent = stimuli.curves["stimulus_id"] == silent
    changed = fake_like(
        with_table(stimuli, status=["ok", "silent", "deadline", "ok"]),
        curves=stimuli.curves.assign(score=stimuli.curves["score"].where(~is_silent, 0.0)),
    )
    axes = plot_curves(changed).axes[0]
    assert "N = 3" in axes.get_title()
    for part in ("2 ok", "1 silent", "1 deadline", "1 without a line: never better than at first"):
        assert part in axes.get_xlabel()


def test_silent_neurons_with_equal_bytes_are_counted_one_by_one():
    stimuli = fake_set("image", 3, classes=("exciting",))
    ids = stimuli.table["stimulus_id"].tolist()
    curves = stimuli.curves.assign(
        score=stimuli.curves["score"].where(stimuli.curves["stimulus_id"] == ids[0], 0.0)
    )
    same = fake_like(
        with_table(stimuli, stimulus_id=[ids[0], ids[1], ids[1]]),
        curves=curves.replace({"stimulus_id": {ids[2]: ids[1]}}),
    )
    axes = plot_curves(same).axes[0]
    assert "N = 1" in axes.get_title()
    assert "2 without a line: never better than at first" in axes.get_xlabel()


def test_set_without_curves_is_refused():
    stimuli = fake_set("image", 2)
    found = fake_like(stimuli, curves=stimuli.curves.iloc[:0])
    with pytest.raises(NotFittedError, match="no optimization curves"):
        plot_curves(found)
    assert "curves" not in figure_names(found)


def test_transfer_is_relative_to_the_best_candidate_of_the_same_twin():
    stimuli = fake_set("image", 7)
    responses = stimuli.table.pivot_table("transfer_other", "neuron", "stimulus_class")
    ratios = responses["exciting"] / responses[["natural", "grating"]].max(axis=1)
    axes = plot_checks(stimuli).axes[0]
    markers = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "v"]
    assert markers[1] == pytest.approx(ratios.median())


def test_levels_by_class_are_points_of_the_table_over_a_band_of_one_level():
    stimuli = fake_set("image", 6)
    axes = next(a for a in plot_checks(stimuli).axes if a.get_title().startswith("contrast"))
    shown = np.concatenate([points.get_offsets()[:, 1] for points in axes.collections])
    np.testing.assert_allclose(np.sort(shown), np.sort(stimuli.table["rms_level"]))
    low, high = stimuli.table["rms_level"].min(), stimuli.table["rms_level"].max()
    assert f"{low:.2f} to {high:.2f}" in axes.get_xlabel()
    band = axes.patches[0]
    assert band.get_height() == pytest.approx(2)


def test_checks_show_the_columns_there_are():
    full, few = fake_set("image", 3), fake_set("image", 3, checks=False)
    assert len(plot_checks(full).axes) == 8
    assert len(plot_checks(few).axes) == 2
    empty = with_table(few, luminance_level=np.nan, rms_level=np.nan)
    with pytest.raises(NotFittedError, match="check the set first"):
        plot_checks(empty)
    assert "checks" not in figure_names(empty)


def test_figure_that_a_set_does_not_have_is_refused():
    with pytest.raises(CatalogError, match="no figure 'motion'; it has gallery, classes"):
        draw(fake_set("image", 2), "motion")


def test_saved_set_redraws(tmp_path):
    stimuli = StimulusSet(**vars(fake_set("image", 1)))
    folder = stimuli.save(tmp_path / "set", previews=False)
    loaded = StimulusSet.load(folder)
    assert texts(plot_gallery(loaded)) == texts(plot_gallery(stimuli))
    bare = dataclasses.replace(
        loaded, table=loaded.table.drop(columns=["target", "region", "status", "control_of"])
    )
    assert texts(plot_gallery(bare))[:2] == texts(plot_gallery(loaded))[:2]


def test_drawing_needs_neither_torch_nor_pyplot():
    script = (
        "import sys, insilico.figures.synthesis; "
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root)
