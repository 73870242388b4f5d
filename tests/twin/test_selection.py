import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import MouseError, NeuronError
from insilico.twin.selection import choose_mouse, choose_neurons


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (None, range(10)),
        (slice(3), [0, 1, 2]),
        (slice(None, None, -4), [9, 5, 1]),
        (slice(8, 100), [8, 9]),
        ([5, 3], [5, 3]),
        (np.array([7], np.uint16), [7]),
        (np.int64(4), [4]),
        (6, [6]),
        (np.arange(10) > 7, [8, 9]),
        ("0:3", [0, 1, 2]),
        ("3, 5 ,8:10", [3, 5, 8, 9]),
        ("7:", [7, 8, 9]),
        (":2", [0, 1]),
        (":", range(10)),
    ],
)
def test_every_form_of_selection_gives_indices_in_the_asked_order(selection, expected):
    chosen = choose_neurons(selection, 10)
    np.testing.assert_array_equal(chosen, list(expected))
    assert chosen.dtype == np.int64


@given(st.lists(st.integers(0, 49), min_size=1, unique=True))
def test_text_and_list_mean_the_same(indices):
    text = ",".join(map(str, indices))
    np.testing.assert_array_equal(choose_neurons(text, 50), choose_neurons(indices, 50))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ([10], "does not exist; the mouse has neurons 0 to 9"),
        ([-1], "does not exist"),
        ("0:11", "'0:11' names a neuron that does not exist"),
        ("99999999999999999999999", "does not exist"),
        ("0:1000000000000000", "does not exist"),
        ([3, 3], "named twice"),
        ("1,0:3", "named twice"),
        ([1.0], "have dtype float64; give integers"),
        (["a"], "give integers"),
        ([], "names no neuron"),
        (slice(4, 4), "names no neuron"),
        ("5:2", "names no neuron"),
        (np.zeros(10, bool), "names no neuron"),
        (np.ones(9, bool), r"mask of shape \(9,\) was given; the mouse has 10"),
        ("", "was not understood; write indices and ranges"),
        ("1;2", "was not understood"),
        ("1:2:3", "was not understood"),
        ("a:b", "was not understood"),
        ("1,,2", "was not understood"),
    ],
)
def test_impossible_selection_is_refused(selection, message):
    with pytest.raises(NeuronError, match=message):
        choose_neurons(selection, 10)


def test_only_mouse_need_not_be_named():
    assert choose_mouse({"a": 1}, None) == 1
    assert choose_mouse({"a": 1, "b": 2}, "b") == 2


def test_several_mice_and_none_named_is_refused():
    with pytest.raises(MouseError, match="has 2 mice and none was named; name one of a, b"):
        choose_mouse({"a": 1, "b": 2}, None)


def test_unknown_mouse_is_refused():
    with pytest.raises(MouseError, match="no mouse 'c'; it has a, b"):
        choose_mouse({"a": 1, "b": 2}, "c")
