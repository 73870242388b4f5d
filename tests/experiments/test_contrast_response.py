"""Contrast response: saturation is recovered, in the contrast that was shown."""

import functools

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.errors import ProtocolError, ShapeError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.contrast import (
    STATUS,
    half_maximum_contrast,
    measure_contrast_response,
)
from insilico.fits.naka_rushton import evaluate_naka_rushton
from insilico.results import Responses
from insilico.screen import Screen
from insilico.simulation import draw_contextual_population
from insilico.stimuli.contrast import shown_contrast
from insilico.validation.comparison import summarize
from insilico.validation.contrast import compare_contrast
from insilico.validation.truth import planted_results

SHORT = {"lead_s": 0.5, "movie_phase_count": 1}
CONTRASTS = np.array([0.02, 0.035, 0.06, 0.11, 0.19, 0.33, 0.57, 1.0])


@functools.cache
def measured(kind):
    count = {"image": 12, "movie": 4}[kind]
    population = draw_contextual_population(
        simple_count=count, energy_count=count, screen=Screen(), seed=3
    )
    twin = insilico.SimulatedV1(kind, population=population)
    given = planted_results(twin)
    return twin, insilico.run("contrast", twin, overrides=SHORT, given=given, jobs=1)


def protocol_of(**values):
    question = find_experiment("contrast")
    return read_protocol(
        question.protocol_type, None, experiment="contrast", overrides={**SHORT, **values}
    )


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_semi_saturation_is_recovered(kind):
    twin, result = measured(kind)
    summary = summarize(compare_contrast(twin, result))
    assert summary["is_met"].all(), summary.to_string()
    assert (summary["count"] > 0).all()


def test_neurons_without_a_surround_saturate_where_they_were_made_to():
    off = {"surround_strength": 0.0, "hole_strength": 0.0, "facilitation": 0.0}
    truth = measured("image")[0].ground_truth.iloc[:12].assign(**off)
    twin = insilico.SimulatedV1("image", population=truth)
    options = {"overrides": SHORT, "given": planted_results(twin), "jobs": 1}
    table = insilico.run("contrast", twin, **options).neurons
    # Full contrast has a standard deviation of 1.5 in standardized units.
    error = table["semi_saturation_contrast"] * truth["contrast_gain"] * 1.5 - 1
    # Under a receptive field of less than a cycle it is less, so they saturate a little later.
    assert error.abs().median() < 0.2
    expected = np.where(truth["cell_class"] == "energy", 2, 1)
    assert (table["exponent"] - expected).abs().median() < 0.1


def test_curves_are_over_the_contrast_that_was_shown():
    _, result = measured("movie")
    shown = result.arrays["shown_contrast"].to_numpy()
    np.testing.assert_allclose(shown, shown_contrast(CONTRASTS))
    np.testing.assert_allclose(result.arrays["contrast"], CONTRASTS)
    curves = result.tables["curves"]
    assert len(curves) == len(result.neurons) * len(CONTRASTS)
    assert (curves["shown_contrast"] != curves["contrast"]).any()
    last = curves.query("contrast == 1.0")["response"]
    np.testing.assert_allclose(last, result.arrays["response"][:, -1])


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_a_noiseless_twin_has_errors_of_the_fit_and_no_p_values(kind):
    _, result = measured(kind)
    assert set(result.neurons["error_source"]) == {"fit"}
    assert not [name for name in result.neurons if name.endswith(("_p", "_q"))]
    assert "spread_over_phases" in result.arrays
    assert set(result.neurons["status"]) <= set(STATUS)
    assert "p_value" not in result.tables["population"]


def test_images_get_one_blank_and_movies_have_gray_before():
    question = find_experiment("contrast")
    shown = question.stimuli(protocol_of(), Screen(), "image").conditions
    assert (shown["contrast"] == 0).sum() == 1
    assert len(shown) == 1 + 8 * 8
    moving = question.stimuli(protocol_of(), Screen(), "movie").conditions
    assert (moving["contrast"] > 0).all()
    assert question.window(protocol_of(), Screen(), "movie") == (15, 60)


def test_full_field_gratings_fill_the_screen():
    question = find_experiment("contrast")
    stimuli = question.stimuli(protocol_of(is_full_field=True), Screen(), "image")
    assert (stimuli.render(range(60, 61))[0, :3, :3] != Screen().gray).any()
    disc = question.stimuli(protocol_of(), Screen(), "image").render(range(60, 61))[0]
    assert (disc[:3, :3] == Screen().gray).all()


def test_neurons_without_a_place_keep_a_row():
    twin, _ = measured("image")
    given = planted_results(twin)
    given["retinotopy"].neurons.loc[0, "status"] = "unreliable"
    given["direction"].neurons.loc[
        1, [name for name in given["direction"].neurons if name.endswith("_deg")]
    ] = np.nan
    options = {"given": given, "overrides": SHORT, "jobs": 1}
    result = insilico.run("contrast", twin, neurons=[0, 1, 2], **options)
    assert list(result.neurons["status"]) == ["no_receptive_field", "no_preference", "ok"]
    assert result.neurons["semi_saturation_contrast"].isna().tolist() == [True, True, False]
    nobody = insilico.run("contrast", twin, neurons=[0], **options)
    assert nobody.tables["population"]["neuron_count"].tolist() == [0] * 4


