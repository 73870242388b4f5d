"""Climbing: one batch, step by step, that can stop anywhere and go on."""

import numpy as np
import pytest
import torch
from planted_twins import SHARP, SMALL_SCREEN, cosine, drifting_filter, gabor, linear_twin

from benchmarks import published_generation as published
from insilico.errors import ProtocolError
from insilico.screen import Screen
from insilico.synthesis.climbing import FRESH_STARTS, HALVINGS, Climber, Start
from insilico.synthesis.levels import Levels, measure_levels
from insilico.synthesis.objectives import neuron
from insilico.synthesis.parametrizations import Fourier, LowRank, Pixels
from insilico.synthesis.regions import center_disc, full_field
from insilico.synthesis.schedule import Climb
from insilico.synthesis.scoring import Exposure, Scorer

FULL = full_field(SMALL_SCREEN)
DISC = center_disc(SMALL_SCREEN, (14, 9), 40.0)
PLACES = [(10, 8), (16, 9), (21, 10)]
FILTERS = np.stack([gabor(*place, screen=SMALL_SCREEN) for place in PLACES])
LEVELS = Levels(127.0, 10.0)
FREE = Levels()
SIZE = (1, *SMALL_SCREEN.shape)
ADAMW = {"optimizer": "adamw", "step_size": 0.05}
PUBLISHED_CPD = 0.25 / Screen().degrees_per_px


class Spy:
    """A scorer that answers by a function of what is seen (stimulus, frame, y, x)."""

    def __init__(self, answer):
        self.answer, self.seen, self.asked = answer, [], []

    def scores(self, seen, objectives):
        self.seen.append(seen.detach().clone())
        self.asked.append([objective.neuron for objective in objectives])
        return self.answer(seen)


def dot(seen, filters=FILTERS[0]):
    return (seen * torch.tensor(filters, dtype=torch.float32)).sum((1, 2, 3)) / 1000


def climber_of(scorer, count=1, *, region=FULL, levels=LEVELS, drawing=None, **options):
    known = {"drawing": drawing or Pixels(), "frame_count": 1, "penalty": None, "pattern": None}
    settings = {name: options.pop(name, value) for name, value in known.items()}
    starts = [Start(neuron(row), region, (7, row), settings["pattern"]) for row in range(count)]
    return Climber(
        scorer,
        starts,
        levels=levels,
        parametrization=settings["drawing"],
        climb=Climb(**{"steps": 30, "ramp_steps": 10, **options}),
        frame_count=settings["frame_count"],
        penalty=settings["penalty"],
    )


def scorer_of(twin, **exposure):
    return Scorer(twin, twin.mice[0], range(3), exposure=Exposure(**exposure))


@pytest.fixture(scope="module")
def images():
    return scorer_of(linear_twin(FILTERS, bias=0.5, screen=SMALL_SCREEN))


@pytest.fixture(scope="module")
def movies():
    filters = np.stack([drifting_filter(*place) for place in PLACES])
    return scorer_of(linear_twin(filters, screen=SMALL_SCREEN), frame_count=10, lead_frames=9)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value.nan_to_num(nan=-99.0), other[name].nan_to_num(nan=-99.0)), name


# Stopping and going on


@pytest.mark.parametrize("drawing", ["pixels", "fourier", "low-rank"])
@pytest.mark.parametrize("options", [{}, ADAMW], ids=["ascent", "adamw"])
def test_climb_that_stops_after_any_step_and_goes_on_has_the_same_bits(movies, options, drawing):
    drawings = {
        "pixels": Pixels(),
        "fourier": Fourier(SMALL_SCREEN, 10, highest_cpd=0.1),
        "low-rank": LowRank(2),
    }
    settings = {"drawing": drawings[drawing], "frame_count": 10, "steps": 12, "ramp_steps": 5}
    settings |= options
    whole = climber_of(movies, 3, **settings)
    whole.advance(12)

    for stop in (1, 7):
        first, second = climber_of(movies, 3, **settings), climber_of(movies, 3, **settings)
        first.advance(stop)
        second.restore(first.state())
        second.advance(12 - stop)
        assert_same(second.state(), whole.state())
        assert torch.equal(second.contents(), whole.contents())


