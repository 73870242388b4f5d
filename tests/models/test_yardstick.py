"""The plain composition of the published ViV1T answers as the published code does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from reference import closed_loop

from benchmarks import yardstick

#: Neurons of the ten mice of Sensorium 2023.
SENSORIUM_2023 = dict(
    zip("ABCDEFGHIJ", (7440, 7928, 8285, 7671, 7495, 7863, 7908, 8202, 7939, 8122), strict=True)
)

#: Every option of the core that has a formula of its own, several at once where they do not meet.
VARIANTS = {
    "published": {},
    "no positions, convolved one-hot patches": {"core_pos_encoding": 0, "core_patch_mode": 1},
    "joint positions, convolved patches": {"core_pos_encoding": 1, "core_patch_mode": 2},
    "learned positions, gelu": {"core_pos_encoding": 2, "core_ff_activation": "gelu"},
    "swiglu, dyt, normalized queries and keys": {
        "core_ff_activation": "swiglu",
        "core_norm": "dyt",
        "core_norm_qk": True,
    },
    "sinusoid in time, rmsnorm": {
        "core_pos_encoding": 3,
        "core_norm": "rmsnorm",
        "core_activation": "elu",
        "readout_grid_mode": 2,
        "output_mode": 3,
    },
    "sinusoids, all frames attend": {
        "core_pos_encoding": 4,
        "core_use_causal_attention": False,
        "readout_grid_mode": 0,
        "output_mode": 2,
    },
    "learned in space, no registers": {
        "core_pos_encoding": 6,
        "core_reg_tokens": 0,
        "shifter_mode": 2,
        "readout_bias_mode": 0,
        "output_mode": 4,
    },
    "plane of sines, larger strides": {
        "core_pos_encoding": 7,
        "core_spatial_patch_stride": 3,
        "core_temporal_patch_stride": 2,
        "core_behavior_mode": 1,
        "shifter_mode": 0,
        "output_mode": 0,
    },
}

#: Each core once and each readout once.
NETWORKS = sorted(
    {(core, "gaussian") for core in closed_loop.CORES}
    | {("v1t", readout) for readout in (*closed_loop.READOUTS, "attention")}
)


@pytest.fixture
def run_folder(shared_data):
    return shared_data / "viv1t" / "small_published_format"


@pytest.fixture
def published(run_folder):
    args = yaml.safe_load((run_folder / "args.yaml").read_text())
    model = yardstick.build(args)
    weights = torch.load(run_folder / "ckpt" / "model.pt", weights_only=True)
    model.load_state_dict(weights, strict=True)
    return model.eval()


def perturbed(*, seed=1, **options):
    args = closed_loop.default_args(max_frame=options.pop("max_frame", 8), **options)
    model = closed_loop.build(args)
    closed_loop.perturb(model, seed=seed)
    return model.eval(), closed_loop.random_inputs(args, trials=1, frames=args["max_frame"], seed=2)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@torch.inference_mode()
def test_answers_are_those_of_the_published_code(published, run_folder):
    with np.load(run_folder / "reference.npz") as file:
        reference = {name: torch.from_numpy(file[name]) for name in file.files}
    names = ("video", "behavior", "pupil_center")
    for mouse in "AL":
        for trial in range(len(reference["video"])):
            inputs = {name: reference[name][trial : trial + 1] for name in names}
            answer = published(**inputs, mouse=mouse)
            expected = reference[f"response_{mouse}"][trial : trial + 1]
            torch.testing.assert_close(answer, expected, rtol=0, atol=3e-6)


def test_options_are_those_of_the_published_run(run_folder):
    args = yaml.safe_load((run_folder / "args.yaml").read_text())
    ours = closed_loop.default_args(
        mice={"A": 40, "L": 25}, max_frame=300, micro_batch_size=args["micro_batch_size"]
    )
    assert {name: ours[name] for name in args} == args


@pytest.mark.parametrize(
    ("core", "changes", "count"),
    [
        ("vivit", {}, 3_787_042),
        ("fcnn", {}, 389_776),
        ("fcnn", {"core_linear": True}, 389_296),
        ("v1t", {}, 2_464_276),
        ("linear", {}, 13_824),
        ("gru_baseline", {}, 2_101_252),
    ],
)
def test_published_cores_have_the_published_number_of_parameters(core, changes, count):
    args = closed_loop.default_args(core=core, small=False, max_frame=300, **changes)
    assert parameters(closed_loop.build(args).core) == count


def test_network_of_ten_mice_has_the_published_size():
    args = closed_loop.default_args(small=False, max_frame=300, mice=SENSORIUM_2023)
    model = yardstick.build(args)
    state = model.state_dict()
    assert parameters(model) == 13_014_933
    assert len(state) == 403
    assert sum(value.numel() for value in state.values()) == 13_174_938


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_learned_number_changes_the_answer(options):
    model, inputs = perturbed(**options)
    for value in inputs.values():
        value.requires_grad_()
    answer = model(**inputs, mouse="A")
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(3))
    (answer * weights).sum().backward()
    learned = {n: p.grad for n, p in model.named_parameters() if ".L." not in n}
    unused = {name for name, gradient in learned.items() if gradient.abs().max() < 1e-4}
    hidden = {"readouts.A.sigma"}  # drawn from in training only
    if options.get("core_use_causal_attention", True) and options.get("core_reg_tokens", 4):
        hidden.add("core.vivit.reg_t_tokens")  # come after every frame
    assert unused == hidden
    mode, shifter = options.get("core_behavior_mode", 2), options.get("shifter_mode", 1)
    used = {"video": True, "behavior": mode > 0, "pupil_center": mode == 2 or shifter > 0}
    for name, expected in used.items():
        gradient = inputs[name].grad
        assert (gradient is not None and bool(gradient.abs().max() > 1e-4)) == expected, name


@torch.inference_mode()
def test_unfolded_and_convolved_patches_agree():
    model, inputs = perturbed()
    other, _ = perturbed(core_patch_mode=1)
    other.load_state_dict(model.state_dict(), strict=False)
    torch.testing.assert_close(other(**inputs, mouse="L"), model(**inputs, mouse="L"))


@torch.inference_mode()
@pytest.mark.parametrize("causal", [True, False])
def test_fused_and_explicit_attention_agree(causal):
    model, inputs = perturbed(core_use_causal_attention=causal)
    other, _ = perturbed(core_use_causal_attention=causal, core_flash_attention=0)
    expected = model(**inputs, mouse="A")
    torch.testing.assert_close(other(**inputs, mouse="A"), expected, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("causal", [True, False])
def test_later_frames_are_seen_only_without_causal_attention(causal):
    model, inputs = perturbed(core_use_causal_attention=causal)
    first = {name: value[:, :, :5] for name, value in inputs.items()}
    whole, cut = model(**inputs, mouse="A")[..., :5], model(**first, mouse="A")
    assert torch.allclose(whole, cut, atol=1e-5) == causal


@torch.inference_mode()
def test_movie_longer_than_the_table_moves_the_center_for_later_calls():
    model, inputs = perturbed(max_frame=6)
    longer = closed_loop.random_inputs(
        closed_loop.default_args(max_frame=6), trials=1, frames=9, seed=4
    )
    before = model(**inputs, mouse="A")
    model(**longer, mouse="A")
    after = model(**inputs, mouse="A")
    assert (before - after).abs().max() > 1e-5
    rebuilt, _ = perturbed(max_frame=9)
    torch.testing.assert_close(after, rebuilt(**inputs, mouse="A"))


def test_training_draws_a_position_for_each_neuron_and_frame():
    model, _ = perturbed(shifter_mode=0)
    model.readouts.train()
    maps = torch.ones(1, *model.core.output_shape)[:, :, None].repeat(1, 1, 3, 1, 1)
    row = torch.linspace(-1, 1, maps.shape[-2])[:, None].expand(maps.shape[-2:])
    answer = model.readouts(maps * row, "A", None)[0]
    assert (answer.diff(dim=1) != 0).any(dim=1).float().mean() > 0.9
    model.readouts.eval()
    still = model.readouts(maps * row, "A", None)[0]
    assert (still.diff(dim=1) == 0).all()


def test_training_drops_whole_tokens():
    args = closed_loop.default_args(max_frame=4, core_pos_encoding=0)
    tokenizer = yardstick.VivitCore(args).tokenizer.train()
    torch.manual_seed(5)
    tokens = tokenizer(*closed_loop.random_inputs(args, trials=1, frames=4, seed=6).values())
    dropped = (tokens == 0).all(dim=-1)
    assert ((tokens == 0).any(dim=-1) == dropped).all()
    assert dropped.float().mean().item() == pytest.approx(args["core_p_dropout"], abs=0.03)


@torch.inference_mode()
@pytest.mark.parametrize(("core", "readout"), NETWORKS)
def test_run_folder_rebuilds_the_network_that_was_written(tmp_path, core, readout):
    frames = 26 if core == "fcnn" else 5
    args = closed_loop.default_args(core=core, readout=readout, max_frame=frames)
    model = closed_loop.write_run_folder(tmp_path, args, seed=7)
    read = yaml.safe_load((tmp_path / "args.yaml").read_text())
    rebuilt = closed_loop.build(read).eval()
    weights = torch.load(tmp_path / "ckpt" / "model.pt", weights_only=True)
    rebuilt.load_state_dict(weights, strict=True)
    inputs = closed_loop.random_inputs(read, trials=2, frames=frames, seed=8)
    answer = model(**inputs, mouse="L")
    assert torch.equal(rebuilt(**inputs, mouse="L"), answer)
    assert answer.shape[:2] == (2, 7)
    assert answer.std(dim=2).mean() > 0.005
    assert answer.std(dim=1).mean() > 0.1


def test_misspelled_option_is_refused():
    with pytest.raises(KeyError, match="no option core_embedding"):
        closed_loop.default_args(core_embedding=24)


def test_yardstick_is_no_other_core():
    with pytest.raises(ValueError, match="is no ViV1T"):
        yardstick.build(closed_loop.default_args(core="fcnn"))
