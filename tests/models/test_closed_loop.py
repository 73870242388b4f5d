"""Runs of the closed-loop study, imported, against a plain composition of what was published."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
import yaml
from reference import closed_loop as reference

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.importers import closed_loop
from insilico.models.importers.run_folder import read_run_folder
from insilico.models.importers.translation import build_checkpoint
from insilico.models.mouse import Mouse, neurons_table
from insilico.screen import Screen

#: Largest difference that rounding explains, relative to the larger of one and the responses.
TOLERANCE = 1e-5


def convert(folder):
    run = read_run_folder(folder)
    counts = run.option("output_shapes", dict)
    mice = {name: Mouse(name, Screen(), neurons_table(shape[0])) for name, shape in counts.items()}
    return build_checkpoint(run, mice, parts=closed_loop.parts(run), name="run", origin={})


def imported(tmp_path, **changes):
    """Return the arguments, the plain network and the imported checkpoint of a random run."""
    args = reference.default_args(**changes)
    args["input_shapes"]["video"] = [1, 24, 20, 28]
    plain = reference.write_run_folder(tmp_path / "run", args, seed=3)
    return args, plain, convert(tmp_path / "run")


def ask(network, mouse, inputs):
    state = {"behavior": inputs["behavior"]} if network.behavior_names else {}
    if network.uses_pupil:
        state["pupil_center"] = inputs["pupil_center"]
    with torch.no_grad():
        return network(inputs["video"], mouse=mouse, **state)


def largest_difference(args, plain, checkpoint, *, frames=24):
    inputs = reference.random_inputs(args, trials=2, frames=frames, seed=5)
    largest = 0.0
    for mouse in checkpoint.mice:
        with torch.no_grad():
            expected = plain(**inputs, mouse=mouse)
        answered = ask(checkpoint.network, mouse, inputs)
        assert answered.shape == expected.shape
        assert expected.std() > 0.05
        difference = (answered - expected).abs().max() / max(1, expected.abs().max())
        largest = max(largest, difference.item())
    return largest


VARIANTS = [
    {"core_use_causal_attention": True},
    {"core_use_causal_attention": False},
    *({"core_pos_encoding": number} for number in range(8)),
    *(
        {"core_norm": norm, "core_behavior_mode": mode, "core_norm_qk": mode == 1}
        for norm in ("layernorm", "rmsnorm", "dyt")
        for mode in (0, 1, 2)
    ),
    *({"core_ff_activation": kind} for kind in ("none", "tanh", "elu", "gelu", "silu", "swiglu")),
    {"core_patch_mode": 1},
    {"core_patch_mode": 2, "core_behavior_mode": 0},
    {"core_patch_mode": 2},
    {"core_pad_frame": 0},
    {"core_spatial_patch_size": 5, "core_spatial_patch_stride": 3},
    {"core_temporal_patch_stride": 2},
    {"core_reg_tokens": 0},
    {"core_activation": "elu"},
    {"core_flash_attention": 0},
    *({"shifter_mode": mode} for mode in (0, 2)),
    {"shifter_mode": 2, "core_behavior_mode": 0},
    *({"readout_grid_mode": mode} for mode in (0, 2)),
    *({"output_mode": mode} for mode in (0, 2, 3, 4)),
    {"transform_output": 2},
    {"readout_bias_mode": 0},
    *({"readout": readout} for readout in ("factorized", "attention", "conv", "linear")),
    {"readout": "conv", "readout_groups": 4},
    *({"core": "fcnn", "core_linear": is_linear} for is_linear in (False, True)),
    *({"core": "fcnn", "core_behavior_mode": mode} for mode in (0, 1)),
    *({"core": "gru_baseline", "core_behavior_mode": mode} for mode in (0, 1, 2)),
    {"core": "gru_baseline", "core_linear": True},
    *({"core": "v1t", "core_behavior_mode": mode} for mode in range(5)),
    *({"core": "linear", "core_behavior_mode": mode} for mode in (0, 1, 2)),
    {"core": "fcnn", "readout": "attention"},
    {"core": "v1t", "readout": "factorized", "shifter_mode": 2},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_imported_run_answers_as_the_published_code(tmp_path, changes):
    assert largest_difference(*imported(tmp_path, **changes)) <= TOLERANCE


def test_gradients_are_those_of_the_published_code(tmp_path):
    args, plain, checkpoint = imported(tmp_path, core_use_causal_attention=True)
    inputs = {
        name: value.double()
        for name, value in reference.random_inputs(args, trials=2, frames=18, seed=5).items()
    }
    network = checkpoint.network.double()
    plain.double()(**inputs, mouse="A").square().sum().backward()
    video, behavior, pupil_center = inputs.values()
    network(
        video, mouse="A", behavior=behavior, pupil_center=pupil_center
    ).square().sum().backward()
    # The gradients go through the importer as weights do, which gives them our names.
    run = read_run_folder(tmp_path / "run")
    gradients = {
        name: torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in plain.named_parameters()
    }
    state = {name: gradients.get(name, value).float() for name, value in run.state.items()}
    run = dataclasses.replace(run, state=state)
    renamed = build_checkpoint(
        run, checkpoint.mice, parts=closed_loop.parts(run), name="gradients", origin={}
    ).network
    unreached = set()
    for name, value in network.named_parameters():
        if value.grad is None:
            unreached.add(name)
        else:
            expected = renamed.get_parameter(name)
            limit = 1e-6 * expected.abs().max().item() + 1e-12
            torch.testing.assert_close(value.grad.float(), expected.data, rtol=0, atol=limit)
    of_other_mouse = {name for name, _ in network.named_parameters() if ".L." in name}
    assert unreached == of_other_mouse | {"core.temporal.registers", "readout.A.sigma"}


def test_a_movie_longer_than_the_rotary_tables_is_centered_on_itself(tmp_path):
    assert largest_difference(*imported(tmp_path), frames=37) <= TOLERANCE


def test_example_of_the_published_code_gives_its_own_responses(shared_data):
    folder = shared_data / "viv1t" / "small_published_format"
    checkpoint = convert(folder)
    found = np.load(folder / "reference.npz")
    inputs = {name: torch.from_numpy(found[name]) for name in ("video", "behavior", "pupil_center")}
    for mouse in checkpoint.mice:
        expected = found[f"response_{mouse}"]
        answered = ask(checkpoint.network, mouse, inputs).numpy()
        difference = np.abs(answered - expected).max() / max(1, np.abs(expected).max())
        assert difference <= TOLERANCE


def test_published_size_has_the_published_number_of_parameters():
    network = registry.build("vivit", {}, {"mouse-a": 8})
    assert sum(value.numel() for value in network.core.parameters()) == 3_787_042
    rest = sum(value.numel() for value in network.parameters()) - 3_787_042
    assert rest == 57 + 8 * (112 + 4 + 1) + 152


def test_quirks_that_the_weights_need_are_named(tmp_path):
    _, _, checkpoint = imported(tmp_path, core_use_causal_attention=True)
    text = " ".join(checkpoint.origin["quirks"])
    assert "rotary" in text
    assert "temporal registers" in text
    assert checkpoint.options.compatibility


def test_without_the_published_scale_the_answer_is_another(tmp_path):
    args, _, checkpoint = imported(tmp_path)
    other = copy.deepcopy(checkpoint.network)
    for transformer in (other.core.spatial, other.core.temporal):
        rotary = transformer.blocks[0].rotary
        rotary.compatibility = False
        rotary.tables = rotary._tables(rotary.length)
    inputs = reference.random_inputs(args, trials=2, frames=24, seed=5)
    difference = (ask(other, "A", inputs) - ask(checkpoint.network, "A", inputs)).abs().max()
    assert difference > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": "bvivit"}, r"args.yaml has core: 'bvivit', which this importer does not know"),
        ({"readout": "depth-gaussian"}, r"readout: 'depth-gaussian', which this importer does not"),
        ({"core_pos_encoding": 9}, r"core_pos_encoding: 9, which .* it knows 0, 1"),
        ({"core_behavior_mode": 5}, r"core_behavior_mode: 5, which .* it knows 0, 1, 2"),
        ({"output_mode": 7}, r"output_mode: 7"),
        ({"core_norm": "batchnorm"}, r"norm is 'batchnorm'; give one of layernorm, rmsnorm, dyt"),
        ({"core_emb_dim": 32}, r"does not match the network completely, so nothing was loaded"),
        ({"core_head_dim": 0}, r"core_head_dim: 0, a positive whole number was expected"),
        ({"core_spatial_patch_size": -1}, r"core_spatial_patch_size: -1, a positive whole number"),
        ({"core_reg_tokens": -1}, r"no vivit can be built with these options \(.* dimension -1"),
        ({"core_p_dropout": 1.5}, r"no vivit can be built with these options \(dropout probabi"),
        ({"core_head_dim": 8, "core_num_heads": 4}, r"another core\.vivit\.\S+ than its options"),
    ],
)
def test_options_that_do_not_go_with_the_weights_are_refused(tmp_path, changes, message):
    folder = tmp_path / "run"
    reference.write_run_folder(folder, reference.default_args(), seed=3)
    path = folder / "args.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "arrived"),
    [
        ("readouts.A.features", torch.tensor(1.0), r"features of shape \(\), which no run"),
        ("core.vivit.spatial_transformer.blocks.0.scale", torch.zeros(0), r"another core\S+scale"),
        ("core.vivit.spatial_transformer.blocks.0.norm.weight", torch.zeros(3), r"shape \(3,\)"),
    ],
)
def test_weights_of_another_shape_are_refused_by_name(tmp_path, key, value, arrived):
    folder = tmp_path / "run"
    reference.write_run_folder(folder, reference.default_args(), seed=3)
    path = folder / "ckpt" / "model.pt"
    torch.save(torch.load(path, weights_only=True) | {key: value}, path)
    with pytest.raises(CheckpointError, match=arrived):
        convert(folder)
