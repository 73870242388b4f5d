"""Run folders, metadata and recordings as they were published, in small."""

import collections

import numpy as np
import torch
import yaml

#: Options that tell the releases apart, and those that statistics need.
OPTIONS = {
    "v1t": {
        "ds_name": "sensorium",
        "dataset": "data/sensorium",
        "input_shape": [1, 144, 256],
        "behavior_mode": 3,
        "shift_mode": 2,
        "center_crop": 0.8,
    },
    "first_release": {
        "ds_mode": 3,
        "stat_mode": 1,
        "transform_mode": 2,
        "critic_mode": 0,
        "center_crop": 1.0,
        "input_shapes": {"video": [1, 140, 36, 64]},
    },
    "closed_loop": {
        "transform_input": 1,
        "transform_output": 1,
        "core_behavior_mode": 2,
        "shifter_mode": 1,
        "schedule_free": True,
        "center_crop": 1.0,
        "limit_neurons": None,
        "input_shapes": {"video": [1, 300, 36, 64]},
    },
}


def write_run(path, release="closed_loop", *, mice=None, state=None, **options):
    """Write a run folder with one readout a mouse and no more weights than that."""
    mice = {"A": 6, "L": 4} if mice is None else mice
    args = OPTIONS[release] | {"mouse_ids": list(mice), "lr": "1e-05", "core": "vivit"}
    args["output_shapes"] = {mouse: [count, 300] for mouse, count in mice.items()}
    if release == "closed_loop":
        args["neuron_idx"] = {mouse: list(range(count)) for mouse, count in mice.items()}
    args |= options
    (path / "ckpt").mkdir(parents=True)
    (path / "args.yaml").write_text(yaml.safe_dump(args))
    weights = collections.OrderedDict(
        {f"readouts.{mouse}.bias": torch.zeros(count) for mouse, count in mice.items()}
    )
    weights["core.scale"] = torch.ones(1)
    if release == "v1t":
        weights["image_cropper.grid"] = torch.zeros(1, 144, 256, 2)
    weights = weights if state is None else state
    if release == "closed_loop":
        torch.save(weights, path / "ckpt" / "model.pt")
        (path / "ckpt" / "info.yaml").write_text("best_corr: 0.25\nepoch: 12\n")
    else:
        contents = {"epoch": 12, "value": 0.25, "model": weights}
        contents["scheduler"] = {"device": torch.device("cpu"), "best": np.float64(0.25)}
        torch.save(contents, path / "ckpt" / "model_state.pt")
    return path


def statistics_of(neuron_count, *, variable_count=2, seed=0):
    """Make up statistics, by signal and by name, in single precision."""
    random = np.random.default_rng(seed)
    lengths = {"video": (), "response": neuron_count, "behavior": variable_count, "pupil_center": 2}
    made = {}
    for signal, length in lengths.items():
        low = random.uniform(0, 1, length) if signal != "response" else np.zeros(length)
        made[signal] = {
            "min": np.float32(low),
            "max": np.float32(low + random.uniform(5, 9, length)),
            "mean": np.float32(low + random.uniform(2, 3, length)),
            "std": np.float32(random.uniform(1, 2, length)),
        }
    return made


def write_metadata(statistics, coordinates, values, *, positions=None):
    """Write the files of one mouse: a folder of statistics, and a file of coordinates."""
    for signal, numbers in values.items():
        (statistics / signal).mkdir(parents=True)
        for name, number in numbers.items():
            np.save(statistics / signal / f"{name}.npy", number)
    count = len(values["response"]["std"])
    if positions is None:
        positions = np.arange(3 * count).reshape(count, 3)
    coordinates.parent.mkdir(parents=True, exist_ok=True)
    np.save(coordinates, positions)
    return values


def write_recording(path, *, kind="movie", neuron_count=6, shape=(36, 64), seed=0):
    """Write a recording of a few short trials."""
    random = np.random.default_rng(seed)
    is_movie = kind == "movie"
    tiers = ["train", "train", "train", "oracle" if is_movie else "validation"]
    frames = (9,) if is_movie else ()
    signals = {
        "responses": (neuron_count,),
        "behavior": (2 if is_movie else 3,),
        "pupil_center": (2,),
    }
    for trial in range(len(tiers)):
        size = (*shape, *frames) if is_movie else (1, *shape)
        values = {"videos" if is_movie else "images": random.integers(0, 256, size)}
        values |= {name: random.gamma(2, 3, (*rows, *frames)) for name, rows in signals.items()}
        for name, array in values.items():
            (path / "data" / name).mkdir(parents=True, exist_ok=True)
            dtype = np.float64 if name in signals else np.uint8
            np.save(path / "data" / name / f"{trial}.npy", array.astype(dtype))
    for folder in ("trials", "neurons"):
        (path / "meta" / folder).mkdir(parents=True)
    np.save(path / "meta" / "trials" / "tiers.npy", tiers)
    np.save(path / "meta" / "neurons" / "unit_ids.npy", 100 + np.arange(neuron_count))
    positions = random.integers(-500, 500, (neuron_count, 3))
    np.save(path / "meta" / "neurons" / "cell_motor_coordinates.npy", positions)
    return path


def ship_statistics(recording, values):
    """Add the statistics that recordings of images ship."""
    folders = {"video": "images", "response": "responses"}
    for signal, numbers in values.items():
        folder = recording / "meta" / "statistics" / folders.get(signal, signal) / "all"
        folder.mkdir(parents=True)
        for name, number in numbers.items():
            np.save(folder / f"{name}.npy", number)
    return values
