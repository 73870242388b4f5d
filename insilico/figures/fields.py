"""Where receptive fields lie, as a density over the screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.stats import gaussian_kde

from insilico.figures.galleries import is_ok
from insilico.figures.maps import screen_of
from insilico.figures.style import GRAY, new_axes, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Levels of the density, as shares of its highest value (as published, from 0.01 to 1).
LEVELS = np.linspace(0.01, 1, 11)
#: Points along azimuth at which the density is drawn.
POINTS = 120
#: Fewer centers than this, or centers on a line, have no density worth drawing.
FEWEST = 5


@style()
def plot_center_density(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the density of receptive-field centers on the screen.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment; neurons of status "ok" are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        In degrees, with the outline of the monitor: a Gaussian kernel with Scott's bandwidth, in
        shares of its highest value. Fewer than five centers are drawn as points.

    References
    ----------
    ViV1T-closed-loop, tuning_retinotopy/fit_aRFs.py: levels and kernel; there in pixels.
    """
    axes = new_axes(axes)
    screen = screen_of(result)
    table = result.neurons[is_ok(result.neurons)]
    centers = table[["x_deg", "y_deg"]].to_numpy(float).T
    left, right = screen.position_deg([-0.5, screen.width_px - 0.5], [0, 0])[0]
    bottom, top = screen.position_deg([0, 0], [screen.height_px - 0.5, -0.5])[1]
    if centers.shape[1] >= FEWEST and np.linalg.matrix_rank(np.cov(centers)) == 2:
        x_deg = np.linspace(left, right, POINTS)
        y_deg = np.linspace(bottom, top, max(2, round(POINTS * (top - bottom) / (right - left))))
        grid = np.meshgrid(x_deg, y_deg)
        density = gaussian_kde(centers)(np.stack([side.ravel() for side in grid]))
        share = density.reshape(grid[0].shape) / density.max()
        # What lies below the first level is background.
        shown = axes.contourf(*grid, share, levels=LEVELS, cmap="inferno")
        place = axes.inset_axes((1.03, 0.15, 0.03, 0.7))
        bar = axes.figure.colorbar(shown, cax=place, ticks=[0.01, 0.5, 1])
        bar.set_label("density (of highest)")
        bar.outline.set_visible(False)
    else:
        axes.plot(*centers, "o", color="black")
    outline = Rectangle((left, bottom), right - left, top - bottom, fill=False, edgecolor=GRAY)
    axes.add_patch(outline)
    axes.set(xlim=(1.04 * left, 1.04 * right), ylim=(1.04 * bottom, 1.04 * top), aspect="equal")
    axes.set(xlabel="azimuth (deg)", ylabel="elevation (deg)")
    axes.set_title(f"centers, N = {len(table):,}")
    return axes
