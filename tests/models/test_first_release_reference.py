"""The plain first release of ViV1T, which ours is compared with, keeps to its published facts."""

from __future__ import annotations

import pytest
import torch
import yaml
from reference import first_release
from torch import nn

VARIANTS = [
    {},
    {"core_parallel_attention": False},
    {"core_parallel_attention": False, "core_flash_attention": 0, "core_norm_qk": True},
    {"core_norm_qk": True, "core_ff_activation": "swiglu", "core_behavior_mode": 1},
    {"core_parallel_attention": False, "core_pos_encoding": 2, "core_ff_activation": "swiglu"},
    {"core_pos_encoding": 0, "core_behavior_mode": 0, "shifter_mode": 0},
    {"core_pos_encoding": 1, "core_behavior_mode": 3, "shifter_mode": 2},
    {"core_pos_encoding": 4, "core_behavior_mode": 4, "output_mode": 0},
    {"core_pos_encoding": 5, "core_behavior_mode": 5, "output_mode": 2},
    {"core_patch_mode": 2, "readout": "factorized"},
    {"core_spatial_patch_size": 4, "core_spatial_patch_stride": 16, "readout_grid_mode": 0},
    {"core_parallel_attention": False, "core_behavior_mode": 5, "readout_grid_mode": 2},
    {"modulator_mode": 1, "readout_bias_mode": 0},
    {"modulator_mode": 1, "modulator_include_history": 0, "modulator_include_behaviors": 1},
    {"modulator_mode": 2},
    {"modulator_mode": 3},
    {"modulator_mode": 4, "modulator_activation": "identity"},
    {"core": "factorized_baseline"},
    {"core": "factorized_baseline", "core_behavior_mode": 6, "readout": "factorized"},
    {"core": "factorized_baseline", "core_behavior_mode": 7, "modulator_mode": 4},
    {"core": "factorized_baseline", "core_behavior_mode": 8, "core_num_layers": 2},
    {"core": "factorized_baseline", "core_behavior_mode": 9},
]
variants = pytest.mark.parametrize("changes", VARIANTS, ids=str)


