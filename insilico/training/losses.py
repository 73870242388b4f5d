"""What training minimizes: how far predicted responses are from recorded ones.

A loss takes predicted and recorded responses of one batch of one mouse, shape (trial,
neuron[, frame]), both standardized and of equal shape, and returns a scalar. The sum over mice, and
the scale of each (:func:`dataset_scale`), are the training loop's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from insilico.errors import RecipeError, ShapeError

Loss = Callable[[Tensor, Tensor], Tensor]

#: Keeps logarithms and quotients finite where a prediction is 0: the resolution of float32, as in
#: ViV1T-closed-loop (viv1t/criterions.py).
EPSILON = torch.finfo(torch.float32).eps
#: Weight of the correlation in "poisson_correlation" (ViV1T-closed-loop, viv1t/criterions.py).
CORRELATION_WEIGHT = 1000.0
#: How :func:`dataset_scale` weighs mice.
SCALES = ("sqrt", "balanced", "none")


def poisson(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return the Poisson loss, the sum of p - y ln(p), summed over trials, neurons and frames.

    Parameters
    ----------
    predicted, recorded : float tensor, shape (trial, neuron[, frame])
        Standardized responses.

    Returns
    -------
    float tensor, shape ()

    Raises
    ------
    ShapeError
        If the shapes differ.

    Notes
    -----
    Negative responses count as 0. The published code enters them as they are; the loss of a
    negative response then falls without bound as the prediction goes to 0, and such noise of the
    deconvolution pulls every prediction down.

    References
    ----------
    ViV1T-closed-loop, viv1t/criterions.py: both sides plus the resolution of float32.
    """
    return _poisson_terms(predicted, recorded).sum()


def poisson_mean(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return :func:`poisson` per response: the mean over trials, neurons and frames."""
    return _poisson_terms(predicted, recorded).mean()


def mse(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return the mean squared error; shapes and errors as in :func:`poisson`."""
    predicted, recorded = _check(predicted, recorded)
    return (predicted - recorded).square().mean()


def log_mse(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return the mean squared error of the logarithms; negative responses count as 0."""
    predicted, recorded = _rates(predicted, recorded)
    return (predicted.log() - recorded.log()).square().mean()


def correlation(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return the sum over neurons of 1 - r, with r over the trials and frames of the batch.

    A neuron whose trace is constant in the batch has r = 0.

    References
    ----------
    V1T, src/v1t/losses.py: the number of neurons minus the sum of r. ViV1T-closed-loop minimizes
    -(r + 1), which differs by a constant.
    """
    predicted, recorded = _check(predicted, recorded)
    return (1 - (_z_scores(predicted) * _z_scores(recorded)).mean(dim=0)).sum()


def gamma(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return the sum of y / p + ln(p), the gamma likelihood of fixed shape.

    Negative responses count as 0.

    References
    ----------
    ViV1T-closed-loop, viv1t/criterions.py.
    """
    predicted, recorded = _rates(predicted, recorded)
    return (recorded / predicted + predicted.log()).sum()


def poisson_correlation(predicted: Tensor, recorded: Tensor) -> Tensor:
    """Return :func:`poisson` plus 1000 times :func:`correlation` (first release of ViV1T)."""
    return poisson(predicted, recorded) + CORRELATION_WEIGHT * correlation(predicted, recorded)


#: Every loss by the name a recipe calls it.
LOSSES: dict[str, Loss] = {
    "poisson": poisson,
    "poisson_mean": poisson_mean,
    "mse": mse,
    "log_mse": log_mse,
    "correlation": correlation,
    "gamma": gamma,
    "poisson_correlation": poisson_correlation,
}
#: Losses that are means over the responses of a batch; the others are sums.
MEAN_LOSSES = frozenset({"poisson_mean", "mse", "log_mse"})
#: Losses that need the batch whole: a correlation over part of it is another one.
WHOLE_BATCH_LOSSES = frozenset({"correlation", "poisson_correlation"})


def dataset_scale(
    rule: str, *, trial_counts: Mapping[str, int], mouse: str, batch_size: int
) -> float:
    """Return the factor of one mouse's loss in one optimizer step.

    Parameters
    ----------
    rule : {"sqrt", "balanced", "none"}
        "sqrt": sqrt(n / B), so that the penalties, which are not scaled, weigh less where there
        are more trials. "balanced": the mean number of trials per mouse over n, divided by the
        number of mice and by B, so that every mouse weighs the same. "none": 1.
    trial_counts : mapping of str to int
        Training trials n of every mouse, by mouse.
    mouse : str
        Whose loss.
    batch_size : int
        Trials B of this batch.

    Returns
    -------
    float

    Raises
    ------
    RecipeError
        If there is no such rule.

    References
    ----------
    "sqrt": sensorium, sensorium/training/trainers.py; V1T, src/v1t/losses.py. The first counts
    trials of all tiers; we count training trials. "balanced": ViV1T-closed-loop,
    viv1t/criterions.py.
    """
    trial_count = trial_counts[mouse]
    if rule == "sqrt":
        return math.sqrt(trial_count / batch_size)
    if rule == "balanced":
        mouse_count = len(trial_counts)
        weight = sum(trial_counts.values()) / (mouse_count * trial_count)
        return weight / (mouse_count * batch_size)
    if rule == "none":
        return 1.0
    raise RecipeError(f"scale {rule!r} of the loss is not known; choose one of {', '.join(SCALES)}")


def _check(predicted: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in float32 or better: sums over neurons and frames overflow the mantissa of bf16.

    Raises
    ------
    ShapeError
        If the shapes differ; broadcasting would hide a wrong crop.
    """
    if predicted.shape != recorded.shape:
        raise ShapeError(
            f"predicted responses have shape {tuple(predicted.shape)} and recorded ones "
            f"{tuple(recorded.shape)}; crop the recorded ones to the frames the network answers"
        )
    precision = torch.promote_types(predicted.dtype, torch.float32)
    return predicted.to(precision), recorded.to(precision)


def _rates(predicted: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as positive numbers, whose logarithms are finite."""
    predicted, recorded = _check(predicted, recorded)
    return predicted.clamp(min=0) + EPSILON, recorded.clamp(min=0) + EPSILON


def _poisson_terms(predicted: Tensor, recorded: Tensor) -> Tensor:
    predicted, recorded = _rates(predicted, recorded)
    return predicted - recorded * predicted.log()


def _z_scores(values: Tensor) -> Tensor:
    """Return responses as (trial and frame, neuron), each neuron centered and scaled.

    EPSILON stands within the root: the gradient of a plain root is NaN where a trace is constant.
    """
    rows = values.movedim(1, -1).flatten(0, -2)
    centered = rows - rows.mean(dim=0)
    return centered / (centered.square().mean(dim=0) + EPSILON**2).sqrt()
