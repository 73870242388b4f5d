"""What makes a receptive-field map reliable: ``python benchmarks/estimators.py MODEL [IMAGES]``.

Median split-half correlation over neurons, of the published estimator (response-weighted noise, not
centered), of the centered one, and of the centered one after a light blur.
"""

import sys

import numpy as np

import insilico
from insilico.experiments.reverse_correlation import smooth
from insilico.statistics.correlation import correlate_rows
from insilico.stimuli import white_noise

NEURON_STEP = 10
BLOCK = 500


def main(model, image_count=8000):
    twin = insilico.load(model, device="cpu")
    neurons = slice(0, None, NEURON_STEP)
    prepared = twin.prepare(neurons=neurons, is_gray=True)
    shape = twin.screen().shape
    sums = [np.zeros((len(prepared.neurons), np.prod(shape))) for _ in range(2)]
    response_sum = [np.zeros(len(prepared.neurons)) for _ in range(2)]
    pixel_sum = [np.zeros(np.prod(shape)) for _ in range(2)]
    for block, start in enumerate(range(0, int(image_count), BLOCK)):
        noise = white_noise(twin.screen(), seed=[3], trials=range(start, start + BLOCK))
        responses = prepared.respond(noise).astype(float)
        pixels = noise.reshape(BLOCK, -1) / 255
        half = block % 2
        sums[half] += responses.T @ pixels
        response_sum[half] += responses.sum(0)
        pixel_sum[half] += pixels.sum(0)
    count = int(image_count) / 2
    centered = [
        total / count - np.outer(response / count, pixel / count)
        for total, response, pixel in zip(sums, response_sum, pixel_sum, strict=True)
    ]
    blurred = [smooth(maps.reshape(-1, *shape), 1.0) for maps in centered]
    print(f"{twin.name}: every {NEURON_STEP}th neuron, {int(image_count):,} images")
    for name, halves in {
        "published (not centered)": sums,
        "centered": centered,
        "centered, 1 px blur": blurred,
    }.items():
        print(f"{name:26s} median split-half r = {np.median(correlate_rows(*halves)):.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
