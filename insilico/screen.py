"""One screen: pixels, centimeters, degrees, frames and seconds, and the gray of an empty frame."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Largest tolerated difference between horizontal and vertical centimeters per pixel
#: (ViV1T-closed-loop, viv1t/utils/stimulus.py).
PIXEL_ASPECT_TOLERANCE_CM = 0.01


@dataclasses.dataclass(frozen=True)
class Screen:
    """A flat monitor in front of the eye, sampled by the pixels that the network sees.

    Positions in pixels are pixel centers counted from the top left, x to the right and y down.
    Positions in degrees have their origin at the screen center, x to the right and y **up**, each
    by the arctangent. Sizes are full visual angles about the screen center.

    Parameters
    ----------
    width_px, height_px : int
        Network-input pixels.
    width_cm, height_cm : float
        Size of the visible area.
    distance_cm : float
        From the eye to the screen center.
    frame_rate_hz : float
        Frames per second, > 0.
    gray : int
        Level of an empty frame, 0-255; the published value is 255 // 2.

    Raises
    ------
    UnitsError
        If a size is not positive, ``gray`` is outside 0-255, or the pixels are not square.

    References
    ----------
    Geometries and formulas: ViV1T-closed-loop, viv1t/data/constants.py and viv1t/utils/stimulus.py.
    """

    width_px: int = 64
    height_px: int = 36
    width_cm: float = 56.5
    height_cm: float = 31.8
    distance_cm: float = 15.0
    frame_rate_hz: float = 30.0
    gray: int = 127

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0) and field.name != "gray":
                raise UnitsError(
                    f"the screen's {field.name} is {value!r}; give a positive finite number"
                )
        if not 0 <= self.gray <= 255:
            raise UnitsError(f"the screen's gray is {self.gray!r}; give a level from 0 to 255")
        if abs(self.width_cm / self.width_px - self.height_cm / self.height_px) > (
            PIXEL_ASPECT_TOLERANCE_CM
        ):
            raise UnitsError(
                f"a pixel would be {self.width_cm / self.width_px:.3f} cm wide and "
                f"{self.height_cm / self.height_px:.3f} cm high; pixels must be square to within "
                f"{PIXEL_ASPECT_TOLERANCE_CM} cm, so check the centimeters against the pixels"
            )

    @property
    def cm_per_px(self) -> float:
        """Side of one pixel in centimeters."""
        return self.width_cm / self.width_px

    @property
    def degrees_per_px(self) -> float:
        """Visual angle of one pixel at the screen center, 2·atan(q/2D)."""
        return math.degrees(2 * math.atan(self.cm_per_px * 0.5 / self.distance_cm))

    @property
    def center_px(self) -> tuple[float, float]:
        """The true screen center (x, y), half-way between pixels where their number is even."""
        return (self.width_px - 1) / 2, (self.height_px - 1) / 2

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of one frame."""
        return self.height_px, self.width_px

    def cycles_per_px(self, spatial_frequency_cpd: ArrayLike) -> FloatArray:
        """Convert cycles per degree, at the screen center, to cycles per pixel."""
        return np.asarray(spatial_frequency_cpd, float) * self.degrees_per_px

    def radius_px(self, diameter_deg: ArrayLike) -> FloatArray:
        """Radius in pixels of a disc of that angular diameter about the screen center.

        Raises
        ------
        UnitsError
            If a diameter is negative or reaches 180 degrees.
        """
        diameter = np.asarray(diameter_deg, float)
        if not np.all((diameter >= 0) & (diameter < 180)):
            raise UnitsError(f"a diameter of {diameter_deg!r} degrees; give 0 or more, below 180")
        return np.asarray(self.distance_cm * np.tan(np.radians(diameter) / 2) / self.cm_per_px)

    def diameter_deg(self, radius_px: ArrayLike) -> FloatArray:
        """Full visual angle of a disc of that radius about the screen center, 2·atan(r/D)."""
        radius_cm = np.asarray(radius_px, float) * self.cm_per_px
        return 2 * np.degrees(np.arctan2(radius_cm, self.distance_cm))

    def position_deg(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels from the top left (y down) to degrees from the center (y up)."""
        center_x, center_y = self.center_px
        x_cm = (np.asarray(x_px, float) - center_x) * self.cm_per_px
        y_cm = (center_y - np.asarray(y_px, float)) * self.cm_per_px
        return (
            np.degrees(np.arctan2(x_cm, self.distance_cm)),
            np.degrees(np.arctan2(y_cm, self.distance_cm)),
        )

    def position_px(self, x_deg: ArrayLike, y_deg: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Degrees from the center (y up) to pixels from the top left (y down).

        Raises
        ------
        UnitsError
            If a position lies 90 degrees or more from the center, where no flat screen reaches.
        """
        if any(np.any(np.abs(np.asarray(value, float)) >= 90) for value in (x_deg, y_deg)):
            raise UnitsError(
                f"the position x = {x_deg!r}, y = {y_deg!r} degrees was asked for; a flat screen "
                "ends before 90 degrees from its center"
            )
        center_x, center_y = self.center_px
        scale = self.distance_cm / self.cm_per_px
        x_px = center_x + scale * np.tan(np.radians(np.asarray(x_deg, float)))
        y_px = center_y - scale * np.tan(np.radians(np.asarray(y_deg, float)))
        return x_px, y_px

    def contains(self, x_px: ArrayLike, y_px: ArrayLike) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether a position lies on the screen, edges of the outermost pixels included."""
        x, y = np.asarray(x_px, float), np.asarray(y_px, float)
        return (x >= -0.5) & (x <= self.width_px - 0.5) & (y >= -0.5) & (y <= self.height_px - 0.5)

    def frames(self, duration_s: float) -> int:
        """Duration as a whole number of frames, to the nearest.

        Raises
        ------
        UnitsError
            If the duration is negative or not finite.
        """
        if not (math.isfinite(duration_s) and duration_s >= 0):
            raise UnitsError(f"a duration of {duration_s!r} s; give a finite number, 0 or more")
        return round(duration_s * self.frame_rate_hz)

    def to_dict(self) -> dict[str, float]:
        """All fields by name, as they are written to ``model.toml`` and ``provenance.json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Screen:
        """Build a screen from the fields that :meth:`to_dict` wrote.

        Raises
        ------
        UnitsError
            If a field is unknown.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(values) - known:
            raise UnitsError(
                f"a screen has no field {sorted(unknown)}; the fields are {sorted(known)}"
            )
        return cls(**values)


#: Published geometries, by the recordings they belong to (ViV1T-closed-loop,
#: viv1t/data/constants.py): Sensorium mice A-J, and the Rochefort laboratory's mice K-P.
SCREENS = {
    "sensorium": Screen(),
    "rochefort": Screen(width_cm=51.0, height_cm=29.0, distance_cm=20.0),
}
