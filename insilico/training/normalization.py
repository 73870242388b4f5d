"""Running statistics of batch normalization that do not depend on the order of mice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: Sums a tensor over all processes.
Reduce = Callable[[Tensor], Tensor]


class StepStatistics:
    """Updates running statistics once a step, by the mean over the step's mice.

    A network that sees one mouse after another would keep, at the published momentum of 0.7 or 0.9,
    little but the statistics of the last mouse. Here every unit of a step starts from the same
    running statistics, and the step ends with the weighted mean of what they arrived at: all mice
    count alike, in any order, in any number of micro-batches and on any number of processes.

    Parameters
    ----------
    network : Module
        Its layers of batch normalization in training mode are watched.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = [
            layer
            for layer in network.modules()
            if isinstance(layer, _BatchNorm) and layer.training and layer.running_mean is not None
        ]

    @contextmanager
    def step(self, reduce: Reduce) -> Iterator[Callable[[float], None]]:
        """Watch one step.

        Parameters
        ----------
        reduce : callable
            Sums a tensor over all processes.

        Yields
        ------
        callable
            To be called after each unit with its weight; the weights of a step, over all processes,
            add up to 1.
        """
        counts = [
            layer.num_batches_tracked
            for layer in self._layers
            if layer.num_batches_tracked is not None
        ]
        steps = [count + 1 for count in counts]
        buffers = [*self._buffers()]
        starts = [buffer.clone() for buffer in buffers]
        sums = [torch.zeros_like(buffer) for buffer in buffers]

        def after_unit(weight: float) -> None:
            for buffer, start, total in zip(buffers, starts, sums, strict=True):
                total += weight * buffer
                buffer.copy_(start)

        yield after_unit
        for buffer, total in zip(buffers, sums, strict=True):
            buffer.copy_(reduce(total))
        for count, step in zip(counts, steps, strict=True):
            count.copy_(step)

    def _buffers(self) -> Iterator[Tensor]:
        for layer in self._layers:
            for buffer in (layer.running_mean, layer.running_var):
                if buffer is not None:
                    yield buffer


def refresh_statistics(network: nn.Module, forwards: Iterable[Callable[[], object]]) -> None:
    """Measure running statistics anew, as the mean over some batches.

    A schedule-free optimizer trains at other weights than it answers with; the statistics that
    belong to the answering weights were never seen in training.

    Parameters
    ----------
    network : Module
        In training mode where its statistics are to be measured.
    forwards : iterable of callable
        Each passes one batch through the network.
    """
    layers = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
    with torch.no_grad():
        for forward in forwards:
            forward()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
