"""Most exciting videos as published, done plainly: ``python benchmarks/published_generation.py``.

The published generation with its quirks (method "cutoff"): the logits of a video are a Fourier
series, its pixels their sigmoid, and AdamW climbs the response of one neuron; every step shows the
whole trial of 300 frames to the whole network and reads all its neurons. It serves any network, and
is what the rates and the stimuli of ``insilico.synthesis`` are compared with:

``step``
    One step on full-size causal ViV1T with random weights, against one of ours; each side in a
    process of its own, in turns.
``twin``
    Final responses of neurons of a shipped, trained twin: the published procedure, and ours after
    as many steps and after as much time.

What the published scripts also compute, and what no result needs, is left out of both the work and
the time: the spectral penalty at weight zero, checkpoints and animations, gradients of weights.

References
----------
ViV1T-closed-loop (github.com/bryanlimy/ViV1T-closed-loop, MIT): most_exciting_stimulus/
single_neuron/generate_center_surround.py and generate_full_field.py (objective, loop, best so far),
viv1t/most_exciting_stimulus/parameters.py (start, cutoffs, synthesis). Comments that begin with
"Published:" mark what one would not expect but what its results depend on.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import insilico
from insilico.screen import Screen
from insilico.simulation.ground_truth import shipped_truth
from insilico.stimuli.shapes import disc
from insilico.synthesis.climbing import Climber, Start
from insilico.synthesis.clock import Clock
from insilico.synthesis.generate import read_synthesis_protocol
from insilico.synthesis.levels import Levels
from insilico.synthesis.objectives import neuron as one_neuron
from insilico.synthesis.parametrizations import Pixels
from insilico.synthesis.regions import full_field
from insilico.synthesis.schedule import Climb
from insilico.synthesis.scoring import Exposure, Scorer, Scoring
from insilico.synthesis.stages import Order, make_set
from insilico.synthesis.targets import Target
from insilico.synthesis.workshop import Workshop
from insilico.twin import Twin

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: A trial: frames of gray, of the pattern, of gray.
LEAD, PATTERN, TAIL = 135, 30, 135

#: Frames whose responses are summed.
WINDOW = (LEAD, LEAD + PATTERN)

#: The start has this standard deviation, and the same seed for all neurons.
START_STD, SEED = 0.01, 1234

#: Shares of the highest frequency that are kept, in space and in time.
SPATIAL_CUTOFF, TEMPORAL_CUTOFF = 0.5, 1.0

LEARNING_RATE = 0.05

#: Full-size ViV1T is given levels / 60, as in ``fast_path.py``.
VIVIT_STD = 60.0

SHIPPED = "simulated-movie-cnn"


# The published procedure


def start_spectrum(shape: tuple[int, int], *, frames: int = PATTERN, seed: int = SEED) -> Tensor:
    """Return the parameter at its start, complex (1, frame, y, x); one frame is a still."""
    noise = START_STD * torch.randn(
        1, frames, *shape, generator=torch.Generator().manual_seed(seed)
    )
    # Published: the whole spectrum, although the inverse reads half of it.
    return torch.fft.fftn(noise, dim=(1, 2, 3), norm="ortho").requires_grad_()


def kept_frequencies(frames: int, shape: tuple[int, int]) -> Tensor:
    """Return ones and zeros (frame, y, x): a box in index frequency, not in cycles per degree."""
    temporal = TEMPORAL_CUTOFF if frames > 1 else 1.0
    axes = []
    for size, cutoff in zip((frames, *shape), (temporal, *[SPATIAL_CUTOFF] * 2), strict=True):
        frequency = torch.fft.fftfreq(size).abs()
        axes.append((frequency <= cutoff * frequency.max()).float())
    return torch.einsum("t,y,x->tyx", *axes)


def logits(spectrum: Tensor, kept: Tensor) -> Tensor:
    """Return the logits of the pixels (frame, y, x)."""
    # Published: a still is padded with temporal frequencies that are zero, which shrinks it by the
    # square root of its frames.
    size = (1, PATTERN, *spectrum.shape[2:])
    return torch.fft.irfftn(kept * spectrum, s=size, dim=(0, 1, 2, 3), norm="ortho")[0]


def compose(spectrum: Tensor, kept: Tensor, mask: Tensor, background: float) -> Tensor:
    """Return the gray levels of the pattern (frame, y, x)."""
    return 255 * logits(spectrum, kept).sigmoid() * mask + background * (1 - mask)


def trial(pattern: Tensor, gray: float) -> Tensor:
    """Put the pattern between gray; return a trial (1, 1, frame, y, x)."""
    lead = pattern.new_full((LEAD, *pattern.shape[1:]), gray)
    tail = pattern.new_full((TAIL, *pattern.shape[1:]), gray)
    return torch.cat((lead, pattern, tail))[None, None]


def climb(
    respond: Callable[[Tensor], Tensor],
    *,
    mask: Tensor,
    background: float,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = SEED,
    frames: int = PATTERN,
) -> dict[str, Any]:
    """Maximize the sum of what ``respond`` answers to a pattern (frame, y, x) of gray levels.

    Parameters and result are those of :func:`generate_plainly`.
    """
    if (steps is None) == (seconds is None):
        raise ValueError("give either steps or seconds")
    shape = (mask.shape[0], mask.shape[1])
    spectrum, kept = (
        start_spectrum(shape, frames=frames, seed=seed),
        kept_frequencies(frames, shape),
    )
    optimizer = torch.optim.AdamW([spectrum], lr=LEARNING_RATE, weight_decay=0.0)
    responses: list[float] = []
    took: list[float] = []
    final = None
    while len(took) < steps if steps is not None else sum(took) < (seconds or 0):
        started = time.perf_counter()
        shown = compose(spectrum, kept, mask, background)
        response = respond(shown).sum()
        (spectrum.grad,) = torch.autograd.grad(-response, spectrum)
        optimizer.step()
        # Published: the response at the start is what must be beaten, and is itself not kept.
        if not responses:
            best_video = shown.detach()
        elif response.item() > max(responses):
            # Published: the parameter after the update is kept with the response from before it.
            best_video, final = shown.detach(), spectrum.detach().clone()
        responses.append(response.item())
        took.append(time.perf_counter() - started)
    # Published: where no step was better than the start, the last parameter is taken.
    chosen = spectrum.detach() if final is None else final
    return {
        "video": compose(chosen, kept, mask, background).numpy(),
        "best_video": best_video.numpy(),
        "responses": np.array(responses),
        "seconds": np.array(took),
    }


def generate_plainly(
    ask: Callable[[Tensor], Tensor],
    *,
    neuron: int,
    mask: Tensor,
    background: float,
    mean: float,
    std: float,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = SEED,
    response_window: tuple[int, int] = WINDOW,
    frames: int = PATTERN,
) -> dict[str, Any]:
    """Make the most exciting video of one neuron, as published.

    Parameters
    ----------
    ask : callable
        A network: from standardized trials (1, 1, 300, y, x) to responses (1, neuron, frame) of all
        its neurons, to all frames or the last ones. Its weights should need no gradient.
    neuron : int
        Whose response is maximized.
    mask : float tensor, shape (y, x)
        1 where pixels may change, 0 where the background stays.
    background : float
        Gray level around the mask, and of the frames before and after the pattern; published: 127
        around a disc, 127.5 for full fields.
    mean, std : float
        By which gray levels are standardized.
    steps : int, optional
        How many updates.
    seconds : float, optional
        Wall time instead: the step that is under way at its end is still made.
    seed : int
        Of the start.
    response_window : tuple of (int, int)
        Frames of the trial whose responses are summed, the end exclusive.
    frames : int
        30 for a moving pattern, 1 for a still one that is shown in 30 frames.

    Returns
    -------
    dict
        ``video``: float32 array (30, y, x), gray levels from 0 to 255, what the published scripts
        evaluate in the end; ``best_video``: the same of the best step, which lies one update
        earlier; ``responses``: float array (step,), the summed response before each update;
        ``seconds``: float array (step,), what each step took.

    Raises
    ------
    ValueError
        If both or none of ``steps`` and ``seconds`` are given.
    """

    def respond(pattern: Tensor) -> Tensor:
        shown = trial(pattern, background)
        answers = ask((shown - mean) / std)
        unanswered = shown.shape[2] - answers.shape[2]
        start, stop = (frame - unanswered for frame in response_window)
        return answers[0, neuron, start:stop]

    return climb(
        respond,
        mask=mask,
        background=background,
        steps=steps,
        seconds=seconds,
        seed=seed,
        frames=frames,
    )


# A step of full-size ViV1T

#: How ascent is used where contrast is free, as published: long steps, and no blur to lose it by.
FREE_CONTRAST = {
    "luminance_level": 0.0,
    "rms_level": 0.0,
    "step_size": 0.5,
    "pattern_blur_px": 0.0,
    "gradient_blur_px": 0.5,
    "ramp_steps": 0,
}
SIDES = ("yardstick", "insilico")


def plain_steps(network: torch.nn.Module, neuron: int) -> dict[str, Any]:
    """Make one step with the yardstick, which recomputes its blocks: else it needs 40 GB."""
    for block in network.modules():
        if hasattr(block, "checkpointing"):
            block.checkpointing = True  # type: ignore[assignment]
    frames = LEAD + PATTERN + TAIL
    behavior = torch.tensor([1.0, 0.5]).view(1, 2, 1).expand(1, 2, frames)
    gaze = torch.zeros(1, 2, frames)
    return generate_plainly(
        lambda video: network(video, "A", behavior, gaze),
        neuron=neuron,
        mask=torch.ones(Screen().shape),
        background=Screen().gray,
        mean=0.0,
        std=VIVIT_STD,
        steps=1,
    )


def our_steps(twin: Twin, neuron: int) -> dict[str, Any]:
    """Make five steps of ours; the first also computes what the gray before the pattern leaves."""
    screen = twin.screen("A")
    kept = kept_frequencies(PATTERN, screen.shape)
    spectrum = start_spectrum(screen.shape)
    first = compose(spectrum, kept, torch.ones(screen.shape), screen.gray)
    scorer = Scorer(
        twin,
        "A",
        [neuron],
        exposure=Exposure(PATTERN, LEAD),
        scoring=Scoring(over_frames="sum", output_units="standardized"),
    )
    start = Start(one_neuron(neuron), full_field(screen), (SEED,), first.detach().numpy())
    climber = Climber(
        scorer,
        [start],
        levels=Levels(),
        parametrization=Pixels(),
        climb=Climb(steps=5, ramp_steps=0, patience=0),
        frame_count=PATTERN,
    )
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        climber.advance(1)
        seconds.append(time.perf_counter() - started)
    return {"seconds": np.array(seconds), "responses": climber.scores[:, 0].numpy()}


def measure_step(side: str) -> None:
    """Make steps of one side, and print what they took as JSON."""
    # These scripts import each other by name; tests import this one as part of a package.
    from fast_path import build

    plain, twin, asked = build(1)  # type: ignore[no-untyped-call]
    held = peak_bytes()
    made = (plain_steps if side == "yardstick" else our_steps)(
        plain if side == "yardstick" else twin, int(asked[0])
    )
    seconds = made["seconds"]
    found = {
        "seconds": float(np.median(seconds[1:] if len(seconds) > 1 else seconds)),
        "first_s": float(seconds[0]),
        "response": float(made["responses"][0]),
        "peak_bytes": peak_bytes(),
        "added_bytes": peak_bytes() - held,
    }
    print(json.dumps(found))


def peak_bytes() -> int:
    """Return the most memory this process has held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def compare_step(turns: int) -> None:
    """Measure both sides in turns and print the ratios."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for turn in range(turns):
        for side in SIDES if turn % 2 == 0 else reversed(SIDES):
            command = [sys.executable, __file__, "step", "--side", side]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    plain, ours = (
        {key: float(np.median([turn[key] for turn in found[side]])) for key in found[side][0]}
        for side in SIDES
    )
    print(f"one step, {torch.get_num_threads()} threads, {turns} turns")
    for side, middle in zip(SIDES, (plain, ours), strict=True):
        print(
            f"{side}: {middle['seconds']:.2f} s, the first {middle['first_s']:.2f} s; memory "
            f"{middle['peak_bytes'] / 1e9:.2f} GB at the peak, {middle['added_bytes'] / 1e9:.2f} "
            "GB of it for the steps"
        )
    minutes = (ours["first_s"] + 199 * ours["seconds"]) / 60
    difference = abs(ours["response"] / plain["response"] - 1)
    print(
        f"{plain['seconds'] / ours['seconds']:.1f} times as fast; 200 steps of ours in "
        f"{minutes:.1f} minutes; responses to the start differ by {difference:.1e}"
    )


# A trained twin


def ours(
    twin: Twin,
    neurons: IntArray,
    *,
    mouse: str,
    diameter_deg: float,
    centers_px: FloatArray,
    steps: int | None = None,
    seconds: float | None = None,
) -> FloatArray:
    """Make the most exciting videos of all neurons with ``insilico.synthesis``.

    A moving pattern of 30 frames after 135 of gray, free levels (0 to 255) as published, in the
    full field where ``diameter_deg`` is infinite, else in a disc about ``centers_px`` (neuron,
    (x, y)).

    Parameters
    ----------
    steps : int, optional
        For each neuron.
    seconds : float, optional
        For all neurons together.

    Returns
    -------
    float array, shape (neuron,)
        What :func:`window_responses` gives: means over the pattern's frames, in recorded units.
    """
    is_full = np.isinf(diameter_deg)
    protocol = read_synthesis_protocol(
        "mev",
        overrides={
            **FREE_CONTRAST,
            "region": "full" if is_full else "center",
            "lead_s": LEAD / twin.frame_rate_hz,
            "steps": steps or 1000,
            "controls": [],
        },
    )
    targets = [
        Target(one_neuron(int(neuron)), float(x), float(y), float(diameter_deg))
        for neuron, (x, y) in zip(neurons, np.round(centers_px), strict=True)
    ]
    made = make_set(Workshop(twin, mouse, protocol), Order(targets, {}, {}), Clock(seconds))
    return window_responses(twin, made.frames, mouse=mouse, neurons=made.table["neuron"].to_numpy())


def published_on_twin(
    twin: Twin, neuron: int, *, mouse: str, mask: Tensor, **duration: Any
) -> dict[str, Any]:
    """Follow the published procedure plainly: all frames, all neurons."""
    known = twin.mouse(mouse).statistics
    if known.stimulus_mean is None or known.stimulus_std is None:
        raise ValueError(f"{twin.name} has no stimulus statistics; ask a twin that has them")
    prepared = twin.prepare(
        mouse, input_units="standardized", output_units="standardized", plan="plain"
    )
    return generate_plainly(
        prepared.forward,
        neuron=neuron,
        mask=mask,
        background=twin.screen(mouse).gray,
        mean=known.stimulus_mean,
        std=known.stimulus_std,
        **duration,
    )


def published_on_fast_path(
    twin: Twin, neuron: int, *, mouse: str, mask: Tensor, **duration: Any
) -> dict[str, Any]:
    """Follow the published procedure, and compute only what the neuron's window needs."""
    prepared = twin.prepare(
        mouse,
        neurons=[neuron],
        window=WINDOW,
        input_units="gray",
        output_units="standardized",
        lead_frames=LEAD,
    )
    return climb(
        lambda pattern: prepared.forward(pattern[None]),
        mask=mask,
        background=twin.screen(mouse).gray,
        **duration,
    )


