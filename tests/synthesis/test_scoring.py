"""One number a stimulus: over frames, members, states and shifts, for any objective."""

import numpy as np
import pytest
import torch
from planted_twins import SMALL_SCREEN, STATISTICS, drifting_filter, gabor, linear_twin

import insilico
from insilico.errors import NeuronError, ProtocolError, StimulusError
from insilico.models.mouse import Statistics
from insilico.synthesis.objectives import Objective, difference, neuron, population
from insilico.synthesis.scoring import ASKED_PIXELS, Exposure, Scorer, Scoring, score_all
from insilico.twin.twin import ensemble

PLACES = [(10, 8), (16, 9), (21, 10), (13, 11)]
FILTERS = np.stack([gabor(*place, screen=SMALL_SCREEN) for place in PLACES])
MOVING = np.stack([drifting_filter(*place) for place in PLACES])
LEAD = 9
OBJECTIVES = [
    neuron(2),
    neuron(1, "inhibit"),
    population([0, 3], [0.3, 2.0]),
    difference([0, 1], [3]),
    Objective({3: 2.0, 0: 1.0}, "inhibit", "own", lambda own: own[:, 0] * own[:, 1]),
    -3.0 * neuron(0),
]


class Moody(torch.nn.Module):
    """Neurons that see their first filter at rest, and their second while the animal runs."""

    def __init__(self, rest, running):
        super().__init__()
        self.register_buffer("rest", torch.tensor(rest, dtype=torch.float32))
        self.register_buffer("running", torch.tensor(running, dtype=torch.float32))

    def forward(self, stimulus, behavior):
        speed = behavior[:, 1:2]
        at_rest, in_motion = (
            torch.einsum("bcyx,nyx->bn", stimulus, filters) for filters in (self.rest, self.running)
        )
        return (1 - speed) * at_rest + speed * in_motion


def shown(count=5, frames=1, seed=0):
    random = np.random.default_rng(seed)
    size = (count, frames, *SMALL_SCREEN.shape)
    return torch.from_numpy(random.integers(0, 256, size).astype(np.float32))


def scorer_of(twin, *, frames=1, lead=0, neurons=range(4), **scoring):
    return Scorer(
        twin,
        twin.mice[0],
        list(neurons),
        exposure=Exposure(frames, lead),
        scoring=Scoring(**scoring),
    )


@pytest.fixture(scope="module")
def images():
    return linear_twin(FILTERS, bias=0.5, screen=SMALL_SCREEN)


@pytest.fixture(scope="module")
def movies():
    return linear_twin(MOVING, bias=0.5, screen=SMALL_SCREEN)


def weighed(objective, responses):
    """Return what an objective is of responses (stimulus, neuron), its sign left out."""
    chosen = np.stack([weight * responses[:, i] for i, weight in objective.weights.items()], 1)
    return chosen.sum(1) if objective.function is None else objective.function(chosen)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)
def test_score_is_the_objective_of_what_the_twin_responds(images, objective):
    stimuli = shown()

    scores = scorer_of(images).scores(stimuli, [objective] * 5)

    responses = images.respond(stimuli[:, 0].numpy().astype(np.uint8)).values
    wanted = objective.sign * weighed(objective, responses)
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-4)


def test_each_stimulus_of_a_batch_is_scored_for_its_own_objective(images):
    scorer, stimuli = scorer_of(images), shown(len(OBJECTIVES))

    together = scorer.scores(stimuli, OBJECTIVES)
    everything = scorer.combine_all(scorer.responses(stimuli), OBJECTIVES)

    apart = [
        scorer.scores(stimuli[row : row + 1], [objective])
        for row, objective in enumerate(OBJECTIVES)
    ]
    torch.testing.assert_close(together, torch.cat(apart))
    torch.testing.assert_close(everything.diagonal(), together)
    assert everything.shape == (len(OBJECTIVES), len(OBJECTIVES))


