"""The published V1T image models, their options, and run folders in their format, for tests.

References
----------
``models.md`` 6 and 7.2 of our specification; names of options and their defaults were checked in
bryanlimy/V1T, ``train.py`` and ``src/v1t/utils/scheduler.py`` (MIT licence).
"""

from __future__ import annotations

import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
import yaml
from reference.v1t_image_model import build
from reference.v1t_image_weights import drawn_tensors, randomize
from torch import Tensor, nn

__all__ = [
    "PUBLISHED_SIZES",
    "build",
    "default_args",
    "drawn_tensors",
    "random_inputs",
    "randomize",
    "write_run_folder",
]

#: What every published run names, with a value of ours where the published one is no default.
COMMON_ARGS: dict[str, Any] = {
    "adam_beta1": 0.9,
    "adam_beta2": 0.9999,
    "adam_eps": 1e-8,
    "amp": False,
    "backend": None,
    "batch_size": 16,
    "behavior_mode": 3,
    "center_crop": 1.0,
    "clear_output_dir": False,
    "core": "vit",
    "core_lr": 0.001647,
    "criterion": "poisson",
    "dataset": "data/sensorium",
    "deterministic": False,
    "device": "cpu",
    "dpi": 120,
    "ds_name": "sensorium",
    "ds_scale": 1,
    "epochs": 400,
    "format": "svg",
    "git_hash": "0000000",
    "grad_checkpointing": False,
    "gray_scale": False,
    "hostname": "example",
    "input_shape": [1, 144, 256],
    "limit_data": None,
    "lr": 0.001647,
    "micro_batch_size": 16,
    "num_workers": 2,
    "output_dir": "runs/example",
    "output_shapes": {"A": [12], "C": [7]},
    "pretrain_core": "",
    "readout": "gaussian2d",
    "resize_image": 1,
    "save_plots": False,
    "seed": 1234,
    "shift_mode": 2,
    "use_wandb": False,
    "verbose": 1,
    "wandb_group": "",
}

READOUT_ARGS: dict[str, Any] = {
    "bias_mode": 0,
    "disable_grid_predictor": False,
    "grid_predictor_dim": 2,
    "readout_reg_scale": 0.0076,
}

_TRANSFORMER_ARGS: dict[str, Any] = {
    "core_reg_scale": 0.5379,
    "drop_path": 0.0,
    "emb_dim": 20,
    "mlp_dim": 32,
    "num_blocks": 2,
    "num_heads": 2,
    "p_dropout": 0.0229,
    "patch_size": 8,
    "patch_stride": 1,
    "t_dropout": 0.2544,
}

#: Options of each core, at sizes for tests.
CORE_ARGS: dict[str, dict[str, Any]] = {
    "vit": {**_TRANSFORMER_ARGS, "disable_bias": False, "patch_mode": 0, "use_lsa": False},
    "cct": {**_TRANSFORMER_ARGS, "pos_emb": "sine"},
    "stn": {"core_reg_scale": 0.045, "dropout": 0.1135, "num_filters": 6, "num_layers": 3},
    "stacked2d": {
        "core_reg_hidden": 0.0,
        "core_reg_input": 6.3831,
        "dropout": 0.0,
        "linear": False,
        "num_layers": 4,
    },
}

#: The published sizes, where they differ from those for tests.
PUBLISHED_SIZES: dict[str, dict[str, Any]] = {
    "vit": {"emb_dim": 155, "mlp_dim": 488, "num_blocks": 4, "num_heads": 4},
    "cct": {"emb_dim": 160, "mlp_dim": 488, "num_blocks": 4, "num_heads": 4},
    "stn": {"num_filters": 63, "num_layers": 7},
    "stacked2d": {},
}