def count(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


def test_published_network_has_the_published_number_of_parameters():
    network = first_release.build(first_release.published_args())
    assert count(network.core) == 2_916_074
    assert count(network.shifters["A"]) == 57
    assert count(network.readouts["A"]) == 12 * (112 + 4 + 1) + 152 + 112**2 + 8 * 112


def test_sequential_blocks_have_the_biases_that_parallel_ones_have_not():
    args = first_release.published_args() | {"core_parallel_attention": False}
    extra_a_block = 112 + 136 + 112 + 2 * 112  # attention, both layers of the MLP, its norm
    assert count(first_release.build(args).core) == 2_916_074 + 8 * extra_a_block


def test_factorized_core_has_the_published_number_of_parameters():
    args = first_release.default_args(
        core="factorized_baseline", core_behavior_mode=2, core_hidden_dim=16
    )
    assert count(first_release.build(args).core) == 389_776


def test_published_keys_have_the_published_shapes():
    args = first_release.published_args()
    shapes = {
        name: tuple(value.shape) for name, value in first_release.build(args).state_dict().items()
    }
    expected = {
        "core.vivit.reg_scale": (),
        "core.vivit.tokenizer.tokenizer.1.weight": (6125,),
        "core.vivit.tokenizer.tokenizer.2.weight": (112, 6125),
        "core.vivit.tokenizer.tokenizer.3.bias": (112,),
        "core.vivit.tokenizer.spatial_pos_embedding": (1, 1, 435, 112),
        "core.vivit.tokenizer.temporal_pos_embedding": (1, 276, 1, 112),
        "core.vivit.spatial_transformer.blocks.2.fused_linear.weight": (1720, 112),
        "core.vivit.temporal_transformer.blocks.4.attn_out.weight": (112, 528),
        "core.vivit.temporal_transformer.blocks.4.ff_out.2.weight": (112, 136),
        "core.vivit.temporal_transformer.blocks.4.drop_path2.keep_prob": (),
        "core.vivit.temporal_transformer.blocks.4.scale": (),
        "shifters.A.mlp.4.weight": (2, 5),
        "readouts.F.features": (1, 112, 7),
        "readouts.F.state_encoder.0.weight": (112, 4),
        "readouts.F.state_encoder.1.weight": (112,),
        "readouts.F.state_encoder.4.weight": (112, 112),
        "readouts.F.source_grid": (7, 2),
        "readouts.F.mu_transform.2.weight": (2, 30),
    }
    assert {name: shapes.get(name) for name in expected} == expected


@variants
def test_answers_start_when_the_first_window_is_full(changes):
    args = first_release.default_args(**changes)
    network = first_release.build(args)
    first_release.perturb(network, seed=1)
    inputs = first_release.random_inputs(args, trials=2, frames=28, seed=2)
    with torch.no_grad():
        answers = network(**inputs, mouse="F")
    lost = 24
    if args["core"] == "factorized_baseline":
        lost = 10 + 4 * (args["core_num_layers"] - 1)
    assert answers.shape == (2, 7, 28 - lost)
    assert answers.isfinite().all()


@variants
def test_every_weight_moves_the_answer(changes):
    args = first_release.default_args(neurons={"A": 12}, **changes)
    network = first_release.build(args)
    first_release.perturb(network, seed=3)
    inputs = first_release.random_inputs(args, trials=1, frames=30, seed=4)
    network.logits(**inputs, mouse="A").square().sum().backward()
    still = {
        name
        for name, weights in network.named_parameters()
        if weights.grad is None or weights.grad.abs().max() < 1e-6
    }
    blind = {name for name in still if name.endswith(("sigma", "norm_k.bias"))}
    if args["readout"] == "factorized":  # it is built with a shifter and never asks it
        blind |= {name for name in still if name.startswith("shifters.")}
    assert still == blind


def test_run_folder_round_trips_strictly_and_hides_live_objects(tmp_path):
    args = first_release.default_args(modulator_mode=2, core_behavior_mode=5)
    network = first_release.write_run_folder(tmp_path / "run", args, seed=5)
    path = tmp_path / "run" / "ckpt" / "model_state.pt"
    with pytest.raises(Exception, match="numpy"):
        torch.load(path, weights_only=True)
    saved = torch.load(path, weights_only=False)
    assert list(saved) == ["epoch", "value", "model", "optimizer", "scheduler"]
    read = yaml.safe_load((tmp_path / "run" / "args.yaml").read_text(encoding="utf-8"))
    assert {name: read[name] for name in args if name != "adam_eps"} == {
        name: value for name, value in args.items() if name != "adam_eps"
    }
    again = first_release.build(read)
    again.load_state_dict(saved["model"], strict=True)
    inputs = first_release.random_inputs(args, trials=2, frames=30, seed=6)
    with torch.no_grad():
        torch.testing.assert_close(
            again(**inputs, mouse="A"), network(**inputs, mouse="A"), rtol=0, atol=0
        )


def test_constants_keep_their_value_when_weights_are_random(tmp_path):
    args = first_release.default_args(output_mode=0, modulator_mode=1, core_pos_encoding=5)
    network = first_release.write_run_folder(tmp_path / "run", args, seed=7)
    state, fresh = network.state_dict(), first_release.build(args).state_dict()
    learned = {name for name, _ in network.named_parameters()}
    for name in set(state) - learned:
        assert torch.equal(state[name], fresh[name]) == (not name.endswith("source_grid")), name
    assert not any(torch.equal(state[name], fresh[name]) for name in learned)
    assert state["core.vivit.temporal_transformer.blocks.0.scale"].item() == pytest.approx(5**-0.5)
    assert state["output_activation.one"].item() == 1


def test_window_of_the_animal_lists_the_behavior_before_the_gaze():
    args = first_release.default_args(core_behavior_mode=4)
    behavior = torch.arange(2.0 * 27).reshape(1, 2, 27)
    gaze = -behavior - 1
    states = first_release.build(args).core.vivit.states(behavior, gaze)
    assert states.shape == (1, 3, 100)
    assert states[0, 1, :4].tolist() == [1, 28, 2, 29]
    assert states[0, 1, 50:54].tolist() == [-2, -29, -3, -30]


def test_places_are_laid_out_on_the_guessed_grid_even_where_it_is_wrong():
    args = first_release.default_args(core_spatial_patch_size=4, core_spatial_patch_stride=16)
    core = first_release.build(args).core
    inputs = first_release.random_inputs(args, trials=1, frames=25, seed=8)
    with torch.no_grad():
        features = core(**inputs, mouse="A")
    assert features.shape[-2:] == (4, 3)  # the patches lie in three rows of four


def test_patches_that_were_never_runnable_are_refused():
    with pytest.raises(ValueError, match="cannot be run"):
        first_release.build(first_release.default_args(core_patch_mode=1))


def test_unknown_option_is_refused():
    with pytest.raises(KeyError, match="core_register_tokens"):
        first_release.default_args(core_register_tokens=2)
