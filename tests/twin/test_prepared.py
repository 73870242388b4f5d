import numpy as np
import pytest
import torch

from insilico import SimulatedV1
from insilico.errors import ShapeError, StimulusError


def test_uint8_and_floating_gray_levels_are_answered_alike(make_twin, full_statistics):
    twin = make_twin(statistics=full_statistics, precision="float32")
    levels = np.random.default_rng(0).integers(0, 256, (4, 3, 4), np.uint8)
    expected = twin.respond(levels).values
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(twin.respond(levels.astype(dtype)).values, expected)


def test_answers_do_not_depend_on_the_batches(make_twin, images, monkeypatch):
    whole = make_twin().respond(images).values
    monkeypatch.setattr("insilico.twin.prepared.BATCH_PIXELS", 4 * 12)
    in_batches = make_twin().respond(images).values
    alone = np.concatenate([make_twin().respond(image[None]).values for image in images])
    np.testing.assert_allclose(in_batches, whole)
    np.testing.assert_allclose(alone, whole)


def test_channel_axis_may_be_left_out(make_twin, images, movies):
    for kind, stimulus in (("image", images), ("movie", movies)):
        twin = make_twin(kind)
        np.testing.assert_array_equal(
            twin.respond(stimulus[:, None]).values, twin.respond(stimulus).values
        )


@pytest.mark.parametrize("memory", ["read-only", "reversed", "strided"])
def test_arrays_of_any_memory_layout_are_answered(make_twin, images, memory):
    expected = make_twin().respond(images).values
    if memory == "read-only":
        images.flags.writeable = False
    elif memory == "reversed":
        images, expected = images[::-1], expected[::-1]
    else:
        images, expected = images[::2], expected[::2]
    np.testing.assert_allclose(make_twin().respond(images).values, expected)


def test_stimulus_is_left_as_it_was(make_twin, full_statistics, images):
    before = images.copy()
    make_twin(statistics=full_statistics).respond(images)
    np.testing.assert_array_equal(images, before)


def test_window_cuts_frames_out_of_those_there_are(make_twin, movies):
    twin = make_twin("movie")
    whole = twin.respond(movies)
    assert (whole.values.shape, whole.first_frame) == ((3, 5, 5), 2)
    cut = twin.respond(movies, window=(3, 6))
    assert cut.first_frame == 3
    np.testing.assert_array_equal(cut.values, whole.values[..., 1:4])


@pytest.mark.parametrize("window", [(1, 5), (3, 8), (4, 4), (5, 3), (-2, 5)])
def test_window_out_of_range_is_refused(make_twin, movies, window):
    message = f"{window[0]} to {window[1]} was asked; movies of 7 frames have responses from frame"
    with pytest.raises(ShapeError, match=message):
        make_twin("movie").respond(movies, window=window)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_plain_and_fast_plans_agree(kind):
    twin = SimulatedV1(kind, simple_count=4, energy_count=4)
    shape = (2, 36, 64) if kind == "image" else (2, 12, 36, 64)
    stimulus = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    plain = twin.prepare(neurons=[6, 1], plan="plain")
    fast = twin.prepare(neurons=[6, 1])
    assert (plain.plan, fast.plan) == ("plain", "fast")
    np.testing.assert_allclose(fast.respond(stimulus), plain.respond(stimulus), rtol=1e-5)


def test_plans_agree_where_the_gaze_is_fixed(make_twin, full_statistics, movies):
    twin = make_twin("movie", statistics=full_statistics, reads_state=True)
    state = {"behavior": np.array([10.0, 4.0]), "pupil_center": np.array([33.0, 24.0])}
    fast, plain = (twin.prepare(plan=plan, **state).respond(movies) for plan in ("auto", "plain"))
    np.testing.assert_allclose(fast, plain)


def test_gaze_that_changes_from_trial_to_trial_is_computed_the_plain_way(
    make_twin, full_statistics
):
    twin = make_twin(statistics=full_statistics, reads_state=True)
    assert twin.prepare(pupil_center=np.zeros((6, 2))).plan == "plain"


def test_neurons_table_has_the_asked_neurons_and_their_mouse(make_twin):
    table = make_twin(mice=("a", "b")).prepare("b", neurons=[3, 1]).neurons_table()
    assert list(table["mouse"]) == ["b", "b"]
    assert list(table["neuron"]) == [3, 1]
    assert list(table.index) == [0, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_stimulus_that_is_not_finite_is_refused_and_its_trial_named(make_twin, images, bad):
    images[4, 1, 2] = bad
    with pytest.raises(StimulusError, match="trial 4 of the stimulus holds NaN or infinite"):
        make_twin().respond(images)


@pytest.mark.parametrize("dtype", [np.int64, bool, complex, object])
def test_stimulus_of_another_dtype_is_refused(make_twin, images, dtype):
    with pytest.raises(ShapeError, match="give uint8 gray levels or floating numbers"):
        make_twin().respond(images.astype(dtype))


def test_stimulus_of_no_trial_is_refused(make_twin, images):
    with pytest.raises(StimulusError, match="holds no trial; give at least one"):
        make_twin().respond(images[:0])


@pytest.mark.parametrize(
    ("kind", "shape", "error", "message"),
    [
        ("image", (2, 7, 3, 4), StimulusError, "a movie of 7 frames; this image model takes"),
        ("image", (2, 1, 7, 3, 4), StimulusError, "as of movies; this image model"),
        ("movie", (2, 3, 4), StimulusError, "as of images; this movie model"),
        ("image", (3, 4), StimulusError, r"has shape \(3, 4\)"),
        ("movie", (3, 4), StimulusError, r"has shape \(3, 4\)"),
        ("movie", (4,), StimulusError, r"has shape \(4,\)"),
        ("image", (), StimulusError, r"has shape \(\)"),
        ("image", (2, 4, 3), ShapeError, "with frames of 3 x 4 pixels"),
        ("movie", (2, 7, 4, 3), ShapeError, "with frames of 3 x 4 pixels"),
        ("movie", (2, 3, 7, 3, 4), ShapeError, r"has shape \(2, 3, 7, 3, 4\)"),
    ],
)
def test_stimulus_of_another_kind_or_size_is_refused(make_twin, kind, shape, error, message):
    with pytest.raises(error, match=message):
        make_twin(kind).respond(np.zeros(shape))


def test_prepared_twin_refuses_a_batch_beyond_its_trials(make_twin, full_statistics, images):
    twin = make_twin(statistics=full_statistics, reads_state=True)
    prepared = twin.prepare(behavior=np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="given for 4 trials, and 6 are shown"):
        prepared.respond(images)
    with pytest.raises(ShapeError, match="given for 4 trials, and 6 are shown"):
        prepared.forward(torch.zeros(6, 3, 4))
