"""The numbers on the cards of the shipped twins: ``python benchmarks/shipped_twins.py MODEL DATA``.

DATA are the recordings that the card names, as ``insilico simulate`` writes them: how close the
twin comes to a perfect model of them, and what experiments on it recover of what was planted.
"""

import sys
from pathlib import Path

import insilico
from insilico.cli.validate import format_summary
from insilico.models.checkpoint import load_checkpoint
from insilico.recordings import cache_recordings, open_recordings
from insilico.simulation import allowed_correlation, population_twin
from insilico.training.evaluation import evaluate
from insilico.twin.loading import find_checkpoint
from insilico.validation import compare_trained

TIERS = {"image": ["validation", "test"], "movie": ["validation", "live_main"]}


def predict(model, data, kind):
    recordings = cache_recordings(open_recordings(data), folder=data / "cache", progress=True)
    checkpoint = load_checkpoint(find_checkpoint(model))
    summary = evaluate(checkpoint, recordings, tiers=TIERS[kind], progress=True).tables["summary"]
    reached = summary[(summary["metric"] == "correlation") & (summary["mouse"] == "all mice")]
    for tier, correlation in zip(reached["tier"], reached["mean"], strict=True):
        allowed = [allowed_correlation(data / name, tier=tier).mean() for name in recordings]
        most = sum(allowed) / len(allowed)
        print(f"{tier}: {correlation:.3f} of {most:.3f}, {100 * correlation / most:.0f} %")


def recover(model, data):
    twin = insilico.load(model)
    for mouse in twin.mice:
        results = {
            name: insilico.run(name, twin, mouse=mouse) for name in ("retinotopy", "direction")
        }
        validation = compare_trained(population_twin(data / mouse), results)
        print(f"\n{mouse}\n{format_summary(validation.summary)}")


if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2])
    predict(name, folder, insilico.load(name).kind)
    recover(name, folder)
