"""Frozen dataclasses from plain values: protocols, recipes and options share one set of rules."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from insilico.errors import InsilicoError

#: Keys that a message about an unknown one names where a list of all would be long.
SIMILAR_KEYS = 3


def build(
    kind: type[Any],
    values: Mapping[str, Any],
    *,
    what: str,
    error: type[InsilicoError],
    listed_in: str = "",
) -> Any:
    """Build a dataclass from plain values, as files and command lines hold them.

    Parameters
    ----------
    kind : type
        A dataclass; its annotations say what each key takes.
    values : mapping
        Values by key; keys with a default may be left out.
    what : str
        What is built, for messages: "the protocol", "the recipe's [training]".
    error : type
        Class of the errors.
    listed_in : str
        Where all keys can be read, for a message in place of a long list.

    Returns
    -------
    dataclass
        Of ``kind``.

    Raises
    ------
    InsilicoError
        Of class ``error``, if a key is unknown, missing or of the wrong type; the message names the
        key, the value, what is allowed and, for an unknown key, the nearest ones.
    """
    hints = typing.get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    names = [field.name for field in fields]
    if unknown := sorted(set(values) - set(names)):
        raise error(f"{what} has no key {unknown[0]!r}; {known_keys(unknown[0], names, listed_in)}")
    needed = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - set(values)):
        raise error(f"{what} lacks the key {missing[0]!r}; add it")
    return kind(
        **{
            key: convert(value, hints[key], what=f"{what}'s {key}", error=error)
            for key, value in values.items()
        }
    )


def convert(value: Any, hint: Any, *, what: str, error: type[InsilicoError]) -> Any:
    """Return the value as the annotated type, where nothing is lost by it.

    Raises
    ------
    InsilicoError
        Of class ``error``, if the value is of another type.
    """
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    choices = typing.get_args(hint) if is_union else (hint,)
    for choice in choices:
        origin = typing.get_origin(choice)
        if origin is typing.Literal and value in typing.get_args(choice):
            return value
        if choice is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if choice is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if choice in (bool, str) and isinstance(value, choice):
            return value
        if origin is tuple and isinstance(value, list | tuple):
            element = typing.get_args(choice)[0]
            return tuple(convert(item, element, what=what, error=error) for item in value)
        if choice is type(None) and value is None:
            return None
    names = [name for choice in choices for name in typing.get_args(choice) if type(name) is str]
    similar = nearest(value, names) if isinstance(value, str) else ""
    raise error(f"{what} is {value!r}; {similar}give {describe(hint)}")


def describe(hint: Any) -> str:
    """Return what an annotation takes, as a user would say it."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        return " or ".join(describe(choice) for choice in options)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    if origin is tuple:
        words = {int: "whole numbers", float: "numbers", str: "texts"}
        return f"a list of {words.get(typing.get_args(hint)[0], 'values')}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, str(hint))


def parse_assignments(
    assignments: Sequence[str], *, error: type[InsilicoError], option: str = "--set"
) -> dict[str, Any]:
    """Read ``key=value`` texts, the values in TOML, with quotes around text optional.

    Parameters
    ----------
    assignments : sequence of str
        The texts.
    error : type
        Class of the errors.
    option : str
        What they were given to, for messages.

    Raises
    ------
    InsilicoError
        Of class ``error``, if a text has no ``=``.
    """
    values = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise error(f"{option} {assignment!r} was not understood; write key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        values[key.strip()] = value
    return values


def nearest(name: str, names: Sequence[str], *, most: int = 1) -> str:
    """Return "did you mean …? " for the most similar names, or nothing."""
    close = difflib.get_close_matches(name, names, n=most)
    return f"did you mean {' or '.join(map(repr, close))}? " if close else ""


def known_keys(key: str, names: Sequence[str], listed_in: str = "") -> str:
    """Return what a message says of keys: those like an unknown one, and all or where they are."""
    if listed_in:
        return f"{nearest(key, names, most=SIMILAR_KEYS)}{listed_in} lists its keys"
    return f"{nearest(key, names)}its keys are {', '.join(sorted(names))}"


def to_plain(values: Any) -> dict[str, Any]:
    """Return a dataclass as TOML can hold it: lists for tuples, and nothing for None."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(values).items()
        if value is not None
    }