def default_args(**changes: Any) -> dict[str, Any]:
    """Return the options of a small published run, as ``args.yaml`` holds them.

    Parameters
    ----------
    **changes
        Options by their published names. ``core`` and ``shift_mode`` decide, as in the published
        command line, which other options exist; ``behavior_mode`` is 0 for stn and stacked2d,
        which read no behavior in their blocks.

    Raises
    ------
    ValueError
        If a change is no option of such a run.
    """
    core = changes.get("core", "vit")
    args = COMMON_ARGS | READOUT_ARGS | CORE_ARGS[core]
    if core in ("stn", "stacked2d"):
        args["behavior_mode"] = 0
    shift_mode = changes.get("shift_mode", args["shift_mode"])
    if shift_mode > 0:
        args["shifter_reg_scale"] = 0.0
    if shift_mode > 1:
        args["cropper_reg_scale"] = 0.0
    args["mouse_ids"] = list(changes.get("output_shapes", args["output_shapes"]))
    if unknown := set(changes) - set(args):
        raise ValueError(f"a run of {core} has no options {sorted(unknown)}")
    return args | changes


def random_inputs(args: dict[str, Any], *, trials: int, seed: int) -> dict[str, Tensor]:
    """Return standardized ``images``, ``behavior`` (trial, 3) and ``pupil_center`` (trial, 2)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"images": tuple(args["input_shape"]), "behavior": (3,), "pupil_center": (2,)}
    return {
        name: torch.randn(trials, *shape, generator=generator) for name, shape in shapes.items()
    }


def write_run_folder(folder: Path, args: dict[str, Any], *, seed: int) -> nn.Module:
    """Write a run folder as the published code does, with random weights that all matter.

    Parameters
    ----------
    folder : Path
        Made if needed; gets ``args.yaml`` and ``ckpt/model_state.pt``. The latter holds live
        objects beside the weights, as the published files do: ``torch.load`` refuses it with
        ``weights_only=True``.
    args : dict
        The options, see :func:`default_args`.
    seed : int
        Of the weights.

    Returns
    -------
    nn.Module
        The model that was written, in evaluation mode.
    """
    model = build(args)
    optimizer = _used_optimizer(model, args)
    randomize(model, seed=seed)
    (folder / "ckpt").mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(args, sort_keys=True)
    (folder / "args.yaml").write_text(text, encoding="utf-8")
    scaler = _grad_scaler()
    state = {
        "epoch": 120,
        "value": 0.4612,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "scheduler": _scheduler(args, scaler),
    }
    torch.save(state, folder / "ckpt" / "model_state.pt")
    return model


def _used_optimizer(model: nn.Module, args: dict[str, Any]) -> torch.optim.Optimizer:
    """Return an optimizer that has taken one step, with the published groups."""
    groups = []
    for name in ("core", "readouts", "image_cropper", "core_shifter"):
        part = getattr(model, name)
        parameters = [] if part is None else list(part.parameters())
        if parameters:
            groups.append({"params": parameters, "name": name})
    groups[0]["lr"] = args["core_lr"] or args["lr"]
    betas = (args["adam_beta1"], args["adam_beta2"])
    optimizer = torch.optim.AdamW(
        groups, lr=args["lr"], betas=betas, eps=args["adam_eps"], weight_decay=0
    )
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def _grad_scaler() -> Any:
    """Return the scaler that the published runs carry: of the older class, and switched off."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cuda.amp.GradScaler(enabled=False)


def _scheduler(args: dict[str, Any], scaler: Any) -> dict[str, Any]:
    """Return the attributes of the published scheduler, live objects among them."""
    return {
        "mode": "max",
        "scaler": scaler,
        "module_names": None,
        "max_reduce": 2,
        "num_reduce": 0,
        "lr_patience": 10,
        "lr_wait": 0,
        "factor": 0.3,
        "min_epochs": 0,
        "best_value": np.float64(0.4612),
        "best_epoch": 120,
        "checkpoint_dir": PurePosixPath(args["output_dir"], "ckpt"),
        "save_optimizer": True,
        "save_scheduler": True,
        "device": torch.device(args["device"]),
        "verbose": args["verbose"],
    }
