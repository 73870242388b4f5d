"""How many trials does a new mouse need? ``python figures/data_efficiency.py RECIPE DATA OUT``.

Trains a core on all recordings in DATA but the last, then the last mouse on growing numbers of its
trials: its readout alone on the frozen core, and everything from scratch. Writes OUT/trials.csv and
OUT/trials.png; what was trained before is not trained again.
"""

import sys
from pathlib import Path

import pandas as pd

from insilico.figures.style import style
from insilico.figures.training import plot_data_efficiency
from insilico.models.checkpoint import load_checkpoint
from insilico.recordings import cache_recordings, open_recordings
from insilico.simulation import allowed_correlation
from insilico.simulation.ground_truth import TRUTH_FILE
from insilico.training.evaluation import evaluate
from insilico.training.loop import train
from insilico.training.recipe import read_training_recipe

#: The best of so many epochs is kept. Few trials get as many steps as many, and a core more than a
#: readout.
EPOCHS, READOUT_STEPS, CORE_STEPS = 8, 100, 300
#: What several mice train together moves the core of one too fast: it dies.
SLOW = {"core_learning_rate": 0.002, "warmup_steps": 100}
#: Trials: the whole session, and what remains of it after quartering it so often.
QUARTERINGS = 3


def measure(recipe, recordings, out):
    """Train and evaluate on every number of trials; return a row a training."""
    *others, new = recordings
    trained = train(
        read_training_recipe(recipe),
        {name: recordings[name] for name in others},
        out / "core",
        resume=True,
        progress=True,
    )
    core, alone = load_checkpoint(trained.checkpoint), {new: recordings[new]}
    every = len(recordings[new].trials_of("train"))
    rows = []
    for trials in sorted({max(every // 4**power, 1) for power in range(QUARTERINGS + 1)}):
        settings = {"trial_limit": trials, "epochs": EPOCHS}
        for condition, options in {
            "readout alone, on the core of other mice": {"core": core, "is_core_frozen": True},
            "all from scratch": {},
        }.items():
            steps = (
                {"epoch_steps": READOUT_STEPS} if options else {"epoch_steps": CORE_STEPS, **SLOW}
            )
            chosen = read_training_recipe(recipe, overrides=settings | steps)
            folder = out / f"{'core' if options else 'direct'}-{trials}"
            run = train(chosen, alone, folder, resume=True, progress=True, **options)
            summary = evaluate(load_checkpoint(run.checkpoint), alone, tiers=["validation"]).tables[
                "summary"
            ]
            row = summary[summary["metric"] == "correlation"].iloc[0]
            rows.append(
                {
                    "trials": trials,
                    "condition": condition,
                    "correlation": row["mean"],
                    "ci_low": row["ci_low"],
                    "ci_high": row["ci_high"],
                    "minutes": run.log["minutes"].iloc[-1],
                }
            )
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    recipe, data, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    recordings = cache_recordings(open_recordings(data), folder=out / "cache", progress=True)
    table = measure(recipe, recordings, out)
    source = recordings[list(recordings)[-1]].recording.source
    if (Path(source) / TRUTH_FILE).is_file():
        table["ceiling"] = allowed_correlation(Path(source), tier="validation").mean()
    table.to_csv(out / "trials.csv", index=False)
    with style():
        plot_data_efficiency(table).savefig(out / "trials.png", dpi=200)
