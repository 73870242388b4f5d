"""``insilico evaluate``: a model against recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insilico.results import Result

#: Metrics that the command line prints, and how it calls them.
PRINTED = {
    "single_trial_correlation": "single trial",
    "correlation": "correlation",
    "correlation_to_average": "to average",
    "normalized_correlation": "normalized",
    "feve": "FEVE",
    "oracle": "oracle",
    "fraction_oracle": "of oracle",
    "poisson_loss": "Poisson loss",
}


def evaluate(
    model: str,
    *,
    data: Path,
    out: Path,
    mouse: list[str] | None = None,
    tier: list[str] | None = None,
    predictions: bool = False,
    burn_in_frames: int = 50,
    cache: Path | None = None,
    device: str = "auto",
) -> None:
    """Compare a model's predictions with recordings, neuron by neuron.

    Writes RUN/evaluation: tables, figure and how it was made.

    Parameters
    ----------
    model : str
        A name of the zoo, a checkpoint folder, or the folder of a training run.
    data : Path
        A recording (folder or zip file), or a folder of several.
    out : Path
        The run folder; it may be that of the training run.
    mouse : list of str, optional
        Mice to evaluate; all recorded ones when left out.
    tier : list of str, optional
        Tiers such as validation, test or live_main; all but train when left out.
    predictions : bool
        Also write RUN/predictions.h5.
    burn_in_frames : int
        Frames at the start of each movie that are not judged.
    cache : Path, optional
        Where decoded recordings are kept; the user's cache folder when left out.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    """
    from insilico.cli.saving import save_figures
    from insilico.experiments.experiment import result_folder
    from insilico.models.hub import cache_folder
    from insilico.recordings import cache_recordings, open_recordings
    from insilico.training.evaluation import check_match
    from insilico.training.evaluation import evaluate as compare
    from insilico.twin.loading import open_checkpoint
    from insilico.twin.twin import choose_device

    checkpoint = open_checkpoint(model, cache=cache, data=data, progress=True)
    recordings = open_recordings(data, mice=mouse)
    for name, recording in recordings.items():
        # Decoding takes minutes; what does not fit is refused before.
        check_match(checkpoint, name, recording)
    checkpoint.network.to(choose_device(device))
    result = compare(
        checkpoint,
        cache_recordings(recordings, folder=cache_folder(cache) / "recordings", progress=True),
        tiers=tier,
        burn_in_frames=burn_in_frames,
        predictions=out / "predictions.h5" if predictions else None,
        progress=True,
        command=" ".join(sys.argv),
    )
    folder = result.save(result_folder(out, "evaluation"))
    save_figures(result, folder / "figures")
    print(format_summary(result))
    for skipped in result.provenance["skipped"]:
        print(f"skipped: {skipped['mouse']}, {skipped['tier']}: {skipped['reason']}")
    print(f"tables and figure: {folder}")
    if predictions:
        print(f"predictions: {out / 'predictions.h5'}")


def format_summary(result: Result) -> str:
    """Return means over neurons as a table of text, one line a mouse, tier and stimulus type."""
    from insilico.cli.tables import format_table

    keys = ["mouse", "tier", "stimulus_type"]
    summary = result.tables["summary"]
    rows = []
    for key, group in summary.groupby(keys, sort=False):
        means = dict(zip(group["metric"], group["mean"], strict=True))
        rows.append([*key, *(float(means[metric]) for metric in PRINTED)])
    return format_table(["mouse", "tier", "stimuli", *PRINTED.values()], rows)
