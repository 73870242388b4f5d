"""Which mouse and which neurons are meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from insilico.errors import InsilicoError, MouseError, NeuronError
from insilico.models.mouse import Mouse

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Ways to name neurons: a slice, indices, a mask, or text such as "0:100" or "3,5,8".
NeuronSelection = slice | Sequence[int] | np.ndarray[Any, Any] | str | int | None


def choose_mouse(mice: Mapping[str, Mouse], name: str | None) -> Mouse:
    """Return the named mouse, or the only one.

    Raises
    ------
    MouseError
        If the name is unknown, or left out where there are several mice.
    """
    known = ", ".join(mice)
    if name is None:
        if len(mice) == 1:
            return next(iter(mice.values()))
        raise MouseError(f"the twin has {len(mice)} mice and none was named; name one of {known}")
    if name not in mice:
        raise MouseError(f"the twin has no mouse {name!r}; it has {known}")
    return mice[name]


def choose_neurons(selection: NeuronSelection, neuron_count: int) -> IntArray:
    """Return the indices of the asked neurons, in the order they were asked.

    Parameters
    ----------
    selection : slice, sequence of int, bool mask, text, int or None
        Text is a list of indices and exclusive ranges, such as "0:100" or "3,5,20:30"; None is all.
    neuron_count : int
        How many neurons the mouse has.

    Returns
    -------
    int64 array, shape (neuron,)
        Indices from 0.

    Raises
    ------
    NeuronError
        If an index is out of range, repeated or not an integer, or nothing is selected.
    """
    if selection is None:
        return np.arange(neuron_count)
    if isinstance(selection, str):
        indices = parse_indices(selection, neuron_count)
    elif isinstance(selection, slice):
        indices = np.arange(neuron_count)[selection]
    else:
        indices = _from_array(np.atleast_1d(np.asarray(selection)), neuron_count)
    if len(indices) == 0:
        raise NeuronError(f"the selection {selection!r} names no neuron; name at least one")
    if ((indices < 0) | (indices >= neuron_count)).any():
        raise NeuronError(
            f"the selection {selection!r} names a neuron that does not exist; the mouse has "
            f"neurons 0 to {neuron_count - 1}"
        )
    if len(np.unique(indices)) < len(indices):
        raise NeuronError("a neuron is named twice in the selection; name each once")
    return indices


def _from_array(values: np.ndarray[Any, Any], neuron_count: int) -> IntArray:
    if values.dtype == bool:
        if values.shape != (neuron_count,):
            raise NeuronError(
                f"a neuron mask of shape {values.shape} was given; the mouse has "
                f"{neuron_count} neurons, so give ({neuron_count},)"
            )
        return np.flatnonzero(values)
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise NeuronError(f"neuron indices have dtype {values.dtype}; give integers")
    return values.astype(np.int64).reshape(-1)


def parse_indices(
    text: str, count: int, *, what: str = "neuron", error: type[InsilicoError] = NeuronError
) -> IntArray:
    """Read a list of indices and exclusive ranges, such as "0:100" or "3,5,20:30".

    Parameters
    ----------
    text : str
        Ends of a range that are left out are the first and the last.
    count : int
        How many there are.
    what : str
        What is counted, for messages.
    error : type
        What is raised.

    Returns
    -------
    int64 array, shape (index,)
        As written; those too large are not refused here.

    Raises
    ------
    InsilicoError
        Of the given type, if the text is no such list.
    """
    parts: list[IntArray] = []
    for part in text.split(","):
        bounds = part.strip().split(":")
        try:
            # What lies beyond the last is refused later; the cap keeps a huge number from being
            # counted up to.
            numbers = [min(int(bound), count + 1) if bound.strip() else None for bound in bounds]
        except ValueError:
            numbers = []
        if len(numbers) == 1 and numbers[0] is not None:
            parts.append(np.array([numbers[0]], np.int64))
        elif len(numbers) == 2:
            start, stop = numbers[0] or 0, count if numbers[1] is None else numbers[1]
            parts.append(np.arange(start, stop, dtype=np.int64))
        else:
            raise error(
                f"the {what} selection {text!r} was not understood; write indices and ranges "
                "such as 0:100 or 3,5,20:30"
            )
    return np.concatenate(parts)
