"""How every figure looks: the style sheet, page widths and color maps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from insilico import catalog

#: One and two columns of a printed page, inches (89 and 183 mm; Nature, guide to preparing final
#: artwork).
COLUMN_WIDTH_IN = 89 / 25.4
PAGE_WIDTH_IN = 183 / 25.4

#: Values with a sign: white is 0, and red against blue is told apart by every kind of color vision.
#: Always drawn with limits of equal size.
SIGNED_MAP = "RdBu_r"
#: Values from low to high: perceptually uniform, and rising in lightness.
SEQUENTIAL_MAP = "viridis"

#: Neurons, lines and text that are there for reference only.
GRAY = "0.55"
LIGHT_GRAY = "0.8"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the package's style; also a decorator. Save a figure within it, too.

    The sheet is ``figures/insilico.mplstyle``, or the user's own of that name, on top of
    matplotlib's defaults: personal settings do not change published figures.

    Raises
    ------
    CatalogError
        If there is no style sheet.
    """
    sheet = catalog.find("figures", "insilico")
    with matplotlib.style.context(["default", str(sheet)]):
        yield


def cycle_color(index: int) -> str:
    """Return a color of the style's cycle; call it within :func:`style`."""
    colors = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    return to_hex(colors[index % len(colors)])


@style()
def new_axes(axes: Axes | None, *, projection: str | None = None) -> Axes:
    """Return the given axes, or those of a new figure one column wide."""
    if axes is not None:
        return axes
    figure = Figure(figsize=(COLUMN_WIDTH_IN, 0.8 * COLUMN_WIDTH_IN))
    return figure.add_subplot(projection=projection)
