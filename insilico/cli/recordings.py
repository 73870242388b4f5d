"""``insilico recordings``: what is in them, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cyclopts

from insilico.cli.tables import format_table

if TYPE_CHECKING:
    from insilico.recordings.check import RecordingCheck

app = cyclopts.App(name="recordings", help="Look at recordings before a model is trained on them.")


@app.command
def check(path: Path) -> None:
    """Read all of a recording, and tell what is there and what is wrong.

    Every trial is read once. The exit code is 0 if nothing is wrong.

    Parameters
    ----------
    path : Path
        A recording's folder or zip file, or a folder of recordings.
    """
    from insilico.recordings.check import check_recordings, sum_up

    checks = check_recordings(path, progress=True)
    opened = [one for one in checks if one.recording is not None]
    if opened:
        print(_mouse_table(opened), _tier_table(opened), sep="\n\n")
    for title, sentences in (
        ("Good to know", [text for one in checks for text in one.warnings]),
        ("Wrong", [text for one in checks for text in one.faults]),
    ):
        if sentences:
            print(f"\n{title}:", *sentences, sep="\n  ")
    if error := sum_up(checks):
        raise error
    print("\nNothing is wrong.")


def _mouse_table(checks: Sequence[RecordingCheck]) -> str:
    header = ["mouse", "layout", "neurons", "pixels", "channels", "Hz", "behavior", "gaze"]
    rows: list[tuple[Any, ...]] = []
    for one in checks:
        if (recording := one.recording) is not None:
            rate = recording.rate_hz.get("stimulus")
            rows.append(
                (
                    recording.mouse,
                    recording.layout,
                    len(recording.neurons),
                    "{} x {}".format(*recording.screen.shape),
                    ", ".join(recording.channel_names),
                    "-" if rate is None else f"{rate:g}",
                    ", ".join(recording.behavior_names) or "-",
                    "yes" if recording.has_pupil else "-",
                )
            )
    return format_table(header, rows)


def _tier_table(checks: Sequence[RecordingCheck]) -> str:
    header = ["mouse", "tier", "trials", "frames", "stimuli", "repeats", "oracle", "neurons"]
    return format_table(
        header,
        [
            (
                one.mouse,
                row["tier"],
                row["trials"],
                _span(row["least_frames"], row["most_frames"]),
                row["stimulus_types"],
                f"{row['stimuli']} x {_span(row['least_repeats'], row['most_repeats'])}"
                if row["stimuli"]
                else "-",
                row["reliability"],
                row["reliability_neurons"],
            )
            for one in checks
            for row in one.tiers.to_dict("records")
        ],
    )


def _span(least: int, most: int) -> str:
    if not most:
        return "-"
    return str(most) if least == most else f"{least}-{most}"