@pytest.mark.parametrize("options", [{}, ADAMW], ids=["ascent", "adamw"])
def test_state_stays_what_it_was_while_the_climb_goes_on(images, options):
    climber = climber_of(images, 3, **options)
    climber.advance(4)
    kept = climber.state()
    before = {name: value.clone() for name, value in kept.items()}

    climber.advance(3)
    assert_same(kept, before)
    moved = climber.state()
    climber.restore(kept)
    assert_same(climber.state(), before)
    climber.advance(3)

    assert_same(climber.state(), moved)
    assert_same(kept, before)


def test_seed_decides_the_start_and_nothing_else_does(images):
    one, again = climber_of(images, 3), climber_of(images, 3)
    alone = Climber(
        images,
        [Start(neuron(1), FULL, (7, 1))],
        levels=LEVELS,
        parametrization=Pixels(),
        climb=Climb(steps=30, ramp_steps=10),
        frame_count=1,
    )

    torch.testing.assert_close(one.pattern, again.pattern, rtol=0, atol=0)
    torch.testing.assert_close(alone.pattern[0], one.pattern[1], rtol=0, atol=0)
    assert cosine(one.pattern[0] - 127, one.pattern[1] - 127) < 0.5
    for climber in (one, again, alone):
        climber.advance(30)
    # In other company sums are rounded differently, so that bits are not promised, but the result.
    assert torch.equal(one.contents(), again.contents())
    torch.testing.assert_close(alone.contents()[0], one.contents()[1], rtol=0, atol=0.05)


# What is shown, and what is kept


@pytest.mark.parametrize("options", [{}, ADAMW], ids=["ascent", "adamw"])
@pytest.mark.parametrize("region", [FULL, DISC], ids=["full", "disc"])
def test_contrast_grows_geometrically_to_what_was_asked(region, options):
    spy = Spy(dot)

    climber_of(spy, region=region, **options).advance(14)

    found = [measure_levels(seen[0].numpy(), region) for seen in spy.seen]
    wanted = [10.0 * 0.1 ** (1 - step / 10) for step in range(10)] + [10.0] * 4
    np.testing.assert_allclose([rms for _, rms in found], wanted, rtol=2e-3)
    np.testing.assert_allclose([mean for mean, _ in found], 127, atol=0.01)
    for seen in spy.seen:
        assert (seen[0, :, ~torch.from_numpy(region.mask)] == 127).all()


def test_no_ramp_begins_with_all_the_contrast():
    spy = Spy(dot)

    climber_of(spy, ramp_steps=0).advance(2)

    for seen in spy.seen:
        assert measure_levels(seen[0].numpy(), FULL)[1] == pytest.approx(10.0, rel=2e-3)


def test_best_pattern_is_the_one_of_the_best_score_at_full_contrast():
    """A score that falls again: steps overshoot a narrow peak."""
    spy = Spy(lambda seen: -((dot(seen - 127) - 0.8) ** 2))

    climber = climber_of(spy, steps=40, step_size=0.6, patience=0, **SHARP)
    climber.advance(40)

    full = climber.scores[10:, 0]
    assert full[-1] < full.max()
    assert climber.best_score[0] == full.max()
    shown = spy.seen[10 + int(full.argmax())]
    torch.testing.assert_close(climber.contents(), shown, rtol=0, atol=0.01)


def test_score_of_low_contrast_never_outlives_the_ramp():
    """What is best at low contrast is not what is asked for."""
    spy = Spy(lambda seen: -seen.std((1, 2, 3)) + 1e-3 * dot(seen))

    climber = climber_of(spy)
    climber.advance(11)

    assert climber.best_score[0] == climber.scores[10, 0] < climber.scores[0, 0]


@pytest.mark.parametrize("options", [{"sharpen_steps": 0}, ADAMW])
def test_stops_without_improvement_after_halving_its_steps(options):
    spy = Spy(lambda seen: seen.sum((1, 2, 3)) * 1e-9 + 5.0)

    climber = climber_of(spy, steps=90, patience=4, **options)
    climber.advance(90)

    # One step at full contrast, then patience for the first size and for every half of it.
    assert climber.steps.tolist() == [10 + 1 + 4 * (HALVINGS + 1)]
    whole = options.get("step_size", 0.1)
    assert float(climber.step_size[0]) == pytest.approx(whole / 2 ** (HALVINGS + 1))
    assert climber.is_finished.all()
    assert not climber.is_silent.any()


