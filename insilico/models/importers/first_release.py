"""Runs of the first release of ViV1T (Sensorium 2023): every core, readout and modulator of it."""

from __future__ import annotations

import torch

from insilico.models.architectures.core_readout import CoreReadoutOptions
from insilico.models.architectures.vivit2023 import FirstReleaseViViTOptions
from insilico.models.importers.first_release_cores import factorized_baseline, vivit
from insilico.models.importers.first_release_modulators import MODULATORS
from insilico.models.importers.movie_networks import network_part
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import (
    Constant,
    Part,
    Rename,
    choose,
    describe,
    guessed_grid,
    zeros_for_biases,
)

#: Output functions by number (src/viv1t/model/model.py).
OUTPUTS = dict(enumerate(("elu", "exponential", "softplus")))


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
    ViV1T (first release, github.com/bryanlimy/ViV1T), train.py, src/viv1t/model and
    src/viv1t/scheduler.py.
    """
    core = choose(run, "core", {"vivit": vivit, "factorized_baseline": factorized_baseline})(run)
    readout = choose(run, "readout", {"gaussian2d": _gaussian, "factorized": _factorized})(run)
    modulator = choose(run, "modulator_mode", MODULATORS)(run)
    network = network_part(
        run,
        moving_readout="gaussian2d",
        core=core,
        others_read_state=readout.reads_state or modulator.reads_state,
    )
    found = [core, readout, modulator, network, _output_part(run)]
    _, options = describe(found)
    return [*found, Part({}, quirks=quirks(options))]


def quirks(options: CoreReadoutOptions) -> list[str]:
    """Name what weights with these options need, and a network trained here would not have.

    Parameters
    ----------
    options : CoreReadoutOptions
        Options of a movie network.

    Returns
    -------
    list of str
        A sentence each.
    """
    found: list[str] = []
    if not isinstance(options, FirstReleaseViViTOptions):
        return found
    if options.compatibility:
        found += guessed_grid(
            (options.height_px, options.width_px),
            patch_px=options.patch_px,
            stride_px=options.patch_stride_px,
        )
    if options.scales_by_width:
        found.append("attention is scaled by the width of a token, not that of a head")
    if options.patch_stride_frames > 1:
        found.append(
            "behavior and gaze of the last frames go with the answers, which are to frames further "
            "apart"
        )
    return found


def _output_part(run: RunFolder) -> Part:
    output = choose(run, "output_mode", OUTPUTS)
    quirks = []
    if run.option("precision", str, default="32") == "bf16":
        quirks.append("the core was trained and run in bfloat16; here it runs in full precision")
    return Part(
        {"output": output},
        constants=[Constant(r"output_activation\.one", 1.0)],
        quirks=quirks,
        additions={f"output.{mouse}.log_beta": torch.zeros(()) for mouse in run.mice}
        if output == "softplus"
        else {},
    )


def _gaussian(run: RunFolder) -> Part:
    axes = choose(run, "readout_grid_mode", {0: 0, 1: 2, 2: 3})
    options = {
        "readout": "gaussian",
        "position": "cortex" if axes else "free",
        "cortex_axes": axes or 2,
        "has_state_encoder": True,
        "readout_dropout": run.option("readout_dropout", float, default=0.0),
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
            r"readouts\.([^.]+)\.(sigma|bias|source_grid|_mu|mu_transform\..*|state_encoder\..*)",
            r"readout.\1.\2",
        ),
    ]
    return Part(options, renames, additions=zeros_for_biases(run), reads_state=True)


def _factorized(run: RunFolder) -> Part:
    options = {"readout": "factorized", "normalize_masks": False, "has_state_encoder": False}
    renames = [Rename(r"readouts\.([^.]+)\.(_features|spatial)", r"readout.\1.\2")]
    return Part(options, renames, additions=zeros_for_biases(run))
