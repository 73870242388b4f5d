"""Cores of the first release of ViV1T, from its options and names to ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models.cores.position_encoding import sinusoid
from insilico.models.cores.vit_blocks import SHARED
from insilico.models.importers.movie_cores import (
    FACTORIZED_RENAMES,
    LAPLACE,
    factorized_constants,
    factorized_options,
)
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import Constant, Part, Rename, choose
from insilico.models.published import OPTIONS_FILE

#: Positional encodings by number (src/viv1t/model/core/vivit.py).
POSITIONS = dict(
    enumerate(("none", "joint", "convolution", "learned", "learned_sinusoid", "sinusoid"))
)

#: Where behavior, and from mode 2 on but for 3 gaze, enters the transformer.
STATE_ENTRIES = dict(
    enumerate(("channels", "channels", "channels", "blocks", "blocks", "blocks by mouse"))
)

#: What the factorized core makes of behavior and gaze, and whether it has planes of position.
_TRACES: dict[int, tuple[str, bool]] = {
    0: ("values", False),
    1: ("values", False),
    2: ("values", False),
    6: ("values and differences", False),
    7: ("values", True),
    8: ("recurrent", False),
    9: ("recurrent", True),
}

#: Behavioral variables, and coordinates of the gaze.
_BEHAVIOR, _GAZE = 2, 2


def vivit(run: RunFolder) -> Part:
    """Translate the core ``vivit``.

    Parameters
    ----------
    run : RunFolder
        A run of the first release of ViV1T.

    Returns
    -------
    Part
        Of the architecture ``vivit2023``.

    Raises
    ------
    CheckpointError
        If an option is unknown, or one with which the published code cannot run.

    References
    ----------
    ViV1T (first release), src/viv1t/model/core/vivit.py; what a missing option stands for: the
    same, and demo.ipynb.
    """
    mode = choose(run, "core_behavior_mode", {known: known for known in STATE_ENTRIES})
    position = choose(run, "core_pos_encoding", POSITIONS)
    is_parallel = run.option("core_parallel_attention", bool, default=False)
    attention_dropout = run.option("core_mha_dropout", float)
    feedforward_dropout = run.option("core_ff_dropout", float, default=None)
    is_flash = run.option("core_flash_attention", bool, default=True)
    patch_norm = _patch_norm(run)
    ignores_position = is_parallel and position == "convolution"
    options = {
        "core_reads_gaze": mode in (2, 4, 5),
        "state_entry": STATE_ENTRIES[mode],
        "patch_px": run.option("core_spatial_patch_size", int),
        "patch_stride_px": run.option("core_spatial_patch_stride", int),
        "patch_frames": run.option("core_temporal_patch_size", int),
        "patch_stride_frames": run.option("core_temporal_patch_stride", int),
        "patch_norm": patch_norm,
        "max_frames": _longest_movie(run),
        "position_encoding": "none" if ignores_position else position,
        "width": run.count("core_emb_dim"),
        "heads": run.option("core_num_heads", int),
        "head_width": run.count("core_head_dim"),
        "feedforward": run.option("core_mlp_dim", int),
        "feedforward_activation": run.option("core_ff_activation", str, default="gelu"),
        "spatial_depth": run.option("core_spatial_depth", int),
        "temporal_depth": run.option("core_temporal_depth", int),
        "is_parallel": is_parallel,
        "normalizes_queries": run.option("core_norm_qk", bool, default=False),
        "scales_by_width": not (is_parallel or is_flash),
        "token_dropout": run.option("core_p_dropout", float),
        "attention_dropout": attention_dropout,
        "feedforward_dropout": (
            attention_dropout if feedforward_dropout is None else feedforward_dropout
        ),
        "drop_path": run.option("core_drop_path", float),
        "compatibility": True,
    }
    quirk = "blocks in parallel leave the positional encoding by convolution out, so there is none"
    return Part(
        options,
        [
            *_token_renames(patch_norm=patch_norm),
            *(_PARALLEL if is_parallel else _SEQUENTIAL),
            *_BEHAVIOR_NETWORKS,
        ],
        _vivit_constants(run, options),
        [quirk] if ignores_position else [],
        architecture="vivit2023",
        reads_state=mode > 0,
    )


def _patch_norm(run: RunFolder) -> bool:
    mode = choose(run, "core_patch_mode", {0: "unfolded", 1: "one-hot", 2: "convolution"})
    if mode == "one-hot":
        raise CheckpointError(
            f"{run.path / OPTIONS_FILE} has core_patch_mode: 1, with which the published code "
            "cannot run, so there are no such weights; get the file again"
        )
    return mode != "convolution"


def _longest_movie(run: RunFolder) -> int:
    longest = run.option("max_frame", int, default=None)
    return run.movie_shape[1] if longest is None else longest


def _token_renames(*, patch_norm: bool) -> list[Rename]:
    """Return the rules for patches, which are numbered by their place in a sequence."""
    tokenizer = r"core\.vivit\.tokenizer\."
    modules = (
        {1: "embedding.norm", 2: "embedding.linear", 3: "token_norm"}
        if patch_norm
        else {0: "embedding.linear", 2: "token_norm"}
    )
    kernels = Rename(
        tokenizer + r"tokenizer\.0\.weight",
        "core.embedding.linear.weight",
        lambda kernels: kernels.flatten(1),
    )
    positions = [
        Rename(tokenizer + "pos_embedding", "core.positions.space", lambda one: one[0]),
        Rename(tokenizer + "spatial_pos_embedding", "core.positions.space", lambda one: one[0, 0]),
        Rename(tokenizer + "temporal_pos_embedding", "core.positions.time", lambda one: one[0]),
    ]
    return [
        *([] if patch_norm else [kernels]),
        *(
            Rename(tokenizer + rf"tokenizer\.{number}\.(\w+)", rf"core.{name}.\1")
            for number, name in modules.items()
        ),
        *positions,
    ]


_BLOCK, _OURS = r"core\.vivit\.(spatial|temporal)_transformer\.blocks\.(\d+)\.", r"core.\1."


def _block_renames(*names: tuple[str, str]) -> list[Rename]:
    return [
        Rename(_BLOCK + published + r"\.(\w+)", rf"{_OURS}blocks.\2.{name}.\3")
        for published, name in names
    ]


_PARALLEL = _block_renames(
    ("norm", "norm"),
    ("fused_linear", "fused"),
    ("norm_q", "query_norm"),
    ("norm_k", "key_norm"),
    ("attn_out", "attention_output"),
    (r"ff_out\.2", "feedforward_output"),
)

_SEQUENTIAL = [
    *_block_renames(
        (r"attention\.norm", "norm"),
        (r"attention\.to_qkv", "queries_keys_values"),
        (r"attention\.norm_q", "query_norm"),
        (r"attention\.norm_k", "key_norm"),
        (r"attention\.attn_out\.0", "attention_output"),
        (r"ff\.0", "feedforward_norm"),
        (r"ff\.1", "feedforward_input"),
        (r"ff\.4", "feedforward_output"),
    ),
    Rename(
        r"core\.vivit\.(spatial|temporal)_transformer\.blocks\.0\.pos_encoding\.pos_embedding\.(\w+)",
        _OURS + r"positions.convolution.\2",
    ),
]

#: Layers 0 and 3 of the published sequence are 0 and 2 of ours, which has no dropout.
_BEHAVIOR_NETWORKS = [
    Rename(
        _BLOCK + rf"state_encoder\.models\.{names}\.{published}\.(\w+)",
        rf"{_OURS}behavior.\2.networks.{ours}.{layer}.\{groups}",
    )
    for names, ours, groups in (("share", SHARED, 3), (r"([^.]+)", r"\3", 4))
    for published, layer in ((0, 0), (3, 2))
]


def _vivit_constants(run: RunFolder, options: dict[str, Any]) -> list[Constant]:
    """Return what the published transformer carries beside its weights."""
    width, waves = options["width"], []
    for name in ("spatial_pos_embedding", "temporal_pos_encoding"):
        key = f"core.vivit.tokenizer.{name}.pos_encoding"
        if key in run.state and run.state[key].numel() % width == 0:
            saved = run.state[key]
            table = sinusoid(saved.numel() // width, width).view(saved.shape)
            waves.append(Constant(key.replace(".", r"\."), table))
    return [
        Constant(r"core\.vivit\.reg_scale", None),
        Constant(_BLOCK + "scale", options["head_width"] ** -0.5),
        Constant(_BLOCK + r"attention\.scale", width**-0.5),
        Constant(_BLOCK + r"drop_path[12]\.keep_prob", 1 - options["drop_path"]),
        *waves,
    ]


def factorized_baseline(run: RunFolder) -> Part:
    """Translate the core ``factorized_baseline``.

    Parameters
    ----------
    run : RunFolder
        A run of the first release of ViV1T.

    Returns
    -------
    Part
        Of the architecture ``factorized3d``.

    Raises
    ------
    CheckpointError
        If the behavior mode is unknown.

    References
    ----------
    ViV1T (first release), src/viv1t/model/core/factorized_baseline.py.
    """
    mode = choose(run, "core_behavior_mode", {known: known for known in _TRACES})
    coding, has_planes = _TRACES[mode]
    channels, _, height, width = run.movie_shape
    renames = [
        Rename(r"core\.modulator\.(\w+)", r"core.traces.gru.\1"),
        *([_differences_last(channels)] if coding == "values and differences" else []),
        *FACTORIZED_RENAMES,
    ]
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    planes = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return Part(
        factorized_options(run)
        | {"trace_coding": coding, "position_planes": has_planes, "core_reads_gaze": mode > 1},
        renames,
        [*factorized_constants(), Constant(r"core\.pos_encoding", planes)],
        additions=LAPLACE,
        architecture="factorized3d",
        reads_state=mode > 0,
    )


def _differences_last(channels: int) -> Rename:
    """Return the rule for the first kernels, whose differences come after the variables here.

    The published order is stimulus, behavior, its differences, gaze, its differences.
    """
    sizes = [channels, _BEHAVIOR, _BEHAVIOR, _GAZE, _GAZE]

    def reorder(kernels: Tensor) -> Tensor:
        stimulus, behavior, changes, gaze, gaze_changes = torch.split(kernels, sizes, dim=1)
        return torch.cat([stimulus, behavior, gaze, changes, gaze_changes], dim=1)

    key = "features.layer0.conv_spatial.weight"
    return Rename(f"core.cnn.{key}".replace(".", r"\."), f"core.{key}", reorder)
