"""Checks of stimuli: closed forms for range, place, flicker, transfer, state, gaze and restarts."""

import dataclasses

import numpy as np
import pytest
import torch

from insilico.errors import MouseError, NeuronError, ProtocolError, StimulusError, UnitsError
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.screen import Screen
from insilico.simulation.scenes import dead_leaves_images
from insilico.synthesis import objectives
from insilico.synthesis.checks import (
    behavior_sensitivity,
    center_share,
    diversity,
    frequency_columns,
    gaze_sensitivity,
    is_still,
    level_columns,
    responses_to,
    spectrum_columns,
    transfer,
)
from insilico.synthesis.entries import Entry
from insilico.synthesis.levels import Levels
from insilico.synthesis.penalties import spectrum_distance
from insilico.synthesis.regions import center_disc, full_field
from insilico.synthesis.scoring import Exposure, Scorer, Scoring
from insilico.synthesis.spectra import NaturalSpectrum
from insilico.twin.twin import Twin

SCREEN = Screen()
GRAY = 127
FULL = full_field(SCREEN)
LEVELS_AS_THEY_ARE = Statistics(
    stimulus_mean=0,
    stimulus_std=1,
    response_std=np.ones(3),
    behavior_mean=np.array([2.0, 0.5]),
    behavior_std=np.ones(2),
)
Y, X = np.indices(SCREEN.shape).astype(float)


def gabor(place=(32, 18), *, frequency=0.1, sigma_px=3.0, phase=0.0):
    x, y = X - place[0], Y - place[1]
    return np.exp(-(x**2 + y**2) / (2 * sigma_px**2)) * np.cos(2 * np.pi * frequency * x - phase)


class Linear(torch.nn.Module):
    """Sums of gray levels above gray under each filter, plus 5; movies frame by frame."""

    def __init__(self, filters):
        super().__init__()
        self.register_buffer("filters", torch.as_tensor(np.asarray(filters), dtype=torch.float32))

    def forward(self, stimulus):
        return 5 + torch.einsum("bc...yx,nyx->bn...", stimulus - GRAY, self.filters)


class Moody(Linear):
    def forward(self, stimulus, behavior):
        # Running speed is the second variable.
        return super().forward(stimulus) * (1 + behavior[:, 1:2])


FILTERS = np.stack([gabor((32, 18)), gabor((20, 12), phase=1.0), np.full(SCREEN.shape, 1e-3)])


def twin_of(module, kind="image", *, statistics=LEVELS_AS_THEY_ARE, **options):
    names = ("pupil_size", "running_speed") if isinstance(module, Moody) else ()
    return Twin(
        module,
        kind=kind,
        device="cpu",
        statistics=statistics,
        behavior_names=names,
        **options,
    )


def scorer_of(twin, *, frames=1, lead=0, **scoring):
    return Scorer(
        twin,
        twin.mice[0],
        [0, 1, 2],
        exposure=Exposure(frames, lead),
        scoring=Scoring(**scoring),
    )


def entry_of(pattern, *, neuron=0, region=FULL, goal="excite", **details):
    """A stimulus of gray levels as they are, composed with gray."""
    frames = np.rint(np.clip(region.compose(GRAY + np.asarray(pattern)), 0, 255)).astype(np.uint8)
    objective = objectives.neuron(neuron, goal)
    name = objectives.CLASS_OF_GOAL[goal]
    return Entry(frames, objective, region, name, details=details)


def answers_by_hand(entries, filters=FILTERS):
    """Mean over frames of what the linear neurons answer."""
    return np.array(
        [
            5 + np.mean(np.sum((e.frames - 127.0) * filters[e.objective.neuron], axis=(-2, -1)))
            for e in entries
        ]
    )


ENTRIES = [entry_of(40 * FILTERS[0]), entry_of(30 * FILTERS[1], neuron=1, goal="inhibit")]


