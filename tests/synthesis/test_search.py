"""Searches find what a plain loop over candidates finds, in one pass and little memory."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch

import insilico
from insilico.errors import ProtocolError, ShapeError, StimulusError
from insilico.models.mouse import Statistics
from insilico.screen import Screen
from insilico.synthesis import search as searching
from insilico.synthesis.coarse_search import coarse_clips, coarse_search, neighbors
from insilico.synthesis.levels import Levels, measure_levels
from insilico.synthesis.natural import given_clips
from insilico.synthesis.objectives import Objective, difference, neuron, population
from insilico.synthesis.regions import center_disc, full_field, surround
from insilico.synthesis.scoring import Exposure, Scorer, Scoring
from insilico.synthesis.search import Search, search
from insilico.synthesis.sources import Candidates, gratings

SCREEN = Screen()
LEVELS = Levels(luminance_level=120.0, rms_level=25.0)
GRAY_LEVELS = Statistics(stimulus_mean=0.0, stimulus_std=1.0)
FULL = full_field(SCREEN)


def filters(count, seed=0):
    """Return filters (neuron, y, x) without a mean."""
    random = np.random.default_rng(seed)
    made = random.standard_normal((count, *SCREEN.shape)).astype(np.float32)
    return torch.from_numpy(made - made.mean((1, 2), keepdims=True))


class LinearImages(torch.nn.Module):
    """Neurons that weigh pixels, and rectify where asked; counts the images it was shown."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.nn.Parameter(weights)
        self.shown = 0

    def forward(self, stimulus):
        self.shown += len(stimulus)
        return torch.einsum("nyx,byx->bn", self.weights, stimulus[:, 0])


