"""The fast path answers as the plain one: any network of movies, window, neurons and state."""

import copy
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from test_network_contract import NETWORKS

from insilico import SimulatedV1
from insilico.errors import StimulusError, UnitsError
from insilico.models.context import Reach
from insilico.models.cores.past_times import PastTimes, distinct_times
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.screen import Screen
from insilico.twin.plan import count_uniform, plan_excerpt
from insilico.twin.twin import Twin

GRAY = 127
MOVIES = [name for name, network in NETWORKS.items() if network.kind == "movie"]


def make_twin(name):
    network = copy.deepcopy(NETWORKS[name])
    rows, columns = network.options.height_px, network.options.width_px
    screen = Screen(width_px=columns, height_px=rows, width_cm=columns, height_cm=rows)
    names = len(network.behavior_names)
    statistics = Statistics(
        stimulus_mean=100.0,
        stimulus_std=50.0,
        behavior_mean=np.linspace(1, 2, names),
        behavior_std=np.linspace(1, 1.5, names),
        pupil_mean=np.array([30.0, 20.0]),
        pupil_std=np.array([4.0, 5.0]),
    )
    mice = {
        mouse: Mouse(mouse, screen, neurons_table(count), statistics)
        for mouse, count in network.neuron_counts.items()
    }
    return Twin(network, mice=mice, device="cpu")


TWINS = {name: make_twin(name) for name in MOVIES}


@st.composite
def questions(draw):
    """Draw a twin, what it is shown, in which state, and which answers are wanted."""
    twin = TWINS[draw(st.sampled_from(MOVIES))]
    network = twin.networks[0]
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    mouse = draw(st.sampled_from(twin.mice))
    longest = network.longest_movie or 24
    count = draw(st.integers(12, max(12, longest)))
    lead = draw(st.integers(0, count - 4))
    available = count - network.response_frames(count)
    start = draw(st.integers(available, count - 1))
    window = start, draw(st.integers(start + 1, count))
    trials = draw(st.integers(1, 3))
    shape = trials, network.channels, count, *twin.screen(mouse).shape
    levels = random.integers(0, 256, shape).astype(np.float32)
    if draw(st.booleans()):
        levels[:, :, lead:] = levels[:, :, lead : lead + 1]
    levels[:, :, :lead] = GRAY
    neuron_count = network.neuron_counts[mouse]
    neurons = random.permutation(neuron_count)[: draw(st.integers(1, neuron_count))]
    state = {}
    changing = draw(st.sampled_from(["steady", "by trial", "by frame"]))
    axes = {"steady": (), "by trial": (trials,), "by frame": (trials,)}[changing]
    frames = (count,) if changing == "by frame" else ()
    if network.behavior_names and changing != "steady":
        size = (*axes, len(network.behavior_names), *frames)
        state["behavior"] = random.uniform(1, 3, size).astype(np.float32)
    if network.uses_pupil and draw(st.booleans()):
        state["pupil_center"] = random.normal([30, 20], 4, (trials, 2)).astype(np.float32)
    gray_apart = draw(st.booleans())
    return twin, mouse, levels, lead if gray_apart else 0, window, neurons, state


