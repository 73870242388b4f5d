"""``insilico simulate``: recordings of simulated mice, with the truth beside them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def simulate(
    out: Path,
    *,
    kind: Literal["movie", "image"] = "movie",
    mice: int = 3,
    neurons: int = 150,
    seed: int = 0,
    reliability: float | None = None,
    train_trials: int | None = None,
    validation_stimuli: int | None = None,
    test_stimuli: int | None = None,
    final_stimuli: int = 2,
    bonus_stimuli: int = 2,
    repeats: int | None = None,
    trial_s: float = 10.0,
    gaze_shift_px: float = 1.0,
    padded: bool = False,
    image_scale: int = 1,
) -> None:
    """Write recordings of simulated mice in the published layouts.

    Each mouse is a folder as its laboratory would have published it, with the parameters of every
    neuron in meta/neurons/ground_truth.parquet and the noise-free responses in truth/responses. The
    same options write the same recordings. A run that was stopped continues where it was.

    Parameters
    ----------
    out : Path
        New folder.
    kind : {"movie", "image"}
        Movies as in Sensorium 2023, or images as in Sensorium 2022.
    mice : int
        Number of mice.
    neurons : int
        Neurons of each mouse.
    seed : int
        Another seed, other mice.
    reliability : float, optional
        Mean correlation of single test trials with the noise-free response; 0.40 for movies, 0.45
        for images.
    train_trials : int, optional
        Training trials of each mouse; 360 movies or 3,000 images.
    validation_stimuli : int, optional
        Repeated movies of the tier oracle (6), or images of the tier validation (200).
    test_stimuli : int, optional
        Repeated movies of the tier live_test_main (6), or images of the tier test (100).
    final_stimuli : int
        Repeated movies of the tier final_test_main.
    bonus_stimuli : int
        Repeated movies of each of five out-of-distribution types.
    repeats : int, optional
        Presentations of each repeated stimulus; 8 of a movie, 10 of an image.
    trial_s : float
        Length of a movie in seconds.
    gaze_shift_px : float
        Standard deviation of the receptive fields' shift by the gaze.
    padded : bool
        Pad movies with NaN to one length and write float32, as published: five times the space.
    image_scale : int
        Write an image's pixels as squares of so many a side: 1, or 4 for the published 144 x 256.
    """
    from insilico.simulation import SimulationOptions, write_recordings

    options = SimulationOptions(
        kind=kind,
        mice=mice,
        neurons=neurons,
        seed=seed,
        reliability=reliability,
        train_trials=train_trials,
        validation_stimuli=validation_stimuli,
        test_stimuli=test_stimuli,
        final_stimuli=final_stimuli,
        bonus_stimuli=bonus_stimuli,
        repeats=repeats,
        trial_s=trial_s,
        gaze_shift_px=gaze_shift_px,
        padded=padded,
        image_scale=image_scale,
    )
    written = write_recordings(out, options=options, progress=True)
    if all(mouse.seconds == 0 for mouse in written):
        print(f"{out} was complete already", file=sys.stderr)
    print(format_written(written))
    print(f"recordings: {out}")


def format_written(written) -> str:  # type: ignore[no-untyped-def]
    """Return what was written as a table of text, one row a mouse."""
    from insilico.cli.tables import format_table

    tiers = sorted({tier for mouse in written for tier in mouse.trials}, key=_tier_order)
    header = ["mouse", "neurons", *tiers, "reliability asked", "obtained", "seconds"]
    rows = [
        (
            mouse.mouse,
            mouse.neurons,
            *(mouse.trials.get(tier, 0) for tier in tiers),
            mouse.reliability,
            mouse.reliability_obtained,
            mouse.seconds,
        )
        for mouse in written
    ]
    return format_table(header, rows)


def _tier_order(tier: str) -> tuple[int, str]:
    first = ("train", "validation", "oracle", "test")
    return (first.index(tier) if tier in first else len(first), tier)
