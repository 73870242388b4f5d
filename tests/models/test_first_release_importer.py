"""Runs of the first release of ViV1T answer, once imported, as the published code does."""

import pytest
import torch
from reference import first_release

from insilico.errors import CheckpointError
from insilico.models.importers.first_release import parts, quirks
from insilico.models.importers.run_folder import read_run_folder
from insilico.models.importers.translation import build_checkpoint, describe
from insilico.models.mouse import Mouse, neurons_table
from insilico.screen import Screen


def imported(folder, args, *, seed=1):
    """Return our checkpoint and the published network of a run folder with random weights."""
    published = first_release.write_run_folder(folder, args, seed=seed)
    return checkpoint_of(folder), published


def checkpoint_of(folder):
    run = read_run_folder(folder)
    counts = {mouse: shape[0] for mouse, shape in run.args["output_shapes"].items()}
    mice = {mouse: Mouse(mouse, Screen(), neurons_table(n)) for mouse, n in counts.items()}
    return build_checkpoint(
        run, mice, parts=parts(run), name="run", origin={"file": "model_state.pt"}
    )


def distance(ours, theirs):
    return ((ours - theirs).abs().max() / max(1, theirs.abs().max())).item()


def both_answers(checkpoint, published, args, *, mouse, frames=30):
    inputs = first_release.random_inputs(args, trials=2, frames=frames, seed=3)
    with torch.no_grad():
        theirs = published(**inputs, mouse=mouse)
        ours = checkpoint.network(
            inputs["video"],
            mouse=mouse,
            behavior=inputs["behavior"],
            pupil_center=inputs["pupil_center"],
        )
    return ours, theirs


