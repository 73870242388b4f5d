"""Full-size ViV1T against the yardstick: ``python benchmarks/vivit.py forward|step|profile``.

Both networks have the same random weights and see the same movie. Each is measured in a process of
its own, in turns, so that neither's memory counts for the other; memory is the peak above what the
process held with network and movie in place. The floor is the multiplications that must be done,
at the rate of a large matrix product on the same machine in the same run.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from insilico.models.importers import closed_loop
from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import build_checkpoint
from insilico.models.mouse import Mouse, neurons_table
from insilico.screen import Screen

sys.path.insert(0, str(Path(__file__).parent))
import yardstick

SIDES = ("yardstick", "insilico")

#: Parameters whose gradients are compared, by side.
GRADIENTS = {
    "yardstick": {
        "readout": "readouts.A.features",
        "last block": "core.vivit.temporal_transformer.blocks.13.fused_linear.weight",
        "first block": "core.vivit.spatial_transformer.blocks.0.fused_linear.weight",
        "patches": "core.tokenizer.tokenizer.linear.weight",
    },
    "insilico": {
        "readout": "readout.A._features",
        "last block": "core.temporal.blocks.13.fused.weight",
        "first block": "core.spatial.blocks.0.fused.weight",
        "patches": "core.embedding.linear.weight",
    },
}


def published_args(neurons, dropout):
    """Options of the published network; see ViV1T-closed-loop, train.py."""
    probability = {"p_dropout": 0.17, "mha_dropout": 0.04, "ff_dropout": 0.21, "drop_path": 0.43}
    if not dropout:
        probability = dict.fromkeys(probability, 0.0)
    core = {
        "behavior_mode": 2, "patch_mode": 0, "pad_frame": 1, "pos_encoding": 5, "reg_tokens": 24,
        "spatial_patch_size": 7, "spatial_patch_stride": 2, "spatial_depth": 14,
        "temporal_patch_size": 13, "temporal_patch_stride": 1, "temporal_depth": 14,
        "num_heads": 2, "emb_dim": 112, "head_dim": 80, "ff_dim": 224, "ff_activation": "relu",
        "use_causal_attention": True, "activation": "none", "norm": "layernorm", "norm_qk": False,
        "flash_attention": 1, "parallel_attention": True, **probability,
    }  # fmt: skip
    return {f"core_{name}": value for name, value in core.items()} | {
        "core": "vivit", "readout": "gaussian", "readout_grid_mode": 1, "readout_bias_mode": 2,
        "shifter_mode": 1, "shifter_layers": 3, "shifter_size": 5, "output_mode": 1,
        "transform_input": 1, "transform_output": 1, "center_crop": 1.0, "autocast": "disable",
        "max_frame": 300, "grad_checkpointing": 0,
        "input_shapes": {"video": [1, 300, 36, 64]}, "output_shapes": {"A": [neurons, 300]},
    }  # fmt: skip


def networks(neurons, dropout=False):
    """Return the yardstick and ours with the same weights."""
    torch.manual_seed(0)
    args = published_args(neurons, dropout)
    plain = yardstick.build(args).eval()
    with torch.no_grad():
        plain.readouts["A"].source_grid.uniform_(-1, 1)
        plain.readouts["A"].features.normal_(0, 0.1)
        for name, weight in plain.named_parameters():
            if "tokenizer" not in name and weight.ndim > 1 and "transformer" in name:
                weight.mul_(3)
    nowhere = Path("nowhere")
    run = RunFolder(nowhere, args, plain.state_dict(), {}, nowhere, "")
    mice = {"A": Mouse("A", Screen(), neurons_table(neurons))}
    ours = build_checkpoint(
        run, mice, parts=closed_loop.parts(run), name="ViV1T", origin={}
    ).network
    return plain, ours


def movie(frames):
    """Return a standardized movie with its behavior and gaze."""
    torch.manual_seed(1)
    sizes = {"video": (1, 1, frames, 36, 64), "behavior": (1, 2, frames)}
    sizes |= {"pupil_center": (1, 2, frames)}
    return {name: torch.randn(size) for name, size in sizes.items()}


def answer(side, network, shown):
    """Return a function of nothing that gives the responses of one side."""
    if side == "yardstick":
        return lambda: network(shown["video"], "A", shown["behavior"], shown["pupil_center"])
    state = {"behavior": shown["behavior"], "pupil_center": shown["pupil_center"]}
    return lambda: network(shown["video"], mouse="A", **state)


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(kind, side, options):
    """Run one side, and print what it took as JSON."""
    plain, ours = networks(options.neurons)
    shown = movie(options.frames)
    network = plain if side == "yardstick" else ours
    del plain, ours
    ask = answer(side, network, shown)
    held = resident_bytes()
    seconds = []
    for _ in range(options.repeats):
        network.zero_grad()
        started = time.perf_counter()
        if kind == "forward":
            with torch.inference_mode():
                responses = ask()
        else:
            responses = ask()
            target = torch.ones_like(responses)
            torch.nn.functional.poisson_nll_loss(
                responses + 1e-7, target, log_input=False, reduction="sum"
            ).backward()
        seconds.append(time.perf_counter() - started)
    found = {"seconds": min(seconds), "bytes": peak_bytes() - held}
    if kind == "step":
        names = GRADIENTS[side]
        shared = {key: network.get_parameter(name).grad for key, name in names.items()}
        torch.save(shared, options.keep)
    else:
        torch.save({"responses": responses.clone()}, options.keep)
    print(json.dumps(found))


def gigaflops(frames):
    """Return the multiplications and additions of one forward pass, that none can leave out."""
    patches, registers, width, inner, hidden, depth = 576, 24, 112, 160, 224, 14
    linear = width * (3 * inner + hidden) + (inner + hidden) * width
    spatial = frames * ((patches + registers) * linear + 2 * (patches + registers) ** 2 * inner)
    temporal = patches * (frames * linear + frames * (frames + 1) * inner)
    return 2e-9 * (depth * (spatial + temporal) + frames * patches * 637 * width)


def machine_gigaflops():
    """Return the rate of a large float32 matrix product."""
    left, right = torch.randn(2, 2048, 2048)
    rates = []
    for _ in range(5):
        started = time.perf_counter()
        left @ right
        rates.append(2e-9 * 2048**3 / (time.perf_counter() - started))
    return max(rates)


def compare(kind, options):
    """Measure all sides in turns and print the ratios."""
    found = {side: [] for side in SIDES}
    for turn in range(options.turns):
        for side in SIDES if turn % 2 == 0 else reversed(SIDES):
            keep = str(Path(options.keep) / f"{SIDES.index(side)}.pt")
            command = [sys.executable, __file__, kind, "--side", side, "--keep", keep]
            command += ["--frames", str(options.frames), "--neurons", str(options.neurons)]
            command += ["--repeats", str(options.repeats)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]) | {"keep": keep})
    rate = machine_gigaflops()
    work = gigaflops(options.frames) * (3 if kind == "step" else 1)
    print(
        f"{kind}: {options.frames} frames, {options.neurons:,} neurons, "
        f"{torch.get_num_threads()} threads, {rate:.0f} GFLOP/s in a matrix product"
    )
    print(f"floor: {work:,.0f} GFLOP, {work / rate:.1f} s")
    plain = found["yardstick"]
    reference = torch.load(plain[0]["keep"], weights_only=True)
    for side, turns in found.items():
        seconds = statistics.median(turn["seconds"] for turn in turns)
        size = statistics.median(turn["bytes"] for turn in turns)
        faster = statistics.median(turn["seconds"] for turn in plain) / seconds
        smaller = statistics.median(turn["bytes"] for turn in plain) / size
        values = torch.load(turns[0]["keep"], weights_only=True)
        differences = [
            (
                (values[name].flatten() - reference[name].flatten()).abs().max()
                / reference[name].abs().max()
            ).item()
            for name in reference
        ]
        print(
            f"{side:28} {seconds:7.2f} s ({faster:4.2f} x) {size / 1e9:6.2f} GB ({smaller:4.2f} x) "
            f"largest difference {max(differences):.1e} of the largest value"
        )


def profile(options):
    """Print where a training step spends its time."""
    _, ours = networks(options.neurons)
    ask = answer("insilico", ours, movie(options.frames))
    ask().sum().backward()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        ask().sum().backward()
    print(
        found.key_averages().table(
            sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=40
        )
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("forward", "step", "profile"))
    parser.add_argument("--frames", type=int)
    parser.add_argument("--neurons", type=int)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--keep")
    options = parser.parse_args()
    options.frames = options.frames or (300 if options.kind == "forward" else 30)
    options.neurons = options.neurons or (1000 if options.kind == "forward" else 2000)
    if options.kind == "profile":
        profile(options)
    elif options.side:
        measure(options.kind, options.side, options)
    else:
        with tempfile.TemporaryDirectory() as options.keep:
            compare(options.kind, options)


if __name__ == "__main__":
    main()
