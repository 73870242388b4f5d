"""Runs of ViV1T-closed-loop: every core and readout of that repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models.cores.position_encoding import sinusoid
from insilico.models.cores.vivit_blocks import ROTARY_BASE, SCALE_OFFSET
from insilico.models.importers import frame_cores, movie_cores
from insilico.models.importers.movie_networks import network_part
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import (
    Constant,
    Part,
    Rename,
    choose,
    zeros_for_biases,
)
from insilico.models.readouts.attention import positional_code

#: Output functions by number (viv1t/model/modules.py).
OUTPUTS = dict(enumerate(("identity", "elu", "exponential", "softplus", "sigmoid")))

#: Positional encodings by number (viv1t/model/core/vivit.py).
POSITIONS = dict(
    enumerate(
        (
            "none",
            "joint",
            "learned",
            "learned_sinusoid",
            "sinusoid",
            "rotary",
            "learned_rotary",
            "sincos_rotary",
        )
    )
)


def parts(run: RunFolder) -> list[Part]:
    """Translate a run, without building its network.

    Parameters
    ----------
    run : RunFolder
        Options and weights.

    Returns
    -------
    list of Part
        For :func:`~insilico.models.importers.translation.build_checkpoint`.

    Raises
    ------
    CheckpointError
        If an option is unknown or impossible; it is named.

    References
    ----------
    ViV1T-closed-loop, train.py, viv1t/model and viv1t/checkpoint.py.
    """
    core = choose(run, "core", _CORES)(run)
    readout = choose(run, "readout", _READOUTS)
    network = network_part(run, moving_readout="gaussian", core=core)
    return [core, readout(run), network, _output_part(run)]


def _output_part(run: RunFolder) -> Part:
    renames = [Rename(r"output_activation\.([^.]+)\.log_beta", r"output.\1.log_beta")]
    constants = [
        Constant(r"output_activation\.[^.]+\.one", 1.0),
        Constant(r"output_activation\.[^.]+\.threshold", 20.0),
    ]
    return Part({"output": _output(run)}, renames, constants)


def _output(run: RunFolder) -> str:
    mode = run.option("output_mode", int)
    if run.option("transform_output", int) == 2 and mode not in (0, 4):
        return "sigmoid"
    return choose(run, "output_mode", OUTPUTS)


def _vivit(run: RunFolder) -> Part:
    mode = choose(run, "core_behavior_mode", {known: known for known in range(3)})
    position = choose(run, "core_pos_encoding", POSITIONS)
    patch_mode = choose(run, "core_patch_mode", {0: "unfolded", 1: "one-hot", 2: "convolution"})
    head_width, width = run.count("core_head_dim"), run.count("core_emb_dim")
    is_causal = run.option("core_use_causal_attention", bool, default=False)
    options = {
        "core_reads_gaze": mode == 2,
        "patch_px": run.count("core_spatial_patch_size"),
        "patch_stride_px": run.option("core_spatial_patch_stride", int),
        "patch_frames": run.count("core_temporal_patch_size"),
        "patch_stride_frames": run.option("core_temporal_patch_stride", int),
        "pads": run.option("core_pad_frame", bool),
        "patch_norm": patch_mode != "convolution",
        "max_frames": run.option("max_frame", int),
        "position_encoding": position,
        "width": width,
        "heads": run.option("core_num_heads", int),
        "head_width": head_width,
        "feedforward": run.option("core_ff_dim", int),
        "feedforward_activation": run.option("core_ff_activation", str),
        "spatial_depth": run.option("core_spatial_depth", int),
        "temporal_depth": run.option("core_temporal_depth", int),
        "registers": run.option("core_reg_tokens", int, default=0),
        "is_causal": is_causal,
        "norm": run.option("core_norm", str),
        "normalizes_queries": run.option("core_norm_qk", bool, default=False),
        "token_dropout": run.option("core_p_dropout", float),
        "attention_dropout": run.option("core_mha_dropout", float),
        "feedforward_dropout": run.option("core_ff_dropout", float),
        "drop_path": run.option("core_drop_path", float),
        "core_activation": run.option("core_activation", str),
        "compatibility": True,
    }
    block = r"core\.vivit\.(spatial|temporal)_transformer\.blocks\.(\d+)\."
    ours = r"core.\1.blocks.\2."
    renames = [
        Rename(
            r"core\.tokenizer\.tokenizer\.0\.weight",
            "core.embedding.linear.weight",
            lambda weight: weight.flatten(1),
        ),
        Rename(r"core\.tokenizer\.tokenizer\.0\.bias", "core.embedding.linear.bias"),
        Rename(r"core\.tokenizer\.tokenizer\.(norm|linear)\.(.*)", r"core.embedding.\1.\2"),
        Rename(r"core\.tokenizer\.norm\.(.*)", r"core.token_norm.\1"),
        Rename(r"core\.tokenizer\.pos_embedding", "core.positions.space", _without_first),
        Rename(
            r"core\.tokenizer\.spatial_pos_embedding",
            "core.positions.space",
            lambda vectors: vectors[0, 0],
        ),
        Rename(r"core\.tokenizer\.temporal_pos_embedding", "core.positions.time", _without_first),
        Rename(r"core\.vivit\.reg_s_tokens", "core.spatial.registers"),
        Rename(r"core\.vivit\.reg_t_tokens", "core.temporal.registers"),
        Rename(block + r"norm\.(.*)", ours + r"norm.\3"),
        Rename(block + r"norm_q\.(.*)", ours + r"query_norm.\3"),
        Rename(block + r"norm_k\.(.*)", ours + r"key_norm.\3"),
        Rename(block + r"fused_linear\.weight", ours + "fused.weight"),
        Rename(block + r"attn_out\.weight", ours + "attention_output.weight"),
        Rename(block + r"ff_out\.2\.weight", ours + "feedforward_output.weight"),
    ]
    return Part(
        options,
        renames,
        _vivit_constants(run, width=width, head_width=head_width),
        _vivit_quirks(position, is_causal=is_causal),
        architecture="vivit",
        reads_state=mode > 0,
    )


def _vivit_constants(run: RunFolder, *, width: int, head_width: int) -> list[Constant]:
    pairs = torch.arange(0, head_width, 2).double() / head_width
    rises = (pairs * head_width + SCALE_OFFSET * head_width) / ((1 + SCALE_OFFSET) * head_width)
    rotary = r"core\.vivit\.\w+\.blocks\.\d+\.rotary_position_embedding\."
    waves = {
        key: sinusoid(value.numel() // width, width).view(value.shape)
        for key, value in run.state.items()
        if key.endswith(".pos_encoding") and value.numel() % width == 0
    }
    return [
        Constant(r"core\.vivit\.reg_scale", None),
        Constant(r"core\.vivit\.\w+\.blocks\.\d+\.scale", head_width**-0.5),
        Constant(rotary + "inv_freq", ROTARY_BASE**-pairs),
        Constant(rotary + "scale", rises),
        *_one_hot_constants(run),
        *(Constant(re.escape(key), value) for key, value in waves.items()),
    ]


def _one_hot_constants(run: RunFolder) -> list[Constant]:
    """Return the kernels that copy each pixel of a patch, where the run has any."""
    frames, side = run.count("core_temporal_patch_size"), run.count("core_spatial_patch_size")
    pixels, key = frames * side**2, "core.tokenizer.tokenizer.weight"
    if key not in run.state or run.state[key].shape[1:] != (1, frames, side, side):
        return []
    kernels = torch.eye(pixels).view(pixels, 1, frames, side, side)
    copies = len(run.state[key]) // pixels
    return [Constant(re.escape(key), kernels.repeat(copies, 1, 1, 1, 1))]


def _vivit_quirks(position: str, *, is_causal: bool) -> list[str]:
    quirks = []
    if position.endswith("rotary"):
        quirks.append(
            "rotary queries and keys are both scaled by position, so attention depends on where a "
            "pair of tokens is, not only on its distance"
        )
        quirks.append(
            "a movie longer than the longest of training centers that scale on itself; the "
            "published code then keeps the new center for shorter ones, ours does not"
        )
    if is_causal:
        quirks.append("temporal registers come after all frames, which never see them")
    return quirks


def _without_first(values: Tensor) -> Tensor:
    return values[0]


def _gaussian(run: RunFolder) -> Part:
    mode = choose(run, "readout_grid_mode", {0: 0, 1: 2, 2: 3})
    options = {
        "readout": "gaussian",
        "position": "cortex" if mode else "free",
        "cortex_axes": mode or 2,
        "initial_sigma": 1.0,
        "initial_position_range": 0.2,
    }
    renames = [
        Rename(
            r"readouts\.([^.]+)\.features",
            r"readout.\1._features",
            lambda features: features[:, :, None],
        ),
        Rename(
            r"readouts\.([^.]+)\.((sigma|bias|source_grid|_mu)|mu_transform\..*)", r"readout.\1.\2"
        ),
    ]
    return Part(options, renames, additions=zeros_for_biases(run))


def _factorized(run: RunFolder) -> Part:
    options = {"readout": "factorized", "normalize_masks": False}
    renames = [Rename(r"readouts\.([^.]+)\.(_features|spatial|bias)", r"readout.\1.\2")]
    return Part(options, renames, additions=zeros_for_biases(run))


def _attention(run: RunFolder) -> Part:
    code = run.state.get("readouts.position_embedding.twod_pe")
    to_kv = run.state.get("readouts.to_kv.weight")
    if code is None or to_kv is None:
        raise CheckpointError(
            f"{run.weights_path} lacks readouts.to_kv.weight or readouts.position_embedding.twod_pe"
            ", which an attention readout has; get the file again"
        )
    width = to_kv.shape[1]
    options = {
        "readout": "attention",
        "key_channels": to_kv.shape[0] // 2,
        "readout_compatibility": True,
    }
    renames = [
        Rename(r"readouts\.to_kv\.weight", "neck.to_key_value.weight"),
        Rename(
            r"readouts\.([^.]+)\.(neuron_query|features)", r"readout.\1.\2", lambda part: part[0]
        ),
        Rename(r"readouts\.([^.]+)\.bias", r"readout.\1.bias"),
    ]
    constants = [
        Constant(r"readouts\.position_embedding\.twod_pe", _code_like(code)),
        Constant(r"readouts\.[^.]+\.scale", width**-0.5),
        Constant(r"readouts\.[^.]+\.T", 1.0),
    ]
    quirk = "attention over the map is scaled by the width of the core, not that of the keys"
    return Part(options, renames, constants, [quirk], additions=zeros_for_biases(run))


def _code_like(code: Tensor) -> Tensor | None:
    """Return the positional code of any map with as many cells, or None if none fits."""
    channels, cells = code.shape[-2:]
    for rows in range(1, cells + 1):
        if cells % rows == 0:
            wanted = positional_code(channels, (rows, cells // rows)).view(code.shape)
            if torch.allclose(wanted, code, atol=1e-4):
                return wanted
    return torch.full(code.shape, torch.nan)


def _convolutional(run: RunFolder) -> Part:
    groups = run.option("readout_groups", int, default=1)
    renames = []
    for mouse, count in run.neuron_counts.items():

        def first(values: Tensor, count: int = count) -> Tensor:
            return values[:count].flatten(1) if values.ndim > 1 else values[:count]

        renames.append(
            Rename(rf"readouts\.{mouse}\.layer\.1\.(weight|bias)", rf"readout.{mouse}.\1", first)
        )
    options = {
        "readout": "convolutional",
        "readout_groups": groups,
        "readout_dropout": run.option("readout_dropout", float, default=0.0),
    }
    return Part(options, renames)


def _linear(run: RunFolder) -> Part:
    renames = [Rename(r"readouts\.([^.]+)\.linear\.(weight|bias)", r"readout.\1.\2")]
    return Part({"readout": "linear"}, renames)


_CORES: Mapping[str, Callable[[RunFolder], Part]] = {
    "vivit": _vivit,
    "fcnn": movie_cores.fcnn,
    "gru_baseline": movie_cores.gru_baseline,
    "v1t": frame_cores.v1t,
    "linear": frame_cores.linear,
}

_READOUTS: Mapping[str, Callable[[RunFolder], Part]] = {
    "gaussian": _gaussian,
    "factorized": _factorized,
    "attention": _attention,
    "conv": _convolutional,
    "linear": _linear,
}
