"""V1T and its baselines answer as published, whole or in parts, and refuse what is not theirs."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
import yaml
from reference import closed_loop, v1t_images

from insilico.errors import CheckpointError, ShapeError
from insilico.models import registry
from insilico.models.importers import frame_cores, v1t
from insilico.models.importers.run_folder import read_run_folder
from insilico.models.importers.translation import build_checkpoint, describe, translate
from insilico.models.mouse import Mouse, neurons_table
from insilico.models.network import count_parameters
from insilico.models.weights import load_completely
from insilico.screen import Screen

#: Coarse tokens keep attention cheap; the guessed grid 10 x 12 then differs from the true 8 x 15.
COARSE = {"patch_stride": 4}
FRANKE = {"ds_name": "franke2022", "input_shape": [2, 36, 64]}
NO_RESIZE = {"resize_image": 0, "input_shape": [1, 40, 60]}

RUNS = {
    "default": {},
    "no behavior": {**COARSE, "behavior_mode": 0},
    "behavior as channels": {**COARSE, "behavior_mode": 1},
    "behavior without gaze": {**COARSE, "behavior_mode": 2},
    "behavior network a mouse": {**COARSE, "behavior_mode": 4},
    "convolved patches": {**COARSE, "patch_mode": 1},
    "shifted patches": {**COARSE, "patch_mode": 2},
    "shifted patches of odd size": {**COARSE, "patch_mode": 2, "patch_size": 7},
    "normalized patches": {**COARSE, "patch_mode": 3},
    "local attention": {**COARSE, "use_lsa": True},
    "no biases": {**COARSE, "disable_bias": True, "behavior_mode": 4},
    "no shift": {**COARSE, "shift_mode": 0},
    "image shift alone": {**COARSE, "shift_mode": 1, "center_crop": 0.8},
    "image shift by gaze": {**COARSE, "shift_mode": 3, "center_crop": 0.8},
    "image shift by behavior": {**COARSE, "shift_mode": 4, "center_crop": 0.8},
    "image shift by behavior, which the core ignores": {
        **COARSE,
        "shift_mode": 4,
        "center_crop": 0.9,
        "behavior_mode": 0,
    },
    "image shift without room": {**COARSE, "shift_mode": 3},
    "crop alone": {**COARSE, "center_crop": 0.7},
    "crop that is not resized": {**COARSE, **NO_RESIZE, "center_crop": 0.75},
    "images that are not resized": {**COARSE, **NO_RESIZE},
    "free points": {**COARSE, "disable_grid_predictor": True},
    "points from depth too": {**COARSE, "grid_predictor_dim": 3},
    "two colors": {**COARSE, **FRANKE},
    "two colors, cropped": {**COARSE, **FRANKE, "center_crop": 0.8, "shift_mode": 3},
    "two colors, convolved": {**COARSE, **FRANKE, "patch_mode": 1},
    "two colors, normalized": {**COARSE, **FRANKE, "patch_mode": 3, "behavior_mode": 1},
    "cct": {"core": "cct"},
    "cct, no positions": {"core": "cct", "pos_emb": "none", "behavior_mode": 0},
    "cct, behavior network a mouse": {"core": "cct", "behavior_mode": 4, "num_heads": 4},
    "cct, stochastic depth": {"core": "cct", "drop_path": 0.2, "num_blocks": 3, "mlp_dim": 32.0},
    "cct, two colors": {"core": "cct", **FRANKE},
    "stn": {"core": "stn"},
    "stn, behavior as channels": {"core": "stn", "behavior_mode": 1},
    "stn, behavior ignored": {"core": "stn", "behavior_mode": 3},
    "stn, two colors": {"core": "stn", **FRANKE, "shift_mode": 0},
    "stacked2d": {"core": "stacked2d"},
    "stacked2d, linear": {"core": "stacked2d", "linear": True, "behavior_mode": 1},
    "stacked2d, dropout": {"core": "stacked2d", "dropout": 0.1, "num_layers": 3},
}


def args_of(changes):
    """Return the options of a run; mlp_dim may be a float, as the published command line wrote."""
    args = v1t_images.default_args(**changes)
    if args["core"] == "cct" and args["emb_dim"] // args["num_heads"] % args["num_heads"]:
        args["emb_dim"] = 32
    return args


def mice_of(run):
    counts = run.option("output_shapes", dict)
    return {mouse: Mouse(mouse, Screen(), neurons_table(n[0])) for mouse, n in counts.items()}


def imported(folder):
    run = read_run_folder(folder)
    return build_checkpoint(
        run, mice_of(run), parts=v1t.parts(run), name="example", origin={"file": "example"}
    )


def state_of(network, inputs):
    """Return what our network reads of a trial, by its names."""
    given = {"behavior": inputs["behavior"], "pupil_center": inputs["pupil_center"]}
    return {
        name: value
        for name, value in given.items()
        if (network.behavior_names if name == "behavior" else network.uses_pupil)
    }


def distance(ours, theirs):
    return ((ours - theirs).abs().max() / max(1, theirs.abs().max())).item()


@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS)
def test_imported_run_answers_as_the_published_network(changes, tmp_path):
    args = args_of(changes)
    published = v1t_images.write_run_folder(tmp_path, args, seed=3)
    network = imported(tmp_path).network
    inputs = v1t_images.random_inputs(args, trials=3, seed=4)
    with torch.no_grad():
        for mouse, count in network.neuron_counts.items():
            theirs = published(mouse=mouse, **inputs)
            state = state_of(network, inputs)
            ours = network(inputs["images"], mouse=mouse, **state)
            assert ours.std(dim=1).min() > 0.05
            assert distance(ours, theirs) <= 1e-5
            gaze = state.get("pupil_center")
            one = {name: value[:1] for name, value in state.items()}
            predict = network.prepare(
                mouse, neurons=torch.arange(count), pupil_center=None if gaze is None else gaze[0]
            )
            prepared = predict(inputs["images"][:1], one.get("behavior"))
            assert distance(prepared, theirs[:1]) <= 1e-5


def test_run_in_the_published_format_answers_as_the_reference_code(shared_data):
    folder = shared_data / "v1t" / "small_published_format"
    network = imported(folder).network
    with np.load(folder / "reference.npz") as file:
        reference = {name: torch.from_numpy(file[name]) for name in file.files}
    for mouse in ("A", "C"):
        with torch.no_grad():
            ours = network(
                reference["image"],
                mouse=mouse,
                behavior=reference["behavior"],
                pupil_center=reference["pupil_center"],
            )
        assert distance(ours, reference[f"response_{mouse}"]) <= 1e-5


PARAMETERS = {
    "v1t": ("v1t", {}, 2_465_200),
    "v1t of two colors": ("v1t", {"stimulus_channels": 2}, 2_475_120),
    "cct": ("cct", {}, 796_832),
    "stn": ("stn", {}, 242_592),
    "stacked2d": ("stacked2d", {}, 40_256),
    "v1t_movie": ("v1t_movie", {}, 2_464_276),
    "linear_movie": ("linear_movie", {}, 13_824),
}


@pytest.mark.parametrize(
    ("architecture", "options", "expected"), PARAMETERS.values(), ids=PARAMETERS
)
def test_cores_have_as_many_parameters_as_published(architecture, options, expected):
    assert count_parameters(registry.build(architecture, options, {"A": 3}).core) == expected


def test_v1t_has_as_many_parameters_a_mouse_as_published():
    network = registry.build("v1t", {}, {"A": 40})
    of_mouse = count_parameters(network) - count_parameters(network.core)
    assert of_mouse == 40 * 160 + 152 + 57


@pytest.mark.parametrize(
    ("architecture", "options", "shape"),
    [
        ("v1t", {}, (29, 57)),
        ("v1t", {"stride_px": 4}, (8, 15)),
        ("v1t", {"stride_px": 4, "compatibility": True}, (10, 12)),
        ("cct", {}, (18, 32)),
        ("cct", {"compatibility": True}, (24, 24)),
        ("stn", {}, (28, 56)),
        ("stacked2d", {}, (28, 56)),
        ("linear_movie", {}, (36, 64)),
    ],
)
def test_feature_map_is_the_true_grid_unless_compatibility_asks_for_the_guess(
    architecture, options, shape
):
    assert registry.build(architecture, options, {"A": 3}).map_shape == shape


def test_true_grid_keeps_a_small_change_of_the_image_in_its_place():
    """With one block of attention, a corner reaches all tokens; without, only its own."""
    small = {"token_width": 8, "blocks": 0, "stride_px": 4, "patch_px": 4, "has_shifter": False}
    network = registry.build("v1t", small, {"A": 3}).eval()
    images = torch.randn(2, 1, 36, 64)
    images[1] = images[0]
    images[1, :, :4, -4:] += 1
    maps = network.core(images, torch.zeros(2, 5))
    changed = (maps[1] - maps[0]).abs().amax(dim=0) > 1e-6
    assert changed.nonzero().tolist() == [[0, 15]]


MOVIE_RUNS = {
    "v1t": {"core": "v1t"},
    "v1t, no behavior": {"core": "v1t", "core_behavior_mode": 0},
    "v1t, behavior as channels": {"core": "v1t", "core_behavior_mode": 1},
    "v1t, behavior and gaze as channels": {"core": "v1t", "core_behavior_mode": 2},
    "v1t, behavior and gaze": {"core": "v1t", "core_behavior_mode": 4, "core_disable_bias": True},
    "linear": {"core": "linear"},
    "linear, behavior and gaze": {"core": "linear", "core_behavior_mode": 2},
}


@pytest.mark.parametrize("changes", MOVIE_RUNS.values(), ids=MOVIE_RUNS)
def test_imported_core_of_frames_answers_as_the_published_one(changes, tmp_path):
    args = closed_loop.default_args(**changes)
    published = closed_loop.write_run_folder(tmp_path, args, seed=3)
    run = read_run_folder(tmp_path)
    part = {"v1t": frame_cores.v1t, "linear": frame_cores.linear}[args["core"]](run)
    names = ("pupil_size", "running_speed") if part.reads_state else ()
    core = registry.build(part.architecture, {**part.options, "behavior_names": names}, {"A": 2})
    core = core.core.eval()
    state = {key: value for key, value in run.state.items() if key.startswith("core.")}
    ours = translate(state, renames=part.renames, constants=part.constants, source="run")
    load_completely(core, {key.removeprefix("core."): ours[key] for key in ours}, source="run")
    inputs = closed_loop.random_inputs(args, trials=2, frames=7, seed=5)
    entering = torch.cat([inputs["behavior"], inputs["pupil_center"]], dim=1)
    count = 2 * part.reads_state + 2 * part.options["core_reads_gaze"]
    with torch.no_grad():
        maps = core(inputs["video"], entering[:, :count] if count else None)
        assert distance(maps, published.core(*inputs.values())) <= 1e-5


# Refusals


def rewritten(folder, **changes):
    """Change options of a run in place; None removes one."""
    path = folder / "args.yaml"
    args = yaml.safe_load(path.read_text()) | changes
    args = {name: value for name, value in args.items() if value != "absent"}
    path.write_text(yaml.safe_dump(args))
    return folder


@pytest.fixture(scope="module")
def coarse_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "coarse"
    v1t_images.write_run_folder(folder, args_of(COARSE), seed=1)
    return folder


@pytest.fixture
def run_copy(coarse_run, tmp_path):
    return shutil.copytree(coarse_run, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": "conv"}, r"args.yaml has core: 'conv'.* it knows vit, cct, stn, stacked2d"),
        ({"readout": "dense"}, r"readout: 'dense'.* it knows gaussian2d, linear"),
        ({"behavior_mode": 5}, r"behavior_mode: 5.* it knows 0, 1, 2, 3, 4"),
        ({"shift_mode": 7}, r"shift_mode: 7.* it knows 0, 1, 2, 3, 4"),
        ({"patch_mode": 4}, r"patch_mode: 4.* it knows 0, 1, 2, 3"),
        ({"grid_predictor_dim": 4}, r"grid_predictor_dim: 4.* it knows 2, 3"),
        ({"input_shape": [144, 256]}, r"input_shape: \[144, 256\].* channels, rows and columns"),
        ({"center_crop": 0.001}, r"center_crop is 0.001.* leaves pixels"),
        ({"emb_dim": "wide"}, r"emb_dim: 'wide'.* type int"),
        ({"num_blocks": "absent"}, r"no option 'num_blocks'"),
        ({"num_blocks": 3}, r"does not match .* core.blocks.2.* is missing"),
        ({"num_blocks": 1}, r"does not match .* core.blocks.1.* is unexpected"),
        ({"mlp_dim": 33}, r"feedforward.expand.weight has shape \(32, 20\) instead of \(33, 20\)"),
        ({"patch_stride": 3}, r"core.positions has shape \(121, 20\) instead of"),
        ({"core_reg_scale": 0.1}, r"another core.reg_scale than its options say"),
        ({"readout_reg_scale": 0.1}, r"another readouts.A.reg_scale"),
        ({"center_crop": 0.9}, r"another image_cropper.grid"),
        ({"drop_path": 0.1}, r"another core.transformer.drop_path.keep_prop"),
        ({"use_lsa": True}, r"attention.scale has shape \(\) instead of \(2,\)"),
        ({"disable_bias": True}, r"bias is unexpected"),
        ({"shift_mode": 3}, r"cropper.shifter.A.mlp.0.weight is missing"),
        ({"shift_mode": 0}, r"shifter.A.mlp.0.weight is unexpected"),
    ],
)
def test_run_whose_options_do_not_fit_is_refused_by_name(changes, message, run_copy):
    with pytest.raises(CheckpointError, match=message):
        imported(rewritten(run_copy, **changes))


def test_core_refuses_behavior_that_the_published_one_cannot_have_read(tmp_path):
    v1t_images.write_run_folder(tmp_path, args_of({"core": "stacked2d"}), seed=1)
    with pytest.raises(CheckpointError, match=r"behavior_mode: 3.* it knows 0, 1"):
        imported(rewritten(tmp_path, behavior_mode=3))


def test_constant_of_other_code_is_refused(coarse_run):
    run = read_run_folder(coarse_run)
    for key in ("elu1.one", "core.transformer.blocks.0.mha.scale"):
        other = dataclasses.replace(run, state={**run.state, key: torch.tensor(0.7)})
        with pytest.raises(CheckpointError, match=rf"another {key} than its options say"):
            build_checkpoint(other, mice_of(run), parts=v1t.parts(other), name="example", origin={})


def test_missing_and_unknown_weights_are_refused(coarse_run):
    run = read_run_folder(coarse_run)
    rest = {key: value for key, value in run.state.items() if key != "readouts.A.sigma"}
    for state, message in [
        (rest, "readout.A.sigma is missing"),
        ({**run.state, "core.extra": torch.zeros(1)}, "core.extra is unexpected"),
    ]:
        with pytest.raises(CheckpointError, match=f"nothing was loaded: {message}"):
            build_checkpoint(
                dataclasses.replace(run, state=state),
                mice_of(run),
                parts=v1t.parts(dataclasses.replace(run, state=state)),
                name="example",
                origin={},
            )


# Older files


def test_run_of_earlier_code_lacks_options_that_it_did_not_have(run_copy, coarse_run):
    gone = ("patch_mode", "disable_bias", "drop_path", "use_lsa", "resize_image", "center_crop")
    gone += ("ds_name", "core_reg_scale", "cropper_reg_scale", "pretrain_core", "gray_scale")
    earlier = imported(rewritten(run_copy, **dict.fromkeys(gone, "absent")))
    assert earlier.weights_sha256 == imported(coarse_run).weights_sha256


@pytest.mark.parametrize("mode", [3, 4])
def test_behavior_networks_of_earlier_code_are_found(mode, tmp_path):
    v1t_images.write_run_folder(tmp_path, args_of({**COARSE, "behavior_mode": mode}), seed=1)
    run = read_run_folder(tmp_path)
    state = {
        key.replace("b-mlp.models.share.", "b-mlp.model.").replace("b-mlp.models", "b-mlp.model"): v
        for key, v in run.state.items()
    }
    earlier = dataclasses.replace(run, state=state)
    sha = build_checkpoint(
        earlier, mice_of(run), parts=v1t.parts(earlier), name="example", origin={}
    ).weights_sha256
    assert sha == imported(tmp_path).weights_sha256


def test_core_that_was_trained_before_may_bring_its_penalty(run_copy):
    assert imported(rewritten(run_copy, core_reg_scale=0.1, pretrain_core="runs/before"))


def test_flat_readout_is_imported_and_leaves_the_gaze_shifter_out(coarse_run):
    run = read_run_folder(coarse_run)
    core = {key: value for key, value in run.state.items() if not key.startswith("readouts")}
    for mouse, count in (("A", 12), ("C", 7)):
        core[f"readouts.{mouse}.linear.1.weight"] = torch.randn(count, 20 * 120)
        core[f"readouts.{mouse}.linear.1.bias"] = torch.randn(count)
        core[f"readouts.{mouse}.reg_scale"] = torch.tensor(0.0)
    args = {**run.args, "readout": "linear", "readout_reg_scale": 0.0}
    run = dataclasses.replace(run, state=core, args=args)
    checkpoint = build_checkpoint(
        run, mice_of(run), parts=v1t.parts(run), name="example", origin={}
    )
    images, gaze, behavior = torch.randn(2, 1, 144, 256), torch.randn(2, 2), torch.randn(2, 3)
    network = checkpoint.network
    with torch.no_grad():
        answer = network(images, mouse="A", behavior=behavior, pupil_center=gaze)
        seen = network.cropper(images)
        maps = network.core(seen, torch.cat([behavior, gaze], dim=1))
        flat = maps.flatten(1) @ core["readouts.A.linear.1.weight"].T
        expected = torch.nn.functional.elu(flat + core["readouts.A.linear.1.bias"]) + 1
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    assert any("gaze shifter is left out" in quirk for quirk in checkpoint.origin["quirks"])


# What is told of a run


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({**COARSE, **FRANKE}, ["guessed grid of 10 by 12 where the true one is 8 by 15"]),
        (FRANKE, []),
        ({}, ["resized without smoothing"]),
        ({**FRANKE, "shift_mode": 3}, ["leaves no room"]),
        (
            {**FRANKE, "shift_mode": 3, "center_crop": 0.8},
            ["no gradient passes", "guessed grid of 28 by 33 where the true one is 21 by 44"],
        ),
        ({**FRANKE, "core": "cct"}, ["all heads together", "guessed from their number"]),
        ({**FRANKE, "core": "stn", "behavior_mode": 3}, ["its core does not read them"]),
        ({**FRANKE, "gray_scale": True, "input_shape": [1, 36, 64]}, ["mean of the two"]),
    ],
)
def test_quirks_of_a_run_are_named(changes, expected, tmp_path):
    v1t_images.write_run_folder(tmp_path, args_of(changes), seed=1)
    found = imported(tmp_path).origin["quirks"]
    assert len(found) == len(expected)
    assert all(part in quirk for part, quirk in zip(expected, sorted(found), strict=True))


def test_description_names_architecture_and_options_without_weights(coarse_run):
    run = read_run_folder(coarse_run)
    architecture, options = describe(v1t.parts(dataclasses.replace(run, state={})))
    assert architecture == "v1t"
    assert (options.stride_px, options.token_width, options.compatibility) == (4, 20, True)
    assert options.behavior_names == ("pupil_size", "pupil_size_derivative", "running_speed")


def test_stimulus_of_another_size_is_refused_by_the_core():
    core = registry.build("v1t", {"token_width": 8, "blocks": 1}, {"A": 2}).core
    with pytest.raises(ShapeError, match=r"36 x 64 px, so give that size"):
        core.output_shape(36, 60)


def test_whole_images_are_taken_at_both_sizes_and_shown_at_that_of_the_core(coarse_run):
    checkpoint = imported(coarse_run)
    assert checkpoint.mice["A"].screen.shape == (36, 64)
    network = checkpoint.network
    images, gaze, behavior = torch.randn(2, 1, 144, 256), torch.randn(2, 2), torch.randn(2, 3)
    small = torch.nn.functional.interpolate(images, (36, 64), mode="bilinear", align_corners=False)
    with torch.no_grad():
        answers = [
            network(shown, mouse="A", behavior=behavior, pupil_center=gaze)
            for shown in (images, small)
        ]
    torch.testing.assert_close(*answers, rtol=0, atol=0)
    with pytest.raises(ShapeError, match=r"the network takes"):
        network(images[..., :100], mouse="A", behavior=behavior, pupil_center=gaze)
