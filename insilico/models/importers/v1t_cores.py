"""Cores of V1T, from its options and names to ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from insilico.models.cores.cct import sine_positions
from insilico.models.cores.regularizers import Laplace
from insilico.models.cores.vit_blocks import SHARED
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import Constant, Part, Rename, choose

#: Patches by the published number (V1T, src/v1t/models/core/vit.py), with the names of their
#: weights there and here.
PATCHES: Mapping[int, tuple[str, Mapping[int, str]]] = {
    0: ("linear", {2: "convolution"}),
    1: ("convolution", {0: "convolution"}),
    2: ("shifted", {3: "patch_norm", 4: "linear"}),
    3: ("normalized", {2: "patch_norm", 3: "linear", 4: "token_norm"}),
}

#: Modes in which behavior, and those in which gaze too, enters the core; and where (V1T,
#: src/v1t/models/core/vit.py and image_cropper.py).
BEHAVIOR_MODES, GAZE_MODES = (1, 2, 3, 4), (3, 4)
STATE_ENTRIES = {
    0: "blocks",
    1: "channels",
    2: "blocks",
    3: "blocks",
    4: "blocks by mouse",
}

_LAPLACE_KEY = "core._input_weights_regularizer.laplace.filter"


def vit(run: RunFolder) -> Part:
    """Translate the core ``vit``, V1T itself; see :func:`translate_core`."""
    mode = choose(run, "behavior_mode", {known: known for known in STATE_ENTRIES})
    width, is_local = run.count("emb_dim"), run.option("use_lsa", bool, default=False)
    patches, names = choose(run, "patch_mode", PATCHES, default=0)
    patch_px = run.option("patch_size", int)
    options = _state_options(mode) | {
        "patches": patches,
        "patch_px": patch_px,
        "stride_px": run.option("patch_stride", int, default=1),
        "token_width": width,
        "blocks": run.option("num_blocks", int),
        "heads": run.option("num_heads", int),
        "feedforward": run.option("mlp_dim", int),
        "token_dropout": run.option("p_dropout", float),
        "block_dropout": run.option("t_dropout", float),
        "drop_path": (drop_path := run.option("drop_path", float, default=0.0)),
        "local_attention": is_local,
        "has_bias": not run.option("disable_bias", bool, default=False),
        "compatibility": True,
    }
    constants = [
        _regularizer_scale(run),
        Constant(r"core\.transformer\.drop_path\.keep_prop", 1 - drop_path),
        Constant(r"core\.transformer\.blocks\.\d+\.mha\.mask", _diagonal(run)),
        Constant(r"core\.transformer\.blocks\.\d+\.mha\.max_value", torch.finfo(torch.float32).max),
    ]
    if not is_local:
        constants.append(Constant(r"core\.transformer\.blocks\.\d+\.mha\.scale", width**-0.5))
    renames = [
        *patch_renames(r"core\.patch_embedding\.", names, patch_px=patch_px),
        *block_renames(r"core\.transformer\.blocks\.", feedforward=r"mlp\.model\."),
        *_behavior_renames(r"core\.transformer\.blocks\.(\d+)\.b-mlp\."),
    ]
    return Part(options, renames, constants, architecture="v1t", reads_state=mode > 0)


def cct(run: RunFolder) -> Part:
    """Translate the core ``cct``, a compact transformer; see :func:`translate_core`."""
    mode = choose(run, "behavior_mode", {0: 0, 3: 3, 4: 4})
    positions = choose(run, "pos_emb", {"sine": "sine", "none": "none"})
    width, heads = run.count("emb_dim"), run.option("num_heads", int)
    blocks, drop_path = run.option("num_blocks", int), run.option("drop_path", float, default=0.0)
    options = _state_options(mode) | {
        "patch_px": run.option("patch_size", int),
        "stride_px": run.option("patch_stride", int, default=1),
        "token_width": width,
        "blocks": blocks,
        "heads": heads,
        "feedforward": run.option("mlp_dim", int),
        "positions": positions,
        "token_dropout": run.option("p_dropout", float),
        "block_dropout": run.option("t_dropout", float),
        "drop_path": drop_path,
        "compatibility": True,
    }
    table = run.state.get("core.tokenizer.pos_embedding")
    count = 0 if table is None else table.numel() // width
    constants = [
        _regularizer_scale(run),
        Constant(r"core\.tokenizer\.pos_embedding", sine_positions(count, width)[None]),
        Constant(
            r"core\.transformer\.blocks\.\d+\.mha\.scale", max(1, width // max(1, heads)) ** -0.5
        ),
        *(
            Constant(rf"core\.transformer\.blocks\.{index}\.drop_path\.keep_prop", 1 - rate)
            for index, rate in enumerate(torch.linspace(0, drop_path, blocks).tolist())
        ),
    ]
    renames = [
        Rename(r"core\.tokenizer\.conv2d\.weight", "core.convolution.weight"),
        *block_renames(r"core\.transformer\.blocks\.", feedforward=r"mlp\."),
        *_behavior_renames(r"core\.transformer\.blocks\.(\d+)\.b_mlp\."),
    ]
    return Part(options, renames, constants, architecture="cct", reads_state=mode > 0)


def stn(run: RunFolder) -> Part:
    """Translate the core ``stn``, a spatial transformer; see :func:`translate_core`."""
    mode = choose(run, "behavior_mode", {0: 0, 1: 1, 3: 3, 4: 4})
    layers = run.option("num_layers", int)
    options = {
        "channels": run.option("num_filters", int),
        "layers": layers,
        "dropout": run.option("dropout", float),
        "core_reads_behavior": mode == 1,
    }
    renames = [
        Rename(r"core\.localization\.([03]\..*)", r"core.localization.\1"),
        Rename(r"core\.regressor\.([13]\..*)", r"core.regression.\1"),
    ]
    for index in range(layers):
        block = rf"core\.cnn\.block{index + 1}\."
        renames.append(Rename(block + r"conv\.(.*)", rf"core.layers.{index}.convolution.\1"))
        renames.append(Rename(block + r"batchnorm\.(.*)", rf"core.layers.{index}.norm.\1"))
    quirks = []
    if mode in GAZE_MODES:
        quirks.append("the run was given behavior and gaze, and its core does not read them")
    return Part(
        options,
        renames,
        [_regularizer_scale(run)],
        quirks,
        architecture="stn",
        reads_state=mode == 1,
    )


def stacked2d(run: RunFolder) -> Part:
    """Translate the core ``stacked2d``, the convolutional baseline; see :func:`translate_core`."""
    mode = choose(run, "behavior_mode", {0: 0, 1: 1})
    laplace = Laplace().filter
    return Part(
        {
            "layers": run.option("num_layers", int),
            "dropout": run.option("dropout", float),
            "is_linear": run.option("linear", bool, default=False),
            "core_reads_behavior": mode == 1,
        },
        constants=[
            Constant(r"core\.gamma_input", run.option("core_reg_input", float, default=None)),
            Constant(r"core\.gamma_hidden", run.option("core_reg_hidden", float, default=None)),
            Constant(re.escape(_LAPLACE_KEY), laplace),
        ],
        additions={_LAPLACE_KEY: laplace},
        architecture="stacked2d",
        reads_state=mode == 1,
    )


#: Translators by the published name of a core.
CORES: Mapping[str, Callable[[RunFolder], Part]] = {
    "vit": vit,
    "cct": cct,
    "stn": stn,
    "stacked2d": stacked2d,
}


def translate_core(run: RunFolder) -> Part:
    """Translate the core of a run of V1T.

    Parameters
    ----------
    run : RunFolder
        Options and weights.

    Returns
    -------
    Part
        Names the architecture.

    Raises
    ------
    CheckpointError
        If the core, or an option of it, is none that the published code can have trained; the
        message names the file and what there is.

    References
    ----------
    V1T, train.py and src/v1t/models/core. Its cores ``conv`` and ``linear`` fail in their forward
    pass there, so no weights of them exist.
    """
    return choose(run, "core", CORES)(run)


def patch_renames(prefix: str, names: Mapping[int, str], *, patch_px: int) -> list[Rename]:
    """Return the rules for tokens, positions and the map from patches.

    Parameters
    ----------
    prefix : str
        Regular expression of what comes before their published names.
    names : mapping of int to str
        Our names of the layers of the published projection.
    patch_px : int
        Side of a patch.
    """

    def as_kernels(weight: Tensor) -> Tensor:
        """Return the map of flat patches (channel, y, x) as a convolution's."""
        return weight.view(len(weight), -1, patch_px, patch_px) if weight.ndim == 2 else weight

    renames = [
        Rename(prefix + "cls_token", "core.class_token"),
        Rename(prefix + "pos_embedding", "core.positions"),
    ]
    for index, name in names.items():
        renames.append(
            Rename(
                rf"{prefix}projection\.{index}\.weight",
                f"core.patches.{name}.weight",
                as_kernels if name == "convolution" else None,
            )
        )
        renames.append(Rename(rf"{prefix}projection\.{index}\.bias", f"core.patches.{name}.bias"))
    return renames


