import numpy as np
import pytest

from insilico.errors import ShapeError, UnitsError


def shift(responses, reference):
    """What the state added to every answer of the linear network."""
    difference = responses.values - reference
    np.testing.assert_allclose(difference, difference[:, :1] + np.zeros_like(difference))
    return difference[:, 0]


@pytest.fixture
def twin(make_twin, full_statistics):
    return make_twin(statistics=full_statistics, reads_state=True)


@pytest.fixture
def movie_twin(make_twin, full_statistics):
    return make_twin("movie", statistics=full_statistics, reads_state=True)


@pytest.fixture
def ask(twin, images):
    """Answer in standardized units, less the answer to the image itself."""
    nothing = {"behavior": np.zeros(2), "pupil_center": np.zeros(2)}
    reference = twin.respond(
        (images - 100) / 50, input_units="standardized", output_units="standardized", **nothing
    ).values

    def shifts(**state):
        return shift(twin.respond(images, output_units="standardized", **state), reference)

    return shifts


@pytest.mark.parametrize(
    ("preset", "pupil_size", "running_speed"),
    [("mean", 3.0, 0.5), ("quiet", 2.0, 0.0), ("running", 4.0, 1.5)],
)
def test_presets_lie_one_standard_deviation_from_the_mean(ask, preset, pupil_size, running_speed):
    np.testing.assert_allclose(ask(behavior=preset), pupil_size + 10 * running_speed)


def test_state_is_the_mean_when_left_out(ask):
    np.testing.assert_allclose(ask(), ask(behavior="mean", pupil_center="mean"))


def test_recorded_behavior_is_scaled_and_not_centered(ask):
    np.testing.assert_allclose(ask(behavior=np.array([20.0, 4.0])), 2 + 10 * 1)


def test_recorded_gaze_is_centered_and_scaled(ask):
    gaze = np.array([33.0, 24.0])
    np.testing.assert_allclose(ask(behavior=np.zeros(2), pupil_center=gaze), 100 * 1 + 1000 * 2)


def test_behavior_and_gaze_may_differ_from_trial_to_trial(ask):
    behavior = np.column_stack([10 * np.arange(6.0), np.zeros(6)])
    gaze = np.column_stack([30 + 3 * np.arange(6.0), np.full(6, 20.0)])
    np.testing.assert_allclose(ask(behavior=behavior), np.arange(6))
    np.testing.assert_allclose(ask(behavior=behavior, pupil_center=gaze), 101 * np.arange(6))


def test_state_by_trial_does_not_depend_on_the_batches(twin, images, monkeypatch):
    behavior = np.random.default_rng(0).uniform(0, 20, (6, 2))
    whole = twin.respond(images, behavior=behavior, pupil_center=behavior)
    monkeypatch.setattr("insilico.twin.prepared.BATCH_PIXELS", 2 * 12)
    in_twos = twin.respond(images, behavior=behavior, pupil_center=behavior)
    np.testing.assert_allclose(in_twos.values, whole.values)


def test_one_state_holds_for_all_frames_and_one_a_frame_for_its_own(movie_twin, movies):
    fixed = movie_twin.respond(movies, behavior=np.array([10.0, 4.0]))
    by_trial = movie_twin.respond(movies, behavior=np.tile([10.0, 4.0], (3, 1)))
    by_frame = np.tile(np.array([10.0, 4.0])[:, None], (3, 1, 7))
    np.testing.assert_allclose(fixed.values, by_trial.values)
    np.testing.assert_allclose(fixed.values, movie_twin.respond(movies, behavior=by_frame).values)
    by_frame[:, 0, 4] += 10  # one more standard deviation of pupil size
    difference = movie_twin.respond(movies, behavior=by_frame).values - fixed.values
    expected = np.zeros((3, 5, 5))
    expected[:, :, 2] = np.arange(1, 6)  # frame 4, of which two were lost; recorded units
    np.testing.assert_allclose(difference, expected, atol=1e-4)


def test_responses_say_in_which_state_they_were_given(twin, images):
    state = twin.respond(images, behavior="quiet").behavior
    assert state == {
        "behavior": {"pupil_size": 2.0, "running_speed": 0.0},
        "pupil_center": [0.0, 0.0],
    }
    assert twin.respond(images, behavior=np.zeros((6, 2))).behavior["behavior"] == "by trial"


def test_presets_are_ignored_by_a_twin_that_reads_no_state(make_twin, images):
    twin = make_twin()
    np.testing.assert_array_equal(
        twin.respond(images, behavior="running", pupil_center="mean").values,
        twin.respond(images).values,
    )


@pytest.mark.parametrize("name", ["behavior", "pupil_center"])
def test_array_for_a_twin_that_reads_no_state_is_refused(make_twin, images, name):
    with pytest.raises(UnitsError, match=f"{name} was given, and this model reads none"):
        make_twin().respond(images, **{name: np.zeros(2)})


@pytest.mark.parametrize("reads_state", [True, False])
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"behavior": "asleep"}, "behavior 'asleep' is unknown; give mean, quiet, running"),
        ({"pupil_center": "left"}, "pupil_center 'left' is unknown; give 'mean' or an array"),
    ],
)
def test_unknown_preset_is_refused(make_twin, full_statistics, images, reads_state, state, message):
    twin = make_twin(statistics=full_statistics, reads_state=reads_state)
    with pytest.raises(UnitsError, match=message):
        twin.respond(images, **state)


def test_state_without_its_statistics_is_refused(make_twin, images):
    twin = make_twin(reads_state=True)
    with pytest.raises(UnitsError, match="no behavior statistics, so the state 'mean' is not"):
        twin.respond(images)
    gray = {"input_units": "gray", "behavior": np.zeros(2)}
    with pytest.raises(UnitsError, match="no stimulus statistics"):
        twin.respond(images, **gray)
    prepared = twin.prepare(behavior=np.zeros(2), pupil_center=np.zeros(2))
    assert prepared.behavior.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"behavior": np.zeros(3)}, r"behavior \(pupil_size, running_speed\) has shape \(3,\)"),
        ({"behavior": np.zeros((2, 6))}, r"has shape \(2, 6\); give \(2,\), or \(trial, 2\)"),
        ({"behavior": np.zeros(())}, r"has shape \(\)"),
        ({"pupil_center": np.zeros((6, 3))}, r"pupil_center \(x, y\) has shape \(6, 3\)"),
        ({"behavior": np.full(2, np.nan)}, "holds NaN or infinite values"),
        ({"behavior": np.zeros((5, 2))}, "given for 5 trials, and 6 are shown"),
        ({"behavior": np.zeros((7, 2))}, "given for 7 trials, and 6 are shown"),
        ({"pupil_center": np.zeros((7, 2))}, "given for 7 trials, and 6 are shown"),
        ({"behavior": np.zeros((6, 2, 4))}, r"give \(trial, variable\) for images"),
    ],
)
def test_state_of_another_shape_is_refused(twin, images, state, message):
    with pytest.raises(ShapeError, match=message):
        twin.respond(images, **state)


def test_state_of_another_number_of_frames_is_refused(movie_twin, movies):
    with pytest.raises(ShapeError, match=r"or \(trial, variable, 7 frames\)"):
        movie_twin.respond(movies, behavior=np.zeros((3, 2, 6)))