def window_responses(
    twin: Twin, videos: np.ndarray[Any, Any], *, mouse: str, neurons: IntArray
) -> FloatArray:
    """Answer, plainly, each neuron about its own video.

    Parameters
    ----------
    videos : array, shape (neuron, 30, y, x)
        Gray levels, rounded or not.
    neurons : int array, shape (neuron,)
        Whose videos.

    Returns
    -------
    float array, shape (neuron,)
        Means over the pattern's frames in recorded units, in a trial of 300 frames.
    """
    prepared = twin.prepare(mouse, window=WINDOW, input_units="gray", plan="plain")
    responses = []
    with torch.inference_mode():
        for neuron, video in zip(neurons, videos, strict=True):
            shown = trial(torch.tensor(video, dtype=torch.float32), twin.screen(mouse).gray)
            responses.append(prepared.forward(shown)[0, int(neuron)].mean().item())
    return np.array(responses)


def reliable_neurons(twin: Twin, mouse: str, count: int) -> tuple[IntArray, FloatArray]:
    """Return the most reliably recorded neurons and their planted centers (neuron, (x, y))."""
    planted = shipped_truth(SHIPPED, mouse, kind=twin.kind, screen=twin.screen(mouse)).ground_truth
    chosen = planted.nlargest(count, "reliability_obtained")
    return chosen["neuron"].to_numpy(), chosen[["x_px", "y_px"]].to_numpy()


