"""From shares of patches to maps on pixels, and to numbers: where a map lies, and how widely."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.ndimage

from insilico.models.attention_maps import PatchPlaces
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: A map whose values differ by less than this fraction is constant: so much is rounding, in sums of
#: thousands of single-precision weights through a dozen blocks.
CONSTANT_FRACTION = 1e-5


def is_constant(share: FloatArray) -> BoolArray:
    """Whether each map favors no patch.

    Parameters
    ----------
    share : float array, shape (..., row, column)
        Share of each patch, ≥ 0.

    Returns
    -------
    bool array, shape (...)
    """
    low, high = share.min(axis=(-2, -1)), share.max(axis=(-2, -1))
    return np.asarray(high - low <= CONSTANT_FRACTION * high)


def scale_to_range(share: FloatArray) -> FloatArray:
    """Scale each map from its lowest patch, 0, to its highest, 1; a constant map is 1 everywhere.

    Parameters
    ----------
    share : float array, shape (..., row, column)
        Share of each patch.

    Returns
    -------
    float array, shape (..., row, column)

    References
    ----------
    V1T, src/v1t/utils/attention_rollout.py, where a constant map becomes NaN.
    """
    low = share.min(axis=(-2, -1), keepdims=True)
    high = share.max(axis=(-2, -1), keepdims=True)
    flat = is_constant(share)[..., None, None]
    return np.where(flat, 1.0, (share - low) / np.where(flat, 1.0, high - low))


def relative_to_even(share: FloatArray) -> FloatArray:
    """Return the attention of patches relative to even attention.

    Parameters
    ----------
    share : float array, shape (..., row, column)
        Share of each patch, ≥ 0, not all 0.

    Returns
    -------
    float array, shape (..., row, column)
        Share by the mean over patches: 1 where all are attended alike, 2 where a patch gets twice
        its part. What tokens that are no patches hold does not count.
    """
    return np.asarray(share / share.mean(axis=(-2, -1), keepdims=True))


def draw_between(
    values: FloatArray, places: PatchPlaces, shape: tuple[int, int], moved_px: FloatArray
) -> FloatArray:
    """Draw values of patches at their centers, linear in between, and none where no patch is near.

    Parameters
    ----------
    values : float array, shape (..., row, column)
        Value of each patch.
    places : PatchPlaces
        Where they lie.
    shape : (int, int)
        Rows and columns of pixels.
    moved_px : float array, shape (2,)
        How far (y, x) the patches lie from there.

    Returns
    -------
    float array, shape (..., y, x)
        NaN further out than half a distance of neighbors from the outermost centers, so that
        patches at the border are drawn no larger than others.
    """
    sides = zip(shape, places.centers_px(), moved_px, places.stride_px, places.side_px, strict=True)
    weights = []
    for size, centers, moved, stride, side in sides:
        points, centers_px = np.arange(size, dtype=float), centers + moved
        reach = (stride if len(centers) > 1 else side) / 2
        is_near = (points >= centers_px[0] - reach) & (points <= centers_px[-1] + reach)
        hats = _hat_weights(points, centers_px)
        weights.append(np.where(is_near[:, None], hats, np.nan))
    return np.asarray(weights[0] @ values @ weights[1].T)


def interpolate(
    scaled: FloatArray, places: PatchPlaces, shape: tuple[int, int], moved_px: FloatArray
) -> FloatArray:
    """Draw maps of images: each patch's value at its center, linear in between.

    Beyond the outermost centers values stay what they are there: no other patch reaches the border.

    Parameters
    ----------
    scaled : float array, shape (trial, row, column)
        Value of each patch.
    places : PatchPlaces
        Where they lie.
    shape : (int, int)
        Rows and columns of pixels.
    moved_px : float array, shape (trial, 2)
        How far (y, x) the patches of each trial lie from there.

    Returns
    -------
    float array, shape (trial, y, x)

    References
    ----------
    V1T, src/v1t/utils/attention_rollout.py, stretches the grid of patches over the whole image
    instead (:func:`stretch`): with patches of 8 px at every pixel of 36 x 64 a value at the border
    is drawn 3.4 px from the patch that it belongs to.
    """
    y_px, x_px = places.centers_px()
    maps = np.empty((len(scaled), *shape))
    for trial, (values, (down, right)) in enumerate(zip(scaled, moved_px, strict=True)):
        rows = _hat_weights(np.arange(shape[0]), y_px + down)
        columns = _hat_weights(np.arange(shape[1]), x_px + right)
        maps[trial] = rows @ values @ columns.T
    return maps


def stretch(scaled: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Resize grids of patches to the whole image bilinearly, as published V1T does.

    Parameters
    ----------
    scaled : float array, shape (trial, row, column)
        Value of each patch.
    shape : (int, int)
        Rows and columns of pixels.

    Returns
    -------
    float array, shape (trial, y, x)

    References
    ----------
    V1T, src/v1t/utils/attention_rollout.py: ``skimage.transform.resize`` without antialiasing,
    which mirrors the border about the centers of the outermost values.
    """
    zoom = [wanted / given for wanted, given in zip(shape, scaled.shape[1:], strict=True)]
    resized = [
        scipy.ndimage.zoom(values, zoom, order=1, mode="mirror", grid_mode=True)
        for values in scaled
    ]
    return np.stack(resized)


