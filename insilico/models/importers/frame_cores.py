"""Cores of ViV1T-closed-loop that see every frame on its own, from its names to ours."""

from __future__ import annotations

from insilico.models.cores.vit_blocks import SHARED
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import Constant, Part, Rename, choose
from insilico.models.importers.v1t_cores import PATCHES, block_renames, patch_renames


def v1t(run: RunFolder) -> Part:
    """Translate the core ``v1t``, V1T of every frame.

    Parameters
    ----------
    run : RunFolder
        A run of ViV1T-closed-loop.

    Returns
    -------
    Part
        Of the architecture ``v1t_movie``.

    Raises
    ------
    CheckpointError
        If the behavior mode is unknown.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/v1t.py.
    """
    mode = choose(run, "core_behavior_mode", {known: known for known in range(5)})
    width, patch_px = run.count("core_emb_dim"), run.count("core_patch_size")
    options = {
        "core_reads_gaze": mode in (2, 4),
        "state_entry": "channels" if mode in (1, 2) else "blocks",
        "patch_px": patch_px,
        "stride_px": run.option("core_patch_stride", int),
        "token_width": width,
        "blocks": run.option("core_num_blocks", int),
        "heads": run.option("core_num_heads", int),
        "feedforward": run.option("core_mlp_dim", int),
        "has_bias": not run.option("core_disable_bias", bool, default=False),
        "token_dropout": run.option("core_p_dropout", float),
        "block_dropout": run.option("core_t_dropout", float),
        "drop_path": run.option("core_drop_path", float, default=0.0),
        "compatibility": True,
    }
    blocks = r"core\.v1t\.transformer\.blocks\."
    behavior = blocks + r"(\d+)\.b-mlp\.models\."
    renames = [
        *patch_renames(r"core\.v1t\.patch_embedding\.", PATCHES[0][1], patch_px=patch_px),
        *block_renames(blocks, feedforward=r"mlp\.model\."),
        *(
            Rename(
                rf"{behavior}{published}\.(weight|bias)",
                rf"core.blocks.\1.behavior.networks.{SHARED}.{layer}.\2",
            )
            for published, layer in ((0, 0), (3, 2))
        ),
    ]
    constants = [
        Constant(r"core\.v1t\.reg_scale", None),
        Constant(blocks + r"\d+\.mha\.scale", width**-0.5),
    ]
    return Part(options, renames, constants, architecture="v1t_movie", reads_state=mode > 0)


def linear(run: RunFolder) -> Part:
    """Translate the core ``linear``, a gain and an offset a pixel.

    Parameters
    ----------
    run : RunFolder
        A run of ViV1T-closed-loop.

    Returns
    -------
    Part
        Of the architecture ``linear_movie``.

    Raises
    ------
    CheckpointError
        If the behavior mode is unknown.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/linear.py.
    """
    mode = choose(run, "core_behavior_mode", {known: known for known in range(3)})
    renames = [
        Rename(r"core\.weight", "core.gain"),
        Rename(r"core\.bias", "core.offset"),
    ]
    return Part(
        {"core_reads_gaze": mode == 2},
        renames,
        [Constant(r"core\.reg_scale", None)],
        architecture="linear_movie",
        reads_state=mode > 0,
    )