def test_responses_are_those_of_the_bytes_whatever_the_goal():
    scorer = scorer_of(twin_of(Linear(FILTERS)))
    np.testing.assert_allclose(responses_to(ENTRIES, scorer), answers_by_hand(ENTRIES), rtol=1e-5)
    assert responses_to([], scorer).shape == (0,)


def test_still_stimuli_are_shown_on_every_frame_of_a_movie():
    moving = np.stack([gabor(phase=p) for p in np.linspace(0, 3, 6)])
    entries = [entry_of(40 * gabor()), entry_of(40 * moving), entry_of(40 * gabor()[None])]
    scorer = scorer_of(twin_of(Linear(FILTERS), "movie"), frames=6, lead=4)
    np.testing.assert_allclose(responses_to(entries, scorer), answers_by_hand(entries), rtol=1e-5)
    short = entry_of(40 * moving[:4])
    with pytest.raises(StimulusError, match="has 4 frames and 6 are shown"):
        responses_to([short], scorer)


def test_transfer_is_the_response_of_the_other_twin_to_the_same_bytes():
    twin, other = twin_of(Linear(FILTERS)), twin_of(Linear(-2 * FILTERS))
    scorer = scorer_of(twin)
    table = transfer(ENTRIES, {"same": twin, "other": other}, scorer)
    assert list(table) == ["transfer_same", "transfer_other"]
    np.testing.assert_array_equal(table["transfer_same"], responses_to(ENTRIES, scorer))
    expected = answers_by_hand(ENTRIES, -2 * FILTERS)
    np.testing.assert_allclose(table["transfer_other"], expected, rtol=1e-5)
    assert transfer(ENTRIES, {}, scorer).shape == (2, 0)


def known_as(mouse, count=3, **columns):
    table = neurons_table(count, **columns)
    statistics = dataclasses.replace(LEVELS_AS_THEY_ARE, response_std=np.ones(count))
    return Mouse(mouse, SCREEN, table, statistics)


def test_twins_of_other_neurons_are_refused_in_one_sentence():
    scorer = scorer_of(twin_of(Linear(FILTERS)))
    movies = twin_of(Linear(FILTERS), "movie")
    with pytest.raises(StimulusError, match="'b' takes movies and the stimuli are images"):
        transfer(ENTRIES, {"b": movies}, scorer)
    fewer = Twin(Linear(FILTERS[:2]), mice={"mouse": known_as("mouse", 2)}, device="cpu")
    with pytest.raises(NeuronError, match=r"'b' \(2\) are not those"):
        transfer(ENTRIES, {"b": fewer}, scorer)
    renamed = known_as("mouse", neuron_id=[7, 8, 9])
    with pytest.raises(NeuronError, match="give twins of the same neurons"):
        transfer(ENTRIES, {"b": Twin(Linear(FILTERS), mice={"mouse": renamed})}, scorer)
    elsewhere = twin_of(Linear(FILTERS))
    elsewhere._mice = {"C": known_as("C")}
    with pytest.raises(MouseError, match="'b' has no mouse 'mouse' to test transfer on, but C"):
        transfer(ENTRIES, {"b": elsewhere}, scorer)
    far = twin_of(Linear(FILTERS), screen=Screen(distance_cm=30))
    with pytest.raises(UnitsError, match="another screen"):
        transfer(ENTRIES, {"b": far}, scorer)


def test_quiet_and_running_are_asked_apart():
    scorer = scorer_of(twin_of(Moody(FILTERS)))
    table = behavior_sensitivity(ENTRIES, scorer)
    expected = answers_by_hand(ENTRIES)
    np.testing.assert_allclose(table["response_quiet"], expected, rtol=1e-5)  # at rest speed is 0
    np.testing.assert_allclose(table["response_running"], 2.5 * expected, rtol=1e-5)
    np.testing.assert_allclose(responses_to(ENTRIES, scorer), 1.5 * expected, rtol=1e-5)


def test_a_twin_that_reads_no_behavior_has_no_states():
    table = behavior_sensitivity(ENTRIES, scorer_of(twin_of(Linear(FILTERS))))
    assert list(table) == ["response_quiet", "response_running"]
    assert table.isna().all(axis=None)