def test_without_patience_every_step_is_made():
    climber = climber_of(Spy(lambda seen: seen.sum((1, 2, 3)) * 1e-9 + 5.0), patience=0)
    climber.advance(99)

    assert climber.steps.tolist() == [30]


def test_small_improvements_add_up_to_one():
    """Half the tolerance at every step: two steps are an improvement."""
    count = iter(range(1000))
    spy = Spy(lambda seen: 0 * seen.sum((1, 2, 3)) + seen.mean() * 1e-12 + 1 + 5e-4 * next(count))

    climber = climber_of(spy, steps=60, patience=5)
    climber.advance(60)

    assert climber.steps.tolist() == [60]
    assert climber.halvings.tolist() == [0]


def test_finished_stimuli_are_not_asked_about_again():
    def answer(seen):
        # The first stimulus has a plateau; the others climb on.
        return torch.cat([seen[:1].sum((1, 2, 3)) * 1e-9 + 5.0, 10 * next(grow) + dot(seen[1:])])

    grow = iter(range(1000))
    spy = Spy(lambda seen: answer(seen) if len(seen) == 3 else 10 * next(grow) + dot(seen))
    climber = climber_of(spy, 3, steps=40, patience=2, sharpen_steps=0)
    climber.advance(40)

    done = int(climber.steps[0])
    assert climber.steps.tolist() == [done, 40, 40]
    assert done < 40
    assert spy.asked == [[0, 1, 2]] * done + [[1, 2]] * (40 - done)
    assert climber.scores[done:, 0].isnan().all()
    assert climber.scores[:, 1:].isfinite().all()


# How steps are made


def test_adamw_is_that_of_torch():
    """Of free contrast it moves the logits of the gray levels."""

    def response(seen):
        return dot(seen) - 1e-6 * (seen - 140).square().sum((1, 2, 3))

    climber = climber_of(Spy(response), levels=FREE, **ADAMW, ramp_steps=0, patience=0)
    logits = climber.numbers[0].clone().requires_grad_()
    optimizer = torch.optim.AdamW([logits], lr=0.05, betas=(0.9, 0.999), weight_decay=0.0)
    for _ in range(20):
        optimizer.zero_grad()
        (-response(255 * logits.sigmoid()).sum()).backward()
        optimizer.step()
    climber.advance(20)

    torch.testing.assert_close(climber.numbers[0], logits.detach(), rtol=1e-4, atol=1e-5)


def test_ascent_goes_along_the_blurred_gradient_with_momentum():
    climber = climber_of(Spy(dot), ramp_steps=0, momentum=0.5, gradient_blur_px=0.0)
    climber.advance(2)

    unit = torch.from_numpy(FILTERS[0] / np.linalg.norm(FILTERS[0])).float()
    torch.testing.assert_close(climber.velocity[0, 0], 1.5 * unit, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, ADAMW], ids=["ascent", "adamw"])
def test_given_pattern_is_where_the_climb_starts(options):
    spy, given = Spy(dot), 127 + 20 * FILTERS[2][None]

    climber_of(spy, pattern=given, ramp_steps=0, **options).advance(1)

    assert cosine(spy.seen[0] - 127, given - given.mean()) > 0.999


def test_given_pattern_of_free_contrast_is_shown_as_it_is():
    given = np.random.default_rng(0).uniform(5, 250, SIZE)
    for options in ({}, ADAMW):
        spy = Spy(dot)
        climber_of(spy, pattern=given, levels=FREE, **options).advance(1)
        np.testing.assert_allclose(spy.seen[0][0], given, atol=0.5)