SEQUENCE = {"core_parallel_attention": False}
CASES = {
    "published": {},
    "in sequence": SEQUENCE,
    "in sequence, not fused": SEQUENCE | {"core_flash_attention": 0},
    "not fused": {"core_flash_attention": 0},
    "normalized queries": {"core_norm_qk": True, "core_ff_activation": "swiglu"},
    "in sequence, normalized queries": SEQUENCE
    | {"core_norm_qk": True, "core_ff_activation": "swiglu"},
    "no positions": {"core_pos_encoding": 0},
    "joint positions": {"core_pos_encoding": 1},
    "convolved positions": SEQUENCE | {"core_pos_encoding": 2},
    "convolved positions, in parallel": {"core_pos_encoding": 2},
    "learned positions and waves": {"core_pos_encoding": 4},
    "waves": {"core_pos_encoding": 5},
    "plain convolution": {"core_patch_mode": 2},
    "stimulus alone": {"core_behavior_mode": 0, "output_mode": 0, "shifter_mode": 0},
    "behavior": {"core_behavior_mode": 1, "output_mode": 2, "shifter_mode": 2},
    "behavior in blocks": {"core_behavior_mode": 3},
    "behavior and gaze in blocks": {"core_behavior_mode": 4},
    "in blocks by mouse": SEQUENCE | {"core_behavior_mode": 5},
    "times apart": {"core_temporal_patch_stride": 2, "core_behavior_mode": 4},
    "wrong grid": SEQUENCE | {"core_pos_encoding": 2, "core_spatial_patch_stride": 4},
    "free points": {"readout_grid_mode": 0, "readout_bias_mode": 0},
    "points from depth": {"readout_grid_mode": 2, "shifter_layers": 1, "shifter_mode": 2},
    "factorized readout": {"readout": "factorized"},
    "factorized readout of the stimulus": {"readout": "factorized", "core_behavior_mode": 0},
    "mlp modulator": {"modulator_mode": 1},
    "mlp modulator without history": {"modulator_mode": 1, "modulator_include_history": 0},
    "mlp modulator of behavior": {"modulator_mode": 1, "modulator_include_behaviors": 1},
    "mlp modulator of history": {"modulator_mode": 1, "modulator_include_behaviors": 0},
    "mlp modulator of nothing": {
        "modulator_mode": 1,
        "modulator_include_history": 0,
        "modulator_include_behaviors": 0,
    },
    "gru modulator": {"modulator_mode": 2},
    "gru modulator as wide as the population": {"modulator_mode": 2, "modulator_hidden_dim": None},
    "window modulator": {"modulator_mode": 3, "modulator_history_size": 3},
    "linear modulator": {"modulator_mode": 4, "modulator_activation": "sigmoid"},
    **{
        f"factorized core, mode {mode}": {"core": "factorized_baseline", "core_behavior_mode": mode}
        for mode in (0, 1, 2, 6, 7, 8, 9)
    },
    "factorized core and readout": {
        "core": "factorized_baseline",
        "readout": "factorized",
        "core_num_layers": 2,
        "core_spatial_input_kernel": 7,
    },
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_imported_run_answers_as_the_published_network(changes, tmp_path):
    args = first_release.default_args(**changes)
    checkpoint, published = imported(tmp_path, args)
    mouse = "F" if changes.get("core_behavior_mode") == 5 else "A"
    ours, theirs = both_answers(checkpoint, published, args, mouse=mouse)
    assert ours.shape == theirs.shape
    assert theirs.transpose(0, 1).flatten(1).std(dim=1).min() > 0.01
    assert distance(ours, theirs) <= 1e-5


def test_published_sizes_answer_alike_and_have_the_published_number_of_parameters(tmp_path):
    args = first_release.published_args()
    checkpoint, published = imported(tmp_path, args)
    learned = sum(one.numel() for one in checkpoint.network.core.parameters())
    assert learned == 2_916_074
    ours, theirs = both_answers(checkpoint, published, args, mouse="F", frames=27)
    assert distance(ours, theirs) <= 1e-5


def test_blocks_in_sequence_have_the_published_number_of_parameters(tmp_path):
    args = first_release.default_args(
        **first_release.PUBLISHED_CORE | {"core_parallel_attention": False}
    )
    checkpoint, _ = imported(tmp_path, args)
    assert sum(one.numel() for one in checkpoint.network.core.parameters()) == 2_920_746


def test_older_run_lacks_options_that_stand_for_what_was_then(tmp_path):
    args = first_release.default_args(core_parallel_attention=False)
    for name in ("core_parallel_attention", "core_norm_qk", "core_ff_activation"):
        del args[name]
    args["core_ff_dropout"] = None
    checkpoint, published = imported(tmp_path, args)
    assert checkpoint.options.feedforward_dropout == args["core_mha_dropout"]
    assert distance(*both_answers(checkpoint, published, args, mouse="A")) <= 1e-5


def test_compiled_core_is_read_like_a_plain_one(tmp_path):
    args = first_release.default_args()
    published = first_release.write_run_folder(tmp_path, args, seed=1)
    change_weights(
        tmp_path,
        lambda state: {
            key.replace("core.", "core._orig_mod.", 1) if key.startswith("core.") else key: value
            for key, value in state.items()
        },
    )
    ours, theirs = both_answers(checkpoint_of(tmp_path), published, args, mouse="A")
    assert distance(ours, theirs) <= 1e-5


def change_weights(folder, change):
    path = folder / "ckpt" / "model_state.pt"
    saved = torch.load(path, weights_only=False)
    saved["model"] = change(saved["model"])
    torch.save(saved, path)


BLOCK = "core.vivit.spatial_transformer.blocks.0"


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (f"{BLOCK}.scale", {}),
        (f"{BLOCK}.drop_path2.keep_prob", {}),
        (f"{BLOCK}.attention.scale", SEQUENCE),
        ("core.vivit.tokenizer.temporal_pos_encoding.pos_encoding", {"core_pos_encoding": 4}),
        ("core.vivit.tokenizer.spatial_pos_embedding.pos_encoding", {"core_pos_encoding": 5}),
        ("output_activation.one", {"output_mode": 0}),
        ("core.pos_encoding", {"core": "factorized_baseline", "core_behavior_mode": 7}),
        (
            "core.cnn.temporal_regularizer.laplace.filter",
            {"core": "factorized_baseline", "core_behavior_mode": 7},
        ),
    ],
)
def test_another_constant_is_refused(key, changes, tmp_path):
    first_release.write_run_folder(tmp_path, first_release.default_args(**changes), seed=1)
    change_weights(tmp_path, lambda state: state | {key: state[key] + 0.01})
    with pytest.raises(CheckpointError, match=f"another {key}"):
        checkpoint_of(tmp_path)


