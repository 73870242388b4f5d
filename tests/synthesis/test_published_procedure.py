"""The published generation, done plainly, starts and climbs as published."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import published_generation as published

SHAPE = (36, 64)
SMALL = (6, 8)
GRAY, MEAN, STD = 127.0, 113.0, 58.0


@pytest.mark.parametrize(
    ("frames", "logit_std", "pixel_std"), [(30, 0.0052, 0.33), (1, 9.5e-4, 0.060)]
)
def test_start_spreads_as_published(frames, logit_std, pixel_std):
    kept = published.kept_frequencies(frames, SHAPE)
    spectrum = published.start_spectrum(SHAPE, frames=frames)

    found = published.logits(spectrum, kept)
    shown = published.compose(spectrum, kept, torch.ones(SHAPE), GRAY)

    assert found.shape == shown.shape == (30, *SHAPE)
    assert found.std().item() == pytest.approx(logit_std, rel=0.05)
    assert shown.std().item() == pytest.approx(pixel_std, rel=0.05)


def test_parameters_that_can_move_are_those_of_the_half_spectrum_under_the_cutoff():
    spectrum = published.start_spectrum(SHAPE)
    kept = published.kept_frequencies(30, SHAPE)
    weights = torch.randn(30, *SHAPE, generator=torch.Generator().manual_seed(0))

    (gradient,) = torch.autograd.grad((weights * published.logits(spectrum, kept)).sum(), spectrum)
    is_live = gradient[0].abs() > 0

    assert int(is_live.sum()) == 30 * 19 * 17


def linear_network(filters, *, unanswered=0, seen=None):
    """Return a network of two neurons with instantaneous linear filters (neuron, y, x)."""

    def ask(video):
        if seen is not None:
            seen.append(video.detach())
        return torch.einsum("nyx,btyx->bnt", filters, video[:, 0])[..., unanswered:]

    return ask


@pytest.fixture
def filters():
    return torch.randn(2, *SMALL, generator=torch.Generator().manual_seed(1))


def generate(ask, **options):
    settings = {
        "neuron": 1,
        "mask": torch.ones(SMALL),
        "background": GRAY,
        "mean": MEAN,
        "std": STD,
    }
    return published.generate_plainly(ask, **(settings | options))


def summed(filters, video):
    standardized = (torch.from_numpy(video) - MEAN) / STD
    return (filters[1] * standardized).sum().item()


def test_network_sees_whole_trials_with_gray_around_the_pattern_and_the_mask(filters):
    seen, mask = [], torch.zeros(SMALL)
    mask[2:4, 3:6] = 1

    made = generate(linear_network(filters, seen=seen), mask=mask, steps=3)

    last = seen[-1] * STD + MEAN
    assert last.shape == (1, 1, 300, *SMALL)
    assert torch.allclose(last[:, :, :135], torch.tensor(GRAY), atol=1e-4)
    assert torch.allclose(last[:, :, 165:], torch.tensor(GRAY), atol=1e-4)
    assert (made["video"][:, mask == 0] == GRAY).all()
    assert made["video"][:, mask == 1].std() > 1


def test_responses_of_the_asked_neuron_rise_and_belong_to_the_videos(filters):
    made = generate(linear_network(filters), steps=20)

    assert made["video"].shape == (30, *SMALL)
    assert made["responses"].shape == made["seconds"].shape == (20,)
    assert (np.diff(made["responses"]) > 0).all()
    assert summed(filters, made["best_video"]) == pytest.approx(made["responses"][-1], rel=1e-4)
    assert summed(filters, made["video"]) > made["responses"][-1]


def test_network_that_leaves_out_the_first_frames_gives_the_same(filters):
    whole = generate(linear_network(filters), steps=3)
    rest = generate(linear_network(filters, unanswered=50), steps=3)

    assert np.array_equal(whole["video"], rest["video"])


def test_last_parameter_is_taken_where_no_step_beats_the_start(filters):
    calls = []

    def ask(video):
        calls.append(0)
        return linear_network(filters)(video) - 1e6 * len(calls)

    made = generate(ask, steps=3)

    assert (np.diff(made["responses"]) < 0).all()
    assert np.array_equal(made["video"], generate(linear_network(filters), steps=3)["video"])
    assert np.array_equal(made["best_video"], generate(ask, steps=1)["best_video"])


def test_fixed_seed_gives_the_same_start_for_every_neuron(filters):
    first, second = (
        generate(linear_network(filters), neuron=neuron, steps=1)["best_video"] for neuron in (0, 1)
    )

    assert np.array_equal(first, second)


def test_time_ends_the_climb_after_the_step_under_way(filters):
    made = generate(linear_network(filters), seconds=0.05)

    assert made["seconds"][:-1].sum() < 0.05 <= made["seconds"].sum()


def test_steps_and_seconds_together_are_refused(filters):
    with pytest.raises(ValueError, match="either steps or seconds"):
        generate(linear_network(filters), steps=1, seconds=1.0)
