"""Figures: a result in, a figure out. matplotlib is imported in this package and nowhere else.

A figure function takes a :class:`insilico.results.Result`. It does not load, compute statistics,
test or save, and it needs no model: a saved result redraws without torch. Functions that compose a
whole figure return it; functions that draw one panel take ``axes`` and return them. Save a figure
within :func:`insilico.figures.style.style`, which also decides its resolution and how text is
stored.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from insilico.errors import CatalogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from insilico.results import Result

#: Figures of each experiment by name: the function that draws them. Importing it, and matplotlib
#: with it, is put off until it is needed.
FIGURES = {
    "retinotopy": {
        "gallery": "insilico.figures.retinotopy:plot_gallery",
        "population": "insilico.figures.retinotopy:plot_population",
    },
    "direction": {
        "gallery": "insilico.figures.direction:plot_gallery",
        "population": "insilico.figures.direction:plot_population",
    },
    "size": {
        "gallery": "insilico.figures.size:plot_gallery",
        "population": "insilico.figures.size:plot_population",
    },
    "similarity": {
        "gallery": "insilico.figures.similarity:plot_gallery",
        "population": "insilico.figures.similarity:plot_population",
        "cortex": "insilico.figures.similarity_cortex:plot_cortex",
    },
    "surround": {
        "gallery": "insilico.figures.surround:plot_gallery",
        "population": "insilico.figures.surround:plot_population",
    },
    "contrast": {
        "gallery": "insilico.figures.contrast:plot_gallery",
        "population": "insilico.figures.contrast:plot_population",
    },
    "frequency": {
        "gallery": "insilico.figures.frequency:plot_gallery",
        "population": "insilico.figures.frequency:plot_population",
    },
    "onset": {
        "gallery": "insilico.figures.onset:plot_gallery",
        "population": "insilico.figures.onset:plot_population",
    },
    "dots": {
        "gallery": "insilico.figures.dots:plot_gallery",
        "population": "insilico.figures.dots:plot_population",
    },
    "comparison": {
        "quantities": "insilico.figures.comparison:plot_quantities",
        "direction": "insilico.figures.comparison:plot_direction",
        "fields": "insilico.figures.comparison:plot_fields",
    },
    "attention": {
        "maps": "insilico.figures.attention:plot_maps",
    },
    "attention_gaze": {
        "gaze": "insilico.figures.attention_gaze:plot_gaze",
    },
    "evaluation": {
        "performance": "insilico.figures.evaluation:plot_performance",
    },
}

#: Figures that only some results of an experiment have: those with the table they draw.
NEEDS = {"comparison": {"direction": "aligned_curves", "fields": "fields"}}


def figure_names(result: Result) -> tuple[str, ...]:
    """Return the names of the figures of a result; none for an experiment without figures."""
    names = FIGURES.get(result.experiment, {})
    needs = NEEDS.get(result.experiment, {})
    return tuple(name for name in names if name not in needs or needs[name] in result.tables)


def draw(result: Result, name: str) -> Figure:
    """Draw one figure of a result.

    Parameters
    ----------
    result : Result
        Measured or loaded.
    name : str
        One of :func:`figure_names`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    CatalogError
        If the experiment has no figure of that name.
    """
    return find_figure(result.experiment, name)(result)


def find_figure(experiment: str, name: str) -> Callable[[Result], Figure]:
    """Return the function that draws a figure of an experiment.

    Raises
    ------
    CatalogError
        If the experiment has no figure of that name.
    """
    known = FIGURES.get(experiment, {})
    if name not in known:
        raise CatalogError(
            f"a {experiment} result has no figure {name!r}; it has {', '.join(known) or 'none'}"
        )
    module, function = known[name].split(":")
    found: Callable[[Result], Figure] = getattr(import_module(module), function)
    return found