class LinearMovies(torch.nn.Module):
    """Neurons that weigh the pixels of this frame, and less those of the one before."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.nn.Parameter(weights)

    def forward(self, stimulus):
        now = torch.einsum("nyx,btyx->bnt", self.weights, stimulus[:, 0])
        return now - 0.5 * torch.nn.functional.pad(now[..., :-1], (1, 0))


def image_scorer(weights=None, neurons=None, **scoring):
    module = LinearImages(filters(6) if weights is None else weights)
    twin = insilico.Twin(module, screen=SCREEN, statistics=GRAY_LEVELS, precision="float64")
    asked = range(len(module.weights)) if neurons is None else neurons
    return Scorer(twin, "mouse", asked, exposure=Exposure(), scoring=Scoring(**scoring))


def movie_scorer(frame_count=6, **scoring):
    twin = insilico.Twin(
        LinearMovies(filters(4)),
        kind="movie",
        screen=SCREEN,
        statistics=GRAY_LEVELS,
        precision="float64",
    )
    exposure = Exposure(frame_count=frame_count, lead_frames=5)
    return Scorer(twin, "mouse", range(4), exposure=exposure, scoring=Scoring(**scoring))


def pictures(count=60, seed=3):
    """Return smooth noise: blocks of 4 by 4 pixels."""
    random = np.random.default_rng(seed)
    small = random.integers(40, 216, (count, SCREEN.height_px // 4, SCREEN.width_px // 4))
    return np.kron(small, np.ones((1, 4, 4))).astype(np.uint8)


def movies(count=3, length=30, seed=3):
    return list(pictures(count * length, seed).reshape(count, length, *SCREEN.shape))


def plainly(scorer, candidates, objectives, region, levels=LEVELS):
    """Score the bytes of each candidate alone; return scores (objective, candidate) and bytes."""
    scores, shown = [], []
    for row in range(len(candidates)):
        content = candidates.render([row])[0]
        frames = levels.finish(content[0] if len(content) == 1 else content, region)
        seen = torch.from_numpy(frames.astype(np.float32))
        seen = seen[None, None] if frames.ndim == 2 else seen[None]
        with torch.inference_mode():
            scores.append([float(scorer.scores(seen, [one])[0]) for one in objectives])
        shown.append(frames)
    return np.array(scores).T, shown


def disc(x_px=30, y_px=18, diameter_deg=40.0, **options):
    return center_disc(SCREEN, (x_px, y_px), diameter_deg, **options)


def test_best_grating_of_a_planted_neuron_is_the_analytic_one():
    candidates = gratings(SCREEN)
    patterns = candidates.render(range(len(candidates)))[:, 0]
    planted = torch.from_numpy(patterns[[37, 102]] - 127.5)
    # Of a linear neuron's candidates of one luminance and contrast the most like its filter wins.
    seen = (patterns - patterns.mean((1, 2), keepdims=True)).reshape(len(patterns), -1)
    seen /= seen.std(axis=1, keepdims=True)
    analytic = (seen @ planted.reshape(2, -1).numpy().T * LEVELS.rms_level).T
    scorer = image_scorer(planted)

    found = search(
        scorer, candidates, [(neuron(0), FULL), (neuron(1, "inhibit"), FULL)], levels=LEVELS
    )

    exciting, inhibiting = found[0][0], found[1][0]
    assert exciting.details["candidate"] == analytic[0].argmax() == 37
    assert inhibiting.details["candidate"] == analytic[1].argmin()
    mean = 120.0 * planted.sum((1, 2)).numpy()
    assert exciting.details["response"] == pytest.approx(analytic[0].max() + mean[0], rel=0.01)
    assert inhibiting.details["response"] == pytest.approx(analytic[1].min() + mean[1], rel=0.01)
    columns = {name: exciting.details[name] for name in candidates.table}
    assert columns == candidates.table.iloc[37].to_dict()


@pytest.mark.parametrize(
    ("region", "levels"),
    [
        (FULL, LEVELS),
        (disc(), LEVELS),
        (disc(border_deg=10.0), LEVELS),
        (surround(SCREEN, (30, 18), 30.0), LEVELS),
        (disc(), Levels()),
        (disc(), Levels(rms_level=20.0)),
        (disc(), Levels(luminance_level=100.0)),
    ],
)
def test_search_finds_what_a_plain_loop_finds(region, levels):
    scorer, candidates = image_scorer(), given_clips(pictures(30), SCREEN)
    mixed = Objective({1: 0.5, 4: -2.0}, "excite", "mixed")
    custom = dataclasses.replace(mixed, goal="inhibit", function=lambda r: r.square().sum(-1))
    objectives = [neuron(0), neuron(5, "inhibit"), mixed, custom]

    found = search(scorer, candidates, [(o, region) for o in objectives], levels=levels, top=3)

    every, shown = plainly(scorer, candidates, objectives, region, levels)
    for objective, scores, entries in zip(objectives, every, found, strict=True):
        order = np.argsort(-scores)[:3]
        assert [entry.details["candidate"] for entry in entries] == order.tolist()
        assert [entry.details["score"] for entry in entries] == pytest.approx(scores[order])
        for entry, row in zip(entries, order, strict=True):
            assert np.array_equal(entry.frames, shown[row])
            assert entry.details["response"] == objective.sign * entry.details["score"]
            assert entry.details["movie"] == row
            assert entry.details["steps"] == 0


@pytest.mark.parametrize("frame_count", [1, 6])
@pytest.mark.parametrize("over_frames", ["mean", "peak"])
def test_movies_are_searched_for_clips_and_stills(frame_count, over_frames):
    scorer = movie_scorer(over_frames=over_frames)
    candidates = given_clips(movies(), SCREEN, frame_count=frame_count)
    targets = [(neuron(2), disc()), (population([0, 1, 3]).inhibiting(), FULL)]

    found = search(scorer, candidates, targets, levels=LEVELS)

    for (objective, region), (entry,) in zip(targets, found, strict=True):
        (scores,), shown = plainly(scorer, candidates, [objective], region)
        best = scores.argmax()
        assert entry.details["candidate"] == best
        assert entry.details["score"] == pytest.approx(scores[best])
        assert np.array_equal(entry.frames, shown[best])
        row = candidates.table.iloc[best]
        assert (entry.details["movie"], entry.details["frame"]) == tuple(row)


def test_surrounds_are_searched_around_a_moving_center():
    scorer = movie_scorer()
    center = np.full((6, *SCREEN.shape), 127.0)
    center[:, 14:22, 26:34] = 40.0 * np.arange(6)[:, None, None]
    region = surround(SCREEN, (30, 18), 30.0).around(center)
    candidates = given_clips(movies(), SCREEN)

    found = search(scorer, candidates, [(neuron(1), region)], levels=LEVELS)[0][0]

    (scores,), shown = plainly(scorer, candidates, [neuron(1)], region)
    assert found.frames.shape == (6, *SCREEN.shape)
    assert np.array_equal(found.frames, shown[scores.argmax()])
    assert np.array_equal(found.frames[:, ~region.mask], np.rint(center)[:, ~region.mask])


def test_targets_with_one_region_share_one_pass():
    scorer, candidates = image_scorer(), given_clips(pictures(50), SCREEN)
    module = scorer.twin.networks[0].module
    targets = [
        (neuron(index, goal), disc()) for index in range(6) for goal in ("excite", "inhibit")
    ]
    module.shown = 0

    together = Search(scorer, candidates, targets, levels=LEVELS)
    together.advance(together.batch_count)

    assert module.shown == 50
    apart = [search(scorer, candidates, [target], levels=LEVELS)[0][0] for target in targets]
    for entries, alone in zip(together.entries(), apart, strict=True):
        assert entries[0].details == pytest.approx(alone.details)
        assert np.array_equal(entries[0].frames, alone.frames)


def test_regions_with_other_backgrounds_share_nothing():
    scorer, candidates = image_scorer(), given_clips(pictures(20), SCREEN)
    dark = disc().around(np.full(SCREEN.shape, 30.0))

    found = search(scorer, candidates, [(neuron(0), disc()), (neuron(0), dark)], levels=LEVELS)

    assert found[0][0].frames[0, 0] == 127
    assert found[1][0].frames[0, 0] == 30


def test_neurons_of_other_regions_are_not_asked(monkeypatch):
    scorer, candidates = image_scorer(), given_clips(pictures(20), SCREEN)
    asked = []
    plain = Scorer.responses

    def responses(self, frames):
        asked.append(self.neurons.tolist())
        return plain(self, frames)

    monkeypatch.setattr(Scorer, "responses", responses)
    search(scorer, candidates, [(neuron(3), disc()), (neuron(5), FULL)], levels=LEVELS)

    assert [5] in asked
    assert [3] in asked
    assert all(len(neurons) == 1 for neurons in asked)


def test_objectives_see_all_members_and_views_as_in_climbing():
    weights = filters(3)
    scorer = image_scorer(weights, over_views="worst", shift_px=2)
    candidates = given_clips(pictures(30), SCREEN)

    objectives = [neuron(1), difference([0], [2]), neuron(1, "inhibit")]
    found = search(scorer, candidates, [(o, disc()) for o in objectives], levels=LEVELS)

    every, _ = plainly(scorer, candidates, objectives, disc())
    assert [entry.details["candidate"] for (entry,) in found] == every.argmax(1).tolist()


def test_everything_found_has_the_levels_within_one():
    scorer = image_scorer()
    regions = [FULL, disc(), disc(12, 9, 25.0), surround(SCREEN, (30, 18), 30.0)]
    targets = [(neuron(index), region) for index in range(6) for region in regions]

    for candidates in (gratings(SCREEN), given_clips(pictures(), SCREEN)):
        for entries in search(scorer, candidates, targets, levels=LEVELS, top=2):
            for entry in entries:
                luminance, rms = measure_levels(entry.frames, entry.region)
                assert luminance == pytest.approx(120.0, abs=1.0)
                assert rms == pytest.approx(25.0, abs=1.0)
                outside = ~entry.region.mask
                assert (entry.frames[outside] == 127).all()


def test_candidates_without_contrast_or_out_of_reach_are_counted_and_left_out():
    shown = pictures(12)
    shown[2, 10:26, 20:40] = 90
    shown[7] = 200
    spike = np.full(SCREEN.shape, 100, np.uint8)
    spike[18, 30] = 255
    shown = np.concatenate([shown, spike[None]])
    scorer, region = image_scorer(), disc(diameter_deg=30.0)

    entry = search(
        scorer, given_clips(shown, SCREEN), [(neuron(0), region)], levels=LEVELS, top=13
    )[0]

    assert {e.details["candidate"] for e in entry} == {0, 1, 3, 4, 5, 6, 8, 9, 10, 11}
    counts = [entry[0].details[f"{name}_count"] for name in ("candidate", "uniform", "unmatched")]
    assert counts == [10, 2, 1]


def test_target_without_any_candidate_is_told():
    flat = given_clips(np.full((3, *SCREEN.shape), 90, np.uint8), SCREEN)

    (entry,) = search(image_scorer(), flat, [(neuron(0), disc())], levels=LEVELS)[0]

    assert entry.status == "no_contrast"
    assert (entry.frames == 127).all()
    assert entry.details["uniform_count"] == 3


def test_equal_candidates_are_found_in_their_order_and_nan_never():
    shown = pictures(4)[[0, 1, 1, 0, 2, 3]]
    weights = filters(1)
    found = search(
        image_scorer(weights),
        given_clips(shown, SCREEN),
        [(neuron(0), FULL)],
        levels=LEVELS,
        top=6,
    )[0]
    names = [entry.details["candidate"] for entry in found]
    assert names.index(0) < names.index(3)
    assert names.index(1) < names.index(2)

    broken = image_scorer(torch.full((1, *SCREEN.shape), torch.nan))
    (entry,) = search(broken, given_clips(shown, SCREEN), [(neuron(0), FULL)], levels=LEVELS)[0]
    assert entry.status == "no_score"


def test_drawn_candidates_are_let_go_before_others_are_drawn(monkeypatch):
    shown = pictures(40)
    alive = []

    def draw(rows):
        gc.collect()
        assert not any(reference() is not None for reference in alive)
        block = shown[rows["picture"].to_numpy()][:, None]
        alive.append(weakref.ref(block))
        assert len(block) <= 8
        return block

    monkeypatch.setattr(searching, "DRAWN_PIXELS", 8 * 36 * 64)
    monkeypatch.setattr("insilico.synthesis.finding.ASKED_PIXELS", 3 * 36 * 64)
    table = pd.DataFrame({"picture": np.arange(40)})
    candidates = Candidates("natural", SCREEN, table, draw)
    targets = [(neuron(index), disc(20 + index)) for index in range(4)]
    scorer = image_scorer()

    under_way = Search(scorer, candidates, targets, levels=LEVELS)
    under_way.advance(under_way.batch_count)

    # Every region was shown a block before the next was drawn.
    assert len(alive) == 5
    assert under_way.batch_count == 5 * 4 * 3
    monkeypatch.undo()
    whole = search(scorer, given_clips(shown, SCREEN), targets, levels=LEVELS)
    assert [under_way.best(target)[0] for target in range(4)] == [
        entries[0].details["candidate"] for entries in whole
    ]


def test_search_that_is_left_after_any_batch_ends_the_same(monkeypatch):
    monkeypatch.setattr(searching, "DRAWN_PIXELS", 16 * 36 * 64)
    monkeypatch.setattr("insilico.synthesis.finding.ASKED_PIXELS", 5 * 36 * 64)
    scorer, candidates = image_scorer(), given_clips(pictures(40), SCREEN)
    targets = [(neuron(0), disc()), (neuron(3, "inhibit"), disc()), (neuron(2), FULL)]
    whole = search(scorer, candidates, targets, levels=LEVELS, top=2)

    state, is_finished = None, False
    while not is_finished:
        part = Search(scorer, candidates, targets, levels=LEVELS, top=2)
        if state is not None:
            part.restore(state)
        part.advance(3)
        part.entries()
        state = {name: value.clone() for name, value in part.state().items()}
        is_finished = part.is_finished

    for entries, others in zip(part.entries(), whole, strict=True):
        assert [entry.details for entry in entries] == [entry.details for entry in others]
    with pytest.raises(ShapeError, match="same targets"):
        Search(scorer, candidates, targets[:1], levels=LEVELS, top=2).restore(state)


def test_neighbors_of_the_best_clips_are_shown_in_the_second_step():
    # A blob that wanders slowly: clips that overlap look alike.
    time = np.arange(300)
    x = np.arange(SCREEN.width_px)[None, :]
    y = np.arange(SCREEN.height_px)[:, None]
    movies = [
        120
        + 90
        * np.exp(
            -((x - 32 - 25 * np.sin(time[:, None, None] / 40 + phase)) ** 2 + (y - 18) ** 2) / 40
        )
        for phase in range(3)
    ]
    candidates = given_clips(np.array(movies), SCREEN, frame_count=6)
    planted = torch.exp(
        -((torch.arange(64) - 47.3) ** 2 + (torch.arange(36)[:, None] - 18) ** 2) / 30
    )
    twin = insilico.Twin(
        LinearMovies(planted[None]),
        kind="movie",
        screen=SCREEN,
        statistics=GRAY_LEVELS,
        precision="float64",
    )
    scorer = Scorer(twin, "mouse", [0], exposure=Exposure(6, 5))
    targets = [(neuron(0), FULL), (neuron(0, "inhibit"), FULL)]
    everything = search(scorer, candidates, targets, levels=LEVELS)

    found = coarse_search(scorer, candidates, targets, levels=LEVELS)

    for (entry,), (best,) in zip(found, everything, strict=True):
        assert entry.details["score"] == pytest.approx(best.details["score"], rel=1e-4)
        assert entry.details["candidate_count"] < 0.5 * len(candidates)
    coarse = coarse_clips(candidates)
    assert set(coarse.table["frame"] % 15) == {0}
    near = candidates.select(neighbors(candidates, coarse.select([3]), reach_frames=10)).table
    assert near["frame"].tolist() == [35, 40, 50, 55]
    assert (near["movie"] == 0).all()


def test_searches_that_cannot_be_are_refused():
    scorer, candidates = image_scorer(), given_clips(pictures(4), SCREEN)
    with pytest.raises(ProtocolError, match="at least one target"):
        search(scorer, candidates, [], levels=LEVELS)
    with pytest.raises(ProtocolError, match="0 best"):
        search(scorer, candidates, [(neuron(0), FULL)], levels=LEVELS, top=0)
    with pytest.raises(ProtocolError, match="share is 0"):
        coarse_search(scorer, candidates, [(neuron(0), FULL)], levels=LEVELS, share=0)
    with pytest.raises(ProtocolError, match="clips of movies"):
        coarse_clips(gratings(SCREEN))
    small = given_clips(pictures(4), Screen(width_px=32, height_px=18))
    with pytest.raises(ShapeError, match=r"\(18, 32\) pixels"):
        search(scorer, small, [(neuron(0), FULL)], levels=LEVELS)
    moving = given_clips(movies(), SCREEN, frame_count=4)
    with pytest.raises(StimulusError, match=r"have 4 frames, and stimuli of 6"):
        search(movie_scorer(), moving, [(neuron(0), FULL)], levels=LEVELS)
