"""Neurons whose best stimulus is known: filters, Gabors, surrounds."""

import numpy as np
import pytest
from planted_twins import (
    SCREEN,
    SHARP,
    SMALL_SCREEN,
    cosine,
    deviation,
    drifting_filter,
    gabor,
    linear_twin,
    make,
    planted_fields,
    windowed,
)

from insilico.simulation import SimulatedV1
from insilico.simulation.contextual import draw_contextual_population
from insilico.simulation.optima import largest_response
from insilico.simulation.population import draw_population
from insilico.simulation.scenes import dead_leaves_images
from insilico.synthesis.levels import Levels, measure_levels
from insilico.synthesis.regions import center_disc, surround
from insilico.validation.gabors import fit_gabor

RMS_LEVEL = 10.0
#: Linear neurons have one optimum, which is found soon.
SOON = {**SHARP, "steps": 30, "ramp_steps": 10}
DISC = {"region": "center", "diameter_deg": 40.0}
DRAWINGS = {
    "pixels": {},
    "fourier": {"parametrization": "fourier", "highest_cpd": 0.12},
    "low-rank": {"parametrization": "low-rank"},
}

# Linear neurons

PLACES_PX = [(30, 16), (20, 20), (44, 12)]
FILTERS = np.stack(
    [
        gabor(*place, angle_deg=angle, cycles_per_px=cycles)
        for place, angle, cycles in zip(PLACES_PX, (30, 100, 150), (0.14, 0.17, 0.10), strict=True)
    ]
)


@pytest.fixture(scope="module")
def linear_neurons():
    twin = linear_twin(FILTERS, bias=0.5)
    return twin, planted_fields(twin, *zip(*PLACES_PX, strict=True))


@pytest.mark.parametrize("drawing", DRAWINGS)
@pytest.mark.parametrize(
    "region",
    [{"region": "full"}, DISC, {**DISC, "border_deg": 10.0}],
    ids=["full", "hard disc", "tapered disc"],
)
def test_linear_neuron_gets_its_filter_seen_through_the_region(linear_neurons, region, drawing):
    twin, fields = linear_neurons

    made = make(twin, fields=fields, **SOON, **region, **DRAWINGS[drawing])

    for frames, values, weights in zip(made.frames, FILTERS, made.weights, strict=True):
        shown = deviation(frames, weights > 0)
        assert cosine(shown, windowed(values, weights)) > 0.995
        assert shown[weights > 0].std() == pytest.approx(RMS_LEVEL, abs=0.1)
        assert (frames[weights == 0] == SCREEN.gray).all()


@pytest.mark.parametrize("optimizer", ["ascent", "adamw"])
def test_linear_neuron_at_high_contrast_gets_its_filter_as_the_monitor_clips_it(
    linear_neurons, optimizer
):
    """Largest sum under limits of each pixel and of the norm: the filter scaled and clipped."""
    twin, _ = linear_neurons
    options = {"optimizer": "adamw", "step_size": 0.05} if optimizer == "adamw" else {}

    made = make(twin, rms_level=40.0, **{**SOON, "steps": 60}, **options)

    region = center_disc(SCREEN, (32, 18), 170.0)
    assert region.mask.all()
    for row, values in enumerate(FILTERS):
        best = Levels(127.0, 40.0).finish(127 + 1e3 * values, region)
        bound = (best * values / np.linalg.norm(values)).sum()
        reached = (made.frames[row] * values / np.linalg.norm(values)).sum()
        black = (127 * values / np.linalg.norm(values)).sum()
        assert 0.97 < (reached - black) / (bound - black) < 1.01
        assert cosine(deviation(made.frames[row], region.mask), best - best.mean()) > 0.9


def test_defaults_end_as_sharp_as_the_filter(linear_neurons):
    """Blurred gradients lead the way, and are gone in the end."""
    twin, _ = linear_neurons

    made = make(twin)

    for frames, values, weights in zip(made.frames, FILTERS, made.weights, strict=True):
        assert cosine(deviation(frames, weights > 0), windowed(values, weights)) > 0.98


MOVING_FILTERS = np.stack(
    [drifting_filter(14, 9), drifting_filter(18, 8, angle_deg=80.0, cycles=-1.0)]
)
PATTERN_FRAMES = 12


