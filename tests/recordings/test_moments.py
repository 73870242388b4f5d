"""Streaming statistics are those of all data at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.recordings.moments import StreamingMoments


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_pieces_of_any_length_give_the_moments_of_the_whole(lengths, seed):
    rng = np.random.default_rng(seed)
    whole = rng.normal(rng.uniform(-50, 50, 4), rng.uniform(0.1, 9, 4), (sum(lengths), 4))
    moments = StreamingMoments(4)
    for piece in np.split(whole, np.cumsum(lengths)[:-1]):
        moments.add(piece)
    assert moments.count == len(whole)
    assert np.allclose(moments.mean, whole.mean(axis=0), rtol=1e-12)
    assert np.allclose(moments.std, whole.std(axis=0), rtol=1e-9, atol=1e-12)


def test_small_variance_on_a_large_mean_keeps_its_digits():
    # The textbook formula E[x²] - E[x]² has no correct digit here.
    whole = 1e9 + np.tile([[-1.0], [1.0]], (500, 1))
    moments = StreamingMoments(1)
    for piece in np.split(whole, 100):
        moments.add(piece)
    assert moments.std[0] == pytest.approx(1.0, rel=1e-12)


def test_bytes_and_single_precision_are_summed_in_double():
    moments = StreamingMoments(1)
    for _ in range(50):
        moments.add(np.full((1000, 1), 0.1, np.float32))
    assert moments.mean[0] == pytest.approx(float(np.float32(0.1)), rel=1e-14)
    levels = StreamingMoments(1)
    levels.add(np.full((1000, 1), 255, np.uint8))
    assert levels.mean[0] == 255
    assert levels.std[0] == 0


def test_nothing_seen_has_no_spread():
    assert StreamingMoments(3).std.tolist() == [0, 0, 0]