@pytest.mark.parametrize("over_views", ["mean", "worst"])
def test_gaze_robustness_is_the_least_response_over_that_in_place(over_views):
    scorer = scorer_of(twin_of(Linear(FILTERS)), over_views=over_views)
    entry = ENTRIES[0]
    deviation = entry.frames - 127.0
    for distance in (1, 2):
        moved = [
            5 + np.sum(np.roll(deviation, by, axis=axis) * FILTERS[0])
            for axis in (0, 1)
            for by in (-distance, distance)
        ]
        expected = min(moved) / answers_by_hand([entry])[0]
        column = gaze_sensitivity([entry], scorer)[f"gaze_robustness_{distance}px"]
        # Rolling wraps around edges, where there is nothing of this stimulus.
        np.testing.assert_allclose(column, expected, rtol=1e-4)
    assert 0.2 < column[0] < 0.9


def test_a_neuron_that_sums_the_screen_does_not_mind_where_the_eye_looks():
    scorer = scorer_of(twin_of(Linear(FILTERS)))
    entries = [
        entry_of(40 * np.abs(gabor()), neuron=2),
        entry_of(-2 * np.abs(gabor()), neuron=2, goal="inhibit"),
    ]
    table = gaze_sensitivity(entries, scorer, distances_px=[1, 3])
    np.testing.assert_allclose(table, np.ones((2, 2)), rtol=1e-5)
    assert list(table) == ["gaze_robustness_1px", "gaze_robustness_3px"]


def test_gaze_robustness_of_inhibition_is_how_low_the_response_stays():
    scorer = scorer_of(twin_of(Linear(0.01 * FILTERS)))
    entry = entry_of(-30 * FILTERS[0], goal="inhibit")
    in_place, *moved = (
        5 + 0.01 * np.sum(np.roll(entry.frames - 127.0, by, axis=(0, 1)) * FILTERS[0])
        for by in ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))
    )
    assert 0 < in_place < min(moved)
    robustness = gaze_sensitivity([entry], scorer)["gaze_robustness_2px"]
    np.testing.assert_allclose(robustness, in_place / max(moved), rtol=1e-4)


def test_gaze_robustness_is_unknown_where_nothing_responds_and_refuses_no_distance():
    scorer = scorer_of(twin_of(Linear(FILTERS)))
    silenced = entry_of(-80 * FILTERS[0])
    assert gaze_sensitivity([silenced], scorer)["gaze_robustness_1px"].isna().all()
    with pytest.raises(ProtocolError, match=r"distances_px is \[0\]"):
        gaze_sensitivity(ENTRIES, scorer, distances_px=[0])
    assert gaze_sensitivity([], scorer).shape == (0, 2)


def test_gaze_displaces_in_every_state_that_counts():
    entry = ENTRIES[0]
    one = gaze_sensitivity([entry], scorer_of(twin_of(Linear(FILTERS))))
    moody = scorer_of(twin_of(Moody(FILTERS)), behaviors=("quiet", "running"))
    np.testing.assert_allclose(gaze_sensitivity([entry], moody), one, rtol=1e-5)


def test_restarts_of_one_target_are_compared_and_nothing_else():
    first, same, flipped = 40 * gabor(), 40 * gabor(), -40 * gabor()
    control = dataclasses.replace(entry_of(first, neuron=1), stimulus_class="noise")
    disc = center_disc(SCREEN, (32, 18), 40)
    entries = [
        *(entry_of(pattern) for pattern in (first, same, flipped)),
        *(entry_of(pattern, neuron=1) for pattern in (first, same)),
        control,
        entry_of(first, neuron=1, goal="inhibit"),
        entry_of(first, neuron=1, region=disc),
    ]
    table = diversity(entries, np.array([4.0, 5.0, 6.0, 2.0, 2.0, 9.0, 9.0, 9.0]))
    correlation = table["restart_correlation"].to_numpy()
    np.testing.assert_allclose(correlation[:5], [-1 / 3] * 3 + [1, 1], atol=1e-3)
    assert np.isnan(correlation[5:]).all()
    np.testing.assert_allclose(table["restart_response_spread"][:5], [0.2] * 3 + [0, 0])
    np.testing.assert_array_equal(table["restart_count"], [3, 3, 3, 2, 2, np.nan, 1, 1])


