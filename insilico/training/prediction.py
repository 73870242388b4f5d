"""A network's answers to recorded trials, beside what the neurons did."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.models.network import Network
from insilico.training.data import IntArray, MouseData

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Images that are asked at once.
IMAGES_AT_ONCE = 64

#: Movies are judged from this frame on (ViV1T-closed-loop, viv1t/metrics.py).
BURN_IN_FRAMES = 50


@dataclasses.dataclass(frozen=True)
class TrialPrediction:
    """One trial, predicted and recorded, in standardized units.

    Parameters
    ----------
    position : int
        Row of the trials table.
    predicted, recorded : float32 array, shape (row, neuron)
        A row is a frame; an image has one.
    first_frame : int
        Frame of the trial that the first row belongs to.
    """

    position: int
    predicted: FloatArray
    recorded: FloatArray
    first_frame: int


def predict_trials(
    network: Network, data: MouseData, positions: IntArray, *, burn_in_frames: int = 0
) -> Iterator[TrialPrediction]:
    """Ask a network for trials of a recording, with the animal's own behavior and gaze.

    Parameters
    ----------
    network : Network
        Asked in evaluation mode; its mode is put back afterwards.
    data : MouseData
        Of one of its mice.
    positions : int64 array, shape (trial,)
        Rows of the trials table.
    burn_in_frames : int
        Frames at the start of each movie that are left out. The frames a network does not answer
        are left out in any case.

    Yields
    ------
    TrialPrediction
        One a trial, in order.
    """
    device = next(network.parameters()).device
    size = IMAGES_AT_ONCE if data.kind == "image" else 1
    was_training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        for first in range(0, len(positions), size):
            chosen = positions[first : first + size]
            batch = data.batch(chosen).to(device)
            with torch.no_grad():
                answer = network(
                    batch.stimulus,
                    mouse=data.mouse.name,
                    behavior=batch.behavior,
                    pupil_center=batch.pupil_center,
                )
            yield from _rows(chosen, answer, batch.responses, burn_in_frames)
    finally:
        for module, mode in was_training.items():
            module.training = mode


def _rows(
    positions: IntArray, answer: Tensor, responses: Tensor, burn_in_frames: int
) -> Iterator[TrialPrediction]:
    """Split a batch into trials with rows first."""
    dropped = 0
    if answer.ndim == 3:
        frames = responses.shape[2]
        dropped = min(max(burn_in_frames, frames - answer.shape[2]), frames)
        answer = answer[..., answer.shape[2] - (frames - dropped) :].transpose(1, 2)
        responses = responses[..., dropped:].transpose(1, 2)
    else:
        answer, responses = answer[:, None], responses[:, None]
    predicted, recorded = answer.float().cpu().numpy(), responses.cpu().numpy()
    for index, position in enumerate(positions):
        yield TrialPrediction(int(position), predicted[index], recorded[index], dropped)


class StreamedCorrelation:
    """Pearson correlation over rows that come in pieces: one value a neuron.

    The same number as :func:`insilico.statistics.performance.correlation` of all rows at once, in
    the memory of five values a neuron.
    """

    def __init__(self) -> None:
        self._sums: list[Any] = [0.0] * 5
        self._count = 0
        self._origin: tuple[FloatArray, FloatArray] | None = None

    def add(self, predicted: FloatArray, recorded: FloatArray) -> None:
        """Take more rows, shape (row, neuron)."""
        if not len(predicted):
            return
        if self._origin is None:
            # Sums about a value near the mean keep their digits.
            self._origin = predicted.mean(0, dtype=float), recorded.mean(0, dtype=float)
        one, two = predicted - self._origin[0], recorded - self._origin[1]
        pieces = (one, two, one * one, two * two, one * two)
        self._sums = [total + piece.sum(0) for total, piece in zip(self._sums, pieces, strict=True)]
        self._count += len(one)

    def value(self, *, constant_prediction: float = math.nan) -> FloatArray:
        """Return the correlation of each neuron.

        Parameters
        ----------
        constant_prediction : float
            What a neuron has whose prediction alone is constant.

        Returns
        -------
        float array, shape (neuron,)
            NaN where the recorded trace is constant.
        """
        one, two, one_one, two_two, one_two = map(np.asarray, self._sums)
        count = max(self._count, 1)
        spread = np.maximum(one_one - one * one / count, 0)
        recorded_spread = np.maximum(two_two - two * two / count, 0)
        power = spread * recorded_spread
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = (one_two - one * two / count) / np.sqrt(power)
        is_known = power > 1e-20 * one_one * two_two
        only_prediction = ~is_known & (recorded_spread > 1e-10 * two_two)
        other = np.where(only_prediction, constant_prediction, np.nan)
        return np.asarray(np.where(is_known, correlation, other))
