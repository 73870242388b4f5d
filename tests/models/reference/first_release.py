"""Networks, inputs and run folders of the first release of ViV1T, to compare ours against.

``build`` makes the plain network, ``default_args`` small options under the published names,
``write_run_folder`` a folder as the released training wrote it, with random weights.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .first_release_network import Network

#: What the options of a training run were beside the architecture.
TRAINING = {
    "data": "data/sensorium",
    "output_dir": "runs/vivit/test",
    "ds_mode": 3,
    "stat_mode": 1,
    "transform_mode": 2,
    "center_crop": 1.0,
    "limit_data": None,
    "cache_data": False,
    "num_workers": 2,
    "epochs": 400,
    "batch_size": 6,
    "micro_batch_size": 6,
    "device": "cuda",
    "seed": 1234,
    "deterministic": False,
    "precision": "bf16",
    "grad_checkpointing": 0,
    "restore": None,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_eps": 1e-08,
    "criterion": "poisson_correlation",
    "ds_scale": 1,
    "grad_norm": None,
    "save_plots": False,
    "dpi": 120,
    "format": "svg",
    "wandb": None,
    "wandb_id": None,
    "clear_output_dir": True,
    "verbose": 2,
    "critic_mode": 0,
    "git_hash": "0a11351",
    "hostname": "workstation",
}

#: The published transformer, and the small one that tests build: twelve channels, four by eight
#: places, answers for up to forty frames.
PUBLISHED_CORE = {
    "lr": 0.0036,
    "core_lr": 0.0048,
    "weight_decay": 0.3939,
    "core_weight_decay": 0.1789,
    "core_behavior_mode": 2,
    "core_patch_mode": 0,
    "core_pos_encoding": 3,
    "core_spatial_patch_size": 7,
    "core_spatial_patch_stride": 2,
    "core_spatial_depth": 3,
    "core_temporal_patch_size": 25,
    "core_temporal_patch_stride": 1,
    "core_temporal_depth": 5,
    "core_num_heads": 11,
    "core_emb_dim": 112,
    "core_head_dim": 48,
    "core_mlp_dim": 136,
    "core_ff_activation": "gelu",
    "core_p_dropout": 0.1338,
    "core_mha_dropout": 0.358,
    "core_ff_dropout": 0.0592,
    "core_drop_path": 0.0505,
    "core_parallel_attention": True,
    "core_flash_attention": 1,
    "core_norm_qk": False,
    "pretrain_core": None,
    "max_frame": 300,
    "crop_frame": 140,
}
SMALL_CORE = PUBLISHED_CORE | {
    "core_spatial_patch_size": 8,
    "core_spatial_patch_stride": 8,
    "core_spatial_depth": 2,
    "core_temporal_depth": 2,
    "core_num_heads": 2,
    "core_emb_dim": 12,
    "core_head_dim": 5,
    "core_mlp_dim": 10,
    "max_frame": 40,
    "crop_frame": 30,
}
FACTORIZED_CORE = {
    "lr": 0.005,
    "core_lr": None,
    "weight_decay": 0.0,
    "core_weight_decay": 0.0,
    "core_behavior_mode": 1,
    "core_spatial_input_kernel": 11,
    "core_temporal_input_kernel": 11,
    "core_spatial_hidden_kernel": 5,
    "core_temporal_hidden_kernel": 5,
    "core_num_layers": 4,
    "core_hidden_dim": 2,
    "core_dropout": 0.0,
    "max_frame": 40,
    "crop_frame": 30,
}
CORES = {"vivit": SMALL_CORE, "factorized_baseline": FACTORIZED_CORE}
READOUTS = {
    "gaussian2d": {"readout_grid_mode": 1, "readout_bias_mode": 2, "readout_dropout": 0.0},
    "factorized": {"readout_bias_mode": 2, "readout_dropout": 0.0},
}
#: The command line knows the options of a modulator only where it is asked for.
MODULATOR_OPTIONS: dict[int, dict[str, Any]] = {
    0: {},
    1: {
        "modulator_include_history": 1,
        "modulator_history_size": 5,
        "modulator_history_dropout": 0.0,
        "modulator_include_behaviors": 2,
        "modulator_behaviors_dropout": 0.0,
        "modulator_weight_decay": 0.0,
    },
    2: {"modulator_weight_decay": 0.0, "modulator_hidden_dim": 16, "modulator_dropout": 0.0},
    3: {
        "modulator_history_size": 5,
        "modulator_history_dropout": 0.0,
        "modulator_weight_decay": 0.0,
    },
    4: {
        "modulator_activation": "tanh",
        "modulator_dropout": 0.0,
        "modulator_weight_decay": 0.0,
    },
}
#: Filled in by the released code where an older ``args.yaml`` has no such option.
FALLBACKS = {
    "core_parallel_attention": False,
    "core_norm_qk": False,
    "core_ff_activation": "gelu",
}
NEURONS = {"A": 12, "F": 7}


def default_args(*, neurons: Mapping[str, int] = NEURONS, **changes: Any) -> dict[str, Any]:
    """Options as ``args.yaml`` holds them: the published kind of network, small.

    Options that the released command line offers only beside others (a shifter's, a modulator's)
    follow what ``changes`` asks for; a change that no option knows is an error.
    """
    args = {"core": "vivit", "core_compile": False, "readout": "gaussian2d"}
    args |= {"shifter_mode": 1, "modulator_mode": 0, "output_mode": 1}
    args |= {name: value for name, value in changes.items() if name in args}
    args |= TRAINING | CORES[args["core"]] | READOUTS[args["readout"]]
    args |= MODULATOR_OPTIONS[args["modulator_mode"]]
    if args["shifter_mode"]:
        args |= {"shifter_layers": 3, "shifter_size": 5}
    unknown = sorted(set(changes) - set(args))
    if unknown:
        raise KeyError(f"no such option in this combination: {unknown}")
    args |= changes
    frames = args["crop_frame"]
    args["mouse_ids"] = list(neurons)
    args["input_shapes"] = {
        "video": [1, frames, 36, 64],
        "behavior": [2, frames],
        "pupil_center": [2, frames],
    }
    args["output_shapes"] = {mouse: [number, frames] for mouse, number in neurons.items()}
    return args


def published_args() -> dict[str, Any]:
    """The options of the published five networks, for two small mice."""
    return default_args(**PUBLISHED_CORE)


def build(args: Mapping[str, Any]) -> Network:
    """The network of these options, initialized alike in every call, in evaluation mode."""
    options = FALLBACKS | dict(args)
    if options.get("core_ff_dropout") is None:
        options["core_ff_dropout"] = options.get("core_mha_dropout")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network(options).eval()


def random_inputs(
    args: Mapping[str, Any], *, trials: int, frames: int, seed: int
) -> dict[str, Tensor]:
    """Standardized inputs: ``video``, ``behavior`` and ``pupil_center`` of so many frames."""
    rng = np.random.default_rng(seed)
    shapes = args["input_shapes"]
    inputs = {}
    for name in ("video", "behavior", "pupil_center"):
        channels, _, *picture = shapes[name]
        values = rng.normal(0, 0.7, (trials, channels, frames, *picture))
        inputs[name] = torch.from_numpy(values.astype(np.float32))
    return inputs


def perturb(network: nn.Module, *, seed: int) -> None:
    """Random weights under which every term moves the answer; saved constants keep their value."""
    rng = np.random.default_rng(seed)
    named = dict(network.named_modules())
    learned = {name for name, _ in network.named_parameters()}
    for name, old in network.state_dict().items():
        owner, _, kind = name.rpartition(".")
        shape = tuple(old.shape)
        norm = isinstance(named[owner], nn.LayerNorm | nn.BatchNorm3d)
        if kind == "source_grid":
            new = rng.uniform(-500, 500, shape)
            new = (new - new.mean(axis=0)) / np.abs(new - new.mean(axis=0)).max()
        elif kind == "num_batches_tracked":
            new = np.array(37)
        elif kind == "running_var" or (norm and kind == "weight"):
            new = rng.uniform(0.5, 1.5, shape)
        elif name not in learned and kind != "running_mean":
            continue
        elif kind in ("_features", "features"):
            new = rng.normal(0, 0.35 * shape[1] ** -0.5, shape)  # logits of about one
        elif kind == "spatial":
            new = rng.normal(0, 0.1, shape)
        elif kind.startswith(("weight", "bias_", "running")) or len(shape) == 1:
            inputs = int(np.prod(shape[1:])) if len(shape) > 1 else 10
            new = rng.normal(0, inputs**-0.5, shape)
        else:  # learned positions, centers and spreads
            new = rng.normal(0, 0.5, shape)
        old.copy_(torch.from_numpy(new.astype(np.float32)))


def write_run_folder(folder: Path, args: Mapping[str, Any], *, seed: int) -> Network:
    """Write ``args.yaml`` and ``ckpt/model_state.pt`` as the release did, and return the network.

    Beside the weights the checkpoint holds the optimizer and the attributes of the scheduler, one
    of which is a NumPy number: a reader of weights alone refuses the file, as it does the real one.
    """
    network = build(args)
    optimizer = _stepped_optimizer(network, args)
    perturb(network, seed=seed)
    parameters = sum(weights.numel() for weights in network.parameters())
    (folder / "ckpt").mkdir(parents=True)
    text = _yaml({**args, "trainable_params": parameters})
    (folder / "args.yaml").write_text(text, encoding="utf-8")
    correlation = np.float64(0.2507)
    scheduler = {
        "mode": "max",
        "module_names": None,
        "max_reduce": 3,
        "num_reduce": 1,
        "lr_patience": 5,
        "lr_wait": 0,
        "min_lr": float(np.finfo(np.float32).eps),
        "factor": 0.3,
        "min_epochs": 0,
        "best_value": correlation,
        "checkpoint_dir": "runs/vivit/test/ckpt",
        "save_optimizer": True,
        "save_scheduler": True,
        "best_epoch": 41,
    }
    checkpoint = {
        "epoch": 41,
        "value": float(correlation),
        "model": OrderedDict(network.state_dict()),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler,
    }
    torch.save(checkpoint, folder / "ckpt" / "model_state.pt")
    return network


def _stepped_optimizer(network: nn.Module, args: Mapping[str, Any]) -> torch.optim.Optimizer:
    """AdamW with the released groups after one step, so that it has a state to save."""
    groups = []
    for name in ("core", "readouts", "shifters", "modulators"):
        module = getattr(network, name, None)
        if module is not None:
            groups.append({"params": list(module.parameters()), "name": name})
    groups[0]["lr"] = args["core_lr"] or args["lr"]
    groups[0]["weight_decay"] = args["core_weight_decay"]
    optimizer = torch.optim.AdamW(groups, lr=args["lr"], weight_decay=args["weight_decay"])
    for weights in network.parameters():
        weights.grad = torch.full_like(weights, 1e-3)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return optimizer


def _yaml(options: Mapping[str, Any]) -> str:
    """YAML 1.2 in the released form: sorted, lists in one line, ``1e-08`` without a point."""
    lines = []
    for name in sorted(options):
        value = options[name]
        if isinstance(value, dict):
            lines.append(f"{name}:")
            lines += [f"  {key}: {_yaml_value(value[key])}" for key in sorted(value)]
        else:
            lines.append(f"{name}: {_yaml_value(value)}")
    return "\n".join(lines) + "\n"


def _yaml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_yaml_value(item) for item in value)}]"
    if isinstance(value, str):
        # A string of digits is quoted: the precision of a run is '32', not 32.
        return f"'{value}'" if value.replace(".", "").isdigit() or not value else value
    return json.dumps(value)
