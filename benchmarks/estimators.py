"""Ways of mapping receptive fields compared: ``python benchmarks/estimators.py [MODEL] [MOUSE]``.

On the simulated V1 every way is held to what was planted; on a model it is held to the map of the
most noise shown here. ``published map and fit`` are those of the published analysis, from the same
responses as the way above it. A pass is a frame of noise (an image) that goes through the network;
a gradient counts as three, and is taken for every neuron anew. ``to envelope`` is the distance to
the middle of a simulated neuron's own envelope: a linear map has its center on a subfield, and a
fit to a rectified map somewhere between.

``python benchmarks/estimators.py reliability MODEL [IMAGES]``: what makes a map reliable, by the
median split-half correlation over neurons of the published map (not centered), of the centered one,
and of the centered one after a light blur.
"""

import sys
import time

import numpy as np
import pandas as pd

import insilico
from insilico.experiments.reverse_correlation import smooth
from insilico.statistics.correlation import correlate_rows
from insilico.stimuli import white_noise
from insilico.validation import compare_retinotopy

NEURONS = 50
FRAMES = 6000
NEURON_STEP = 10
BLOCK = 500

#: By kind of twin and way: values that replace those of the default protocol.
WAYS = {
    "image": {
        "images": {"image_count": FRAMES, "compatibility": True},
        "gradient": {"gradient_count": 64},
    },
    "movie": {
        "frames": {"frame_count": FRAMES},
        "still images, as many passes": {"image_count": FRAMES // 30, "compatibility": True},
        "still images, as many images": {"image_count": FRAMES, "compatibility": True},
        "gradient": {"gradient_count": 64},
    },
}


def measure(twin, way, overrides, **options):
    protocol = {"still": "retinotopy-published", "gradient": "retinotopy-gradient"}
    started = time.perf_counter()
    result = insilico.run(
        "retinotopy",
        twin,
        protocol=protocol.get(way.split()[0]),
        overrides={"lead_s": 2.0, **overrides},
        jobs=1,
        **options,
    )
    return result, time.perf_counter() - started


def passes(result, kind):
    protocol, neurons = result.protocol, len(result.neurons)
    trials = result.provenance["trials"]
    frames = 1 if kind == "image" else round(30 * protocol["noise_s"])
    gradient = protocol.get("estimator") == "gradient"
    return f"{3 * trials * frames // neurons:,} a neuron" if gradient else f"{trials * frames:,}"


def errors(fields, truth, is_ok):
    """Return medians of distances between centers and of relative errors of widths."""
    fields, truth = fields[is_ok], truth[is_ok]
    center = np.hypot(fields["x_px"] - truth["x_px"], fields["y_px"] - truth["y_px"])
    widths = ["sigma_major_px", "sigma_minor_px"]
    relative = 100 * (fields[widths] / truth[widths] - 1).abs()
    envelope = np.nan
    if "envelope_x_px" in truth:
        envelope = np.hypot(
            fields["x_px"] - truth["envelope_x_px"], fields["y_px"] - truth["envelope_y_px"]
        ).median()
    return center.median(), envelope, np.nanmedian(relative), 100 * is_ok.mean()


def published_fields(result):
    table = result.tables["published"].astype({"sigma_x": float, "sigma_y": float})
    widths = np.sort(table[["sigma_x", "sigma_y"]].abs().to_numpy(), axis=1)
    fields = pd.DataFrame({"x_px": table["center_x"], "y_px": table["center_y"]}).astype(float)
    return fields.assign(sigma_major_px=widths[:, 1], sigma_minor_px=widths[:, 0]), ~table[
        "bad_fit"
    ]


def report(label, shown, seconds, fields, truth, is_ok):
    center, envelope, width, share = errors(fields, truth, is_ok)
    print(
        f"| {label} | {shown} | {seconds} | {center:.2f} | {envelope:.1f} | {width:.0f} | "
        f"{share:.0f} |",
        flush=True,
    )


def planted(twin, result):
    table = compare_retinotopy(twin, result)
    wide = table.pivot_table(index="neuron", columns="quantity", values="planted", dropna=False)
    envelope = twin.ground_truth[["x_px", "y_px"]].add_prefix("envelope_")
    return wide.reset_index(drop=True).join(envelope)


def compare(twin, label, truth_of, **options):
    for way, overrides in WAYS[twin.kind].items():
        result, seconds = measure(twin, way, overrides, **options)
        truth = truth_of(result)
        is_ok = result.neurons["status"] == "ok"
        shown = passes(result, twin.kind)
        columns = ["x_px", "y_px", "sigma_major_px", "sigma_minor_px"]
        fields = result.neurons[columns].astype(float)
        report(f"{label}: {way}", shown, f"{seconds:.0f}", fields, truth, is_ok)
        if "published" in result.tables:
            fields, is_ok = published_fields(result)
            report(f"{label}: published map and fit of these", shown, "", fields, truth, is_ok)


def simulated():
    for kind in ("image", "movie"):
        for name in ("simple", "energy"):
            counts = {f"{name}_count": NEURONS}
            counts |= {f"{other}_count": 0 for other in ("simple", "energy") if other != name}
            twin = insilico.SimulatedV1(kind, **counts)
            compare(twin, f"{kind}, {name}", lambda result, twin=twin: planted(twin, result))


def shipped(model, mouse=None):
    twin = insilico.load(model, device="cpu")
    options = {"mouse": mouse or twin.mice[0], "neurons": slice(0, NEURONS)}
    most = {"image_count": 5 * FRAMES, "frame_count": 5 * FRAMES, "seed": 1}
    references = {
        "covariance": measure(twin, "covariance", most, **options)[0].neurons,
        "gradient": measure(twin, "gradient", {"gradient_count": 256, "seed": 1}, **options)[
            0
        ].neurons,
    }

    def truth_of(result):
        return references[result.protocol["estimator"]].astype({"x_px": float, "y_px": float})

    compare(twin, model, truth_of, **options)


def reliability(model, image_count=8000):
    """Print the median split-half correlation of the maps themselves, before any fit."""
    twin = insilico.load(model, device="cpu")
    neurons = slice(0, None, NEURON_STEP)
    mouse = twin.mice[0]
    screen = twin.screen(mouse)
    prepared = twin.prepare(mouse, neurons=neurons, is_gray=True)
    shape = screen.shape
    sums = [np.zeros((len(prepared.neurons), np.prod(shape))) for _ in range(2)]
    response_sum = [np.zeros(len(prepared.neurons)) for _ in range(2)]
    pixel_sum = [np.zeros(np.prod(shape)) for _ in range(2)]
    for block, start in enumerate(range(0, int(image_count), BLOCK)):
        noise = white_noise(screen, seed=[3], trials=range(start, start + BLOCK))
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
    if sys.argv[1:2] == ["reliability"]:
        reliability(*sys.argv[2:])
    else:
        print("| neurons, way | passes | s | center (px) | to envelope (px) | width (%) | ok (%) |")
        print("|---|---|---|---|---|---|---|")
        shipped(*sys.argv[1:]) if len(sys.argv) > 1 else simulated()