def masks(screen: Screen, centers_px: FloatArray, diameter_deg: float) -> list[Tensor]:
    """Return where each neuron's video may differ from gray; published: discs of 20 degrees."""
    if np.isinf(diameter_deg):
        return [torch.ones(screen.shape)] * len(centers_px)
    return [
        torch.from_numpy(disc(screen, diameter_deg=diameter_deg, center_px=(x, y))).float()
        for x, y in np.round(centers_px)
    ]


def compare_twin(options: argparse.Namespace) -> None:
    """Make videos as published and as we do, and print their responses."""
    twin, mouse = insilico.load(SHIPPED, device="cpu"), options.mouse
    neurons, centers_px = reliable_neurons(twin, mouse, options.neurons)
    regions = masks(twin.screen(mouse), centers_px, options.diameter_deg)
    duration = {"seconds": options.seconds} if options.seconds else {"steps": options.steps}
    made = [
        published_on_twin(twin, int(neuron), mouse=mouse, mask=mask, **duration)
        for neuron, mask in zip(neurons, regions, strict=True)
    ]
    fast = published_on_fast_path(twin, int(neurons[0]), mouse=mouse, mask=regions[0], steps=10)
    taken = np.concatenate([one["seconds"] for one in made])
    print(
        f"{len(neurons)} neurons of {mouse}, {options.diameter_deg:g} degrees, "
        f"{torch.get_num_threads()} threads: {len(taken) / len(neurons):.0f} steps each, "
        f"{taken.sum():.0f} s in all; a step takes {np.median(taken):.3f} s plainly, "
        f"{np.median(fast['seconds'][1:]):.3f} s on the fast path"
    )
    final, best = (
        window_responses(twin, np.stack([one[key] for one in made]), mouse=mouse, neurons=neurons)
        for key in ("video", "best_video")
    )
    blank = np.full((len(neurons), PATTERN, *twin.screen(mouse).shape), twin.screen(mouse).gray)
    gray = window_responses(twin, blank, mouse=mouse, neurons=neurons)
    # The better of both is to be beaten, so that no quirk is what is beaten.
    published = np.maximum(final, best)
    for name, responses in {"gray": gray, "final": final, "better": published}.items():
        print(f"{name}, published: {describe(responses)}")
    if not options.published_only:
        durations: dict[str, dict[str, Any]] = {
            "equal steps": {"steps": round(len(taken) / len(neurons))},
            "equal time": {"seconds": float(taken.sum())},
        }
        given = {"diameter_deg": options.diameter_deg, "centers_px": centers_px}
        for name, length in durations.items():
            reached = ours(twin, neurons, mouse=mouse, **given, **length)
            print(f"ours, {name}: {describe(reached)}; {describe_gain(reached, published)}")


