"""Pictures of synthesized stimuli: gray levels in their place, with the border of their region."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from insilico.figures.maps import DEGREE_STEPS
from insilico.figures.style import GRAY
from insilico.figures.synthesis_rows import GRAY_SCREEN, SynthesizedStimuli
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: Frames of a movie that are shown: the first, and those after one and two thirds.
PICTURE_COUNT = 3
#: Space between the frames of a movie, as a fraction of their width.
PICTURE_GAP = 0.06
#: Pixels that a picture shows beside its region, and the least that it shows in all.
MARGIN_PX, LEAST_PX = 4, 17
#: Factors by which contrast may be stretched.
STRETCHES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
#: Of regions.
BORDER_COLOR = "#E69F00"


@dataclasses.dataclass(frozen=True)
class Look:
    """How all pictures of a figure are drawn, so that they can be compared.

    Parameters
    ----------
    width_px, height_px : int
        The part of the screen that each shows, about its region.
    stretch : int
        Factor by which differences from gray are enlarged.
    picture_count : int
        Frames that the longest movie shows.
    cut_share : float
        Share of the pixels in all regions that would be darker than black or brighter than white.
    """

    width_px: int
    height_px: int
    stretch: int
    picture_count: int
    cut_share: float = 0.0

    @property
    def pitch_px(self) -> float:
        """From the left of a frame to that of the next."""
        return self.width_px * (1 + PICTURE_GAP)

    @property
    def aspect(self) -> float:
        """Width of the longest movie divided by its height."""
        return ((self.picture_count - 1) * self.pitch_px + self.width_px) / self.height_px


def common_look(stimuli: SynthesizedStimuli, rows: Sequence[int]) -> Look:
    """Return one crop and one contrast for several stimuli.

    The crop holds the largest of their regions, or the screen; of movies that have a center it is
    never wider than high, because several frames stand in a row. Contrast stays as it is where a
    set uses the range from 0 to 255; else it is enlarged by one whole number, the same for all
    pixels and to both sides of gray, which leaves all of the exciting stimuli (of all stimuli,
    where there are none) within black and white: Gabors that are cut would look like bars.
    """
    screen = stimuli.screen
    masks = [stimuli.weights[row] > 0 for row in rows]
    sides = np.array([_extent(mask) for mask in masks])
    reach = (sides[:, [1, 3]] - sides[:, [0, 2]]).max(axis=0) + 2 * MARGIN_PX
    width, height = np.clip(reach, LEAST_PX, [screen.width_px, screen.height_px])
    count = max(len(shown_frames(stimuli, row)) for row in rows)
    if count > 1 and np.isfinite([_center(stimuli, row) for row in rows]).all():
        width = min(width, height)
    away = [
        np.abs(stimuli.frames[row][..., mask].astype(int) - screen.gray).ravel()
        for row, mask in zip(rows, masks, strict=True)
    ]
    is_exciting = stimuli.table["stimulus_class"].iloc[list(rows)].eq("exciting").tolist()
    kept = [part for part, own in zip(away, is_exciting, strict=True) if own] or away
    level_count = min(screen.gray, 255 - screen.gray)
    room = level_count / max(part.max(initial=1) for part in kept)
    stretch = max([factor for factor in STRETCHES if factor <= room], default=1)
    # Without enlargement nothing is cut: all levels are drawn as they are.
    is_cut = np.concatenate(away) * stretch > 255 - screen.gray
    share = float(is_cut.mean()) if stretch > 1 and is_cut.size else 0.0
    return Look(int(width), int(height), stretch, count, share)


def shown_frames(stimuli: SynthesizedStimuli, row: int) -> list[int]:
    """Return the frames of a stimulus that are shown; one where all are the same."""
    frames = stimuli.frames[row]
    is_still = frames.ndim == 2 or bool((frames == frames[0]).all())
    return [0] if is_still else moving_frames(stimuli)


def moving_frames(stimuli: SynthesizedStimuli) -> list[int]:
    """Return the frames that are shown of a stimulus that moves."""
    step = stimuli.frames.shape[1] / PICTURE_COUNT
    return sorted({int(step * index) for index in range(PICTURE_COUNT)})


def draw_pictures(axes: Axes, stimuli: SynthesizedStimuli, row: int, look: Look) -> None:
    """Draw a stimulus: an image, or frames of a movie from left to right over an arrow of time."""
    frames = stimuli.frames[row].reshape(-1, *stimuli.screen.shape)
    left, top = _corner(stimuli, row, look)
    window = np.s_[top : top + look.height_px, left : left + look.width_px]
    edges = _border(stimuli.weights[row][window] > 0)
    # Black and white lie as far from gray as the stretch says.
    gray, stretch = stimuli.screen.gray, look.stretch
    low, high = gray - gray / stretch, gray + (255 - gray) / stretch
    shown = shown_frames(stimuli, row)
    for place, frame in enumerate(shown):
        x = place * look.pitch_px
        extent = (x, x + look.width_px, look.height_px, 0)
        axes.imshow(frames[frame][window], cmap="gray", vmin=low, vmax=high, extent=extent)
        border = LineCollection(list(edges + np.array([x, 0])), colors=BORDER_COLOR, linewidths=0.7)
        axes.add_collection(border)
    width = (len(shown) - 1) * look.pitch_px + look.width_px
    axes.set(xlim=(0, width), ylim=(look.height_px, 0), aspect="equal", anchor="C")
    axes.set_axis_off()
    if len(shown) > 1:
        _draw_time(axes)


def draw_trace(
    axes: Axes, stimuli: SynthesizedStimuli, row: int, *, color: str, label: str = ""
) -> None:
    """Draw the predicted response to a stimulus frame by frame, over time since its onset."""
    trace = np.asarray(stimuli.traces[row], float)
    seconds = np.arange(len(trace)) / stimuli.frame_rate_hz
    axes.plot(seconds, trace, color=color, label=label, clip_on=False, zorder=3)
    axes.set_xlim(0, len(trace) / stimuli.frame_rate_hz)


def draw_gray_screen(axes: Axes, level: float, *, label: str = GRAY_SCREEN) -> None:
    """Draw the response to an empty screen, where it is known."""
    if np.isfinite(level):
        axes.axhline(level, color=GRAY, linestyle="--", linewidth=0.7, label=label, zorder=1)


def blank_per_frame(stimuli: SynthesizedStimuli, row: int) -> float:
    """Return the response to a gray screen in the units of the trace; NaN where not known.

    What is summed over frames is divided by their number.
    """
    if "blank_response" not in stimuli.table:
        return float("nan")
    level = float(stimuli.table["blank_response"].iloc[row])
    is_sum = stimuli.protocol.get("over_frames") == "sum"
    return level / stimuli.traces.shape[1] if is_sum else level


def limit_traces(panels: Sequence[Axes]) -> None:
    """Give the traces of one target one scale that holds 0 and all of them."""
    ends = [np.asarray(line.get_ydata(), float) for axes in panels for line in axes.lines]
    values = np.concatenate([*ends, [0.0]])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 1.0
    for axes in panels:
        axes.set_ylim(low - room * (low < 0), high + room)
        axes.locator_params(axis="y", nbins=2)


def draw_scale(axes: Axes, screen: Screen, look: Look) -> None:
    """Draw a bar as long as :func:`scale_deg` in the corner of a picture."""
    length = 2 * float(screen.radius_px(scale_deg(look, screen)))
    for color, width in (("white", 2.2), ("black", 1.2)):
        axes.plot([1, 1 + length], [look.height_px - 1.5] * 2, color=color, linewidth=width)


def scale_deg(look: Look, screen: Screen) -> float:
    """Return a round angle, at the center of the screen, for the bar that shows the scale."""
    most = float(screen.diameter_deg(look.width_px / 4))
    return float(max(step for step in DEGREE_STEPS if step <= most))


def write_number(value: float) -> str:
    """Write a response to three digits; a zero has no sign."""
    return f"{value + 0.0:.3g}"


def write_look(look: Look, screen: Screen) -> str:
    """Say how gray levels are shown."""
    if look.stretch == 1:
        return "gray levels from 0 (black) to 255 (white)"
    cut = f" ({look.cut_share:.1%} of pixels cut)" if look.cut_share >= 5e-4 else ""
    times = f"{look.stretch} times higher, about gray (level {screen.gray})"
    return f"contrast of all drawn {times}{cut}"


def _draw_time(axes: Axes) -> None:
    """Draw an arrow below all frames of a movie."""
    looks: dict[str, Any] = {"arrowstyle": "->", "mutation_scale": 5, "shrinkA": 0, "shrinkB": 0}
    axes.annotate(
        "",
        (1, -0.09),
        (0, -0.09),
        xycoords="axes fraction",
        textcoords="axes fraction",
        arrowprops=looks | {"color": GRAY, "linewidth": 0.6},
        annotation_clip=False,
    )


def _center(stimuli: SynthesizedStimuli, row: int) -> tuple[float, float]:
    """Return x and y of the middle of a stimulus, pixels; NaN where it has none."""
    stimulus = stimuli.table.iloc[row]
    return float(stimulus.get("x_px", np.nan)), float(stimulus.get("y_px", np.nan))


def _extent(mask: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    """Return left, right, top and bottom of a region, ends exclusive; the screen without one."""
    if not mask.any():
        return 0, mask.shape[1], 0, mask.shape[0]
    columns, lines = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(columns[-1]) + 1, int(lines[0]), int(lines[-1]) + 1


def _corner(stimuli: SynthesizedStimuli, row: int, look: Look) -> tuple[int, int]:
    """Return left and top of the part that is shown; at an edge it moves inward."""
    mask, (x, y) = stimuli.weights[row] > 0, _center(stimuli, row)
    left, right, top, bottom = _extent(mask)
    x, y = (x, y) if np.isfinite(x + y) else ((left + right - 1) / 2, (top + bottom - 1) / 2)
    first_x, first_y = round(x - (look.width_px - 1) / 2), round(y - (look.height_px - 1) / 2)
    return (
        int(np.clip(first_x, 0, mask.shape[1] - look.width_px)),
        int(np.clip(first_y, 0, mask.shape[0] - look.height_px)),
    )


def _border(mask: np.ndarray[Any, Any]) -> FloatArray:
    """Return the edges between pixels in and beside a region, shape (edge, end, x and y)."""
    inside = mask.astype(int)
    y, x = np.nonzero(np.diff(inside, axis=1))
    upright = np.stack([np.stack([x + 1, y], -1), np.stack([x + 1, y + 1], -1)], axis=1)
    y, x = np.nonzero(np.diff(inside, axis=0))
    level = np.stack([np.stack([x, y + 1], -1), np.stack([x + 1, y + 1], -1)], axis=1)
    return np.concatenate([upright, level]).astype(float)
