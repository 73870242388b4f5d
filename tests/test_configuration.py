"""Dataclasses from plain values."""

import dataclasses
from typing import Literal

import pytest

from insilico.configuration import build, parse_assignments, to_plain
from insilico.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class Options:
    width: int
    rate: float = 0.5
    shape: Literal["round", "square"] = "round"
    sizes: tuple[float, ...] = ()
    is_open: bool = False
    limit: float | None = None


def make(**values):
    return build(Options, values, what="the recipe", error=RecipeError)


def test_values_take_the_annotated_types():
    made = make(width=3, rate=1, sizes=[1, 2.5], is_open=True, limit=2, shape="square")
    assert made == Options(3, 1.0, "square", (1.0, 2.5), True, 2.0)
    assert isinstance(made.rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widht": 3}, "the recipe has no key 'widht'; did you mean 'width'\\? its keys are"),
        ({}, "the recipe lacks the key 'width'; add it"),
        ({"width": 3.5}, "the recipe's width is 3.5; give a whole number"),
        ({"width": True}, "the recipe's width is True; give a whole number"),
        ({"width": 1, "rate": "fast"}, "the recipe's rate is 'fast'; give a number"),
        ({"width": 1, "shape": "oval"}, "shape is 'oval'; give one of round, square"),
        ({"width": 1, "shape": "sqare"}, "shape is 'sqare'; did you mean 'square'\\? give one of"),
        ({"width": 1, "sizes": 3}, "sizes is 3; give a list of numbers"),
        ({"width": 1, "is_open": 1}, "is_open is 1; give true or false"),
        ({"width": 1, "limit": "none"}, "limit is 'none'; give a number"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(values, message):
    with pytest.raises(RecipeError, match=message):
        make(**values)


def test_keys_like_an_unknown_one_take_the_place_of_a_list_that_is_elsewhere():
    told = "has no key 'size'; did you mean 'sizes'\\? help lists its keys$"
    with pytest.raises(RecipeError, match=told):
        build(Options, {"size": 1}, what="it", error=RecipeError, listed_in="help")
    told = "has no key 'shine'; did you mean 'sizes' or 'shape'\\? help lists its keys$"
    with pytest.raises(RecipeError, match=told):
        build(Options, {"shine": 1}, what="it", error=RecipeError, listed_in="help")


def test_plain_values_build_the_same_options_again():
    options = Options(3, sizes=(1.0, 2.0))
    assert to_plain(options) == {
        "width": 3,
        "rate": 0.5,
        "shape": "round",
        "sizes": [1.0, 2.0],
        "is_open": False,
    }
    assert make(**to_plain(options)) == options


def test_assignments_are_toml_with_optional_quotes():
    assert parse_assignments(["a=1", "b = [1, 2]", "c=round", 'd="x"'], error=RecipeError) == {
        "a": 1,
        "b": [1, 2],
        "c": "round",
        "d": "x",
    }
    with pytest.raises(RecipeError, match="write key=value"):
        parse_assignments(["a"], error=RecipeError)
