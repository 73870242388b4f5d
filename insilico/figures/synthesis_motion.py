"""Still against moving stimuli: what time adds to a neuron's response."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from insilico.errors import NotFittedError
from insilico.figures.panels import draw_identity, letter_panels, plot_points
from insilico.figures.style import PAGE_WIDTH_IN, style
from insilico.figures.synthesis_pictures import (
    Look,
    blank_per_frame,
    common_look,
    draw_gray_screen,
    draw_pictures,
    draw_scale,
    draw_trace,
    limit_traces,
    scale_deg,
    write_look,
    write_number,
)
from insilico.figures.synthesis_rows import (
    GENERATED,
    SynthesizedStimuli,
    best_rows,
    class_color,
    response_label,
    table_of,
    target_name,
)

#: What is matched between still and moving.
MATCHED = ["mouse", "target", "region"]
SIDES = ("still", "moving")
#: Values of protocols without which responses of two sets say nothing about motion: how a response
#: is computed, and what each stimulus was allowed.
ALIKE = (
    *("over_frames", "over_members", "over_views", "behaviors", "shift_px", "output_units"),
    *("luminance_level", "rms_level", "lowest_level", "highest_level", "lead_s"),
    *("diameter_deg", "outer_diameter_deg", "border_deg", "surround_center"),
)
HEIGHT_IN, MARGIN_IN = 2.5, 0.06


@style()
def plot_motion(still: SynthesizedStimuli, moving: SynthesizedStimuli | None = None) -> Figure:
    """Draw responses to the best moving stimuli against those to the best still ones.

    Parameters
    ----------
    still, moving : SynthesizedStimuli
        A set with still stimuli and one with moving ones, of the same targets and region, in the
        same units; the second is the first when left out. Where they last differently long, labels
        say how long.

    Returns
    -------
    Figure
        A panel each for exciting and inhibiting stimuli with a point a target, and the pictures and
        traces of one target: that in the middle of the ranking of moving - still.

    Raises
    ------
    NotFittedError
        If no target has both.
    """
    sets = (still, still if moving is None else moving)
    matched = {name: pairs for name in GENERATED if len(pairs := _matched(sets, name))}
    if not matched:
        raise NotFittedError(
            "no target of the sets has both a still and a moving stimulus of one region; generate "
            "both for the same targets"
        )
    figure = Figure(figsize=(PAGE_WIDTH_IN, HEIGHT_IN))
    if (engine := figure.get_layout_engine()) is not None:
        # Titles would touch the edge.
        margins: dict[str, Any] = {"rect": (0, 0.02, 1, 1 - MARGIN_IN / HEIGHT_IN - 0.02)}
        engine.set(**margins)
    parts = figure.subfigures(1, 2, squeeze=False, width_ratios=[len(matched), 1.25])[0]
    panels = list(parts[0].subplots(1, len(matched), squeeze=False).flat)
    for axes, (name, pairs) in zip(panels, matched.items(), strict=True):
        _draw_pairs(axes, pairs, name)
        axes.set_xlabel(_side_label(sets, 0))
        axes.set_ylabel(_side_label(sets, 1))
    name, pairs = next(iter(matched.items()))
    gains = (pairs["response_moving"] - pairs["response_still"]).to_numpy(float)
    middle = np.argsort(gains, kind="stable")[(len(gains) - 1) // 2]
    example = _draw_example(parts[1], sets, pairs.iloc[middle], name)
    letter_panels([*panels, example])
    return figure


def has_motions(still: SynthesizedStimuli, moving: SynthesizedStimuli | None = None) -> bool:
    """Whether a target of a set, or of two, has both a still and a moving stimulus."""
    sets = (still, still if moving is None else moving)
    return any(len(_matched(sets, name)) for name in GENERATED)


def differing_values(still: SynthesizedStimuli, moving: SynthesizedStimuli) -> list[str]:
    """Return the values of :data:`ALIKE` in which the protocols of two sets differ.

    Where responses are summed over frames, stimuli also have to last equally long.
    """
    is_sum = still.protocol.get("over_frames") == "sum"
    names = (*ALIKE, "pattern_s") if is_sum else ALIKE
    return [name for name in names if still.protocol.get(name) != moving.protocol.get(name)]


def _side_label(sets: tuple[SynthesizedStimuli, SynthesizedStimuli], side: int) -> str:
    """Return the label of an axis; it says how long stimuli last where the sets differ."""
    durations = [stimuli.traces.shape[1] / stimuli.frame_rate_hz for stimuli in sets]
    response = response_label(sets[side])
    if durations[0] == durations[1]:
        return f"{SIDES[side]}: {response}"
    return f"{SIDES[side]}, {durations[side]:.2g} s:\n{response}"


def _matched(sets: tuple[SynthesizedStimuli, SynthesizedStimuli], made_for: str) -> pd.DataFrame:
    """Return place and response of the best still and moving stimulus of each target with both."""
    sides = []
    for stimuli, motion in zip(sets, SIDES, strict=True):
        table = table_of(stimuli)
        places = best_rows(table, made_for)
        if not len(places):
            return pd.DataFrame()
        places = places[places.index.get_level_values("motion") == motion].droplevel("motion")
        rows = places[made_for].astype(int)
        responses = table["response"].to_numpy(float)[rows.to_numpy()]
        columns = {f"row_{motion}": rows, f"response_{motion}": responses}
        sides.append(pd.DataFrame(columns, rows.index))
    return sides[0].join(sides[1], how="inner").dropna()


def _draw_pairs(axes: Axes, pairs: pd.DataFrame, made_for: str) -> None:
    """Draw a point a target, and the line on which still and moving are equal."""
    x, y = (pairs[f"response_{side}"].to_numpy(float) for side in SIDES)
    plot_points(axes, x, y, color=class_color(made_for), clip_on=False)
    ends = np.concatenate([x, y, [0.0]])
    room = 0.04 * (ends.max() - ends.min()) or 1.0
    draw_identity(axes, ends.min() - room * (ends.min() < 0), ends.max() + room)
    axes.locator_params(nbins=4)
    axes.set_title(f"{made_for}, N = {len(pairs):,}\nmoving above still: {int((y > x).sum()):,}")


def _draw_example(
    figure: SubFigure,
    sets: tuple[SynthesizedStimuli, SynthesizedStimuli],
    pair: pd.Series[Any],
    made_for: str,
) -> Axes:
    """Draw the pictures and traces of one target, and return the axes to be lettered."""
    rows = [int(pair[f"row_{side}"]) for side in SIDES]
    look = _joint_look(sets, rows)
    has_traces = all(stimuli.traces.shape[1] > 1 for stimuli in sets)
    heights = [1.0, 0.9] if has_traces else [1.0]
    widths = [1.0, look.aspect * look.height_px / look.width_px]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=widths)
    panels = [figure.add_subplot(grid[0, column]) for column in range(2)]
    for axes, stimuli, row, side in zip(panels, sets, rows, SIDES, strict=True):
        draw_pictures(axes, stimuli, row, look)
        response = stimuli.table["response"].iloc[row]
        axes.set_title(f"{side}: {write_number(response)}")
    draw_scale(panels[0], sets[0].screen, look)
    name = target_name(table_of(sets[0]), rows[0])
    lines = [f"{name}, {made_for}: middle of the ranking of moving − still"]
    scale = f"bar: {scale_deg(look, sets[0].screen):g} deg"
    lines.append(f"{write_look(look, sets[0].screen)}; {scale}")
    if has_traces:
        _draw_traces(figure.add_subplot(grid[1, :]), sets, rows, made_for)
    figure.supxlabel("\n".join(lines), fontsize="small")
    return panels[0]


def _draw_traces(
    axes: Axes,
    sets: tuple[SynthesizedStimuli, SynthesizedStimuli],
    rows: list[int],
    made_for: str,
) -> None:
    """Draw the predicted responses to both stimuli of a target on one scale."""
    colors = ("black", class_color(made_for))
    for stimuli, row, side, color in zip(sets, rows, SIDES, colors, strict=True):
        draw_trace(axes, stimuli, row, color=color, label=side)
    axes.set_xlim(0, max(each.traces.shape[1] / each.frame_rate_hz for each in sets))
    draw_gray_screen(axes, blank_per_frame(sets[1], rows[1]))
    limit_traces([axes])
    axes.set(xlabel="time (s)", ylabel=response_label(sets[1]).replace(" (", "\n("))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _joint_look(sets: tuple[SynthesizedStimuli, SynthesizedStimuli], rows: list[int]) -> Look:
    """Return one look for a stimulus of each set: the wider crop, and the smaller enlargement."""
    looks = [common_look(stimuli, [row]) for stimuli, row in zip(sets, rows, strict=True)]
    return Look(
        min(look.width_px for look in looks),
        max(look.height_px for look in looks),
        min(look.stretch for look in looks),
        max(look.picture_count for look in looks),
        max(look.cut_share for look in looks),
    )
