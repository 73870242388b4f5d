import numpy as np
import pandas as pd
import pytest
import torch

import insilico
from insilico.errors import UnitsError
from insilico.simulation import SimulatedV1, SimulatedV1Network, draw_contextual_population
from insilico.simulation.contextual import CONTEXT_RANGES
from insilico.simulation.simulated_v1 import STIMULUS_STD
from insilico.stimuli import disc, static_grating

SIZES_DEG = np.arange(5.0, 125.0, 5.0)
CENTER_PX = (31, 17)


@pytest.fixture(scope="module")
def many(screen):
    return draw_contextual_population(simple_count=150, energy_count=150, screen=screen, seed=0)


@pytest.fixture(scope="module")
def network(many, screen):
    """All neurons in the middle of the screen, with the orientation that is shown."""
    same_place = many.assign(
        x_px=CENTER_PX[0], y_px=CENTER_PX[1], direction_deg=0.0, orientation_deg=0.0
    )
    return SimulatedV1Network(same_place, screen=screen, kind="image")


@pytest.fixture(scope="module")
def size_curves(network, screen):
    """Mean answers over phases, classical and inverse, shape (neuron, size); size 0 of the latter
    is the full field."""
    levels = grating(screen)
    masks = [disc(screen, diameter_deg=size, center_px=CENTER_PX) for size in SIZES_DEG]
    classical = [ask(network, screen, np.where(mask, levels, screen.gray)) for mask in masks]
    inverse = [ask(network, screen, np.where(mask, screen.gray, levels)) for mask in masks]
    full_field = ask(network, screen, levels)
    return np.stack(classical, 1), np.stack([full_field, *inverse], 1)


def grating(screen, orientation_deg=0.0, contrast=1.0):
    levels = static_grating(
        screen,
        orientation_deg=orientation_deg,
        spatial_frequency_cpd=0.04,
        phase_deg=np.arange(0, 360, 45),
        contrast=contrast,
        dtype=np.float64,
    )
    return levels - 127.5 + screen.gray


def ask(network, screen, levels):
    shown = torch.from_numpy((levels - screen.gray) / STIMULUS_STD).float()[:, None]
    with torch.inference_mode():
        return network(shown, mouse="simulated").mean(0).numpy()


def test_columns_hold_what_is_planted_and_depend_on_the_seed(many, screen):
    assert many.notna().all(axis=None)
    names = ["facilitation", "hole_strength", "hole_latency_s", "surround_selectivity"]
    for name in [*names, "surround_sigma_px"]:
        planted = many[name][many[name] > 0]
        assert planted.between(*CONTEXT_RANGES[name]).all()
    assert (many["facilitation"] > 0).sum() == 100
    assert (many["hole_strength"] > 0).sum() == 100
    assert ((many["hole_strength"] > 0) == (many["hole_latency_s"] > 0)).all()
    assert 20 < (many["surround_strength"] == 0).sum() < 70
    counts = {"simple_count": 150, "energy_count": 150, "screen": screen}
    pd.testing.assert_frame_equal(many, draw_contextual_population(**counts, seed=0))
    other = draw_contextual_population(**counts, seed=1)
    assert not np.any(other["direction_deg"] == many["direction_deg"])


def test_a_population_of_nobody_is_refused(screen):
    with pytest.raises(UnitsError, match="give counts of 0 or more, not both 0"):
        draw_contextual_population(simple_count=0, energy_count=0, screen=screen, seed=0)


def test_preferred_sizes_and_suppression_are_spread(size_curves, many):
    classical, _ = size_curves
    preferred = SIZES_DEG[classical.argmax(1)]
    suppression = 1 - classical[:, -1] / classical.max(1)
    assert np.percentile(preferred, 10) <= 20
    assert 20 <= np.median(preferred) <= 35
    assert np.percentile(preferred, 90) >= 40
    assert np.mean(suppression < 0.1) > 0.08
    assert np.mean(suppression > 0.6) > 0.3
    # What was planted comes back: the strength as the share that it takes away.
    exponent = np.where(many["cell_class"] == "energy", 2, 1)
    ring = (1.5 * many["surround_strength"]) ** exponent
    center = 1 + (1.5 * many["contrast_gain"]) ** exponent
    plain = (many["hole_strength"] == 0).to_numpy()
    assert np.corrcoef((ring / (ring + center))[plain], suppression[plain])[0, 1] > 0.9


def test_neurons_with_answers_to_holes_stand_out(size_curves, many):
    classical, inverse = size_curves
    has_hole = (many["hole_strength"] > 0).to_numpy()
    # Keller's criterion: some hole drives the neuron more than the full field does.
    share = inverse[:, 1:].max(1) / inverse[:, 0]
    assert np.mean(share[has_hole] > 1.1) > 0.98
    assert np.mean(share[~has_hole] > 1.1) < 0.02
    peak = inverse[has_hole, 1:].max(1) / classical[has_hole].max(1)
    assert np.all(peak > 0.25)
    assert 0.8 < np.median(peak) < 1.6
    preferred = SIZES_DEG[inverse[has_hole, 1:].argmax(1)]
    assert 25 <= np.median(preferred) <= 45


def test_neurons_that_flip_with_contrast_stand_out(network, many, screen):
    flips = (many["facilitation"] > 0).to_numpy()
    center = disc(screen, diameter_deg=20.0, center_px=CENTER_PX)
    share = {}
    for contrast in (0.05, 1.0):
        iso, aside = grating(screen, contrast=contrast), grating(screen, 90.0, contrast)
        cross = np.where(center, iso, aside)
        share[contrast] = ask(network, screen, cross) / ask(network, screen, iso)
    # The published thresholds (ViV1T-closed-loop, visualize_contrast_difference.py).
    found = (share[1.0] - 1 >= 0.2) & (1 / share[0.05] - 1 >= 0.2)
    assert found[flips].mean() > 0.85
    assert found[~flips].mean() < 0.1


def test_context_twins_load_by_name_with_the_same_neurons():
    image, movie = (insilico.load(f"simulated-v1-context-{kind}") for kind in ("image", "movie"))
    assert (image.name, movie.name) == ("simulated-v1-context-image", "simulated-v1-context-movie")
    assert (image.kind, movie.kind) == ("image", "movie")
    assert image.ground_truth.equals(movie.ground_truth)
    assert (image.ground_truth["hole_strength"] > 0).sum() == 67
    drawn = SimulatedV1("movie", contextual=True)
    assert drawn.provenance == movie.provenance != SimulatedV1("movie").provenance
