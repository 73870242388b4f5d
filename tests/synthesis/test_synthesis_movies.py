"""Movies that give back every gray level, and previews that people can look at."""

import subprocess
import sys

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insilico.errors import RunFolderError, ShapeError, UnitsError
from insilico.synthesis.movies import read_movie, write_movie, write_preview


@pytest.fixture
def all_levels():
    """All 256 gray levels beside each other, as noise and as a ramp, in odd sizes."""
    noise = np.random.default_rng(1).permutation(256).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint8)
    return np.stack([np.resize(levels, (17, 31)) for levels in (noise, ramp, ramp[::-1])])


def shown(path):
    """Decode all frames of any movie, in colors."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


# Lossless movies


def test_every_gray_level_survives(all_levels, tmp_path):
    assert len(np.unique(all_levels)) == 256
    write_movie(tmp_path / "m.mkv", all_levels, frame_rate_hz=30)
    loaded = read_movie(tmp_path / "m.mkv")
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, all_levels)


def test_other_players_show_the_same_levels_in_all_colors(all_levels, tmp_path):
    write_movie(tmp_path / "m.mkv", all_levels, frame_rate_hz=30)
    np.testing.assert_array_equal(shown(tmp_path / "m.mkv"), np.stack([all_levels] * 3, axis=-1))


@given(
    frames=arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 37), st.integers(2, 65)))
)
def test_movies_of_any_size_are_exact(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("movies") / "m.mkv"
    write_movie(path, frames, frame_rate_hz=30)
    np.testing.assert_array_equal(read_movie(path), frames)


def test_movies_of_a_monitor_are_exact(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 1080, 1921), dtype=np.uint8)
    write_movie(tmp_path / "m.mkv", frames, frame_rate_hz=60)
    np.testing.assert_array_equal(read_movie(tmp_path / "m.mkv"), frames)


def test_arrays_that_are_views_are_written_as_they_look(all_levels, tmp_path):
    view = all_levels.transpose(0, 2, 1)[::-1, ::2]
    write_movie(tmp_path / "m.mkv", view, frame_rate_hz=30)
    np.testing.assert_array_equal(read_movie(tmp_path / "m.mkv"), view)


@pytest.mark.parametrize("rate", [30, 29.97, 30000 / 1001, 60.0, 7.5])
def test_movies_know_their_codec_and_frame_rate(all_levels, rate, tmp_path):
    write_movie(tmp_path / "m.mkv", np.repeat(all_levels, 20, axis=0), frame_rate_hz=rate)
    with av.open(str(tmp_path / "m.mkv")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        assert stream.codec_context.pix_fmt == "gray"
        assert float(stream.average_rate) == pytest.approx(rate, rel=1e-4)
        times = [frame.time for frame in container.decode(stream)]
    # Matroska counts milliseconds.
    np.testing.assert_allclose(times, np.arange(60) / rate, atol=1e-3)


def test_the_same_frames_make_the_same_file(all_levels, tmp_path):
    for name in ("a.mkv", "b.mkv"):
        write_movie(tmp_path / name, all_levels, frame_rate_hz=30)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_interrupted_writing_leaves_nothing(all_levels, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_movie(tmp_path / "m.mkv", all_levels, frame_rate_hz=30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frames",
    [np.zeros((36, 64), np.uint8), np.zeros((2, 3, 4)), np.zeros((0, 36, 64), np.uint8)],
    ids=["an image", "floats", "no frame"],
)
def test_what_is_no_movie_of_bytes_is_refused(frames, tmp_path):
    with pytest.raises(ShapeError, match="give uint8 gray levels of shape"):
        write_movie(tmp_path / "m.mkv", frames, frame_rate_hz=30)


def test_size_that_the_codec_does_not_have_is_refused(tmp_path):
    with pytest.raises(ShapeError, match="7 x 1 pixels cannot be written with the codec ffv1"):
        write_movie(tmp_path / "m.mkv", np.zeros((2, 7, 1), np.uint8), frame_rate_hz=30)


@pytest.mark.parametrize("rate", [0, -30.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(all_levels, rate, tmp_path):
    with pytest.raises(UnitsError, match="frames per second"):
        write_movie(tmp_path / "m.mkv", all_levels, frame_rate_hz=rate)


# Reading what is not there, foreign or damaged


def test_missing_movie_is_named(tmp_path):
    with pytest.raises(RunFolderError, match=r"m\.mkv cannot be read \(No such file"):
        read_movie(tmp_path / "m.mkv")


@pytest.mark.parametrize("content", [b"", b"no movie at all", bytes(4096)])
def test_file_that_is_no_movie_is_refused(content, tmp_path):
    (tmp_path / "m.mkv").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"m\.mkv cannot be read"):
        read_movie(tmp_path / "m.mkv")


def test_lossy_movie_is_not_read_as_a_stimulus(all_levels, tmp_path):
    write_preview(tmp_path / "m.mp4", all_levels, frame_rate_hz=30)
    (tmp_path / "m.mp4").rename(tmp_path / "m.mkv")
    with pytest.raises(RunFolderError, match="pixel format yuv420p, which is not what was saved"):
        read_movie(tmp_path / "m.mkv")


def test_damage_is_refused_or_changes_what_is_read_but_never_crashes(all_levels, tmp_path):
    path = tmp_path / "m.mkv"
    write_movie(path, all_levels, frame_rate_hz=30)
    whole = path.read_bytes()
    rng, refused, changed = np.random.default_rng(2), 0, 0
    for place in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            changed += not np.array_equal(read_movie(path), all_levels)
        except RunFolderError:
            refused += 1
    assert changed + refused > 30


def test_movie_that_was_cut_off_lacks_frames_or_is_refused(all_levels, tmp_path):
    path = tmp_path / "m.mkv"
    write_movie(path, all_levels, frame_rate_hz=30)
    whole = path.read_bytes()
    for length in np.linspace(0, 0.8 * len(whole), 12).astype(int):
        path.write_bytes(whole[:length])
        try:
            assert not np.array_equal(read_movie(path), all_levels)
        except RunFolderError as error:
            assert "\n" not in str(error)  # noqa: PT017


# Previews


def test_gif_repeats_each_pixel_and_shows_only_the_pattern(all_levels, tmp_path):
    write_preview(tmp_path / "p.gif", all_levels, frame_rate_hz=30)
    large = all_levels.repeat(10, axis=1).repeat(10, axis=2)
    assert large.shape[2] >= 256
    np.testing.assert_array_equal(shown(tmp_path / "p.gif"), np.stack([large] * 3, axis=-1))


def test_gif_is_played_again_and_again_at_about_its_rate(all_levels, tmp_path):
    write_preview(tmp_path / "p.gif", np.repeat(all_levels, 10, axis=0), frame_rate_hz=30)
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in (tmp_path / "p.gif").read_bytes()
    with av.open(str(tmp_path / "p.gif")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(30) / 30, atol=0.011)


def test_mp4_looks_like_the_stimulus_in_even_sizes(tmp_path):
    y, x = np.mgrid[:35, :63]
    frames = np.stack([127 + 100 * np.sin((x + y + t) / 5) for t in range(5)]).astype(np.uint8)
    write_preview(tmp_path / "p.mp4", frames, frame_rate_hz=30)
    colors = shown(tmp_path / "p.mp4")
    large = frames.repeat(6, axis=1).repeat(6, axis=2)
    assert colors.shape == (*large.shape, 3)
    assert all(length % 2 == 0 for length in large.shape[1:])
    difference = np.abs(colors.astype(float) - large[..., None])
    assert difference.mean() < 4


def test_mp4_needs_no_h264(all_levels, tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    write_preview(tmp_path / "p.mp4", all_levels, frame_rate_hz=30)
    with av.open(str(tmp_path / "p.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert len(shown(tmp_path / "p.mp4")) == 3


def test_png_of_an_image_repeats_each_pixel(all_levels, tmp_path):
    write_preview(tmp_path / "p.png", all_levels[:1], frame_rate_hz=30)
    large = all_levels[:1].repeat(10, axis=1).repeat(10, axis=2)
    np.testing.assert_array_equal(shown(tmp_path / "p.png"), np.stack([large] * 3, axis=-1))


def test_previews_of_large_frames_keep_even_sizes(tmp_path):
    frames = np.full((1, 71, 301), 50, np.uint8)
    write_preview(tmp_path / "p.mp4", frames, frame_rate_hz=30)
    assert shown(tmp_path / "p.mp4").shape == (1, 142, 602, 3)


@pytest.mark.parametrize("name", ["p.png", "p.avi", "p"])
def test_preview_of_another_ending_is_refused(all_levels, name, tmp_path):
    with pytest.raises(ShapeError, match="give a name that ends in"):
        write_preview(tmp_path / name, all_levels, frame_rate_hz=30)


def test_ffmpeg_is_loaded_only_when_a_movie_is():
    program = "import sys, insilico.synthesis.stimulus_set; print(*sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(finished.stdout.split())
    assert not {"av", "imageio", "torch", "matplotlib"} & loaded
