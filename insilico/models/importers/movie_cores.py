"""Convolutional and recurrent cores of ViV1T-closed-loop, from its options and names to ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from insilico.models.cores.hermite import hermite_basis
from insilico.models.cores.regularizers import Laplace
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import Constant, Part, Rename, choose

#: The temporal filter of the published regularizer; ours is a second difference, see
#: :func:`~insilico.models.cores.regularizers.temporal_roughness`.
_TEMPORAL_FILTER = torch.tensor([[[-1.0, 4.0, -1.0]]])

#: What our cores of this kind keep with their weights, as the published images' networks do.
LAPLACE = {"core._input_weights_regularizer.laplace.filter": Laplace().filter}

#: Behavior and gaze in the core by the closed-loop code's number (viv1t/model/core).
_BEHAVIOR_MODES = {0: 0, 1: 1, 2: 2}


def fcnn(run: RunFolder) -> Part:
    """Translate the factorized CNN ``fcnn``, and its linear form.

    Parameters
    ----------
    run : RunFolder
        A run of ViV1T-closed-loop, or with the same options of ``factorized_baseline`` of the first
        release.

    Returns
    -------
    Part
        Of the architecture ``factorized3d``.

    Raises
    ------
    CheckpointError
        If the behavior mode is unknown or a kernel is impossible.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/fcnn.py.
    """
    mode = choose(run, "core_behavior_mode", _BEHAVIOR_MODES)
    is_linear = run.option("core_linear", bool, default=False)
    return Part(
        factorized_options(run) | {"is_linear": is_linear, "core_reads_gaze": mode == 2},
        FACTORIZED_RENAMES,
        factorized_constants(),
        additions=LAPLACE,
        architecture="factorized3d",
        reads_state=mode > 0,
    )


def factorized_options(run: RunFolder) -> dict[str, Any]:
    """Return the options of the convolutions that both releases of ViV1T name alike."""
    layers, width = run.option("core_num_layers", int), run.option("core_hidden_dim", int)
    return {
        "channels": tuple(width * 2**layer for layer in range(layers)),
        "spatial_kernels": _first_and_others(run, "core_spatial", layers),
        "temporal_kernels": _first_and_others(run, "core_temporal", layers),
        "spatial_strides": (1,) * layers,
        "dropout": run.option("core_dropout", float),
    }


def _first_and_others(run: RunFolder, prefix: str, layers: int) -> tuple[int, ...]:
    first = run.option(f"{prefix}_input_kernel", int)
    return (first, *(layers - 1) * [run.option(f"{prefix}_hidden_kernel", int)])


#: Keys of the convolutions, alike in both releases of ViV1T.
FACTORIZED_RENAMES = (
    Rename(
        r"core\.cnn\.features\.(layer\d+\.(?:conv_spatial|conv_temporal)(?:_\d+)?"
        r"\.(?:weight|bias)|layer\d+\.norm\.\w+)",
        r"core.features.\1",
    ),
)


def factorized_constants() -> list[Constant]:
    """Return what published factorized cores carry beside their weights."""
    return [
        Constant(r"core\.cnn\.gamma_input_(spatial|temporal)", None),
        Constant(r"core\.cnn\._input_weight_regularizer\.laplace\.filter", Laplace().filter),
        Constant(r"core\.cnn\.temporal_regularizer\.laplace\.filter", _TEMPORAL_FILTER),
    ]


def gru_baseline(run: RunFolder) -> Part:
    """Translate the recurrent baseline ``gru_baseline``.

    Parameters
    ----------
    run : RunFolder
        A run of ViV1T-closed-loop.

    Returns
    -------
    Part
        Of the architecture ``rotation_gru``. The Hermite functions and their rotations are checked
        against ours and left out.

    Raises
    ------
    CheckpointError
        If the behavior mode is unknown or a size is impossible.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/gru_baseline.py, stacked2d.py and gru.py.
    """
    mode = choose(run, "core_behavior_mode", _BEHAVIOR_MODES)
    options = {
        "filters": run.option("core_cnn_filters", int),
        "rotations": run.option("core_rotations", int),
        "input_kernel": run.option("core_cnn_input_kernel", int),
        "hidden_kernel": run.option("core_cnn_hidden_kernel", int),
        "layers": run.option("core_cnn_layers", int),
        "is_linear": run.option("core_linear", bool),
        "momentum": run.option("core_momentum", float),
        "gru_channels": run.option("core_rnn_size", int),
        "gru_input_kernel": run.option("core_rnn_input_kernel", int),
        "gru_kernel": run.option("core_rnn_kernel", int),
        "core_reads_gaze": mode == 2,
    }
    layer = r"core\.cnn\.features\.layer(\d+)\."
    gate = r"core\.gru\.conv_gru_cell\."
    renames = (
        Rename(layer + r"hermite_conv\.coeffs", r"core.features.\1.convolution.coefficients"),
        Rename(layer + r"norm\.batch_norm\.(\w+)", r"core.features.\1.norm.\2"),
        Rename(gate + r"out_gate_(input|hidden)\.(\w+)", r"core.gru.candidate_\1.\2"),
        Rename(gate + r"(update|reset)_gate_(input|hidden)\.(\w+)", r"core.gru.\1_\2.\3"),
    )
    constants = [
        Constant(r"core\.cnn\.gamma_(input|hidden)", None),
        Constant(r"core\.gru\.conv_gru_cell\.gamma_rec", None),
        Constant(r"core\.cnn\._input_weights?_regularizer\.laplace\.filter", Laplace().filter),
        *_hermite_constants(options),
    ]
    return Part(
        options,
        renames,
        constants,
        additions=LAPLACE,
        architecture="rotation_gru",
        reads_state=mode > 0,
    )


def _hermite_constants(options: Mapping[str, Any]) -> list[Constant]:
    """Return the functions and rotations of every layer, as the published files hold them."""
    constants = []
    for layer in range(options["layers"]):
        basis = hermite_basis(options["hidden_kernel" if layer else "input_kernel"])
        prefix = rf"core\.cnn\.features\.layer{layer}\.hermite_conv\.rotate_hermite\."
        constants.append(Constant(prefix + "H", torch.as_tensor(basis.functions)))
        constants += [
            Constant(prefix + rf"Rs\.{index}", torch.as_tensor(matrix))
            for index, matrix in enumerate(basis.rotations(options["rotations"]))
        ]
    return constants