def test_adamw_starts_as_published():
    """Moving patterns do; published stills are padded, which makes them weaker by root 30."""
    screen, ratios = Screen(), {}
    for frames in (30, 1):
        spy = Spy(lambda seen: seen.sum((1, 2, 3)))
        band = Fourier(screen, frames, highest_cpd=PUBLISHED_CPD, band_shape="box")
        settings = {"levels": FREE, "drawing": band, "frame_count": frames, **ADAMW}
        climber = climber_of(spy, region=full_field(screen), **settings)
        ours = band.draw(climber.numbers)[0]
        climber.advance(1)
        kept = published.kept_frequencies(frames, screen.shape)
        spectrum = published.start_spectrum(screen.shape, frames=frames).detach()
        theirs = published.logits(spectrum, kept)
        shown = published.compose(spectrum, kept, torch.ones(screen.shape), 127.0)
        assert float(spy.seen[0].mean() - shown.mean()) == pytest.approx(0, abs=0.03)
        ratios[frames] = float(ours.std() / theirs.std()), float(spy.seen[0].std() / shown.std())
    assert ratios[30] == pytest.approx((1.0, 1.0), rel=0.03)
    assert ratios[1] == pytest.approx((30**0.5, 30**0.5), rel=0.05)


@pytest.mark.parametrize(
    "levels", [Levels(127.0, None), Levels(None, 10.0), Levels(140.0, 8.0), FREE]
)
@pytest.mark.parametrize("options", [{}, ADAMW], ids=["ascent", "adamw"])
def test_levels_that_are_asked_hold_and_free_ones_serve_the_response(levels, options):
    spy = Spy(lambda seen: dot(seen) + 1e-3 * seen.mean((1, 2, 3)))

    climber = climber_of(spy, levels=levels, steps=60, **options)
    climber.advance(60)

    content = climber.contents()[0, 0].numpy()
    mean, rms = measure_levels(content, FULL)
    assert mean == pytest.approx(levels.luminance_level or mean, abs=0.05)
    assert rms == pytest.approx(levels.rms_level or rms, rel=5e-3)
    assert 0 <= content.min() <= content.max() <= 255
    assert climber.best_score[0] > climber.scores[0, 0]
    if levels.rms_level is None:
        assert rms > 12
    else:
        assert cosine(content - mean, FILTERS[0] - FILTERS[0].mean()) > 0.9


def test_few_patterns_drift_about_gray_and_not_with_it(movies):
    """Uniform gray would be the first of two patterns, and leave one that cannot drift."""
    options = {"frame_count": 10, "levels": Levels(100.0, 10.0), **SHARP}
    few = climber_of(movies, 3, drawing=LowRank(2), **options)
    free = climber_of(movies, 3, **options)
    for climber in (few, free):
        climber.advance(30)

    assert (few.best_score / free.best_score > 0.98).all()


def test_noise_beside_the_region_is_never_drawn():
    climber = climber_of(Spy(dot), region=DISC, levels=LEVELS)

    outside = climber.pattern[0, 0, ~torch.from_numpy(DISC.mask)]
    assert outside.std() < 1e-3


# Neurons that nothing moves


@pytest.mark.parametrize("options", [{}, ADAMW], ids=["ascent", "adamw"])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_flat_response_is_silent_after_a_few_fresh_starts(level, options):
    spy = Spy(lambda seen: 0 * seen.sum((1, 2, 3)) + level)

    climber = climber_of(spy, 2, **options)
    climber.advance(30)

    assert climber.is_silent.all()
    assert climber.is_finished.all()
    assert climber.steps.tolist() == [FRESH_STARTS + 1] * 2
    distinct = {seen[0].numpy().tobytes() for seen in spy.seen}
    assert len(distinct) == FRESH_STARTS + 1


def test_dead_rectifier_gets_another_start_until_one_lives():
    """About half of all noise is on the wrong side of a rectified filter."""
    twin = linear_twin(np.repeat(FILTERS[:1], 12, 0), then=torch.nn.ReLU(), screen=SMALL_SCREEN)
    scorer = Scorer(twin, twin.mice[0], range(12), exposure=Exposure())

    climber = climber_of(scorer, 12)
    climber.advance(30)

    assert 2 < int((climber.fresh > 0).sum()) < 11
    assert not climber.is_silent.any()
    assert (climber.best_score > 0.9 * climber.best_score.max()).all()


def test_silence_is_found_in_fewer_steps_than_fresh_starts():
    climber = climber_of(Spy(lambda seen: seen.sum((1, 2, 3)) * 0), steps=3)
    climber.advance(3)

    assert climber.is_silent.all()


