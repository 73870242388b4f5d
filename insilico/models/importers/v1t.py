"""Runs of V1T: every core of that repository which its code can train."""

from __future__ import annotations

from pathlib import PurePosixPath

from insilico.models.architectures.cropped_image import CroppedImageOptions
from insilico.models.architectures.image_baselines import CompactTransformerOptions
from insilico.models.architectures.v1t import V1TOptions
from insilico.models.cropper import crop_grid, crop_shape
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import (
    Constant,
    Part,
    Rename,
    choose,
    describe,
    guessed_grid,
)
from insilico.models.importers.v1t_cores import translate_core
from insilico.variables import IMAGE_BEHAVIOR

#: Rows and columns of the image after resizing (V1T, src/v1t/models/image_cropper.py).
RESIZED_PX = (36, 64)
#: The data set whose images are never resized.
FRANKE = "franke2022"
#: Modes that move the crop, and those that move the readout, with the gaze.
CROP_MODES, READOUT_MODES = (1, 3, 4), (2, 3, 4)
#: The mode in which behavior moves the crop too.
BEHAVIOR_CROP_MODE = 4


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
    V1T, train.py, src/v1t/models and src/v1t/utils/scheduler.py.
    """
    core = translate_core(run)
    readout = choose(run, "readout", {"gaussian2d": _gaussian, "linear": _linear})
    found = [core, readout(run), _shared(run, core_reads_state=core.reads_state)]
    _, options = describe(found)
    # Where the core sees all of every image, made smaller, so do experiments and recordings, which
    # are read at that size. Images as large as the published ones are taken, too.
    is_whole = options.center_crop == 1 and not options.has_image_shifter
    screen_px = options.core_px if is_whole and _resizes(run) else None
    return [*found, Part({}, quirks=quirks(options), screen_px=screen_px)]


def quirks(options: CroppedImageOptions) -> list[str]:
    """Name what weights with these options need, and a network trained here would not have.

    Parameters
    ----------
    options : CroppedImageOptions
        Options of an image network.

    Returns
    -------
    list of str
        A sentence each.
    """
    found = []
    if isinstance(options, CompactTransformerOptions) and options.compatibility:
        found.append("attention is scaled by the width of all heads together, not that of one")
        found.append(
            "tokens are laid out on a grid that is guessed from their number, which scrambles "
            "features in space (24 by 24 for the 18 by 32 tokens of the published size)"
        )
    if isinstance(options, V1TOptions) and options.compatibility:
        found += guessed_grid(
            options.core_px, patch_px=options.patch_px, stride_px=options.stride_px
        )
    if options.has_image_shifter and options.center_crop == 1:
        found.append("the crop is the whole image and leaves no room, so gaze does not move it")
    elif options.has_image_shifter:
        found.append(
            "the crop takes nearest pixels, through which no gradient passes: gaze moves it as its "
            "network happened to start"
        )
    if crop_shape((options.height_px, options.width_px), options.center_crop) != options.core_px:
        found.append(
            "images are resized without smoothing, so detail between the pixels that are taken is "
            "not seen"
        )
    return found


def _shared(run: RunFolder, *, core_reads_state: bool) -> Part:
    """Translate what does not depend on the core: sizes, crop, shifters, output."""
    channels, height, width = run.image_shape
    crop = run.option("center_crop", float, default=1.0)
    shift = choose(run, "shift_mode", {mode: mode for mode in range(5)})
    core_px = RESIZED_PX if _resizes(run) else crop_shape((height, width), crop)
    moves_readout = shift in READOUT_MODES and run.option("readout", str) == "gaussian2d"
    reads_behavior = core_reads_state or shift == BEHAVIOR_CROP_MODE
    options = {
        "stimulus_channels": channels,
        "height_px": height,
        "width_px": width,
        "core_height_px": core_px[0],
        "core_width_px": core_px[1],
        "center_crop": crop,
        "behavior_names": IMAGE_BEHAVIOR if reads_behavior else (),
        "has_image_shifter": shift in CROP_MODES,
        "image_shifter_reads": "behavior and gaze" if shift == BEHAVIOR_CROP_MODE else "gaze",
        "has_shifter": moves_readout,
    }
    renames = [
        Rename(r"image_cropper\.image_shifter\.([^.]+)\.mlp\.(.*)", r"cropper.shifter.\1.mlp.\2"),
        Rename(r"core_shifter\.([^.]+)\.mlp\.(.*)", r"shifter.\1.mlp.\2"),
    ]
    scales = {
        r"image_cropper\.image_shifter": "cropper_reg_scale",
        "core_shifter": "shifter_reg_scale",
        "readouts": "readout_reg_scale",
    }
    constants = [
        Constant(r"image_cropper\.grid", crop_grid((height, width), crop)[None]),
        Constant(r"image_cropper\.image_shifter\.[^.]+\.max_shift", 1 - crop),
        Constant(r"elu1\.one", 1.0),
        *(
            Constant(rf"{part}\.[^.]+\.reg_scale", run.option(option, float, default=None))
            for part, option in scales.items()
        ),
    ]
    named = []
    if shift in READOUT_MODES and not moves_readout:
        constants.append(Constant(r"core_shifter\..*", None))
        named.append("this readout does not move with the gaze, so the gaze shifter is left out")
    if run.option("gray_scale", bool, default=False):
        named.append(
            "the run saw the mean of the two standardized colors as one channel; show the network "
            "the same"
        )
    return Part(options, renames, constants, named)


def _resizes(run: RunFolder) -> bool:
    """Whether images are made smaller: always but where that was switched off, or for Franke's."""
    data_set = run.option("ds_name", str, default=None)
    if data_set is None:
        data_set = PurePosixPath(run.option("dataset", str)).name
    return run.option("resize_image", bool, default=True) and data_set != FRANKE


def _gaussian(run: RunFolder) -> Part:
    is_free = run.option("disable_grid_predictor", bool, default=False)
    axes = choose(run, "grid_predictor_dim", {2: 2, 3: 3}, default=2)
    options = {
        "readout": "gaussian",
        "position": "free" if is_free else "cortex",
        "cortex_axes": 2 if is_free else axes,
    }
    renames = [
        Rename(r"readouts\.([^.]+)\.features", r"readout.\1._features"),
        Rename(
            r"readouts\.([^.]+)\.((?:sigma|bias|source_grid|_mu)|mu_transform\..*)",
            r"readout.\1.\2",
        ),
    ]
    return Part(options, renames)


def _linear(run: RunFolder) -> Part:
    renames = [Rename(r"readouts\.([^.]+)\.linear\.1\.(weight|bias)", r"readout.\1.\2")]
    return Part({"readout": "flat"}, renames)