@pytest.mark.parametrize("over_frames", ["mean", "sum", "peak"])
@pytest.mark.parametrize("free_frames", [1, 12])
def test_frames_of_the_pattern_count_and_no_others(movies, over_frames, free_frames):
    stimuli = shown(3, free_frames)

    scorer = scorer_of(movies, frames=12, lead=LEAD, over_frames=over_frames)
    scores = scorer.scores(stimuli, [neuron(1)] * 3)

    whole = np.full((3, LEAD + 12, *SMALL_SCREEN.shape), 127, np.uint8)
    whole[:, LEAD:] = stimuli.numpy()
    responses = movies.respond(whole, window=(LEAD, LEAD + 12), neurons=[1]).values[:, 0]
    reduced = {"mean": responses.mean(1), "sum": responses.sum(1), "peak": responses.max(1)}
    np.testing.assert_allclose(scores, reduced[over_frames], rtol=1e-4)
    traces = scorer.traces(stimuli, [neuron(1)] * 3)
    np.testing.assert_allclose(traces, responses, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("goal", ["excite", "inhibit"])
def test_worst_member_is_the_one_that_is_least_driven(goal):
    """Of those to be inhibited it is the one that responds most."""
    twins = [linear_twin(np.roll(FILTERS, by, 2), screen=SMALL_SCREEN) for by in (0, 1, 3)]
    both, stimuli = ensemble(twins), shown()

    worst, mean = (
        scorer_of(both, over_members=over).scores(stimuli, [neuron(0, goal)] * 5)
        for over in ("worst", "mean")
    )

    frames = stimuli[:, 0].numpy().astype(np.uint8)
    responses = np.stack([twin.respond(frames, neurons=[0]).values[:, 0] for twin in twins])
    extreme = responses.min(0) if goal == "excite" else -responses.max(0)
    np.testing.assert_allclose(worst, extreme, rtol=1e-4, atol=1e-5)
    sign = 1 if goal == "excite" else -1
    np.testing.assert_allclose(mean, sign * responses.mean(0), rtol=1e-4, atol=1e-5)


def test_states_of_the_animal_count_as_views():
    statistics = Statistics(
        stimulus_mean=STATISTICS.stimulus_mean,
        stimulus_std=STATISTICS.stimulus_std,
        behavior_mean=np.array([1.0, 0.25]),
        behavior_std=np.ones(2),
    )
    twin = insilico.Twin(
        Moody(FILTERS, FILTERS[::-1].copy()),
        screen=SMALL_SCREEN,
        statistics=statistics,
        behavior_names=("pupil_size", "running_speed"),
        device="cpu",
    )
    stimuli, states = shown(), ("quiet", "running")
    frames = stimuli[:, 0].numpy().astype(np.uint8)
    asked = np.stack([twin.respond(frames, behavior=state).values[:, 1] for state in states])
    assert np.abs(asked[0] - asked[1]).min() > 0.01

    for over, wanted in (("worst", asked.min(0)), ("mean", asked.mean(0))):
        scorer = scorer_of(twin, behaviors=states, over_views=over)
        scores = scorer.scores(stimuli, [neuron(1)] * 5)
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    own = twin.respond(frames, behavior="mean").values[:, 1]
    np.testing.assert_allclose(scorer_of(twin).scores(stimuli, [neuron(1)] * 5), own, rtol=1e-4)


def test_shifted_views_show_the_stimulus_beside_its_place_and_gray_where_it_left(images):
    stimuli = shown()
    frames = stimuli[:, 0].numpy()

    scorer = scorer_of(images, shift_px=2, over_views="worst")
    views = scorer.responses(stimuli)[:, 0, :, 1]

    moved = []
    for x, y in ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)):
        wide = np.pad(frames, ((0, 0), (2, 2), (2, 2)), constant_values=127.0)
        height, width = SMALL_SCREEN.shape
        moved.append(wide[:, 2 - y : 2 - y + height, 2 - x : 2 - x + width].astype(np.uint8))
    wanted = np.stack([images.respond(each, neurons=[1]).values[:, 0] for each in moved])
    np.testing.assert_allclose(views, wanted, rtol=1e-4, atol=1e-5)
    scores = scorer.scores(stimuli, [neuron(1)] * 5)
    np.testing.assert_allclose(scores, wanted.min(0), rtol=1e-4, atol=1e-5)


def test_scores_have_slopes_for_each_stimulus_alone(images):
    stimuli = shown().requires_grad_()

    scores = scorer_of(images).scores(stimuli, [neuron(2)] * 5)
    (slopes,) = torch.autograd.grad(scores[3], stimuli)

    assert (slopes[[0, 1, 2, 4]] == 0).all()
    unit = FILTERS[2] / np.linalg.norm(FILTERS[2]) / 60
    np.testing.assert_allclose(slopes[3, 0], unit, atol=1e-7)


def test_many_stimuli_are_asked_batch_by_batch(images):
    count = ASKED_PIXELS // np.prod(SMALL_SCREEN.shape) + 3
    frames = shown(count).numpy().astype(np.uint8)
    objectives = [neuron(row % 4) for row in range(count)]

    scores = score_all(scorer_of(images), frames, objectives)

    responses = images.respond(frames[:, 0]).values
    own = responses[np.arange(count), np.arange(count) % 4]
    np.testing.assert_allclose(scores, own, rtol=1e-4, atol=1e-5)
    assert scores.dtype == np.float64


def test_scorer_of_some_neurons_asks_about_these_alone(images):
    whole, stimuli = scorer_of(images), shown()

    some = whole.only([3, 1, 3])

    assert some.neurons.tolist() == [1, 3]
    assert some.responses(stimuli).shape == (1, 1, 5, 2)
    torch.testing.assert_close(
        some.scores(stimuli, [neuron(3)] * 5), whole.scores(stimuli, [neuron(3)] * 5)
    )
    assert whole.only(range(4)) is whole


def test_movies_for_a_twin_of_images_are_refused(images):
    with pytest.raises(StimulusError, match="my twin takes images, and stimuli of 12 frames"):
        scorer_of(images, frames=12)


def test_unknown_neurons_are_refused(images):
    with pytest.raises(NeuronError, match="neurons 0 to 3"):
        scorer_of(images, neurons=[2, 4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"over_frames": "max"}, "over_frames is 'max'; give one of sum, mean, peak"),
        ({"over_members": "best"}, "over_members is 'best'; give one of mean, worst"),
        ({"over_views": ""}, "over_views is ''; give one of mean, worst"),
        ({"behaviors": ()}, "behaviors is empty"),
        ({"shift_px": -1}, "shift_px is -1; give 0 or more"),
    ],
)
def test_unknown_ways_to_score_are_refused(options, words):
    with pytest.raises(ProtocolError, match=words):
        Scoring(**options)