def ending_at(filters, frame):
    """Return the movie (frame, y, x) that a filter (lag, y, x) looks for at some frame."""
    movie = np.zeros((PATTERN_FRAMES, *filters.shape[1:]))
    for lag, values in enumerate(filters):
        if frame - lag >= 0:
            movie[frame - lag] = values
    return movie


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_linear_movie_neuron_gets_its_drifting_filter_before_its_peak(drawing):
    twin = linear_twin(MOVING_FILTERS, screen=SMALL_SCREEN)

    made = make(twin, over_frames="peak", **SOON, **DRAWINGS[drawing])

    everywhere = np.ones(SMALL_SCREEN.shape, bool)
    for frames, trace, filters in zip(made.frames, made.traces, MOVING_FILTERS, strict=True):
        wanted = deviation(ending_at(filters, int(trace.argmax())), everywhere)
        assert int(trace.argmax()) >= len(filters) - 1
        assert cosine(deviation(frames, everywhere), wanted) > 0.995


def test_linear_movie_neuron_gets_the_sum_of_its_filters_for_its_mean():
    twin = linear_twin(MOVING_FILTERS, screen=SMALL_SCREEN)

    made = make(twin, over_frames="mean", **SOON)

    everywhere = np.ones(SMALL_SCREEN.shape, bool)
    for frames, filters in zip(made.frames, MOVING_FILTERS, strict=True):
        wanted = sum(ending_at(filters, frame) for frame in range(PATTERN_FRAMES))
        assert cosine(deviation(frames, everywhere), deviation(wanted, everywhere)) > 0.995


def test_one_pattern_with_a_course_cannot_drift():
    twin = linear_twin(MOVING_FILTERS, screen=SMALL_SCREEN)

    made = make(twin, over_frames="peak", parametrization="low-rank", rank=1, **SOON)

    flat = deviation(made.frames[0], np.ones(SMALL_SCREEN.shape, bool)).reshape(PATTERN_FRAMES, -1)
    sizes = np.linalg.svd(flat, compute_uv=False)
    assert sizes[1] < 0.05 * sizes[0]


# Energy neurons


def energy_neurons(count, screen, **columns):
    """Return energy cells of Gaussian envelope, about as wide as one cycle."""
    drawn = draw_population(simple_count=0, energy_count=count, screen=screen, seed=3)
    return drawn.assign(envelope_exponent=1.0, **columns)


def assert_gabor_of(neuron, found, screen, *, is_moving, within=0.05):
    place = np.hypot(found.x_px - neuron["x_px"], found.y_px - neuron["y_px"])
    wanted = screen.cycles_per_px(neuron["spatial_frequency_cpd"])
    whole = 360 if is_moving else 180
    away = (found.direction_deg - neuron["direction_deg"] + whole / 2) % whole - whole / 2
    assert place < 1.0
    assert abs(away) < 3.0
    assert found.cycles_per_px == pytest.approx(wanted, rel=within)
    assert found.unexplained < 0.05


@pytest.mark.parametrize(
    ("region", "count", "pattern_blur_px"),
    [({"region": "full"}, 8, 0.4), ({"region": "full"}, 8, 0.0), (DISC, 4, 0.4)],
    ids=["full", "full, sharp", "disc"],
)
def test_energy_neuron_gets_the_gabor_of_its_own(region, count, pattern_blur_px):
    population = energy_neurons(count, SCREEN)
    twin = SimulatedV1("image", population=population, device="cpu")
    fields = planted_fields(twin, population["x_px"], population["y_px"])

    # The worse phase of a pair is a saddle, which one start in twenty does not leave.
    made = make(twin, fields=fields, restarts=2, pattern_blur_px=pattern_blur_px, **region)

    best = made.table.groupby("neuron")["response"].idxmax()
    for (_, neuron), row in zip(population.iterrows(), best, strict=True):
        bound = largest_response(
            neuron.to_frame().T.infer_objects(),
            made.weights[row],
            screen=SCREEN,
            rms_level=made.table["rms_level"][row],
        )
        assert 0.95 < made.table["response"][row] / bound < 1.01
        if region["region"] == "full":
            found = fit_gabor(deviation(made.frames[row], made.weights[row] > 0)[None])
            # What blurs the pattern makes the finest stripes a little wider.
            within = 0.1 if pattern_blur_px else 0.05
            assert_gabor_of(neuron, found, SCREEN, is_moving=False, within=within)


