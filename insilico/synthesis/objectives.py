"""What a stimulus is made for: neurons, how they weigh, and whether to excite or inhibit them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from torch import Tensor

from insilico.errors import NeuronError, ProtocolError

Goal = Literal["excite", "inhibit"]
GOALS = get_args(Goal)

#: Which class of stimuli a goal makes.
CLASS_OF_GOAL = {"excite": "exciting", "inhibit": "inhibiting"}


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """One number to be driven up or down: a weighted sum over neurons, or any function of them.

    Objectives compose: ``neuron(3) + 0.5 * neuron(7)``, ``-neuron(3)`` (the same neuron, to be
    inhibited), ``population([1, 2]) - population([3, 4])``.

    Parameters
    ----------
    weights : mapping of int to float
        Neurons, by their index in the mouse, and their weights.
    goal : {"excite", "inhibit"}
        Whether the number is to be as large or as small as can be.
    name : str
        How tables and figures call it.
    function : callable, optional
        Takes the weighted responses (stimulus, neuron), in the order of ``weights``, and gives one
        number a stimulus; must be differentiable. Their sum when left out.

    Raises
    ------
    NeuronError
        If there is no neuron, or no weight differs from 0.
    ProtocolError
        If the goal is unknown or a weight is not finite.
    """

    weights: Mapping[int, float]
    goal: Goal = "excite"
    name: str = ""
    function: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if self.goal not in GOALS:
            raise ProtocolError(f"the goal is {self.goal!r}; give one of {', '.join(GOALS)}")
        if not all(math.isfinite(weight) for weight in self.weights.values()):
            raise ProtocolError(
                f"the weights of objective {self.name!r} are not all finite; leave out neurons "
                "without a usable weight"
            )
        if not any(self.weights.values()):
            raise NeuronError(
                f"objective {self.name!r} gives no neuron a weight other than 0; name at least one"
            )

    @property
    def neuron(self) -> int:
        """The neuron it is about, or -1 where there are several."""
        return next(iter(self.weights)) if len(self.weights) == 1 else -1

    @property
    def key(self) -> tuple[str, str]:
        """Name and goal, which tell it from the others of a set."""
        return self.name, self.goal

    @property
    def sign(self) -> float:
        """1 to excite, -1 to inhibit."""
        return 1.0 if self.goal == "excite" else -1.0

    @property
    def identity(self) -> list[Any]:
        """Plain values that tell it from others; of a function the code, not what lies beyond."""
        code = getattr(self.function, "__code__", None)
        told = "" if self.function is None else type(self.function).__qualname__
        if code is not None:
            # Code within code shows its address, which is another one in every run.
            constants = [value for value in code.co_consts if not hasattr(value, "co_code")]
            told = f"{code.co_code.hex()} {constants!r} {code.co_names!r}"
        return [self.name, self.goal, sorted(self.weights.items()), told]

    def inhibiting(self) -> Objective:
        """Return the same with the goal to inhibit."""
        return dataclasses.replace(self, goal="inhibit")

    def __neg__(self) -> Objective:
        """Return the same with the opposite goal."""
        return dataclasses.replace(self, goal="inhibit" if self.goal == "excite" else "excite")

    def __mul__(self, factor: float) -> Objective:
        """Return the same with weights multiplied."""
        weights = {neuron: weight * factor for neuron, weight in self.weights.items()}
        return dataclasses.replace(self, weights=weights, name=f"{factor:g} {self.name}")

    __rmul__ = __mul__

    def __add__(self, other: Objective) -> Objective:
        """Return the sum of two weighted sums of the same goal."""
        if self.function or other.function or self.goal != other.goal:
            raise ProtocolError(
                f"objectives {self.name!r} and {other.name!r} cannot be added: only weighted sums "
                "with the same goal can; write a function of the responses instead"
            )
        weights = dict(self.weights)
        for neuron, weight in other.weights.items():
            weights[neuron] = weights.get(neuron, 0.0) + weight
        return dataclasses.replace(self, weights=weights, name=f"{self.name} + {other.name}")

    def __sub__(self, other: Objective) -> Objective:
        """Return the difference of two weighted sums."""
        return dataclasses.replace(self + (-1.0) * other, name=f"{self.name} - {other.name}")


def neuron(index: int, goal: Goal = "excite") -> Objective:
    """Return the response of one neuron."""
    return Objective({int(index): 1.0}, goal, f"neuron {index}")


def population(
    neurons: Sequence[int], weights: Sequence[float] | None = None, *, name: str = ""
) -> Objective:
    """Return a weighted sum over neurons; their mean where no weights are given.

    Parameters
    ----------
    neurons : sequence of int
        Each once.
    weights : sequence of float, optional
        One a neuron; published populations weigh each by its prediction correlation, divided by
        the sum of all (ViV1T-closed-loop, viv1t/utils/utils.py).
    name : str
        How tables call it.
    """
    members = [int(index) for index in neurons]
    if len(set(members)) != len(members):
        raise NeuronError("a population names a neuron twice; name each once")
    values = np.full(len(members), 1 / max(1, len(members))) if weights is None else weights
    if len(values) != len(members):
        raise NeuronError(
            f"{len(values)} weights were given for a population of {len(members)} neurons; give "
            "one a neuron"
        )
    pairs = {index: float(weight) for index, weight in zip(members, values, strict=True)}
    return Objective(pairs, name=name or f"population of {len(members)}")


def difference(preferred: Sequence[int], other: Sequence[int]) -> Objective:
    """Return the mean of one group minus the mean of another: what tells them apart best."""
    both = population(preferred) - population(other)
    return dataclasses.replace(both, name=f"{len(preferred)} neurons against {len(other)}")
