import logging

import numpy as np
import pandas as pd
import pytest

from insilico.errors import UnitsError
from insilico.models.mouse import Statistics
from insilico.stimuli import Stimuli

ASSUMED = Statistics(
    stimulus_mean=100.0, stimulus_std=50.0, sources={"stimulus": "assumed: another mouse's"}
)


def as_stimuli(images, screen):
    """Wrap gray levels as the lazy type."""
    conditions = pd.DataFrame({"trial": range(len(images)), "onset_frame": 0})
    return Stimuli("image", screen, conditions, lambda rows: images[rows["trial"].to_numpy()])


def test_gray_levels_are_standardized_with_measured_statistics(make_twin, full_statistics, images):
    twin = make_twin(statistics=full_statistics)
    by_default = twin.respond(images)
    by_hand = twin.respond((images - 100) / 50, input_units="standardized")
    np.testing.assert_allclose(by_default.values, by_hand.values)
    np.testing.assert_array_equal(
        by_default.values, twin.respond(images, input_units="gray").values
    )


@pytest.mark.parametrize("statistics", [Statistics(), ASSUMED])
def test_arrays_count_as_standardized_where_nothing_was_measured(
    make_twin, images, statistics, caplog
):
    twin = make_twin(statistics=statistics)
    with caplog.at_level(logging.INFO):
        by_default = twin.respond(images).values
    assert "taken as standardized" in caplog.text
    np.testing.assert_array_equal(
        by_default, twin.respond(images, input_units="standardized").values
    )


def test_assumed_statistics_serve_when_gray_is_asked_for_or_known(make_twin, images):
    twin = make_twin(statistics=ASSUMED)
    expected = twin.respond((images - 100) / 50, input_units="standardized").values
    np.testing.assert_allclose(twin.respond(images, input_units="gray").values, expected)
    stimuli = as_stimuli(images, twin.screen())
    np.testing.assert_allclose(twin.respond(stimuli).values, expected)


def test_stimuli_stay_gray_levels_when_the_state_is_standardized(
    make_twin, full_statistics, images
):
    twin = make_twin(statistics=full_statistics, reads_state=True)
    stimuli = as_stimuli(images, twin.screen())
    standardized = twin.respond(stimuli, behavior=np.array([1.0, 2.0]), input_units="standardized")
    recorded = twin.respond(stimuli, behavior=np.array([10.0, 8.0]))
    np.testing.assert_allclose(standardized.values, recorded.values)


def test_recorded_responses_are_scaled_by_each_neurons_own_spread(
    make_twin, full_statistics, images, movies
):
    for kind, stimulus, shape in (("image", images, (5,)), ("movie", movies, (5, 1))):
        twin = make_twin(kind, statistics=full_statistics)
        standardized = twin.respond(stimulus, output_units="standardized")
        recorded = twin.respond(stimulus)
        assert (standardized.units, recorded.units) == ("standardized", "recorded")
        spread = np.arange(1.0, 6).reshape(shape)
        np.testing.assert_allclose(recorded.values, standardized.values * spread)


def test_scaling_follows_the_asked_neurons(make_twin, full_statistics, images):
    twin = make_twin(statistics=full_statistics)
    np.testing.assert_allclose(
        twin.respond(images, neurons=[4, 1]).values, twin.respond(images).values[:, [4, 1]]
    )


def test_responses_stay_standardized_without_their_statistics(make_twin, images):
    assert make_twin().respond(images).units == "standardized"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_units": "gray"}, "mouse a has no stimulus statistics .* input_units='standard"),
        ({"output_units": "recorded"}, "mouse a has no response statistics; give output_units="),
        ({"input_units": "candela"}, "'candela'; give 'gray' or 'standardized'"),
        ({"output_units": "hertz"}, "'hertz'; give 'recorded' or 'standardized'"),
    ],
)
def test_units_that_cannot_be_had_are_refused(make_twin, images, options, message):
    with pytest.raises(UnitsError, match=message):
        make_twin().respond(images, **options)


def test_refusals_say_why_statistics_are_unknown(make_twin, images):
    reason = "unknown: give --data RECORDING when importing"
    twin = make_twin(statistics=Statistics(sources={"stimulus": reason, "response": reason}))
    for options in ({"input_units": "gray"}, {"output_units": "recorded"}):
        with pytest.raises(UnitsError, match=rf"statistics.* \({reason}\); "):
            twin.respond(images, **options)


def test_stimuli_without_statistics_are_refused(make_twin, images):
    twin = make_twin()
    with pytest.raises(UnitsError, match="no stimulus statistics"):
        twin.respond(as_stimuli(images, twin.screen()))
