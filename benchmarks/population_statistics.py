"""Statistics over 8,000 neurons: ``python benchmarks/population_statistics.py``.

Permutation selectivity with 1,000 shuffles, tests of conditions, and tuning similarity of all 32
million pairs, against the same written as plain loops (a part of the work, extrapolated). Each runs
in a process of its own; the peak is that process's memory, and what its imports take is given too.
"""

import multiprocessing
import resource
import sys
import time

import numpy as np

from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.permutation import selectivity_permutation_test
from insilico.statistics.selectivity import orientation_selectivity_index
from insilico.statistics.similarity import similarity_by_distance
from insilico.statistics.similarity_shuffle import similarity_shuffle_test

NEURONS = 8000
SHUFFLES = 1000
#: As many trials as the recorded drifting gratings have in each direction.
REPEATS = 58
EIGHT_DEG = np.arange(8) * 45.0
DIRECTION_DEG = np.repeat(EIGHT_DEG, REPEATS)
#: All pairs of a field as large as the recorded ones, in 36 x 5 bins.
EDGES = {
    "horizontal_edges_um": np.arange(0, 901, 25),
    "vertical_edges_um": np.arange(0, 251, 50),
}
#: The published range: pairs up to 175 µm.
NEAR_EDGES = {**EDGES, "horizontal_edges_um": np.arange(0, 176, 25)}


def neurons():
    """Curves of eight directions over a field of 615 x 615 µm and ten planes."""
    rng = np.random.default_rng(0)
    position = np.column_stack(
        [rng.uniform(0, 615, (NEURONS, 2)), rng.choice(np.arange(200, 426, 25), NEURONS)]
    )
    return rng.gamma(2.0, size=(NEURONS, 8)), position


def responses(neuron_count=NEURONS):
    return np.random.default_rng(1).gamma(2.0, size=(len(DIRECTION_DEG), neuron_count))


def selectivity():
    selectivity_permutation_test(responses(), DIRECTION_DEG, shuffle_count=SHUFFLES, seed=0)


def plain_selectivity():
    """As published: every neuron has its own shuffles. Returns the factor to all neurons."""
    done, rng = 20, np.random.default_rng(2)
    for trials in responses(done).T:
        for _ in range(SHUFFLES):
            shuffled = rng.permutation(trials)
            curve = [shuffled[angle == DIRECTION_DEG].mean() for angle in EIGHT_DEG]
            orientation_selectivity_index(curve, EIGHT_DEG)
    return NEURONS / done


def conditions():
    rng = np.random.default_rng(3)
    first, second = rng.gamma(2.0, size=(2, 24, NEURONS))
    condition_difference_test(first, second, shuffle_count=SHUFFLES, seed=0)


def similarity():
    similarity_by_distance(*neurons(), **EDGES)


def near_similarity():
    similarity_by_distance(*neurons(), **NEAR_EDGES)


def shuffled_similarity():
    done = 100
    similarity_shuffle_test(*neurons(), shuffle_count=done, seed=0, **NEAR_EDGES)
    return SHUFFLES / done


def plain_similarity():
    """Loop over pairs and collect values bin by bin. Returns the factor to all pairs."""
    done = 300
    curves, position = (values[:done] for values in neurons())
    bins = {}
    for i in range(done):
        for j in range(i + 1, done):
            x, y, z = position[i] - position[j]
            key = int(np.hypot(x, y) // 25), int(abs(z) // 50)
            bins.setdefault(key, []).append(np.corrcoef(curves[i], curves[j])[0, 1])
    for values in bins.values():
        np.mean(values)
    return NEURONS * (NEURONS - 1) / (done * (done - 1))


def measure(work, pipe):
    imports_gb = peak_gb()
    started = time.perf_counter()
    factor = work() or 1.0
    pipe.send((time.perf_counter() - started, factor, peak_gb(), imports_gb))


def peak_gb():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main():
    print(f"{NEURONS:,} neurons, {NEURONS * (NEURONS - 1) // 2:,} pairs, {SHUFFLES:,} shuffles")
    context = multiprocessing.get_context("spawn")
    for work, label in (
        (selectivity, "selectivity, 464 trials"),
        (plain_selectivity, "  plain loop"),
        (conditions, "two conditions, 48 trials"),
        (similarity, "similarity, all pairs"),
        (near_similarity, "similarity, pairs below 175 µm"),
        (plain_similarity, "  plain loop, all pairs"),
        (shuffled_similarity, "similarity against chance, below 175 µm"),
    ):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=measure, args=(work, theirs))
        process.start()
        seconds, factor, peak, imports = mine.recv()
        process.join()
        note = f"  (measured {seconds:.1f} s, times {factor:.0f})" if factor != 1 else ""
        print(
            f"{label:42s}{seconds * factor:9.1f} s   {peak:.2f} GB peak, "
            f"{imports:.2f} of it imports{note}",
            flush=True,
        )


if __name__ == "__main__":
    main()