def fold(share: FloatArray, places: PatchPlaces, shape: tuple[int, int]) -> FloatArray:
    """Draw maps of frames: at each pixel the mean over the patches that cover it, by its largest.

    Parameters
    ----------
    share : float array, shape (..., row, column)
        Share of each patch, ≥ 0.
    places : PatchPlaces
        Where they lie; whole pixels.
    shape : (int, int)
        Rows and columns of pixels.

    Returns
    -------
    float array, shape (..., y, x)
        The largest value of each frame is 1; pixels that no patch covers are 0.

    References
    ----------
    ViV1T-closed-loop, viv1t/utils/attention_rollout.py: values are put on their patches, summed,
    and divided by how many patches cover each pixel. There a margin of 0 px at the right or bottom
    empties the map; here only what lies on the frame is ever drawn.
    """
    sides = zip(shape, places.centers_px(), places.side_px, strict=True)
    rows, columns = (_cover_weights(size, centers, side) for size, centers, side in sides)
    maps = rows @ share @ columns.T
    highest = maps.max(axis=(-2, -1), keepdims=True)
    return np.asarray(maps / np.where(highest > 0, highest, 1.0))


@dataclasses.dataclass(frozen=True, eq=False)
class MapCenters:
    """Where maps lie, and how widely; one entry a map.

    Attributes
    ----------
    x_px, y_px : float array
        Center of mass, pixels from the top left, y down.
    x_deg, y_deg : float array
        The same in degrees from the center of the screen, y up.
    spread_x_deg, spread_y_deg : float array
        Standard deviation of the mass about that, degrees.
    """

    x_px: FloatArray
    y_px: FloatArray
    x_deg: FloatArray
    y_deg: FloatArray
    spread_x_deg: FloatArray
    spread_y_deg: FloatArray


def measure_centers(
    mass: FloatArray, x_px: FloatArray, y_px: FloatArray, screen: Screen
) -> MapCenters:
    """Return center and spread of maps.

    Parameters
    ----------
    mass : float array, shape (..., y, x)
        Values ≥ 0 at points, not all 0; of patches or of pixels.
    x_px, y_px : float array, shape (..., x) and (..., y)
        Where the points lie, pixels from the top left, y down.
    screen : Screen
        Geometry.

    Returns
    -------
    MapCenters
        Arrays of shape (...).
    """
    total = mass.sum(axis=(-2, -1))
    along_x, along_y = mass.sum(axis=-2), mass.sum(axis=-1)
    center_x_px = (along_x * x_px).sum(axis=-1) / total
    center_y_px = (along_y * y_px).sum(axis=-1) / total
    x_deg, y_deg = screen.position_deg(center_x_px, center_y_px)
    points_x_deg, _ = screen.position_deg(x_px, 0.0)
    _, points_y_deg = screen.position_deg(0.0, y_px)
    spreads = [
        np.sqrt((along * (points - center[..., None]) ** 2).sum(axis=-1) / total)
        for along, points, center in (
            (along_x, points_x_deg, x_deg),
            (along_y, points_y_deg, y_deg),
        )
    ]
    return MapCenters(center_x_px, center_y_px, x_deg, y_deg, *spreads)


def entropy_bits(share: FloatArray) -> FloatArray:
    """Return the entropy of how attention is shared among patches, bits.

    Parameters
    ----------
    share : float array, shape (..., row, column)
        Share of each patch, ≥ 0, not all 0.

    Returns
    -------
    float array, shape (...)
        0 where one patch has all, ``log2`` of the number of patches where all have the same.
    """
    part = share / share.sum(axis=(-2, -1), keepdims=True)
    bits = np.log2(part, where=part > 0, out=np.zeros_like(part))
    return np.asarray(-(part * bits).sum(axis=(-2, -1)))


def _hat_weights(points: Any, centers: FloatArray) -> FloatArray:
    """Return the weights (point, center) of linear interpolation, constant beyond the ends."""
    if len(centers) == 1:
        return np.ones((len(points), 1))
    place = np.interp(points, centers, np.arange(len(centers)))
    return np.clip(1 - np.abs(place[:, None] - np.arange(len(centers))), 0, None)


def _cover_weights(size: int, centers: FloatArray, side: float) -> FloatArray:
    """Return the weights (pixel, patch) of the mean over the patches that cover each pixel."""
    # The outermost pixel of a patch lies half a pixel within its edge.
    covers = np.abs(np.arange(size)[:, None] - centers) < side / 2 - 0.25
    count = covers.sum(axis=1, keepdims=True)
    return np.asarray(covers / np.maximum(count, 1))
