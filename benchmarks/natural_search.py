"""What a natural clip costs a search on full-size ViV1T: ``python benchmarks/natural_search.py``.

The plain loop shows one neuron one clip after another, in trials of 300 frames, as the published
search does; the yardstick takes the same for each, so one is timed. The search shows the same clips
to one neuron, and to thirty that share a rounded center. Each side runs in a process of its own;
memory is the peak above what the process held before.
"""

import argparse
import json
import subprocess
import sys
import time

import fast_path
import numpy as np
import torch
import vivit

from insilico.synthesis.levels import Levels
from insilico.synthesis.natural import given_clips
from insilico.synthesis.objectives import neuron
from insilico.synthesis.regions import center_disc
from insilico.synthesis.scoring import Exposure, Scorer, Scoring
from insilico.synthesis.search import Search

FRAMES, FIRST, LAST = fast_path.FRAMES, fast_path.FIRST, fast_path.LAST
#: All that the published search shows to each neuron of mouse K.
PUBLISHED_CLIPS, SEARCHED_CLIPS = 22_550, 2_000


def clips(screen, count):
    """Return clips of blurred noise; what they show costs nothing."""
    random = np.random.default_rng(0)
    movies = random.integers(0, 256, (1 + count // 10, 90, *screen.shape), np.uint8)
    return given_clips(movies, screen, frame_count=LAST - FIRST, limit=count)


def plainly(found, region):
    """Return seconds and the response to the first clip, as the published search asks for it."""
    network, _, _ = fast_path.build(1)
    trial = np.full((FRAMES, *region.weights.shape), float(fast_path.GRAY))
    trial[FIRST:LAST] = region.compose(Levels(127, 20).finish(found.render([0])[0], region))
    ask = fast_path.ask_yardstick(network, fast_path.Question(1), np.arange(1))
    held = vivit.resident_bytes()
    started = time.perf_counter()
    with torch.inference_mode():
        answer = ask(torch.from_numpy(trial).float()[None, None])
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "bytes": vivit.peak_bytes() - held,
        "response": float(answer.sum()),
    }


def searched(found, region, neurons):
    """Return seconds a clip, without making ready, and the response to the first clip."""
    _, twin, _ = fast_path.build(1)
    del _
    scorer = Scorer(
        twin,
        "A",
        range(neurons),
        exposure=Exposure(LAST - FIRST, FIRST),
        scoring=Scoring(over_frames="sum", output_units="standardized"),
    )
    targets = [(neuron(index), region) for index in range(neurons)]
    held = vivit.resident_bytes()
    first = Search(scorer, found.select([0]), targets, levels=Levels(127, 20))
    first.advance()
    response = first.entries()[0][0].details["response"]
    search = Search(scorer, found, targets, levels=Levels(127, 20))
    search.advance()
    started = time.perf_counter()
    search.advance(search.batch_count)
    seconds = time.perf_counter() - started
    shown = len(found) - min(8, len(found))
    return {
        "seconds": seconds / shown,
        "bytes": vivit.peak_bytes() - held,
        "response": response,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--neurons", type=int)
    options = parser.parse_args()
    if options.neurons is not None:
        torch.set_num_threads(options.threads)
        screen = fast_path.Screen()
        region, found = center_disc(screen, (32, 18), 20.0), clips(screen, options.clips)
        asked = options.neurons
        print(json.dumps(searched(found, region, asked) if asked else plainly(found, region)))
        return
    measured = {}
    for neurons in (0, 1, 30):
        command = [sys.executable, __file__, "--neurons", str(neurons)]
        command += ["--clips", str(options.clips), "--threads", str(options.threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        measured[neurons] = json.loads(done.stdout.splitlines()[-1])
    plain = measured[0]
    print(f"plain loop: {plain['seconds']:.1f} s a clip and neuron, {plain['bytes'] / 1e9:.2f} GB")
    for neurons in (1, 30):
        ours = measured[neurons]
        ratio = plain["seconds"] * neurons / ours["seconds"]
        hours = ours["seconds"] * SEARCHED_CLIPS / 3600
        print(
            f"search, {neurons} neurons: {ours['seconds']:.2f} s a clip ({ratio:.0f} x a neuron), "
            f"{ours['bytes'] / 1e9:.2f} GB; {SEARCHED_CLIPS:,} clips {hours:.2f} h; the response "
            f"differs by {abs(ours['response'] / plain['response'] - 1):.1e}"
        )


if __name__ == "__main__":
    main()
