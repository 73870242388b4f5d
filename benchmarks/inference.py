"""Plain against prepared inference, all neurons: ``python benchmarks/inference.py MODEL``."""

import sys
import time

import numpy as np
import torch

import insilico

REPEATS = 5


def milliseconds_per_image(answer, images):
    answer(images)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        answer(images)
        seconds.append(time.perf_counter() - started)
    return 1e3 * np.median(seconds) / len(images)


def main(model):
    twin = insilico.load(model, device="cpu")
    prepared = {
        plan: twin.prepare(plan=plan, input_units="standardized") for plan in ("plain", "auto")
    }
    print(f"{twin.name}: {len(twin.neurons()):,} neurons, {torch.get_num_threads()} threads")
    print("images at once   plain ms   fast ms   ratio")
    random = torch.Generator().manual_seed(0)
    for count in (1, 16, 32, 64, 128, 256, 1024):
        images = torch.randn(count, *twin.screen().shape, generator=random)
        with torch.inference_mode():
            plain, fast = (
                milliseconds_per_image(prepared[plan].forward, images) for plan in ("plain", "auto")
            )
            difference = (
                prepared["plain"].forward(images) - prepared["auto"].forward(images)
            ).abs()
        print(f"{count:14d} {plain:10.2f} {fast:9.2f} {plain / fast:7.1f}", end="")
        print(f"   largest difference {difference.max():.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
