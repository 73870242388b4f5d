"""How much each pixel moves each neuron's response: gradients of a prepared twin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.errors import StimulusError
from insilico.twin.plan import count_uniform
from insilico.twin.prepared import BATCH_PIXELS, PreparedTwin, check_values

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Pixels of a batch: 64 images of 36 x 64. A backward pass keeps what the layers said, and larger
#: batches of it leave fast memory (``benchmarks/estimators.py``).
GRADIENT_PIXELS = BATCH_PIXELS // 2


def response_gradients(
    prepared: PreparedTwin,
    stimulus: np.ndarray[Any, Any],
    *,
    last_frames: int | None = None,
    first_trial: int = 0,
    on_batch: Callable[[int], None] | None = None,
) -> FloatArray:
    """Differentiate every neuron's response by every pixel, batch by batch.

    Trials are independent of each other, so one backward pass a neuron gives its exact gradients at
    all stimuli of a batch; the forward pass is shared. A twin that was prepared for one neuron
    computes no more than that neuron's answer needs, which is the cheapest way for networks that
    look through a window (measured in ``benchmarks/estimators.py``).

    Parameters
    ----------
    prepared : PreparedTwin
        Its window says which frames of a movie are answered: the response is their mean. Of an
        ensemble it is the mean over members.
    stimulus : array, shape (trial[, channel][, frame], y, x)
        uint8 or floating. Uniform frames at the beginning of movies are a lead: where they are not
        to be differentiated by, they are shown once and remembered.
    last_frames : int, optional
        Differentiate by no more than the last frames of a movie; by all when left out.
    first_trial : int
        Number of the first of these trials, where the state was given trial by trial.
    on_batch : callable, optional
        Called with the number of trials done, after each batch.

    Returns
    -------
    float array, shape (trial, neuron[, channel][, frame], y, x)
        In units of the response by units of the stimulus.

    Raises
    ------
    ShapeError, StimulusError
        If the stimulus does not fit the twin, or the twin cannot be differentiated.
    """
    check_values(stimulus)
    prepared = dataclasses.replace(prepared, members=False)
    if lead := _lead_frames(prepared, stimulus, last_frames):
        level = torch.tensor(float(stimulus.flat[0]))
        gray_level = float(prepared.stimulus_units.standardize(level))
        prepared = dataclasses.replace(prepared, lead_frames=lead, gray_level=gray_level)
        stimulus = stimulus[..., lead:, :, :]
    step = max(1, GRADIENT_PIXELS // max(1, int(np.prod(stimulus.shape[1:]))))
    batches = []
    for start in range(0, len(stimulus), step):
        # A copy: torch would warn of arrays that it may not write to.
        batch = torch.from_numpy(np.array(stimulus[start : start + step], order="C"))
        trials = slice(first_trial + start, first_trial + start + len(batch))
        batches.append(_differentiate(prepared, batch, trials, last_frames))
        if on_batch is not None:
            on_batch(len(batch))
    return np.concatenate(batches)


def _differentiate(
    prepared: PreparedTwin, stimulus: Tensor, trials: slice, last_frames: int | None
) -> FloatArray:
    """Return the gradients (trial, neuron, ...) at one batch of stimuli."""
    shown = stimulus.to(prepared.device, prepared.dtype).requires_grad_()
    with torch.enable_grad():
        answers = prepared.forward(shown, trials)
        responses = answers.mean(-1) if prepared.kind == "movie" else answers
        if not responses.requires_grad:
            raise StimulusError(
                "the model cuts its responses off from the stimulus, so they have no gradient; "
                'choose estimator = "covariance"'
            )
        gradients = [_gradient(of_one.sum(), shown) for of_one in responses.unbind(1)]
    if prepared.kind == "movie" and last_frames is not None:
        gradients = [gradient[..., -last_frames:, :, :] for gradient in gradients]
    return np.asarray(torch.stack(gradients, dim=1).cpu().numpy())


def _gradient(total: Tensor, stimulus: Tensor) -> Tensor:
    # The graph is kept for the other neurons of the batch; it goes with the last reference.
    return torch.autograd.grad(total, stimulus, retain_graph=True)[0]


def _lead_frames(
    prepared: PreparedTwin, stimulus: np.ndarray[Any, Any], last_frames: int | None
) -> int:
    """Return how many uniform frames come before all that is answered or differentiated by."""
    if prepared.kind == "image" or prepared.lead_frames:
        return 0
    if prepared.window is None or last_frames is None:
        return 0
    # A lead has one level, so channels must not differ.
    if stimulus.ndim == 5 and stimulus.shape[1] > 1:
        return 0
    before = max(0, min(prepared.window[0], stimulus.shape[-3] - last_frames))
    early = np.array(stimulus[..., :before, :, :], order="C").reshape(
        len(stimulus), 1, before, *stimulus.shape[-2:]
    )
    return count_uniform(torch.from_numpy(early)) if before else 0
