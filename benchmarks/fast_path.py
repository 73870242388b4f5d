"""What a window of a trial costs full-size ViV1T: ``python benchmarks/fast_path.py [QUESTION …]``.

A pattern of 30 frames, moving or still, between gray in a trial of 300 frames; the answers to the
pattern of one neuron or of 2,000, or the gradient of their sum. The yardstick pushes the whole
trial through the network, as the published scripts do; a twin computes what reaches the answers.
Each side runs in a process of its own, in turns; memory is the peak above what the process held
before. The floor is the multiplications that must be done at the rate of a large matrix product on
the same machine in the same run.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import vivit

from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.screen import Screen
from insilico.twin import Twin

FRAMES, FIRST, LAST = 300, 135, 165
GRAY = 127


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked: of how many neurons, about what, and whether its gradient is wanted."""

    neurons: int
    is_still: bool = False
    has_gradient: bool = False


QUESTIONS = {
    "one": Question(1),
    "gradient": Question(1, has_gradient=True),
    "all": Question(2000),
    "still": Question(2000, is_still=True),
}


def trial(question):
    """Return gray levels (1, 1, frame, y, x) of a trial."""
    random = np.random.default_rng(0)
    pattern = random.integers(0, 256, (1 if question.is_still else LAST - FIRST, 36, 64))
    levels = np.full((1, 1, FRAMES, 36, 64), GRAY, np.float32)
    levels[:, :, FIRST:LAST] = pattern
    return torch.from_numpy(levels)


def build(neurons):
    """Return the yardstick and a twin of the same weights, 2,000 neurons each."""
    plain, ours = vivit.networks(2000)
    for network in (plain, ours):
        network.requires_grad_(False)
    known = Statistics(
        stimulus_mean=0.0,
        stimulus_std=60.0,
        behavior_mean=np.array([1.0, 0.5]),
        behavior_std=np.ones(2),
        pupil_mean=np.zeros(2),
        pupil_std=np.ones(2),
    )
    mice = {"A": Mouse("A", Screen(), neurons_table(2000), known)}
    asked = np.random.default_rng(1).permutation(2000)[:neurons]
    return plain, Twin(ours, mice=mice, device="cpu"), asked


def ask_yardstick(network, question, asked):
    behavior = torch.tensor([1.0, 0.5]).view(1, 2, 1).expand(1, 2, FRAMES)
    gaze = torch.zeros(1, 2, FRAMES)
    chosen = torch.from_numpy(asked)
    for block in network.modules():
        if hasattr(block, "checkpointing"):
            # Without it the gradient takes 40 GB.
            block.checkpointing = question.has_gradient

    def ask(levels):
        answer = network(levels / 60, "A", behavior, gaze)
        return answer[:, chosen, FIRST:LAST]

    return ask


def ask_twin(twin, question, asked):
    prepared = twin.prepare(
        neurons=asked,
        window=(FIRST, LAST),
        input_units="gray",
        output_units="standardized",
        lead_frames=FIRST if question.has_gradient else 0,
    )
    return prepared.forward


def measure(side, question):
    """Answer once to get ready, then again; return seconds, bytes and the values."""
    plain, twin, asked = build(question.neurons)
    ask = (
        ask_yardstick(plain, question, asked)
        if side == "yardstick"
        else ask_twin(twin, question, asked)
    )
    levels = trial(question)
    if side == "insilico" and question.has_gradient:
        levels = levels[:, :, FIRST:]
    del plain, twin
    held = vivit.resident_bytes()
    seconds = []
    for _ in range(1 if side == "yardstick" else 4):
        started = time.perf_counter()
        if question.has_gradient:
            shown = levels.clone().requires_grad_()
            answer = ask(shown)
            (gradient,) = torch.autograd.grad(answer.sum(), shown)
            begin = FIRST if side == "yardstick" else 0
            values = {"gradient": gradient[:, :, begin : begin + LAST - FIRST]}
        else:
            with torch.inference_mode():
                answer = ask(levels)
            values = {}
        seconds.append(time.perf_counter() - started)
    values["responses"] = answer.detach().clone()
    found = {
        "seconds": min(seconds),
        "lead_s": seconds[0] - min(seconds),
        "bytes": vivit.peak_bytes() - held,
    }
    return found, values


def gigaflops(question):
    """Return the multiplications and additions that the answers need, the gray known."""
    patches, registers, width, inner, hidden, depth = 576, 24, 112, 160, 224, 14
    linear = width * (3 * inner + hidden) + (inner + hidden) * width
    window = LAST - FIRST
    frames = 13 if question.is_still else window
    rows = 4 if question.neurons == 1 else patches
    spatial = frames * ((patches + registers) * linear + 2 * (patches + registers) ** 2 * inner)
    temporal = rows * window * (linear + 2 * (FIRST + window / 2) * inner)
    forward = 2e-9 * (depth * (spatial + temporal) + frames * patches * 637 * width)
    return forward * (2 if question.has_gradient else 1)


def compare(name, turns):
    """Measure both sides in turns and print the ratios."""
    question = QUESTIONS[name]
    found = {side: [] for side in vivit.SIDES}
    values = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            for side in vivit.SIDES if turn % 2 == 0 else reversed(vivit.SIDES):
                keep = Path(folder) / f"{side}.pt"
                command = [sys.executable, __file__, name, "--side", side, "--keep", str(keep)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
                values[side] = torch.load(keep, weights_only=True)
    rate, work = vivit.machine_gigaflops(), gigaflops(question)
    middle = {
        side: {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        for side, turns in found.items()
    }
    plain, ours = middle["yardstick"], middle["insilico"]
    print(
        f"{name}: {plain['seconds']:.1f} s -> {ours['seconds']:.2f} s "
        f"({plain['seconds'] / ours['seconds']:.1f} x), {plain['bytes'] / 1e9:.2f} -> "
        f"{ours['bytes'] / 1e9:.2f} GB; gray once {ours['lead_s']:.2f} s; floor "
        f"{work:.0f} GFLOP at {rate:.0f} GFLOP/s = {work / rate:.2f} s "
        f"({100 * work / rate / ours['seconds']:.0f} % of the time)"
    )
    for key, reference in values["yardstick"].items():
        difference = (values["insilico"][key] - reference).abs().max()
        scale = reference.abs().max() if key == "gradient" else reference.std()
        print(f"  {key}: largest difference {difference / scale:.1e} of the "
              f"{'largest value' if key == 'gradient' else 'standard deviation'}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("questions", nargs="*", choices=[[], *QUESTIONS])
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--side", choices=vivit.SIDES)
    parser.add_argument("--keep")
    options = parser.parse_args()
    if options.side:
        found, values = measure(options.side, QUESTIONS[options.questions[0]])
        torch.save(values, options.keep)
        print(json.dumps(found))
        return
    for name in options.questions or QUESTIONS:
        compare(name, options.turns)


if __name__ == "__main__":
    main()
