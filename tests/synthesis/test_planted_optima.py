"""Neurons whose best stimulus is known: filters, Gabors, surrounds."""

import numpy as np
import pytest
import scipy.optimize
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
from insilico.simulation.kernels import spatial_kernels, temporal_kernels
from insilico.simulation.population import draw_population
from insilico.simulation.scenes import dead_leaves_images
from insilico.synthesis.levels import Levels, measure_levels
from insilico.synthesis.regions import center_disc, surround

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
    """Blurs lead the way, and are gone in the end."""
    twin, _ = linear_neurons

    made = make(twin)

    for frames, values, weights in zip(made.frames, FILTERS, made.weights, strict=True):
        assert cosine(deviation(frames, weights > 0), windowed(values, weights)) > 0.995


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


def largest_response(neuron, weights, *, screen, rms_level, frame_count=None):
    """Return the most that an energy cell can answer, in closed form.

    Its answer is the squared length of ``F x``; of all patterns of mean 0 and given norm inside the
    region the first right singular vector of ``F``, less its rows' means, is the best.
    """
    mask = weights > 0
    space = (spatial_kernels(neuron, screen)[0] * weights)[mask]
    if frame_count is None:
        filters = np.stack([space.real, space.imag])
    else:
        time = temporal_kernels(neuron, screen.frame_rate_hz)[0]
        frames = np.arange(frame_count)
        lag = frames[:, None] - frames
        seen = np.where((lag >= 0) & (lag < len(time)), time[np.clip(lag, 0, len(time) - 1)], 0)
        null = (1 - neuron["selectivity"].item()) * seen.conj()
        both = np.concatenate([seen, null])
        movie = np.einsum("ts,p->tsp", both, space).reshape(len(both), -1)
        filters = np.concatenate([movie.real, movie.imag]) / np.sqrt(frame_count)
    filters = filters - filters.mean(1, keepdims=True)
    power = np.linalg.eigvalsh(filters @ filters.T)[-1]
    return neuron["gain"].item() * power * filters.shape[1] * (rms_level / 60) ** 2


def fit_gabor(frames):
    """Return the Gabor that fits a movie (frame, y, x) best, each frame with its own phase.

    Of each frame amplitude, phase and the share of the bare envelope are found in closed form; the
    other parameters are started from the energy of the frames and from the peak of its spectrum.
    """
    count, height, width = frames.shape
    y, x = np.mgrid[:height, :width].astype(float)
    energy = (frames**2).sum(0)
    place = (energy * x).sum() / energy.sum(), (energy * y).sum() / energy.sum()
    size = 128
    spectrum = (np.abs(np.fft.fft2(frames, (size, size))) ** 2).sum(0)[:, : size // 2]
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    wave = 2 * np.pi * np.array([column / size, np.fft.fftfreq(size)[row]])
    data = frames.reshape(count, -1).T

    def parts(values):
        x_px, y_px, wave_x, wave_y, along, across = values
        angle = np.arctan2(wave_y, wave_x)
        right, down = x - x_px, y - y_px
        ahead, beside = (
            right * np.cos(angle) + down * np.sin(angle),
            down * np.cos(angle) - right * np.sin(angle),
        )
        envelope = np.exp(-((ahead / along) ** 2) / 2 - (beside / across) ** 2 / 2)
        turn = wave_x * right + wave_y * down
        columns = np.stack([envelope * np.cos(turn), envelope * np.sin(turn), envelope])
        return columns.reshape(3, -1).T

    def misfit(values):
        columns = parts(values)
        shares = np.linalg.lstsq(columns, data, rcond=None)[0]
        return (columns @ shares - data).ravel() / np.linalg.norm(data)

    fitted = scipy.optimize.least_squares(misfit, [*place, *wave, 2.5, 2.5], max_nfev=60)
    x_px, y_px, wave_x, wave_y, _, _ = fitted.x
    shares = np.linalg.lstsq(parts(fitted.x), data, rcond=None)[0]
    phase = np.unwrap(np.arctan2(shares[1], shares[0]))
    # Frames of high contrast say where it drifts.
    clear = np.hypot(shares[0], shares[1])[:-1]
    drift = (np.diff(phase) * clear).sum()
    return {
        "x_px": x_px,
        "y_px": y_px,
        "cycles_per_px": np.hypot(wave_x, wave_y) / 2 / np.pi,
        "direction_deg": np.degrees(np.arctan2(-wave_y, wave_x)) + (180 if drift < 0 else 0),
        "unexplained": 2 * fitted.cost,
    }


def assert_gabor_of(neuron, found, screen, *, is_moving):
    place = np.hypot(found["x_px"] - neuron["x_px"], found["y_px"] - neuron["y_px"])
    wanted = screen.cycles_per_px(neuron["spatial_frequency_cpd"])
    whole = 360 if is_moving else 180
    away = (found["direction_deg"] - neuron["direction_deg"] + whole / 2) % whole - whole / 2
    assert place < 1.0
    assert abs(away) < 3.0
    assert found["cycles_per_px"] == pytest.approx(wanted, rel=0.05)
    assert found["unexplained"] < 0.05


@pytest.mark.parametrize(
    ("region", "count"), [({"region": "full"}, 8), (DISC, 4)], ids=["full", "disc"]
)
def test_energy_neuron_gets_the_gabor_of_its_own(region, count):
    population = energy_neurons(count, SCREEN)
    twin = SimulatedV1("image", population=population, device="cpu")
    fields = planted_fields(twin, population["x_px"], population["y_px"])

    # The worse phase of a pair is a saddle, which one start in twenty does not leave.
    made = make(twin, fields=fields, restarts=2, **region)

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
            assert_gabor_of(neuron, found, SCREEN, is_moving=False)


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
