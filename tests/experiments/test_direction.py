"""Direction tuning: what is measured of it, and repeats are tested honestly.

That known preferences and indices are recovered is for tests/validation/test_compare.py.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.direction import STATUS, _modulation, measure_direction_tuning
from insilico.results import Responses
from insilico.screen import Screen


@pytest.fixture(scope="module", params=["image", "movie"])
def measured(request):
    twin = insilico.SimulatedV1(request.param, simple_count=20, energy_count=20, seed=5)
    return twin, insilico.run("direction", twin, jobs=1)


def test_images_have_no_direction_and_movies_do(measured):
    twin, result = measured
    is_missing = result.neurons["dsi"].isna()
    assert is_missing.all() if twin.kind == "image" else not is_missing.any()
    assert result.neurons["preferred_direction_deg"].isna().all() == (twin.kind == "image")


def test_simple_cells_modulate_and_energy_cells_do_not(measured):
    twin, result = measured
    simple = (twin.ground_truth["cell_class"] == "simple").to_numpy()
    f1_f0 = result.neurons["f1_f0"].to_numpy()
    # A half-wave rectified sinusoid has F1/F0 = pi / 2.
    np.testing.assert_allclose(np.median(f1_f0[simple]), np.pi / 2, rtol=0.05)
    assert np.all(f1_f0[~simple] < 0.6)


def test_a_noiseless_twin_gets_no_p_values(measured):
    _, result = measured
    assert not [name for name in result.neurons if name.endswith("_p")]
    assert set(result.neurons["error_source"]) == {"fit"}
    assert "spread_over_phases" in result.arrays
    assert "tuning_curve_sem" not in result.arrays
    assert set(result.neurons["status"]) <= set(STATUS)


def recorded(rate, *, repeats, noise, seed=0):
    """Responses as a recording has them: one grating a trial, repeated, with trial noise."""
    direction_deg = np.tile(np.arange(16) * 22.5, repeats)
    random = np.random.default_rng(seed)
    values = rate(direction_deg) + noise * random.standard_normal((len(direction_deg), 1))
    neurons = pd.DataFrame({"mouse": "m", "neuron": [0], "neuron_id": [0], "kind": "neuron"})
    conditions = pd.DataFrame(
        {
            "trial": np.arange(len(direction_deg)),
            "onset_frame": 0,
            "direction_deg": direction_deg,
            "spatial_frequency_cpd": 0.04,
            "temporal_frequency_hz": 2.0,
        }
    )
    return Responses(
        np.repeat(np.maximum(values, 0)[:, :, None], 60, axis=2),
        neurons,
        conditions,
        axes=("trial", "neuron", "frame"),
        first_frame=0,
        source={"type": "recording"},
        has_trial_noise=True,
    )


def analyze(responses):
    question = find_experiment("direction")
    protocol = read_protocol(question.protocol_type, None, experiment="direction")
    protocol = dataclasses.replace(protocol, lead_s=0.0)
    return question.analyze(responses, protocol, screen=Screen())


def test_recorded_repeats_get_p_values_and_standard_errors():
    tuned = analyze(
        recorded(lambda d: 5 + 4 * np.cos(np.radians(d))[:, None], repeats=6, noise=0.5)
    )
    assert tuned.neurons["dsi_p"].item() == pytest.approx(1 / 1001)
    sem = tuned.arrays["tuning_curve_sem"].to_numpy()
    np.testing.assert_allclose(sem.mean(), 0.5 / np.sqrt(6), rtol=0.3)


def test_recorded_noise_alone_is_rarely_selective():
    p = [
        analyze(recorded(lambda d: 5 + 0 * d[:, None], repeats=6, noise=1.0, seed=seed))
        .neurons["osi_p"]
        .item()
        for seed in range(40)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.15


def test_a_constant_response_has_no_modulation_in_any_window():
    for cycles_per_frame in (1.47 / 25, 3.67 / 25, 2 / 30):
        modulation = _modulation(np.full((1, 25), 5.0), cycles_per_frame)
        assert modulation == pytest.approx(0, abs=1e-9)
    assert np.isnan(_modulation(np.full((1, 25), 5.0), 0.5 / 25)).all()


def test_modulation_of_a_sinusoid_is_its_amplitude_in_any_window():
    time = np.arange(25)
    trace = 5 + 3 * np.cos(2 * np.pi * 0.06 * time + 1)
    assert _modulation(trace[None], 0.06) == pytest.approx(3)


def unbalanced(seed):
    """An untuned neuron that likes one frequency, shown more often in some directions."""
    random = np.random.default_rng(seed)
    rows = []
    for direction in np.arange(16) * 22.5:
        often = 8 if direction < 180 else 2
        rows += [(direction, 0.02)] * often + [(direction, 0.04)] * (10 - often)
    direction_deg, frequency = np.array(rows).T
    values = 5 + 5 * (frequency == 0.04) + random.standard_normal(len(rows))
    conditions = pd.DataFrame(
        {
            "trial": np.arange(len(rows)),
            "onset_frame": 0,
            "direction_deg": direction_deg,
            "spatial_frequency_cpd": frequency,
            "temporal_frequency_hz": 2.0,
        }
    )
    neurons = pd.DataFrame({"mouse": "m", "neuron": [0], "neuron_id": [0], "kind": "neuron"})
    return Responses(
        np.repeat(values[:, None, None], 60, axis=2),
        neurons,
        conditions,
        axes=("trial", "neuron", "frame"),
        has_trial_noise=True,
    )


def test_an_unbalanced_design_is_not_taken_for_tuning():
    results = [analyze(unbalanced(seed)) for seed in range(20)]
    p = np.array([result.neurons["dsi_p"].item() for result in results])
    assert np.mean(p <= 0.05) <= 0.2
    assert np.median([result.neurons["dsi"].item() for result in results]) < 0.05
    # Two frequencies, 8 and 2 trials of standard deviation 1: sqrt(1/8 + 1/2) / 2.
    sem = np.mean([result.arrays["tuning_curve_sem"].to_numpy().mean() for result in results])
    assert sem == pytest.approx(np.sqrt(1 / 8 + 1 / 2) / 2, rel=0.15)


def test_a_curve_of_another_shape_is_a_poor_fit():
    responses = recorded(
        lambda d: 5 + 3 * np.cos(4 * np.radians(d))[:, None], repeats=3, noise=0.01
    )
    assert analyze(responses).neurons["status"].item() == "poor_fit"


def test_silent_and_flat_neurons_keep_a_row_and_a_status():
    angles = np.arange(16) * 22.5
    curve = np.stack([np.zeros(16), np.ones(16), np.full(16, np.nan)])
    status = measure_direction_tuning(curve, angles)["status"]
    assert list(status) == ["flat", "flat", "not_finite"]


def test_recorded_curves_of_a_real_mouse_have_the_published_indices(shared_data):
    folder = shared_data / "viv1t" / "mouseB"
    curve = np.load(folder / "tuning_curve.npy").astype(float)
    # Published angles are turned by 180 degrees, which changes neither index.
    measured = measure_direction_tuning(curve, (np.arange(8) * 45.0 + 180) % 360)
    np.testing.assert_allclose(measured["osi"], np.load(folder / "OSI.npy"), atol=1e-6)
    np.testing.assert_allclose(measured["dsi"], np.load(folder / "DSI.npy"), atol=1e-6)


def test_the_published_protocol_shows_eight_directions_in_blocks_of_25_frames():
    question = find_experiment("direction")
    protocol = read_protocol(question.protocol_type, "direction-published", experiment="direction")
    stimuli = question.stimuli(protocol, Screen(), "movie")
    assert sorted(stimuli.conditions["direction_deg"].unique()) == list(np.arange(8) * 45.0)
    assert len(stimuli) == 72
    assert stimuli.pattern_frames == 25
    start, stop = question.window(protocol, Screen(), "movie")
    assert stop - start == 25
