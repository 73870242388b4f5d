"""Run folders as ViV1T-closed-loop writes them, with random weights: every core, every readout.

``from reference import closed_loop`` in a test of ``tests/models``; it builds upon
``benchmarks/yardstick.py``, so pytest must be started as ``python -m pytest`` at the root. What
insilico imports from such a folder is compared with what the returned network answers.

References
----------
ViV1T-closed-loop (github.com/bryanlimy/ViV1T-closed-loop, MIT): train.py (options, defaults),
viv1t/checkpoint.py and viv1t/utils/utils.py (files of a run).
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
import yaml
from reference import closed_loop_cores as cores
from reference import closed_loop_options as options
from reference import closed_loop_readouts as readouts
from torch import Tensor, nn

from benchmarks import yardstick
from benchmarks.yardstick import Args

CORES = {
    "vivit": yardstick.VivitCore,
    "fcnn": cores.FactorizedCore,
    "v1t": cores.ImageTransformerCore,
    "linear": cores.LinearCore,
    "gru_baseline": cores.RecurrentCore,
}
READOUTS = {
    "gaussian": yardstick.GaussianReadout,
    "factorized": readouts.FactorizedReadout,
    "conv": readouts.ConvolvedReadout,
    "linear": readouts.LinearReadout,
}
MICE = {"A": 12, "L": 7}

#: Modules whose weight is a gain.
NORMS = (*yardstick.NORMS.values(), nn.BatchNorm1d, nn.BatchNorm3d)


def build(args: Args) -> yardstick.Model:
    """Build any published network from the mapping of ``args.yaml``, in training mode."""
    core = CORES[args["core"]](args)
    if args["readout"] == "attention":
        read: nn.Module = readouts.AttentionReadouts(core.output_shape, args)
    else:
        read = yardstick.Readouts(READOUTS[args["readout"]], core.output_shape, args)
    return yardstick.Model(args, core=core, readouts=read)


def default_args(
    *,
    core: str = "vivit",
    readout: str = "gaussian",
    mice: dict[str, int] | None = None,
    max_frame: int = 30,
    small: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    """Return the flat mapping of ``args.yaml``.

    Parameters
    ----------
    core, readout : str
        Published names; they decide which options there are.
    mice : dict, optional
        Neurons by mouse; A with 12 and L with 7 unless given.
    max_frame : int
        Frames of a trial that the network was built for.
    small : bool
        Replace the published sizes of the core by some that are fast to test.
    **changes
        Options that differ from the published setting.

    Raises
    ------
    KeyError
        If there is no such option for this core and readout.
    """
    args = dict(options.COMMON)
    args |= options.CORES[core] | (options.SMALL[core] if small else {})
    args |= options.READOUTS[readout]
    if changes.get("shifter_mode", 1):
        args |= {"shifter_layers": 3, "shifter_size": 5}
    undefined = options.UNDEFINED if core == "gru_baseline" else set()
    if unknown := set(changes) - set(args) - undefined:
        raise KeyError(f"{core} with {readout} has no option {', '.join(sorted(unknown))}")
    args |= {"core": core, "readout": readout, "max_frame": max_frame, "crop_frame": max_frame}
    args |= _data(MICE if mice is None else mice, max_frame) | changes
    return args


def _data(mice: dict[str, int], frames: int) -> dict[str, Any]:
    variables = {"behavior": [2, frames], "pupil_center": [2, frames]}
    return {
        "mouse_ids": list(mice),
        "input_shapes": {"video": [1, frames, 36, 64], **variables},
        "output_shapes": {mouse: [neurons, frames] for mouse, neurons in mice.items()},
        "neuron_idx": {mouse: list(range(neurons)) for mouse, neurons in mice.items()},
        "train_sizes": dict.fromkeys(mice, 300),
    }


def random_inputs(args: Args, *, trials: int, frames: int, seed: int) -> dict[str, Tensor]:
    """Draw standardized video, behavior and pupil center, by the names that a model takes."""
    random = torch.Generator().manual_seed(seed)
    channels, _, *size = args["input_shapes"]["video"]
    shapes = {"video": (trials, channels, frames, *size)}
    shapes |= dict.fromkeys(("behavior", "pupil_center"), (trials, 2, frames))
    return {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}


def write_run_folder(folder: Path, args: Args, *, seed: int) -> yardstick.Model:
    """Write ``args.yaml``, ``ckpt/model.pt`` and ``ckpt/info.yaml``.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    args : mapping
        Of ``default_args``.
    seed : int
        Of the random weights.

    Returns
    -------
    Model
        The network of the weights that were written, in evaluation mode.
    """
    model = build(args)
    perturb(model, seed=seed)
    checkpoint = folder / "ckpt"
    checkpoint.mkdir(parents=True, exist_ok=True)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    (folder / "args.yaml").write_text(yaml.safe_dump({**args, "trainable_params": trainable}))
    torch.save(OrderedDict(model.state_dict()), checkpoint / "model.pt")
    (checkpoint / "info.yaml").write_text(yaml.safe_dump({"epoch": 7, "best_corr": 0.25}))
    return model.eval()


@torch.no_grad()
def perturb(model: nn.Module, *, seed: int) -> None:
    """Draw every learned number so that none can be left out; constants keep their value."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parent, _, leaf = name.rpartition(".")
            module = model.get_submodule(parent)
            noise = torch.randn(parameter.shape, generator=random)
            parameter.copy_(_learned(module, leaf, noise))
    for name, buffer in model.named_buffers():
        leaf = name.rpartition(".")[2]
        if leaf == "num_batches_tracked":
            buffer.fill_(123)
        if leaf in ("source_grid", "running_mean", "running_var"):
            noise = torch.randn(buffer.shape, generator=random)
            centered = noise - noise.mean(dim=0)
            unit = centered / centered.abs().max()
            buffer.copy_({"source_grid": unit, "running_var": 1 + unit / 2}.get(leaf, unit))


def _learned(module: nn.Module, leaf: str, noise: Tensor) -> Tensor:
    if isinstance(module, NORMS):
        spread = {"weight": (1, 0.5), "bias": (0, 0.5), "alpha": (1.2, 0.3)}
        center, width = spread[leaf]
        return center + width * noise.tanh()
    if isinstance(module, cores.LinearCore) or leaf.endswith(("tokens", "token", "embedding")):
        return noise
    match leaf:
        case "bias":
            return 0.3 * noise
        case "sigma" | "_mu":
            return noise.tanh()
        case "log_beta":
            return 0.5 + noise.abs()
        case "neuron_query":
            return noise
        case "features" | "_features":
            return noise / noise.shape[1] ** 0.5
        case "coeffs":
            return noise / noise[..., 0].numel() ** 0.5
    return noise / noise[0].numel() ** 0.5  # sums over what comes in stay of about one