def recorded(response, *, repeats=6, noise=1.0, seed=0, neuron_count=30):
    """Responses as a recording has them; ``response`` gives the mean by contrast."""
    rows = [(c, 90.0 * phase) for c in CONTRASTS for phase in range(4)] * repeats
    shown = pd.DataFrame(rows, columns=["contrast", "phase_deg"])
    shown = shown.assign(trial=np.arange(len(shown)), onset_frame=15, direction_deg=0.0)
    random = np.random.default_rng(seed)
    mean = response(shown_contrast(shown["contrast"].to_numpy()))[:, None]
    drawn = mean + noise * random.standard_normal((len(shown), neuron_count))
    values = np.ones((len(shown), neuron_count, 45))
    values[:, :, 15:] = drawn[:, :, None]
    neurons = pd.DataFrame({"mouse": "m", "neuron": np.arange(neuron_count), "kind": "neuron"})
    return Responses(
        values,
        neurons.assign(neuron_id=np.arange(neuron_count)),
        shown,
        axes=("trial", "neuron", "frame"),
        source={"type": "recording"},
        has_trial_noise=True,
    )


def analyze(responses):
    question = find_experiment("contrast")
    return question.analyze(responses, protocol_of(shuffle_count=200), screen=Screen())


def test_noisy_trials_give_standard_errors_and_tests():
    result = analyze(recorded(lambda c: 1 + 8 * c**2 / (c**2 + 0.04)))
    table = result.neurons
    assert (table["contrast_p"] == 1 / 201).all()
    assert (table["contrast_q"] >= table["contrast_p"]).all()
    assert table["semi_saturation_contrast"].median() == pytest.approx(0.2, rel=0.05)
    sem = result.arrays["response_sem"].mean()
    assert float(sem) == pytest.approx(1 / np.sqrt(24), rel=0.1)
    # About two in three lie within one standard error, if it is one.
    error = (table["semi_saturation_contrast"] - 0.2).abs() / table["semi_saturation_contrast_se"]
    assert 0.4 < (error < 1).mean() < 0.9


def test_noise_alone_rejects_at_the_nominal_rate():
    table = analyze(recorded(lambda c: 0 * c + 1, neuron_count=400)).neurons
    assert 0.02 < (table["contrast_p"] <= 0.05).mean() < 0.09
    assert (table["contrast_q"] <= 0.05).mean() <= 0.01


def test_every_shape_of_curve_has_its_status():
    rise = CONTRASTS**2 / (CONTRASTS**2 + 0.04)
    curves = np.stack(
        [
            rise,
            np.ones(8),
            CONTRASTS**2,
            1 - rise,
            np.sin(np.arange(8) * 2.5),
            np.full(8, np.nan),
        ]
    )
    gray = np.array([0, 1, 0, 1, 0, np.nan])
    status = measure_contrast_response(curves, CONTRASTS, gray)["status"]
    assert list(status[:4]) == ["ok", "flat", "at_bound", "constant_fit"]
    assert status[4] in {"poor_fit", "constant_fit"}
    assert status[5] == "not_finite"


def test_supersaturation_is_the_part_of_the_response_that_is_lost():
    curve = np.array([[0, 0, 1, 2, 4, 5, 4, 3.0]])
    measured_curve = measure_contrast_response(curve, CONTRASTS, np.array([1.0]))
    assert measured_curve["supersaturation"][0] == pytest.approx((5 - 3) / (5 - 1))


def test_half_maximum_lies_halfway_up_the_fitted_curve():
    fit = {"r_max": 3.0, "semi_saturation_contrast": 0.6, "exponent": 1.7, "baseline": 0.4}
    middle, exponent = np.array([0.6]), np.array([1.7])
    half = half_maximum_contrast(middle, exponent, highest=1.0)
    top, at_half = evaluate_naka_rushton(fit, np.array([1.0, half[0]]))
    assert at_half - 0.4 == pytest.approx((top - 0.4) / 2)
    assert half[0] < 0.6


def test_conditions_without_enough_contrasts_are_refused():
    data = recorded(lambda c: c, repeats=1, neuron_count=1)
    few = data.conditions.assign(contrast=data.conditions["contrast"].clip(lower=0.4))
    responses = Responses(data.values, data.neurons, few, axes=data.axes, has_trial_noise=True)
    with pytest.raises(ShapeError, match=r"show 3 contrasts above 0; .* show 5 or more"):
        analyze(responses)
    none = data.conditions.drop(columns="contrast")
    responses = Responses(data.values, data.neurons, none, axes=data.axes, has_trial_noise=True)
    with pytest.raises(ShapeError, match="have no column 'contrast'"):
        analyze(responses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrast": [0.1, 1.0]}, "name five contrasts or more"),
        ({"contrast": [0.5, 0.1, 0.2, 0.3, 1.0]}, "contrasts must rise"),
        ({"contrast": [0.1, 0.2, 0.3, 0.4, 1.1]}, "contrasts must lie above 0, up to 1"),
        ({"diameter_deg": 0.0}, "diameter_deg must lie above 0"),
    ],
)
def test_protocol_that_does_not_hold_together_is_refused(change, message):
    with pytest.raises(ProtocolError, match=message):
        protocol_of(**change)