@pytest.mark.parametrize("drawing", ["pixels", "low-rank"])
def test_energy_neuron_of_movies_gets_a_gabor_that_drifts_its_way(drawing):
    population = energy_neurons(
        2,
        SMALL_SCREEN,
        x_px=[13.0, 16.3],
        y_px=[9.0, 8.2],
        direction_deg=[20.0, 140.0],
        spatial_frequency_cpd=[0.035, 0.04],
        sigma_along_px=[2.2, 2.4],
        sigma_across_px=[2.0, 2.4],
        selectivity=[1.0, 0.5],
    )
    twin = SimulatedV1("movie", population=population, screen=SMALL_SCREEN, device="cpu")
    timing = {"pattern_s": 0.6, "lead_s": 0.0, "steps": 80, "ramp_steps": 20}

    made = make(twin, **timing, **SHARP, **DRAWINGS[drawing])

    everywhere = np.ones(SMALL_SCREEN.shape, bool)
    for row, (_, neuron) in enumerate(population.iterrows()):
        bound = largest_response(
            population.iloc[[row]],
            everywhere * 1.0,
            screen=SMALL_SCREEN,
            rms_level=made.table["rms_level"][row],
            frame_count=made.frames.shape[1],
        )
        assert 0.95 < made.table["response"][row] / bound < 1.01
        found = fit_gabor(deviation(made.frames[row], everywhere))
        assert_gabor_of(neuron, found, SMALL_SCREEN, is_moving=True)


# Surrounds

LEVELS = Levels(luminance_level=127.0, rms_level=30.0)


def suppressed_neurons(screen, count):
    """Return neurons that a surround does nothing to but suppress, strongly."""
    drawn = draw_contextual_population(simple_count=40, energy_count=40, screen=screen, seed=2)
    is_plain = (drawn["facilitation"] == 0) & (drawn["hole_strength"] == 0)
    chosen = drawn[is_plain & (drawn["surround_strength"] > 2)].head(count)
    return chosen.assign(neuron=np.arange(len(chosen))).reset_index(drop=True)


def iso_grating(neuron, screen):
    """Return a grating (y, x) of the neuron's own orientation and frequency, all over."""
    x, y = np.meshgrid(np.arange(screen.width_px), np.arange(screen.height_px))
    angle = np.radians(neuron["direction_deg"])
    along = (x - neuron["x_px"]) * np.cos(angle) - (y - neuron["y_px"]) * np.sin(angle)
    wave = 2 * np.pi * screen.cycles_per_px(neuron["spatial_frequency_cpd"])
    return 127 + 10 * np.cos(wave * along)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_surround_takes_suppression_away_or_deepens_it(kind):
    screen = SCREEN if kind == "image" else SMALL_SCREEN
    population = suppressed_neurons(screen, 4 if kind == "image" else 1)
    twin = SimulatedV1(kind, population=population, screen=screen, device="cpu")
    fields = planted_fields(twin, population["x_px"], population["y_px"])
    options = {} if kind == "image" else {"lead_s": 0.0}

    made = make(
        twin,
        fields=fields,
        region="surround",
        diameter_deg=25.0,
        rms_level=LEVELS.rms_level,
        goals=("excite", "inhibit"),
        steps=60,
        ramp_steps=20,
        **options,
    )

    table = made.table.set_index(["neuron", "region", "stimulus_class"])["response"]
    scenes = dead_leaves_images(count=8, screen=screen, seed=(0,))
    for row, neuron in population.iterrows():
        own = made.select((made.table["neuron"] == row).to_numpy())
        center = own.frames[own.table["region"].tolist().index("center")]
        region = surround(screen, (neuron["x_px"], neuron["y_px"]), 25.0).around(center)
        outside = [iso_grating(neuron, screen), *scenes]
        shown = np.stack([LEVELS.finish(content, region) for content in outside])
        answers = twin.respond(shown, neurons=[row]).values[:, 0]
        iso, *natural = answers if kind == "image" else answers.mean(1)
        alone = table[row, "center", "exciting"]
        excited, inhibited = (table[row, "surround", name] for name in ("exciting", "inhibiting"))
        assert max(iso, *natural) < 0.95 * alone
        assert excited > 0.99 * alone
        assert inhibited < 0.9 * min(iso, *natural)
        # The center was held fixed, and every surround has the same contrast.
        assert (own.frames[..., ~region.mask] == center[..., ~region.mask]).all()
        for frames in own.frames[own.table["region"] == "surround"]:
            np.testing.assert_allclose(measure_levels(frames, region), (127, 30), atol=1)