def test_restarts_are_compared_inside_their_region_alone():
    disc = center_disc(SCREEN, (32, 18), 30)
    random = np.random.default_rng(0)
    patterns = random.normal(0, 20, (2, *SCREEN.shape))
    patterns[1][disc.mask] = patterns[0][disc.mask]
    entries = [entry_of(pattern, region=disc) for pattern in patterns]
    painted = dataclasses.replace(entries[1], frames=entries[1].frames.copy())
    painted.frames[~disc.mask] = 0
    table = diversity([entries[0], painted], np.ones(2))
    np.testing.assert_allclose(table["restart_correlation"], 1)
    blank = [entry_of(0 * patterns[0])] * 2
    assert diversity(blank, np.ones(2))["restart_correlation"].isna().all()


def test_saturation_counts_pixels_at_the_ends_of_the_range_inside_the_region():
    disc = center_disc(SCREEN, (32, 18), 30)
    count = disc.mask.sum()
    frames = np.full((2, *SCREEN.shape), GRAY, np.uint8)
    inside = frames[0][disc.mask]
    inside[:4], inside[4:7] = 0, 255
    frames[0][disc.mask] = inside
    frames[:, ~disc.mask] = 255
    entry = Entry(frames, objectives.neuron(0), disc, "exciting")
    table = level_columns([entry], Levels())
    assert table["saturated_fraction"][0] == pytest.approx(7 / (2 * count))
    assert table["luminance_level"][0] == pytest.approx(frames[:, disc.mask].mean())
    assert table["rms_level"][0] == pytest.approx(frames[:, disc.mask].std())
    narrow = level_columns([entry], Levels(lowest=127, highest=250))["saturated_fraction"]
    assert narrow[0] == 1
    assert level_columns([], Levels()).shape == (0, 3)


def drifting(hz, frames=30, frequency=0.1):
    phase = 2 * np.pi * hz * np.arange(frames)[:, None, None] / SCREEN.frame_rate_hz
    return 50 * np.cos(2 * np.pi * frequency * X - phase)


def test_flicker_is_the_power_of_changes_from_8_to_20_hz():
    disc = center_disc(SCREEN, (32, 18), 40)
    entries = [
        entry_of(drifting(2)),
        entry_of(drifting(11), region=disc),
        entry_of(drifting(2) + drifting(11)),
        entry_of(drifting(0)),
        entry_of(drifting(0)[0]),
        # A pattern that stands still is no change, however strong it is.
        entry_of(drifting(0, frequency=0.05) + 0.2 * drifting(11)),
    ]
    flicker = frequency_columns(entries, SCREEN)["flicker_share"]
    np.testing.assert_allclose(flicker, [0, 1, 0.5, 0, 0, 1], atol=0.02)
    assert flicker[3] == flicker[4] == 0


def test_fine_waves_are_those_shorter_than_four_pixels():
    checkerboard = 50.0 * (((X + Y) % 2) * 2 - 1)
    entries = [
        entry_of(drifting(0)[0]),
        entry_of(checkerboard),
        entry_of(drifting(0)[0] + np.sqrt(0.5) * checkerboard),
        entry_of(np.zeros(SCREEN.shape)),
        entry_of(drifting(3, frequency=0.4), region=center_disc(SCREEN, (20, 20), 60)),
    ]
    fine = frequency_columns(entries, SCREEN)["fine_share"]
    np.testing.assert_allclose(fine, [0, 1, 0.5, 0, 1], atol=0.03)