def block_renames(prefix: str, *, feedforward: str) -> list[Rename]:
    """Return the rules for attention and feed-forward of all blocks.

    Parameters
    ----------
    prefix : str
        Regular expression of what comes before the number of a block.
    feedforward : str
        Regular expression of what comes before the number of a layer of the feed-forward branch.
    """
    block, ours = prefix + r"(\d+)\.", r"core.blocks.\1."
    layers = {0: "norm", 1: "expand", 4: "contract"}
    return [
        Rename(block + r"mha\.scale", ours + "attention.scale"),
        Rename(block + r"mha\.layer_norm\.(.*)", ours + r"attention.norm.\2"),
        Rename(block + r"mha\.(?:to_)?qkv\.weight", ours + "attention.queries_keys_values.weight"),
        Rename(block + r"mha\.projection\.0\.(.*)", ours + r"attention.project.\2"),
        *(
            Rename(rf"{block}{feedforward}{index}\.(.*)", rf"{ours}feedforward.{name}.\2")
            for index, name in layers.items()
        ),
    ]


def _behavior_renames(prefix: str) -> list[Rename]:
    """Return the rules for behavior networks; earlier code had ``model`` and no shared level."""
    layers = {0: 0, 3: 2}
    return [
        rename
        for published, layer in layers.items()
        for rename in (
            Rename(
                rf"{prefix}models?\.(?:share\.)?{published}\.(weight|bias)",
                rf"core.blocks.\1.behavior.networks.{SHARED}.{layer}.\2",
            ),
            Rename(
                rf"{prefix}models?\.([^.]+)\.{published}\.(weight|bias)",
                rf"core.blocks.\1.behavior.networks.\2.{layer}.\3",
            ),
        )
    ]


def _state_options(mode: int) -> dict[str, object]:
    return {
        "core_reads_behavior": mode in BEHAVIOR_MODES,
        "core_reads_gaze": mode in GAZE_MODES,
        "state_entry": STATE_ENTRIES[mode],
    }


def _regularizer_scale(run: RunFolder) -> Constant:
    """Return the strength of the penalty, which a core from another run brought along."""
    is_own = not run.option("pretrain_core", str, default="")
    scale = run.option("core_reg_scale", float, default=None)
    return Constant(r"core\.reg_scale", scale if is_own else None)


def _diagonal(run: RunFolder) -> Tensor:
    """Return the positions that local attention leaves out, as the published files hold them."""
    positions = run.state.get("core.patch_embedding.pos_embedding")
    every = torch.arange(0 if positions is None else len(positions))
    return torch.stack([every, every], dim=1)
