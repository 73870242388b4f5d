"""Runs of the first release of ViV1T (Sensorium 2023): every core, readout and modulator of it."""

from __future__ import annotations

import torch

from insilico.models.architectures.core_readout import CoreReadoutOptions
from insilico.models.architectures.vivit2023 import FirstReleaseViViTOptions
from insilico.models.cores.image_patches import guess_grid, patch_grid
from insilico.models.importers.first_release_cores import factorized_baseline, vivit
from insilico.models.importers.first_release_modulators import MODULATORS
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import (
    Constant,
    Part,
    Rename,
    choose,
    describe,
    zeros_for_biases,
)
from insilico.variables import MOVIE_BEHAVIOR

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
    shared = _shared(run, core=core, others_read_state=readout.reads_state or modulator.reads_state)
    found = [core, readout, modulator, shared]
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
    frame_px = options.height_px, options.width_px
    true = patch_grid(frame_px, patch_px=options.patch_px, stride_px=options.patch_stride_px)
    guess = guess_grid(true[0] * true[1])
    if options.compatibility and guess != true:
        found.append(
            f"tokens are laid out on a guessed grid of {guess[0]} by {guess[1]} where the true one "
            f"is {true[0]} by {true[1]}, which scrambles features in space"
        )
    if options.scales_by_width:
        found.append("attention is scaled by the width of a token, not that of a head")
    if options.patch_stride_frames > 1:
        found.append(
            "behavior and gaze of the last frames go with the answers, which are to frames further "
            "apart"
        )
    return found


def _shared(run: RunFolder, *, core: Part, others_read_state: bool) -> Part:
    """Translate what does not depend on the core: sizes, gaze shifter, output."""
    channels, _, height, width = run.movie_shape
    mode = choose(run, "shifter_mode", {known: known for known in range(3)})
    moves = mode > 0 and run.option("readout", str) == "gaussian2d"
    reads_behavior = core.reads_state or others_read_state or (moves and mode == 2)
    output = choose(run, "output_mode", OUTPUTS)
    options = {
        "stimulus_channels": channels,
        "height_px": height,
        "width_px": width,
        "behavior_names": MOVIE_BEHAVIOR if reads_behavior else (),
        "core_reads_behavior": core.reads_state,
        "has_shifter": moves,
        "shifter_reads": "behavior and gaze" if mode == 2 else "gaze",
        "shifter_layers": run.option("shifter_layers", int, default=3),
        "shifter_hidden_units": run.option("shifter_size", int, default=5),
        "output": output,
    }
    renames = [Rename(r"shifters\.([^.]+)\.mlp\.(.*)", r"shifter.\1.mlp.\2")]
    constants = [
        Constant(r"output_activation\.one", 1.0),
        Constant(r"(shifters|readouts)\.[^.]+\.reg_scale", None),
    ]
    found = []
    if mode > 0 and not moves:
        constants.append(Constant(r"shifters\..*", None))
        found.append("this readout does not move with the gaze, so the gaze shifter is left out")
    if (crop := run.option("center_crop", float, default=1.0)) != 1:
        found.append(
            f"the run saw the central {crop:g} of each frame, enlarged; show the network the same"
        )
    if run.option("precision", str, default="32") == "bf16":
        found.append("the core was trained and run in bfloat16; here it runs in full precision")
    return Part(
        options,
        renames,
        constants,
        found,
        {f"output.{mouse}.log_beta": torch.zeros(()) for mouse in run.mice}
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
