"""``insilico attention``: where a model looks, and whether that follows the eye."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from insilico.attention.shown import ShownTrials
    from insilico.results import Result
    from insilico.twin import Twin

#: Columns of the table of maps that the command line sums up, and how it calls them.
PRINTED = {
    "center_x_deg": "azimuth (deg)",
    "center_y_deg": "elevation (deg)",
    "spread_x_deg": "width (SD, deg)",
    "spread_y_deg": "height (SD, deg)",
    "entropy_bits": "entropy (bits)",
}


def attention(
    model: str,
    *,
    out: Path,
    data: Path | None = None,
    stimuli: Path | None = None,
    mouse: list[str] | None = None,
    tier: list[str] | None = None,
    trials: str | None = None,
    behavior: str | None = None,
    pupil: str | None = None,
    input_units: Literal["gray", "standardized"] | None = None,
    burn_in_frames: int = 50,
    compatibility: bool = False,
    device: str = "auto",
) -> None:
    """Map which parts of a stimulus a transformer attends to, and relate that to the gaze.

    Writes RUN/attention: maps over the stimulus, a table of where they lie, a figure; and of
    recordings with gaze RUN/attention_gaze: does the center of the map follow that of the pupil.

    Parameters
    ----------
    model : str
        A name of the zoo, a checkpoint folder, or the folder of a training run.
    out : Path
        The run folder.
    data : Path, optional
        A recording (folder or zip file), or a folder of several.
    stimuli : Path, optional
        In place of a recording a .npy file: (trial, y, x) for image models, (trial, frame, y, x)
        for movie models.
    mouse : list of str, optional
        Mice; all recorded ones when left out.
    tier : list of str, optional
        Tiers such as test or live_main; validation when left out.
    trials : str, optional
        Some of each mouse's trials in the tiers, such as 0:20; all when left out.
    behavior : str, optional
        mean, quiet, running, or a .npy file; as recorded, and for stimuli the mean, when left out.
    pupil : str, optional
        mean, or a .npy file; as recorded, and for stimuli the mean, when left out.
    input_units : str, optional
        Of a stimulus file: gray (levels 0-255, recorded behavior) or standardized. Gray where the
        model knows its statistics.
    burn_in_frames : int
        Frames at the start of each movie that are left out.
    compatibility : bool
        Scale maps as the published code does.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    """
    from insilico.errors import RecordingError

    if (data is None) == (stimuli is None):
        given = "neither a recording nor" if data is None else "both a recording and"
        raise RecordingError(
            f"{given} a stimulus file were given; give one of --data and --stimuli"
        )
    import insilico
    from insilico.attention.asking import demand_attention
    from insilico.attention.gaze import relate_to_gaze
    from insilico.attention.mapping import map_attention
    from insilico.cli.saving import save_figures
    from insilico.experiments.experiment import result_folder

    _refuse_earlier(out)
    twin = insilico.load(model, device=device, data=data)
    demand_attention(twin)
    states = {"behavior": _state(behavior), "pupil_center": _state(pupil)}
    if data is not None:
        shown = _recorded(twin, data, mouse, tier, trials, states)
    else:
        shown = _given(twin, stimuli, mouse, {**states, "input_units": input_units})
    options = {"burn_in_frames": burn_in_frames, "compatibility": compatibility}
    command = " ".join(sys.argv)
    maps = map_attention(twin, shown, **options, progress=True, command=command)  # type: ignore[arg-type]
    print(format_maps(maps))
    results = [maps]
    if "pupil_x" in maps.tables["attention"]:
        results.append(relate_to_gaze(maps, command=command))
        print(f"\n{format_gaze(results[-1])}")
    elif data is not None:
        print("no gaze was recorded, so there is none to relate the maps to")
    for result in results:
        folder = result.save(result_folder(out, result.experiment))
        save_figures(result, folder / "figures")
        print(f"tables, arrays and figure: {folder}")


def format_maps(result: Result) -> str:
    """Return medians over images, or frames, as a table of text, one line a mouse."""
    from insilico.cli.tables import format_table

    table, rows = result.tables["attention"], []
    for mouse, part in table.groupby("mouse", sort=False):
        medians = [float(part[name].median()) for name in PRINTED]
        flat = int((part["status"] != "ok").sum())
        rows.append([mouse, part["trial"].nunique(), len(part), *medians, flat])
    what = "images" if result.provenance["kind"] == "image" else "frames"
    header = ["median", "trials", what, *PRINTED.values(), "constant maps"]
    text = format_table(header, rows)
    return f"{text}\n{bias}" if (bias := result.provenance.get("temporal_bias")) else text


def format_gaze(result: Result) -> str:
    """Return the correlations of maps with gaze as a table of text."""
    from insilico.cli.tables import format_table

    rows = [
        [
            row["mouse"],
            row["attention"],
            row["animal"],
            float(row["correlation"]) if row["status"] == "ok" else "-",
            f"{row['ci_low']:.2f} to {row['ci_high']:.2f}" if row["status"] == "ok" else "-",
            float(row["p_value"]),
            int(row["trial_count"]),
            row["status"],
        ]
        for row in result.tables["attention_gaze"].to_dict("records")
    ]
    interval = f"{result.protocol['confidence']:.0%} interval"
    header = ["mouse", "attention", "animal", "correlation", interval, "p", "trials", "status"]
    return format_table(header, rows)


def _refuse_earlier(out: Path) -> None:
    """Refuse a run folder with results of attention: they are not replaced.

    Raises
    ------
    RunFolderError
        If one of the folders to be written holds anything.
    """
    from insilico.attention.gaze import GAZE
    from insilico.attention.mapping import ATTENTION
    from insilico.errors import RunFolderError
    from insilico.experiments.experiment import result_folder

    for name in (ATTENTION, GAZE):
        folder = result_folder(out, name)
        if folder.is_dir() and not any(folder.iterdir()):
            continue
        if folder.exists():
            raise RunFolderError(
                f"{folder} holds an earlier result, which is not replaced; give another --out, or "
                "delete it"
            )


def _recorded(
    twin: Twin,
    data: Path,
    mice: list[str] | None,
    tiers: list[str] | None,
    trials: str | None,
    states: dict[str, Any],
) -> list[ShownTrials]:
    from insilico.attention.shown import recorded_trials
    from insilico.recordings import open_recordings

    return [
        recorded_trials(twin, recording, tiers=tiers or ("validation",), trials=trials, **states)
        for recording in open_recordings(data, mice=mice).values()
    ]


def _given(
    twin: Twin, stimuli: Path | None, mice: list[str] | None, states: dict[str, Any]
) -> list[ShownTrials]:
    from insilico.attention.shown import given_trials
    from insilico.cli.respond import read_npy

    array = read_npy(Path(str(stimuli)))
    names: list[str | None] = list(mice) if mice else [None]
    return [given_trials(twin, array, mouse=name, **states) for name in names]


def _state(text: str | None) -> Any:
    """Return a preset by name, or the numbers of a file."""
    from insilico.cli.respond import read_npy

    return read_npy(Path(text)) if text is not None and text.endswith(".npy") else text
