"""Row-wise correlation against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insilico.errors import ShapeError
from insilico.statistics.correlation import correlate_rows


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    offset=st.sampled_from([0.0, 1.0, -1e5]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_correlation_equals_numpy_row_by_row(seed, offset, dtype):
    rng = np.random.default_rng(seed)
    first = (rng.normal(size=(6, 4, 10)) + offset).astype(dtype)
    second = (first + rng.normal(size=first.shape) + offset).astype(dtype)
    expected = [
        np.corrcoef(a.astype(float).ravel(), b.astype(float).ravel())[0, 1]
        for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(correlate_rows(first, second), expected, atol=1e-9)


def test_constant_and_missing_rows_are_nan():
    first = np.random.default_rng(0).normal(size=(5, 20))
    second = first.copy()
    first[0] = 0.1
    second[1] = 0.3
    first[2, 3] = np.nan
    second[3, 3] = np.inf
    result = correlate_rows(first, second)
    assert np.isnan(result).tolist() == [True] * 4 + [False]
    assert result[4] == pytest.approx(1.0)


def test_opposite_rows_correlate_at_minus_one_and_stay_in_range():
    rows = np.random.default_rng(1).normal(size=(50, 3))
    result = correlate_rows(rows, -2 * rows + 1)
    np.testing.assert_allclose(result, -1.0)
    assert (result >= -1).all()


def test_unsigned_integers_are_accepted():
    rows = np.array([[0, 255, 3], [9, 9, 9]], np.uint8)
    result = correlate_rows(rows, rows[:, ::-1])
    assert result[0] == pytest.approx(np.corrcoef(rows[0], rows[0, ::-1])[0, 1])
    assert np.isnan(result[1])


def test_inputs_are_left_unchanged():
    rows = np.random.default_rng(2).normal(size=(3, 5))
    copy = rows.copy()
    correlate_rows(rows, rows)
    np.testing.assert_array_equal(rows, copy)


@pytest.mark.parametrize("shapes", [((2, 5), (2, 6)), ((5,), (5,)), ((2, 1), (2, 1))])
def test_unusable_shapes_are_refused(shapes):
    with pytest.raises(ShapeError, match="one shape"):
        correlate_rows(np.ones(shapes[0]), np.ones(shapes[1]))
