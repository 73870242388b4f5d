"""Pickles taken apart: plain values as they are, everything else as a description."""

import collections
import decimal
import pickle

import pytest

from insilico.models.pickles import Global, Made, Reference, describe, take_apart

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def plain(made):
    """Turn dictionaries and sets back into what they would be."""
    if isinstance(made, list | tuple):
        return type(made)(map(plain, made))
    if isinstance(made, Made):
        if made.maker.path.endswith("dict"):
            return {plain(key): plain(value) for key, value in made.items}
        if made.maker.path.endswith("set"):
            return set(plain(made.arguments[0]))
    return made


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_are_as_they_were(protocol):
    values = [
        0,
        -1,
        255,
        256,
        70_000,
        -(2**40),
        2**3000,
        1.5,
        True,
        False,
        None,
        "",
        "µm\n",
        "a" * 300,
    ]
    values += [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[], [1], list(range(2000))]]
    values += [{}, {"a": 1}, {1: {"b": (2, {})}, None: [3]}]
    assert plain(take_apart(pickle.dumps(values, protocol))) == values


@pytest.mark.parametrize("protocol", range(4, pickle.HIGHEST_PROTOCOL + 1))
def test_bytes_and_sets_of_newer_protocols_are_read(protocol):
    values = [b"", b"a" * 300, bytearray(b"b") if protocol > 4 else b"b"]
    assert take_apart(pickle.dumps(values, protocol)) == values
    assert plain(take_apart(pickle.dumps(frozenset({1, 2}), protocol))) == {1, 2}
    assert isinstance(take_apart(pickle.dumps({1, 2}, protocol)), Made)


def test_shared_values_stay_shared_and_a_list_may_hold_itself():
    inner = ["inner"]
    outer = [inner, inner]
    outer.append(outer)
    found = take_apart(pickle.dumps(outer))
    assert found[0] is found[1]
    assert found[2] is found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_objects_are_described_and_not_made(protocol):
    number = take_apart(pickle.dumps(decimal.Decimal("1.5"), protocol))
    assert isinstance(number, Made)
    assert number.maker.path == "decimal.Decimal"
    assert number.arguments == ("1.5",)
    ordered = take_apart(pickle.dumps(collections.OrderedDict(a=1), protocol))
    assert describe(ordered) == "an object made by 'collections.OrderedDict'"
    if protocol >= 2:
        assert ordered.items == [("a", 1)]
    function = take_apart(pickle.dumps(len, protocol))
    assert isinstance(function, Global)
    assert function.name == "len"
    assert describe(function).endswith(".len'")


def test_data_outside_of_the_pickle_are_references():
    assert take_apart(b"P17\n.").id == "17"
    found = take_apart(b"\x80\x02K\x11Q.")
    assert isinstance(found, Reference)
    assert found.id == 17
    assert describe(found) == "an object"


@pytest.mark.parametrize(
    ("value", "words"),
    [(1, "a number"), (2.5, "a number"), (None, "nothing"), ("a", "a str"), ([], "a list")],
)
def test_values_are_described_in_words(value, words):
    assert describe(value) == words


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "exhausted"),
        (b"N", "exhausted"),
        (b"0.", "damaged pickle"),
        (b"1.", "damaged pickle"),
        (b".", "ends with one object"),
        (b"NN.", "ends with one object"),
        (b"(N.", "ends with one object"),
        (b"Na.", "damaged pickle"),
        (b"NNa.", "only lists and objects grow"),
        (b"NNR.", "arguments are a tuple"),
        (b"(u.", "damaged pickle"),
        (b"}(Nu.", "in pairs"),
        (b"NN\x93.", "a name is a text"),
        (b"\xff.", "unknown"),
    ],
)
def test_what_is_no_pickle_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        take_apart(content)
