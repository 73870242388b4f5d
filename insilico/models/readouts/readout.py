"""What every readout promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from insilico.errors import ShapeError, UnitsError
from insilico.models.readouts.points import PointReadout

#: Feature values (trial · channel · neuron) read at once, about 0.5 GB of float32. More neurons are
#: read in parts, and in training read again on the way back.
VALUES_AT_ONCE = 1 << 27


class Readout(nn.Module, ABC):
    """From a feature map to one linear value a neuron.

    Attributes
    ----------
    neuron_count : int
        Number of neurons.
    bias : float parameter, shape (neuron,)
        Value where the feature map is zero, and the state adds nothing.
    accepts_shift : bool
        Whether gaze can move what the neurons read.
    reads_state : bool
        Whether behavior and gaze add to what the neurons read.
    """

    neuron_count: int
    bias: nn.Parameter
    accepts_shift: ClassVar[bool] = True
    reads_state: bool = False

    @abstractmethod
    def forward(
        self,
        features: Tensor,
        *,
        neurons: Tensor | None = None,
        shift: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Read each neuron's value from a feature map.

        Parameters
        ----------
        features : float tensor, shape (trial, channel, y, x)
            The core's output.
        neurons : int64 tensor, shape (neuron,), optional
            The asked neurons, which are all that is computed; all when left out.
        shift : float tensor, shape (trial, 2), optional
            Displacement (x, y) of what is read, where the map is 2 wide.
        state : float tensor, shape (trial, variable), optional
            Standardized behavior, then gaze; a readout that does not read it leaves it aside.

        Returns
        -------
        float tensor, shape (trial, neuron)

        Raises
        ------
        ShapeError
            If the map has another size than the weights, or the shift is not one pair a trial.
        """

    @abstractmethod
    def regularizer(self) -> Tensor:
        """Sum of the absolute weights, a scalar."""

    def at_fixed_points(
        self, map_shape: tuple[int, int], *, neurons: Tensor, shift: Tensor | None = None
    ) -> PointReadout | None:
        """Return the evaluation-mode readout for one shift of all trials, made fast.

        Parameters
        ----------
        map_shape : (int, int)
            Rows and columns of the feature map.
        neurons : int64 tensor, shape (neuron,)
            The asked neurons.
        shift : float tensor, shape (2,), optional
            Added to every point.

        Returns
        -------
        PointReadout or None
            None where neurons do not read single points.
        """
        return None

    def initialize(
        self,
        *,
        position_um: Tensor | None,
        mean_response: Tensor | None,
        inverse: Callable[[Tensor], Tensor],
    ) -> None:
        """Start from what was measured, before training.

        Parameters
        ----------
        position_um : float tensor, shape (neuron, 2 or 3), optional
            Cortical x, y and depth, micrometers.
        mean_response : float tensor, shape (neuron,), optional
            Mean standardized response.
        inverse : callable
            Returns the value that the output function turns into a response.

        Raises
        ------
        ShapeError
            If there is not one row a neuron.
        UnitsError
            If a value is not finite, or positions are needed and missing.
        """
        if mean_response is not None:
            self._check_rows("mean_response", mean_response, ndim=1)
            with torch.no_grad():
                self.bias.copy_(inverse(mean_response.to(self.bias)))

    def _check_rows(self, name: str, values: Tensor, *, ndim: int) -> None:
        if values.ndim != ndim or len(values) != self.neuron_count:
            raise ShapeError(
                f"{name} has shape {tuple(values.shape)}; give one row for each of the "
                f"{self.neuron_count} neurons"
            )
        if not torch.isfinite(values).all():
            raise UnitsError(f"{name} has values that are not finite; leave those neurons out")


def read_in_parts(
    read: Callable[..., Tensor],
    features: Tensor,
    *by_neuron: Tensor,
    values_a_neuron: int | None = None,
) -> Tensor:
    """Return ``read(features, *by_neuron)``, some neurons at a time where memory asks for it.

    Parameters
    ----------
    read : callable
        Returns (trial, neuron, ...).
    features : float tensor, shape (trial, channel, ...)
        What all neurons are read from.
    *by_neuron : tensor
        Neurons lie along the second axis.
    values_a_neuron : int, optional
        Values that reading one neuron holds in memory; trials times channels when left out.

    Returns
    -------
    float tensor, shape (trial, neuron, ...)
    """
    if values_a_neuron is None:
        values_a_neuron = features.shape[0] * features.shape[1]
    at_once = max(1, VALUES_AT_ONCE // max(1, values_a_neuron))
    if by_neuron[0].shape[1] <= at_once:
        return read(features, *by_neuron)
    parts = zip(*(torch.split(values, at_once, 1) for values in by_neuron), strict=True)
    answers = [checkpoint(read, features, *part, use_reentrant=False) for part in parts]
    return torch.cat(answers, dim=1)


def check_channels(features: Tensor, expected: int) -> None:
    """Refuse a feature map (trial, channel, y, x) of other channels than the weights."""
    if features.shape[1] != expected:
        raise ShapeError(
            f"the feature map has {features.shape[1]} channels; the readout has weights for "
            f"{expected}"
        )


def check_shift(shift: Tensor, trials: int) -> None:
    """Refuse a shift that is not one pair a trial."""
    if shift.shape != (trials, 2):
        raise ShapeError(
            f"shift has shape {tuple(shift.shape)}; give one (x, y) a trial: ({trials}, 2)"
        )


def check_map(features: Tensor, expected: tuple[int, ...]) -> None:
    """Refuse a feature map (trial, channel, y, x) of another size than the weights."""
    if tuple(features.shape[2:]) != expected:
        raise ShapeError(
            f"the feature map is {tuple(features.shape[2:])}; the readout has weights for "
            f"{expected}"
        )


def refuse_shift(shift: Tensor | None, *, kind: str) -> None:
    """Refuse a shift where nothing can move."""
    if shift is not None:
        raise UnitsError(f"the {kind} readout cannot shift with the gaze; give no shift")


def keep_on_map(points: nn.Parameter) -> None:
    """Project learned points onto the map, in place.

    Clamping alone would leave a point that an update carried off the map without a gradient, for
    good.
    """
    points.data.clamp_(-1, 1)
