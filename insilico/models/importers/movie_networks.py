"""What runs of both releases of ViV1T say alike, beside core and readout."""

from __future__ import annotations

from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import Constant, Part, Rename, choose
from insilico.variables import MOVIE_BEHAVIOR


def network_part(
    run: RunFolder, *, moving_readout: str, core: Part, others_read_state: bool = False
) -> Part:
    """Translate sizes, behavior and the gaze shifter.

    Parameters
    ----------
    run : RunFolder
        A run of either release.
    moving_readout : str
        What the release calls the readout that moves with the gaze.
    core : Part
        Says whether behavior enters it.
    others_read_state : bool
        Whether behavior enters a readout or modulator.

    Raises
    ------
    CheckpointError
        If the shifter is of an unknown mode.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/shifter.py and viv1t/data/data.py; ViV1T,
    src/viv1t/model/shifter.py.
    """
    channels, _, height, width = run.movie_shape
    mode = choose(run, "shifter_mode", {known: known for known in range(3)})
    moves = mode > 0 and run.option("readout", str) == moving_readout
    reads_behavior = core.reads_state or others_read_state or (moves and mode == 2)
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
    }
    constants = [Constant(r"(shifters|readouts)\.[^.]+\.reg_scale", None)]
    quirks = []
    if mode > 0 and not moves:
        constants.append(Constant(r"shifters\..*", None))
        quirks.append("this readout does not move with the gaze, so the gaze shifter is left out")
    if (crop := run.option("center_crop", float, default=1.0)) != 1:
        quirks.append(
            f"the run saw the central {crop:g} of each frame, enlarged; show the network the same"
        )
    renames = [Rename(r"shifters\.([^.]+)\.mlp\.(.*)", r"shifter.\1.mlp.\2")]
    return Part(options, renames, constants, quirks)
