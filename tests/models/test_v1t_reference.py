"""The plain V1T image models answer as published, and every weight of their run folders counts."""

from __future__ import annotations

import codecs
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from reference import v1t_images
from reference.v1t_image_convolutions import Stacked2d
from reference.v1t_image_vit import Patches, ShiftedImages, find_shape, to_map
from torch import Tensor, nn

#: What the objects that a published training state holds beside tensors are made of; all harmless.
NUMPY_SCALAR = np.float64(0).__reduce__()[0]
LIVE_OBJECTS = [
    (NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    (NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (codecs.encode, "_codecs.encode"),
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    torch.cuda.amp.GradScaler,
    PurePosixPath,
]

#: Coarse tokens keep attention cheap; the guessed grid 10 x 12 then differs from the true 8 x 15.
COARSE = {"patch_stride": 4}

VARIANTS: dict[str, dict[str, Any]] = {
    "vit": {},
    "vit without behavior": {**COARSE, "behavior_mode": 0},
    "vit, planes of behavior": {**COARSE, "behavior_mode": 1},
    "vit, behavior without gaze": {**COARSE, "behavior_mode": 2},
    "vit, behavior network a mouse": {**COARSE, "behavior_mode": 4},
    "vit, convolved patches": {**COARSE, "patch_mode": 1},
    "vit, shifted patches": {**COARSE, "patch_mode": 2},
    "vit, dual patch norm": {**COARSE, "patch_mode": 3},
    "vit, local attention": {**COARSE, "use_lsa": True},
    "vit without biases": {**COARSE, "disable_bias": True},
    "vit without shift": {**COARSE, "shift_mode": 0},
    "vit, image shift by gaze": {**COARSE, "shift_mode": 3, "center_crop": 0.8},
    "vit, image shift by behavior": {**COARSE, "shift_mode": 4, "center_crop": 0.8},
    "vit, image shift alone": {**COARSE, "shift_mode": 1, "center_crop": 0.8},
    "vit, free points": {**COARSE, "disable_grid_predictor": True},
    "vit, points from depth too": {**COARSE, "grid_predictor_dim": 3},
    "vit of two colors": {**COARSE, "ds_name": "franke2022", "input_shape": [2, 36, 64]},
    "cct": {"core": "cct"},
    "cct without positions": {"core": "cct", "pos_emb": "none", "behavior_mode": 0},
    "cct, behavior network a mouse": {"core": "cct", "behavior_mode": 4},
    "stn": {"core": "stn"},
    "stn, planes of behavior": {"core": "stn", "behavior_mode": 1},
    "stacked2d": {"core": "stacked2d"},
    "stacked2d, linear": {"core": "stacked2d", "linear": True, "behavior_mode": 1},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def args(request: pytest.FixtureRequest) -> dict[str, Any]:
    return v1t_images.default_args(**request.param)


def read_state(folder: Path) -> dict[str, Any]:
    with torch.serialization.safe_globals(LIVE_OBJECTS):
        return torch.load(folder / "ckpt" / "model_state.pt", weights_only=True)


def responses(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Responses of all mice, side by side."""
    with torch.no_grad():
        return torch.cat([model(mouse=mouse, **inputs) for mouse in model.readouts], dim=1)


# --------------------------------------------------------------------------- as published


def test_published_run_answers_with_its_reference_responses(shared_data: Path) -> None:
    folder = shared_data / "v1t" / "small_published_format"
    model = v1t_images.build(yaml.safe_load((folder / "args.yaml").read_text()))
    model.load_state_dict(read_state(folder)["model"], strict=True)
    with np.load(folder / "reference.npz") as file:
        reference = {name: torch.from_numpy(file[name]) for name in file.files}
    for mouse in ("A", "C"):
        with torch.no_grad():
            answer = model(
                reference["image"], mouse, reference["behavior"], reference["pupil_center"]
            )
        torch.testing.assert_close(answer, reference[f"response_{mouse}"], rtol=0, atol=1e-6)


def test_published_run_names_weights_in_the_same_order(shared_data: Path) -> None:
    folder = shared_data / "v1t" / "small_published_format"
    model = v1t_images.build(yaml.safe_load((folder / "args.yaml").read_text()))
    assert list(model.state_dict()) == list(read_state(folder)["model"])


@pytest.mark.parametrize(
    ("core", "changes", "parameters", "shape"),
    [
        ("vit", {}, 2_465_200, (155, 29, 57)),
        ("vit", {"ds_name": "franke2022", "input_shape": [2, 36, 64]}, 2_475_120, (155, 29, 57)),
        ("cct", {}, 796_832, (160, 24, 24)),
        ("stn", {}, 242_592, (63, 28, 56)),
        ("stacked2d", {}, 40_256, (64, 28, 56)),
    ],
)
def test_cores_of_published_size_have_the_published_parameters(
    core: str, changes: dict[str, Any], parameters: int, shape: tuple[int, int, int]
) -> None:
    args = v1t_images.default_args(core=core, **v1t_images.PUBLISHED_SIZES[core], **changes)
    built = v1t_images.build(args).core
    assert sum(parameter.numel() for parameter in built.parameters()) == parameters
    assert built.output_shape == shape


def test_each_mouse_has_the_published_number_of_parameters() -> None:
    model = v1t_images.build(v1t_images.default_args(**v1t_images.PUBLISHED_SIZES["vit"]))
    for mouse, neurons in {"A": 12, "C": 7}.items():
        readout = sum(value.numel() for value in model.readouts[mouse].parameters())
        shifter = sum(value.numel() for value in model.core_shifter[mouse].parameters())
        assert (readout, shifter) == (neurons * 160 + 152, 57)


# --------------------------------------------------------------------------- parts


def test_image_is_resized_to_the_mean_of_the_central_pixels() -> None:
    args = v1t_images.default_args(**COARSE)
    inputs = v1t_images.random_inputs(args, trials=1, seed=1)
    model = v1t_images.build(args)
    cropped = model.image_cropper(inputs["images"], "A", inputs["behavior"], None)
    blocks = inputs["images"].reshape(1, 1, 36, 4, 64, 4)
    torch.testing.assert_close(cropped, blocks[:, :, :, 1:3, :, 1:3].mean(dim=(3, 5)))


def test_crop_takes_the_nearest_pixels_of_the_center_and_moves_with_the_shift() -> None:
    args = v1t_images.default_args(
        **COARSE, shift_mode=3, center_crop=0.5, ds_name="franke2022", input_shape=[2, 37, 65]
    )
    cropper = v1t_images.build(args).image_cropper
    images = torch.arange(2.0 * 37 * 65).reshape(1, 2, 37, 65)
    with torch.no_grad():
        last = cropper.image_shifter["A"].mlp[4]
        last.weight.zero_()
        last.bias.copy_(torch.tensor([40.0, -40.0]))  # tanh saturates: right and up, fully
        cropped = cropper(images, "A", torch.zeros(1, 3), torch.zeros(1, 2))
    rows = np.rint((np.linspace(-0.5, 0.5, 18) - 0.5 + 1) / 2 * 36).astype(int)
    columns = np.rint((np.linspace(-0.5, 0.5, 32) + 0.5 + 1) / 2 * 64).astype(int)
    torch.testing.assert_close(cropped, images[:, :, rows][:, :, :, columns])


def test_behavior_planes_follow_the_resized_image() -> None:
    args = v1t_images.default_args(**COARSE, behavior_mode=1)
    inputs = v1t_images.random_inputs(args, trials=2, seed=1)
    cropped = v1t_images.build(args).image_cropper(mouse="A", **inputs)
    assert cropped.shape == (2, 4, 36, 64)
    assert (cropped[:, 1:] == inputs["behavior"][:, :, None, None]).all()


def test_patches_are_those_of_unfold() -> None:
    images = torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.unfold(images, 4, stride=3).transpose(1, 2)
    assert torch.equal(Patches(4, 3)(images), expected)


def test_shifted_copies_move_the_content_by_half_a_patch() -> None:
    images = torch.zeros(1, 1, 9, 9)
    images[0, 0, 4, 4] = 1
    places = ShiftedImages(5)(images)[0].flatten(1).argmax(dim=1)
    corners = [divmod(int(place), 9) for place in places]
    assert corners == [(4, 4), (6, 6), (6, 2), (2, 6), (2, 2)]


@pytest.mark.parametrize(
    ("patches", "shape"), [(1653, (29, 57)), (120, (10, 12)), (576, (24, 24)), (7, (1, 7))]
)
def test_grid_is_guessed_from_the_number_of_patches(patches: int, shape: tuple[int, int]) -> None:
    assert find_shape(patches) == shape


def test_tokens_fill_the_guessed_grid_row_by_row() -> None:
    tokens = torch.arange(12.0).reshape(1, 12, 1)
    assert torch.equal(to_map(tokens), torch.arange(12.0).reshape(1, 1, 4, 3))


def test_local_attention_never_reads_the_own_token() -> None:
    args = v1t_images.default_args(**COARSE, use_lsa=True, num_heads=1, input_shape=[1, 36, 64])
    attention = v1t_images.build(args).core.transformer.blocks[0]["mha"]
    tokens = torch.zeros(1, 121, 20)
    with torch.no_grad():
        attention.layer_norm = nn.Identity()
        attention.projection = nn.Identity()
        attention.to_qkv.weight[:40] = 0  # queries and keys of zero weigh all tokens alike
        attention.to_qkv.weight[40:] = torch.eye(20)
        tokens[0, 5] = 120.0
        answer = attention(tokens)
    assert (answer[0, 5] == 0).all()
    torch.testing.assert_close(answer[0, 6], torch.ones(20))


def test_points_are_clamped_before_they_are_shifted() -> None:
    args = v1t_images.default_args(**COARSE, disable_grid_predictor=True)
    readout = v1t_images.build(args).readouts["A"]
    maps = torch.ones(1, 20, 10, 12)
    with torch.no_grad():
        readout._mu.fill_(3.0)
        inside = readout(maps, torch.tensor([[-0.5, -0.5]]))
        outside = readout(maps, torch.tensor([[0.5, 0.0]]))
    torch.testing.assert_close(inside, torch.ones(1, 12))
    assert (outside == 0).all()


def test_identity_view_leaves_the_image_to_the_residual_convolutions() -> None:
    model = v1t_images.build(v1t_images.default_args(core="stn", input_shape=[1, 36, 64]))
    with torch.no_grad():
        model.core.regressor[3].weight.zero_()
        model.core.regressor[3].bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        inputs = torch.randn(1, 1, 36, 64, generator=torch.Generator().manual_seed(1))
        block = model.core.cnn["block1"]
        first = torch.nn.functional.gelu(block["batchnorm"](block["conv"](inputs)))
        for name in ("block2", "block3"):
            model.core.cnn[name]["conv"].weight.zero_()
            model.core.cnn[name]["conv"].bias.zero_()
        answer = model.core(inputs, "A", None, None)
    torch.testing.assert_close(answer, first, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"core": "stn", "behavior_mode": 2}, "behavior_mode 2"),
        ({"core": "stacked2d", "behavior_mode": 3}, "behavior modes above 1"),
        ({"core": "cct", "behavior_mode": 1}, "does not exist in mode 1"),
        ({"core": "cct", "pos_emb": "learn"}, "pos_emb learn"),
        ({"patch_mode": 2, "behavior_mode": 1}, "several channels"),
        ({"readout": "dense"}, "no readout 'dense'"),
    ],
)
def test_what_the_published_code_cannot_run_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        v1t_images.build(v1t_images.default_args(**changes))


def test_misspelled_option_is_refused() -> None:
    with pytest.raises(ValueError, match="patch_strid"):
        v1t_images.default_args(patch_strid=4)


# --------------------------------------------------------------------------- run folders


def test_run_folder_comes_back_with_the_same_responses(
    tmp_path: Path, args: dict[str, Any]
) -> None:
    written = v1t_images.write_run_folder(tmp_path, args, seed=3)
    read = v1t_images.build(yaml.safe_load((tmp_path / "args.yaml").read_text()))
    read.load_state_dict(read_state(tmp_path)["model"], strict=True)
    inputs = v1t_images.random_inputs(args, trials=2, seed=4)
    answer = responses(written, inputs)
    assert answer.shape == (2, 19)
    assert torch.equal(responses(read, inputs), answer)


def test_responses_of_a_run_folder_are_neither_flat_nor_saturated(
    tmp_path: Path, args: dict[str, Any]
) -> None:
    model = v1t_images.write_run_folder(tmp_path, args, seed=3)
    answer = responses(model, v1t_images.random_inputs(args, trials=3, seed=4))
    assert 0.1 < float(answer.std(dim=1).mean()) < 10
    assert float(answer.std(dim=0).mean()) > 0.01
    assert (answer < 1).any()
    assert (answer > 1).any()


@pytest.mark.parametrize(
    "changes",
    [
        {**COARSE, "behavior_mode": 4, "shift_mode": 4, "center_crop": 0.8, "patch_mode": 3},
        {**COARSE, "patch_mode": 2, "use_lsa": True, "disable_grid_predictor": True},
        {"core": "cct", "num_blocks": 1},
        {"core": "stn", "num_layers": 2},
        {"core": "stacked2d", "num_layers": 2},
    ],
)
def test_every_weight_of_a_run_folder_moves_the_responses(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    args = v1t_images.default_args(**changes, input_shape=[1, 36, 64])
    model = v1t_images.write_run_folder(tmp_path, args, seed=3)
    inputs = v1t_images.random_inputs(args, trials=2, seed=4)
    before = responses(model, inputs)
    idle = []
    for name, tensor in v1t_images.drawn_tensors(model):
        kept = tensor.detach().clone()
        with torch.no_grad():
            tensor.copy_(kept.flip(0) * 1.2 if kept.ndim else kept + 1)
        if float((responses(model, inputs) - before).abs().max()) < 1e-4:
            idle.append(name)
        with torch.no_grad():
            tensor.copy_(kept)
    # Points spread only in training, and batches are counted only there.
    assert all(name.endswith((".sigma", ".num_batches_tracked")) for name in idle), idle


def test_constants_of_a_run_folder_keep_their_published_values(tmp_path: Path) -> None:
    args = v1t_images.default_args(
        **COARSE, use_lsa=True, shift_mode=4, center_crop=0.75, drop_path=0.25
    )
    state = v1t_images.write_run_folder(tmp_path, args, seed=3).state_dict()
    attention = "core.transformer.blocks.1.mha"
    expected = {
        "core.reg_scale": 0.5379,
        "core.transformer.drop_path.keep_prop": 0.75,
        f"{attention}.max_value": float(np.finfo(np.float32).max),
        "image_cropper.image_shifter.A.max_shift": 0.25,
        "image_cropper.image_shifter.A.reg_scale": 0.0,
        "core_shifter.C.reg_scale": 0.0,
        "readouts.C.reg_scale": 0.0076,
        "elu1.one": 1.0,
    }
    found = {name: float(state[name]) for name in expected}
    assert found == pytest.approx(expected)
    assert torch.equal(state[f"{attention}.mask"], torch.arange(121)[:, None].expand(121, 2))
    assert state["image_cropper.grid"].shape == (1, 108, 192, 2)
    assert float(state["image_cropper.grid"].abs().max()) == 0.75


def test_constants_of_the_other_cores_keep_their_published_values() -> None:
    cct = v1t_images.build(v1t_images.default_args(core="cct", drop_path=0.5, num_blocks=3))
    kept = [float(block.drop_path.keep_prop) for block in cct.core.transformer.blocks]
    assert kept == [1, 0.75, 0.5]
    positions = cct.core.tokenizer.pos_embedding
    assert positions.shape == (1, 576, 20)
    assert float(positions[0, 30, 6]) == pytest.approx(np.sin(30 / 10000**0.3), abs=1e-5)
    assert float(positions[0, 30, 7]) == pytest.approx(np.cos(30 / 10000**0.3), abs=1e-5)
    stacked: Stacked2d = v1t_images.build(v1t_images.default_args(core="stacked2d")).core
    laplace = stacked.state_dict()["_input_weights_regularizer.laplace.filter"]
    assert laplace.tolist() == [[[[0, -1, 0], [-1, 4, -1], [0, -1, 0]]]]
    assert float(stacked.gamma_input) == pytest.approx(6.3831)


def test_training_state_needs_more_than_plain_loading(tmp_path: Path) -> None:
    v1t_images.write_run_folder(tmp_path, v1t_images.default_args(**COARSE), seed=3)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(tmp_path / "ckpt" / "model_state.pt", weights_only=True)


def test_training_state_holds_what_the_published_one_holds(tmp_path: Path) -> None:
    args = v1t_images.default_args(**COARSE, shift_mode=3, center_crop=0.8)
    v1t_images.write_run_folder(tmp_path, args, seed=3)
    state = read_state(tmp_path)
    assert list(state) == ["epoch", "value", "model", "optimizer", "scaler", "scheduler"]
    groups = [group["name"] for group in state["optimizer"]["param_groups"]]
    assert groups == ["core", "readouts", "image_cropper", "core_shifter"]
    assert state["optimizer"]["state"][0]["exp_avg"].shape == (1, 1, 20)
    assert isinstance(state["scheduler"]["scaler"], torch.cuda.amp.GradScaler)
    assert state["scheduler"]["device"] == torch.device("cpu")
    assert isinstance(state["scheduler"]["best_value"], np.float64)
