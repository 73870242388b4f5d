"""The same movie is recognized by the published rule, whatever the fast comparison leaves out."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.recordings.repeats import StimulusMatcher, is_same_stimulus


def movie(seed, frames=40, shape=(1, 36, 64)):
    return np.random.default_rng(seed).integers(0, 254, (frames, *shape)).astype(np.uint8)


def test_movies_get_an_index_each_and_the_same_when_shown_again():
    matcher = StimulusMatcher(first=7)
    shown = [movie(seed) for seed in (0, 1, 0, 2, 1, 0)]
    assert [matcher.index_of(frames) for frames in shown] == [7, 8, 7, 9, 8, 7]


def test_rounding_by_one_level_is_the_same_movie_and_by_two_another():
    matcher = StimulusMatcher()
    first = movie(0).astype(np.int16)
    assert [matcher.index_of(first + step) for step in (0, 1, -1, 2)] == [0, 0, 0, 1]


@pytest.mark.parametrize(("different", "is_same"), [(14, True), (15, False), (16, False)])
def test_more_than_85_of_100_frames_must_agree(different, is_same):
    first = movie(0, frames=100)
    second = first.copy()
    second[:different] += 2
    assert is_same_stimulus(first, second) is is_same


@given(st.sets(st.integers(0, 59)), st.integers(0, 12), st.integers(0, 2303))
def test_fast_comparison_agrees_with_the_rule(changed, shortened, pixel):
    first = movie(0, frames=60)
    second = first.copy()
    second.reshape(60, -1)[sorted(changed), pixel] += 2
    second = second[: 60 - shortened]
    for pair in itertools.permutations([first, second]):
        matcher = StimulusMatcher()
        same = matcher.index_of(pair[0]) == matcher.index_of(pair[1])
        agreeing = 60 - shortened - len([frame for frame in changed if frame < len(second)])
        assert same == is_same_stimulus(*pair) == (agreeing > 0.85 * 60)


def test_movie_of_another_size_is_another():
    matcher = StimulusMatcher()
    gray = [np.full((9, 1, height, 64), 127, np.uint8) for height in (36, 18)]
    assert [matcher.index_of(frames) for frames in gray] == [0, 1]


def test_images_are_compared_as_single_frames():
    matcher = StimulusMatcher()
    images = [movie(seed, frames=1, shape=(2, 36, 64)) for seed in (0, 1, 0)]
    assert [matcher.index_of(image) for image in images] == [0, 1, 0]
