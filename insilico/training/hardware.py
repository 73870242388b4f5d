"""Where training runs: one process, or several that torchrun has started."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor, nn

from insilico.twin.twin import choose_device


def start_fabric(device: str | torch.device = "auto", *, precision: str = "float32") -> Fabric:
    """Return the hardware to train on; under torchrun, this process' part of it.

    Parameters
    ----------
    device : str or torch.device
        "cpu", "cuda", "mps", or "auto" for a GPU where there is one.
    precision : {"float32", "bfloat16"}
        "bfloat16" is autocast; weights stay float32.

    Returns
    -------
    Fabric
        Launched.

    Raises
    ------
    UnitsError
        If there is no such device.
    """
    chosen = choose_device(device)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    is_joined = TorchElasticEnvironment.detect()
    process_count = TorchElasticEnvironment().world_size() if is_joined else 1
    with warnings.catch_warnings():
        # Fabric warns of clusters and tensor cores, which are no matter of this process.
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator=chosen.type,
            devices=process_count if is_joined or chosen.index is None else [chosen.index],
            strategy="ddp" if is_joined else "auto",
            precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        )
        fabric.launch()
    return fabric


def add_up(fabric: Fabric, values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if fabric.world_size == 1:
        return values
    return cast(Tensor, fabric.all_reduce(values, reduce_op="sum"))


def sum_gradients(fabric: Fabric, parameters: Iterable[nn.Parameter]) -> None:
    """Add the gradients of all processes, in one message.

    Parameters
    ----------
    fabric : Fabric
        Joins the processes.
    parameters : iterable of Parameter
        The same on every process; where one has no gradient it counts as zero.
    """
    if fabric.world_size == 1:
        return
    chosen = list(parameters)
    grads = [
        torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for parameter in chosen
    ]
    total = add_up(fabric, torch.cat([grad.flatten() for grad in grads]))
    pieces = torch.split(total, [grad.numel() for grad in grads])
    for parameter, piece in zip(chosen, pieces, strict=True):
        parameter.grad = piece.view_as(parameter).clone()