def test_inhibited_neuron_that_reaches_the_floor_is_not_silent():
    spy = Spy(lambda seen: -torch.relu(dot(seen - 127) + 0.01))

    climber = climber_of(spy, 6)
    climber.advance(30)

    assert (climber.best_score == 0).all()
    assert not climber.is_silent.any()


def test_penalty_does_not_hide_that_a_neuron_is_silent():
    def penalty(seen, rows):
        return 1e-3 * seen.var((1, 2, 3))

    flat = climber_of(Spy(lambda seen: 0 * seen.sum((1, 2, 3)) + 2.0), penalty=penalty)
    alive = climber_of(Spy(dot), penalty=penalty)
    for climber in (flat, alive):
        climber.advance(30)

    assert flat.is_silent.all()
    assert not alive.is_silent.any()
    assert alive.fresh.tolist() == [0]


def test_where_a_twin_has_no_slope_nothing_becomes_nan():
    """The root of a rectified sum has an infinite slope at 0, which times 0 is no number."""
    spy = Spy(lambda seen: torch.relu(dot(seen - 127)).sqrt())

    climber = climber_of(spy, 6)
    climber.advance(30)

    assert climber.pattern.isfinite().all()
    assert (climber.best_score > 0).all()


# Refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; give one of ascent, adamw"),
        ({"steps": 0}, "steps is 0; give 1 or more"),
        ({"gradient_blur_px": -1.0}, "gradient_blur_px is -1; give 0 or more"),
        ({"pattern_blur_px": float("nan")}, "pattern_blur_px is nan"),
        ({"ramp_steps": -1}, "ramp_steps is -1; give 0 or more"),
        ({"patience": -1}, "patience is -1; give 0 or more"),
        ({"tolerance": -0.1}, "tolerance is -0.1; give 0 or more"),
        ({"step_size": 0.0}, "step_size is 0, momentum 0.8 and ramp_start 0.1"),
        ({"momentum": 1.0}, "momentum 1 and"),
        ({"ramp_start": 0.0}, "ramp_start 0;"),
    ],
)
def test_steps_that_cannot_be_made_are_refused(options, words):
    with pytest.raises(ProtocolError, match=words):
        Climb(**options)


def test_region_that_cannot_have_the_levels_is_refused():
    tapered = center_disc(SMALL_SCREEN, (14, 9), 40.0, border_deg=10.0)
    with pytest.raises(ProtocolError, match="rms_level is 10, and a border that fades"):
        climber_of(Spy(dot), region=tapered, levels=Levels(60.0, 10.0))


# A blur that leads the way, and ends


@pytest.mark.parametrize(
    ("options", "steps", "share"),
    [
        ({}, (0, 50, 70, 90, 99), (1.0, 1.0, 0.5, 0.0, 0.0)),
        ({"patience": 0}, (0, 60, 80, 99), (1.0, 1.0, 0.5, 0.025)),
        ({"sharpen_steps": 0}, (0, 99), (1.0, 1.0)),
        ({"steps": 30}, (0, 5, 10, 20), (1.0, 1.0, 2 / 3, 0.0)),
        ({"gradient_blur_px": 0.0}, (0, 50), (0.0, 0.0)),
        (ADAMW, (0, 50), (0.0, 0.0)),
    ],
)
def test_blur_of_gradients_falls_in_the_last_steps_before_patience(options, steps, share):
    climb = Climb(**options)
    assert [climb.blur_share_at(step) for step in steps] == pytest.approx(share)


def test_gradients_of_what_gets_no_better_are_sharpened_before_its_steps_are_halved():
    climber = climber_of(
        Spy(lambda seen: seen.sum((1, 2, 3)) * 1e-9 + 5.0),
        ramp_steps=0,
        steps=100,
        patience=3,
        sharpen_steps=4,
    )
    shares, halvings = [], []
    for _ in range(14):
        climber.advance(1)
        shares.append(round(float(climber.blur_share[0]), 3))
        halvings.append(int(climber.halvings[0]))
    # The first step is better than nothing, and so begins the wait.
    assert shares == [1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0, 0, 0, 0]
    assert halvings == [0] * 9 + [1] * 3 + [2] * 2
