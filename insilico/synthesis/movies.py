"""Stimuli as movies: lossless ones that can be presented, and enlarged ones to look at."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from insilico.errors import RunFolderError, ShapeError, UnitsError
from insilico.files import atomic_file

if TYPE_CHECKING:
    import av

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: Each frame of FFV1 stands alone and carries a checksum.
LOSSLESS = {"level": "3", "g": "1", "slicecrc": "1"}
#: Previews are at least this wide, so that single pixels can be seen.
PREVIEW_WIDTH_PX = 256
#: Fast, and finer than the eye sees. Frames that stand alone were half the work and smaller files,
#: with pixels this large.
_H264 = {"preset": "ultrafast", "crf": "18", "g": "1"}
#: Without looking for transparent pixels: half the work, the same size.
_GIF = {"gifflags": "-transdiff"}


def write_movie(path: Path | str, frames: ByteArray, *, frame_rate_hz: float) -> None:
    """Write gray levels as a lossless movie: FFV1 in Matroska, pixel format "gray", full range.

    The same frames make the same bytes with one version of FFmpeg.

    Parameters
    ----------
    path : path
        Ending in ``.mkv``; written whole or not at all.
    frames : uint8 array, shape (frame, y, x)
        Gray levels 0-255, of any size from two pixels across.
    frame_rate_hz : float
        Frames per second, > 0.

    Raises
    ------
    OSError
        If it cannot be written.
    ShapeError
        If the frames are no movie of bytes, or the codec has no such size.
    UnitsError
        If the frame rate is not positive.

    References
    ----------
    RFC 9043 (FFV1). An H.264 movie of stimuli differed from them by up to 32 gray levels.
    """
    _require_movie(frames)
    movie = _encode(frames, "ffv1", "matroska", rate=_fraction(frame_rate_hz), options=LOSSLESS)
    with atomic_file(Path(path)) as draft:
        draft.write_bytes(movie)


def read_movie(path: Path | str) -> ByteArray:
    """Read the gray levels of a movie that :func:`write_movie` wrote.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        The gray levels that were written, if the file is undamaged; compare their hash.

    Raises
    ------
    RunFolderError
        If it is missing, is no lossless gray movie, or cannot be decoded.
    """
    import av

    path = Path(path)
    try:
        with av.open(io.BytesIO(path.read_bytes()), "r") as container:
            stream = container.streams.video[0]
            codec, pixels = stream.codec_context.name, stream.codec_context.pix_fmt
            if (codec, pixels) != ("ffv1", "gray"):
                raise RunFolderError(
                    f"{path} is a movie of codec {codec} with pixel format {pixels}, which is not "
                    "what was saved; give one of codec ffv1 with pixel format gray"
                )
            return np.stack([_levels(frame) for frame in container.decode(stream)])
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise RunFolderError(
            f"the movie {path} cannot be read ({getattr(error, 'strerror', None) or error}); "
            "delete what is there and save the set of stimuli again"
        ) from error


def write_preview(path: Path | str, frames: ByteArray, *, frame_rate_hz: float) -> None:
    """Write something to look at: enlarged by whole pixels, and only as long as the stimulus.

    Parameters
    ----------
    path : path
        Ending in ``.gif`` or ``.mp4`` for movies, ``.png`` for one image; written whole or not at
        all. GIF counts in hundredths of a second, and mp4 changes gray levels: never present them.
    frames : uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    frame_rate_hz : float
        Frames per second, > 0.

    Raises
    ------
    OSError
        If it cannot be written.
    ShapeError
        If the frames are no movie of bytes, or the path has another ending.
    UnitsError
        If the frame rate is not positive.
    """
    path = Path(path)
    _require_movie(frames)
    rate, large = _fraction(frame_rate_hz), _enlarged(frames)
    if path.suffix == ".gif":
        preview = _encode(large, "gif", "gif", rate=rate, options=_GIF)
    elif path.suffix == ".mp4":
        preview = _encode_mp4(large, rate)
    elif path.suffix == ".png" and len(frames) == 1:
        preview = _encode(large, "png", "image2pipe", rate=rate)
    else:
        raise ShapeError(
            f"a preview of {len(frames)} frames was to be written to {path.name}; give a name that "
            "ends in .gif or .mp4, or in .png for one frame"
        )
    with atomic_file(path) as draft:
        draft.write_bytes(preview)


def _levels(frame: av.VideoFrame) -> ByteArray:
    return np.asarray(frame.to_ndarray(), np.uint8)


def _enlarged(frames: ByteArray) -> ByteArray:
    """Repeat pixels, an even number of times: most players want even sizes of mp4."""
    times = 2 * max(1, -(-PREVIEW_WIDTH_PX // (2 * frames.shape[2])))
    return frames.repeat(times, axis=1).repeat(times, axis=2)


def _encode_mp4(frames: ByteArray, rate: Fraction) -> bytes:
    import av

    # H.264 plays in every browser; builds of FFmpeg without it still have MPEG-4.
    has_h264 = "libx264" in av.codecs_available
    codec, options = ("libx264", _H264) if has_h264 else ("mpeg4", {"qmax": "4"})
    return _encode(frames, codec, "mp4", rate=rate, pixels="yuv420p", options=options)


def _encode(
    frames: ByteArray,
    codec: str,
    container: str,
    *,
    rate: Fraction,
    pixels: str = "gray",
    options: dict[str, str] | None = None,
) -> bytes:
    """Return the file in memory, so that a full disk meets no encoder."""
    import av

    buffer = io.BytesIO()
    try:
        # Without the flag Matroska writes a random number and the version into every file.
        with av.open(buffer, "w", format=container, options={"fflags": "+bitexact"}) as output:
            added = output.add_stream(codec, rate=rate, options=options or {})
            stream = cast("av.VideoStream", added)
            stream.height, stream.width = frames.shape[1:]
            stream.pix_fmt = pixels
            _encode_frames(frames, stream, output, rate)
    except av.FFmpegError as error:
        raise ShapeError(
            f"frames of {frames.shape[1]} x {frames.shape[2]} pixels cannot be written with the "
            f"codec {codec} ({error.strerror}); give frames of another size"
        ) from error
    return buffer.getvalue()


def _encode_frames(
    frames: ByteArray,
    stream: av.VideoStream,
    output: av.container.OutputContainer,
    rate: Fraction,
) -> None:
    import av
    from av.video.reformatter import ColorRange

    stream.codec_context.thread_count = 1  # small frames are faster so, and the file is the same
    if stream.pix_fmt == "gray":
        stream.codec_context.color_range = ColorRange.JPEG  # levels 0-255, not 16-235
    for number, levels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), format="gray")
        frame.pts, frame.time_base = number, 1 / rate
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


def _fraction(frame_rate_hz: float) -> Fraction:
    if not 0.01 <= frame_rate_hz <= 10_000:
        raise UnitsError(
            f"a movie of {frame_rate_hz!r} frames per second was asked for; give 0.01 to 10,000"
        )
    return Fraction(frame_rate_hz).limit_denominator(1001)


def _require_movie(frames: ByteArray) -> None:
    if frames.ndim != 3 or frames.dtype != np.uint8 or frames.size == 0:
        raise ShapeError(
            f"frames of shape {frames.shape} and type {frames.dtype} were given; give uint8 gray "
            "levels of shape (frame, y, x) with at least one pixel"
        )