def test_checks_in_many_batches_are_those_of_each_alone(monkeypatch):
    random = np.random.default_rng(0)
    entries = [
        entry_of(random.normal(0, 20, (*((5,) if n % 2 else ()), *SCREEN.shape))) for n in range(5)
    ]
    alone = [frequency_columns([entry], SCREEN).to_numpy()[0] for entry in entries]
    monkeypatch.setattr("insilico.synthesis.pattern_checks.CHUNK_PIXELS", 2 * 36 * 64)
    np.testing.assert_allclose(frequency_columns(entries, SCREEN), np.stack(alone), rtol=1e-9)


IDEAL = NaturalSpectrum.ideal(SCREEN)


def test_still_and_moving_stimuli_are_compared_with_images_and_movies():
    moving = NaturalSpectrum.ideal(SCREEN, 6)
    natural = dead_leaves_images(SCREEN, seed=(1,), count=1)[0].astype(float) - GRAY
    disc = center_disc(SCREEN, (32, 18), 60)
    movie = np.random.default_rng(0).normal(0, 20, (6, *SCREEN.shape))
    entries = [
        entry_of(natural, region=disc),
        entry_of(np.repeat(natural[None], 6, axis=0), region=disc),
        entry_of(movie),
    ]
    table = spectrum_columns(entries, [IDEAL, moving])
    shown = [spectrum_distance(entries[0].frames[None], IDEAL, disc.mask)[0]] * 2
    shown.append(spectrum_distance(entries[2].frames[None], moving)[0])
    np.testing.assert_allclose(table["spectrum_distance"], np.array(shown, float), rtol=1e-4)
    np.testing.assert_array_equal(table["off_distribution"], [False, False, True])
    assert [is_still(entry) for entry in entries] == [True, True, False]
    with pytest.raises(StimulusError, match="stimuli of 6 different frames are to be compared"):
        spectrum_columns(entries, [IDEAL])


def test_off_the_distribution_is_beyond_95_percent_of_what_was_measured():
    images = dead_leaves_images(SCREEN, seed=(2,), count=100)
    measured = NaturalSpectrum.measure(images, SCREEN, frame_count=1, source="leaves")
    entries = [entry_of(image.astype(float) - GRAY) for image in images]
    table = spectrum_columns(entries, [measured])
    assert table["off_distribution"].mean() == pytest.approx(0.05, abs=0.011)


def test_a_region_too_small_for_a_spectrum_has_no_distance():
    dot = center_disc(SCREEN, (32, 18), 8)
    table = spectrum_columns([entry_of(drifting(0)[0], region=dot)], [IDEAL])
    assert table["spectrum_distance"].isna().all()
    assert not table["off_distribution"].any()


def test_energy_near_the_center_of_a_gabor_is_what_its_gaussian_says():
    sigma = 5.0
    blob = entry_of(120 * np.exp(-((X - 32) ** 2 + (Y - 18) ** 2) / (2 * sigma**2)))
    # Squared, the Gaussian is narrower by the root of 2.
    expected = 1 - np.exp(-(8.5**2) / sigma**2), 1 - np.exp(-(7.5**2) / sigma**2)
    assert expected[1] < center_share(blob, 32, 18, gray_level=GRAY) < expected[0]
    assert center_share(blob, 5, 5, gray_level=GRAY) < 0.01
    assert center_share(blob, 32, 18, radius_px=100) == 1


def test_energy_is_about_the_mean_of_the_stimulus_unless_a_gray_is_given():
    entry = entry_of(40 * gabor() - 60)
    assert center_share(entry, 32, 18) > 0.95
    assert center_share(entry, 32, 18, gray_level=GRAY) < 0.2


def test_energy_is_counted_inside_the_region_and_unknown_without_a_center():
    disc = center_disc(SCREEN, (32, 18), 30)
    entry = entry_of(40 * gabor(), region=disc)
    entry.frames[:, :10] = 255
    assert center_share(entry, 32, 18) == pytest.approx(1)
    assert np.isnan(center_share(entry, np.nan, 18))
    assert np.isnan(center_share(entry_of(0 * gabor()), 32, 18))