def describe(responses: FloatArray) -> str:
    """Say the median and the quartiles."""
    low, middle, high = np.percentile(responses, (25, 50, 75))
    return f"median {middle:.2f}, quartiles {low:.2f} and {high:.2f}"


def describe_gain(reached: FloatArray, published: FloatArray) -> str:
    """Say how much higher the responses are."""
    ratio = np.median(reached) / np.median(published)
    return (
        f"ratio of medians {ratio:.3f}, median ratio {np.median(reached / published):.3f}, higher "
        f"for {(reached > published).sum()} of {len(reached)}"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parts = parser.add_subparsers(dest="part", required=True)
    step = parts.add_parser("step")
    step.add_argument("--turns", type=int, default=1)
    step.add_argument("--side", choices=SIDES)
    twin = parts.add_parser("twin")
    twin.add_argument("--neurons", type=int, default=20)
    twin.add_argument("--mouse", default="mouse-1")
    twin.add_argument("--steps", type=int, default=100, help="of each neuron")
    twin.add_argument("--seconds", type=float, help="for each neuron, in place of --steps")
    twin.add_argument("--diameter-deg", type=float, default=np.inf, help="of a disc; full field")
    twin.add_argument("--published-only", action="store_true")
    options = parser.parse_args()
    if options.part == "twin":
        compare_twin(options)
    elif options.side:
        measure_step(options.side)
    else:
        compare_step(options.turns)


if __name__ == "__main__":
    main()