def test_missing_and_unknown_weights_are_named(tmp_path):
    first_release.write_run_folder(tmp_path, first_release.default_args(), seed=1)
    change_weights(tmp_path, lambda state: state | {"core.vivit.adapter.weight": torch.ones(2)})
    with pytest.raises(CheckpointError, match=r"core\.vivit\.adapter\.weight is unexpected"):
        checkpoint_of(tmp_path)
    lost = f"{BLOCK}.fused_linear.weight"
    change_weights(
        tmp_path, lambda state: {k: v for k, v in state.items() if k != lost and "adapter" not in k}
    )
    with pytest.raises(CheckpointError, match=r"core\.spatial\.blocks\.0\.fused\.weight is miss"):
        checkpoint_of(tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("core_patch_mode", 1, "cannot run"),
        ("core_patch_mode", 5, "it knows 0, 1, 2"),
        ("core_behavior_mode", 6, "it knows 0, 1, 2, 3, 4, 5"),
        ("core_pos_encoding", 6, "core_pos_encoding: 6"),
        ("core_ff_activation", "relu6", "feedforward_activation"),
        ("core", "vit", "it knows vivit, factorized_baseline"),
        ("readout", "random", "it knows gaussian2d, factorized"),
        ("modulator_mode", 5, "modulator_mode: 5"),
        ("output_mode", 3, "output_mode: 3"),
    ],
)
def test_unknown_options_are_refused(option, value, message, tmp_path):
    args = first_release.default_args()
    first_release.write_run_folder(tmp_path, args, seed=1)
    text = (tmp_path / "args.yaml").read_text()
    assert f"\n{option}: {args[option]}\n" in text
    text = text.replace(f"\n{option}: {args[option]}\n", f"\n{option}: {value}\n")
    (tmp_path / "args.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        parts(read_run_folder(tmp_path))


@pytest.mark.parametrize(
    ("changes", "phrases"),
    [
        ({"precision": "32"}, []),
        ({}, ["bfloat16"]),
        (SEQUENCE | {"core_flash_attention": 0}, ["bfloat16", "width of a token"]),
        ({"core_pos_encoding": 2}, ["leave the positional encoding", "bfloat16"]),
        (
            {"core_spatial_patch_stride": 4, "precision": "32"},
            ["guessed grid of 10 by 12 where the true one is 8 by 15"],
        ),
        ({"core_temporal_patch_stride": 2, "precision": "32"}, ["further apart"]),
        ({"readout": "factorized", "precision": "32"}, ["gaze shifter is left out"]),
        ({"center_crop": 0.8, "precision": "32"}, ["central 0.8"]),
    ],
)
def test_origin_names_what_the_weights_need(changes, phrases, tmp_path):
    checkpoint, _ = imported(tmp_path, first_release.default_args(**changes))
    named = checkpoint.origin["quirks"]
    assert len(named) == len(phrases)
    for sentence, phrase in zip(named, phrases, strict=True):
        assert phrase in sentence


def test_description_is_that_of_the_checkpoint(tmp_path):
    checkpoint, _ = imported(tmp_path, first_release.default_args())
    architecture, options = describe(parts(read_run_folder(tmp_path)))
    assert (architecture, options) == (checkpoint.architecture, checkpoint.options)
    assert quirks(options) == []