@given(questions(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_fast_answers_and_gradients_are_the_plain_ones(question, wants_gradient):
    twin, mouse, levels, lead, window, neurons, state = question
    answers, gradients = {}, {}
    for plan in ("plain", "auto"):
        prepared = twin.prepare(
            mouse,
            neurons=neurons,
            window=window,
            input_units="gray",
            lead_frames=lead,
            plan=plan,
            **state,
        )
        stimulus = torch.tensor(levels[:, :, lead:], requires_grad=wants_gradient)
        # The second time the lead is remembered.
        for _ in range(2):
            answers[plan] = prepared.forward(stimulus)
        if wants_gradient:
            (gradients[plan],) = torch.autograd.grad(answers[plan].square().sum(), stimulus)
    plain, fast = answers["plain"], answers["auto"]
    spread = 1 + plain.detach().std(correction=0).item()
    torch.testing.assert_close(fast, plain, rtol=0, atol=2e-5 * spread)
    if wants_gradient:
        tallest = gradients["plain"].abs().max().item()
        torch.testing.assert_close(
            gradients["auto"], gradients["plain"], rtol=0, atol=1e-4 * tallest + 1e-9
        )


def test_published_vivit_shows_only_what_reaches_the_window():
    twin = TWINS["vivit: as published"]
    core = twin.networks[0].core
    shown = []
    handle = core.spatial.register_forward_hook(
        lambda module, inputs, output: shown.append(len(inputs[0]))
    )
    levels = np.full((1, 16, *twin.screen("mouse-a").shape), GRAY, np.uint8)
    levels[:, 6:12] = np.random.default_rng(0).integers(0, 256, levels[:, 6:12].shape)
    prepared = twin.prepare("mouse-a", neurons=[0], window=(8, 11), input_units="gray")
    prepared.respond(levels)
    # Patches of four frames: of the gray the first four times differ by the zeros before the
    # movie, and from the stimulus on there are five frames to the end of the window.
    assert sum(shown) == 4 + 5
    shown.clear()
    prepared.respond(levels)
    assert sum(shown) == 5
    handle.remove()


def test_still_images_are_computed_once_while_they_last():
    runs, source = distinct_times(
        torch.tensor([False, False, True, False, False, False]), length=2, stride=1
    )
    # Seven frames a a a b b b b in patches of two: aa aa ab bb bb bb.
    assert runs == [slice(0, 1), slice(2, 4)]
    assert source.tolist() == [0, 0, 1, 2, 2, 2]


@given(st.lists(st.integers(0, 1), min_size=1, max_size=14), st.integers(1, 4), st.integers(1, 3))
def test_distinct_times_hold_the_patches_they_stand_for(frames, length, stride):
    times = (len(frames) - length) // stride + 1
    if times < 1:
        return
    patches = [frames[time * stride : time * stride + length] for time in range(times)]
    changes = torch.tensor([a != b for a, b in itertools.pairwise(frames)]).bool()
    runs, source = distinct_times(changes, length=length, stride=stride)
    kept = [patches[time] for run in runs for time in range(run.start, run.stop)]
    assert [kept[place] for place in source.tolist()] == patches


def test_keys_beyond_the_bound_are_computed_anew_and_are_the_same():
    core = copy.deepcopy(NETWORKS["vivit: as published"]).eval().core
    tokens, frames = torch.randn(5, 6, 12), torch.zeros(1, 1, 3, 10, 14)
    with torch.no_grad():
        all_kept = PastTimes(core.temporal, tokens, movie=frames, state=None, kept_bytes=1 << 30)
        one = sum(
            part.numel() * part.element_size()
            for pair in all_kept.keys_values(slice(0, 1))
            for part in pair
        )
        some_kept = PastTimes(core.temporal, tokens, movie=frames, state=None, kept_bytes=2 * one)
        for span in (slice(0, 2), slice(1, 5)):
            for kept, anew in zip(
                all_kept.keys_values(span), some_kept.keys_values(span), strict=True
            ):
                torch.testing.assert_close(kept, anew)


def test_reach_is_never_understated():
    """Frames outside of the reach may be anything."""
    random = torch.Generator().manual_seed(2)
    for name in MOVIES:
        network = copy.deepcopy(NETWORKS[name]).eval()
        size = network.options.height_px, network.options.width_px
        stimulus = torch.randn(1, network.channels, 14, *size, generator=random)
        state = {}
        if network.behavior_names:
            state["behavior"] = torch.randn(1, len(network.behavior_names), 14, generator=random)
        if network.uses_pupil:
            state["pupil_center"] = torch.randn(1, 2, 14, generator=random)
        reach, mouse = network.reach(14), next(iter(network.neuron_counts))
        asked = 10
        stimulus.requires_grad_()
        answer = network(stimulus, mouse=mouse, **state)
        lost = 14 - answer.shape[2]
        answer[0, :, asked - lost].sum().backward()
        matters = stimulus.grad.abs().amax(dim=(0, 1, 3, 4)) > 0
        first = 0 if reach.past is None else asked - reach.past
        last = 13 if reach.future is None else asked + reach.future
        assert not matters[:first].any(), name
        assert not matters[last + 1 :].any(), name


def test_excerpts_end_at_the_edges_of_the_trial():
    assert plan_excerpt(Reach(3, 2), (1, 9), 10).start == 0
    assert plan_excerpt(Reach(3, 2), (5, 9), 10) == plan_excerpt(Reach(3, 2), (5, 8), 10)
    assert plan_excerpt(Reach(), (5, 6), 10).stop == 10


def test_uniform_frames_are_counted_over_all_trials():
    movie = torch.full((2, 1, 5, 3, 3), 7.0)
    assert count_uniform(movie) == 5
    movie[1, 0, 3, 0, 1] = 8
    assert count_uniform(movie) == 3
    movie[0, 0, 0] = 9
    assert count_uniform(movie) == 0


def test_gray_may_come_before_a_stimulus_without_being_given():
    twin = SimulatedV1("movie", simple_count=3, energy_count=3)
    levels = np.random.default_rng(0).integers(0, 256, (2, 20, 36, 64), np.uint8)
    gray = np.full((2, 30, 36, 64), twin.screen().gray, np.uint8)
    whole = twin.respond(np.concatenate([gray, levels], axis=1), window=(40, 50)).values
    prepared = twin.prepare(window=(40, 50), is_gray=True, lead_frames=30)
    assert prepared.first_frame(20) == 40
    np.testing.assert_allclose(prepared.respond(levels), whole, rtol=1e-5, atol=1e-6)


def test_image_models_and_unknown_plans_are_refused():
    with pytest.raises(StimulusError, match="3 frames of gray are to come before each stimulus"):
        SimulatedV1("image", simple_count=1, energy_count=0).prepare(lead_frames=3)
    with pytest.raises(UnitsError, match="plan is 'slow'; give one of auto, plain"):
        SimulatedV1("movie", simple_count=1, energy_count=0).prepare(plan="slow")


def test_gray_needs_statistics():
    twin = TWINS["vivit: without positions"]
    mouse = Mouse("mouse-a", twin.screen("mouse-a"), neurons_table(12), Statistics())
    unknown = Twin(copy.deepcopy(twin.networks[0]), mice={"mouse-a": mouse}, device="cpu")
    with pytest.raises(UnitsError, match="has no stimulus statistics to standardize them"):
        unknown.prepare("mouse-a", input_units="standardized", lead_frames=4)
