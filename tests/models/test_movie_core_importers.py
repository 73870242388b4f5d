"""Convolutional and recurrent cores of published runs answer as the published code does."""

import pytest
import torch
from reference import closed_loop

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.importers import movie_cores
from insilico.models.importers.run_folder import read_run_folder
from insilico.models.importers.translation import translate
from insilico.models.weights import load_completely

TRANSLATORS = {"fcnn": movie_cores.fcnn, "gru_baseline": movie_cores.gru_baseline}


def core_of(folder, args, *, seed=1):
    """Return our core, filled from a run folder with random weights, and the published network."""
    published = closed_loop.write_run_folder(folder, args, seed=seed)
    run = read_run_folder(folder)
    part = TRANSLATORS[args["core"]](run)
    channels, _, height, width = args["input_shapes"]["video"]
    options = {"height_px": height, "width_px": width, "stimulus_channels": channels}
    names = ("pupil_size", "running_speed") if part.reads_state else ()
    options |= part.options | {"behavior_names": names}
    network = registry.build(part.architecture, options, {"A": 2})
    state = {key: value for key, value in run.state.items() if key.startswith("core.")}
    ours = translate(state, renames=part.renames, constants=part.constants, source=str(folder))
    ours |= part.additions
    load_completely(
        network.core, {key.removeprefix("core."): value for key, value in ours.items()}, source="x"
    )
    return network.core.eval(), published


def distance(ours, theirs):
    return ((ours - theirs).abs().max() / max(1, theirs.abs().max())).item()


CASES = {
    "fcnn with behavior and gaze": {"core": "fcnn"},
    "fcnn with behavior": {"core": "fcnn", "core_behavior_mode": 1},
    "fcnn alone": {"core": "fcnn", "core_behavior_mode": 0, "core_num_layers": 2},
    "fcnn, linear": {"core": "fcnn", "core_linear": True},
    "fcnn, other kernels": {
        "core": "fcnn",
        "core_spatial_input_kernel": 7,
        "core_temporal_input_kernel": 6,
        "core_spatial_hidden_kernel": 3,
        "core_temporal_hidden_kernel": 2,
    },
    "recurrent with behavior": {"core": "gru_baseline"},
    "recurrent with behavior and gaze": {"core": "gru_baseline", "core_behavior_mode": 2},
    "recurrent alone": {"core": "gru_baseline", "core_behavior_mode": 0, "core_rnn_reg": 3.0},
    "recurrent, linear, eight rotations": {
        "core": "gru_baseline",
        "core_linear": True,
        "core_rotations": 8,
        "core_cnn_layers": 2,
        "core_rnn_input_kernel": 5,
        "core_rnn_kernel": 7,
    },
}


def answers(core, published, inputs, mode):
    state = torch.cat([inputs["behavior"], inputs["pupil_center"]], dim=1)
    with torch.no_grad():
        return core(inputs["video"], state[:, : 2 * mode] if mode else None), published.core(
            *inputs.values()
        )


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_imported_core_answers_as_the_published_one(changes, tmp_path):
    """In double precision: features of about 50 drive the gates of the random recurrent core.

    Single precision must not add more than it does to the published network itself, which for
    those is 1e-5 to 3e-5.
    """
    args = closed_loop.default_args(**changes)
    core, published = core_of(tmp_path, args)
    inputs = closed_loop.random_inputs(args, trials=1, frames=25, seed=3)
    mode = args["core_behavior_mode"]
    ours_single, theirs_single = answers(core, published, inputs, mode)
    inputs = {name: values.double() for name, values in inputs.items()}
    ours, theirs = answers(core.double(), published.double(), inputs, mode)
    assert ours.shape == theirs.shape
    assert theirs.flatten(1).std(dim=1).min() > 0.01
    assert distance(ours, theirs) <= 1e-5
    rounding = distance(theirs_single.double(), theirs)
    assert distance(ours_single, theirs_single) <= max(1e-5, 2 * rounding)


@pytest.mark.parametrize("core", ["fcnn", "gru_baseline"])
def test_every_learned_number_of_a_core_changes_the_answer(core, tmp_path):
    """So that a key that went to the wrong place could not stay unnoticed above."""
    args = closed_loop.default_args(core=core, core_behavior_mode=1)
    ours, _ = core_of(tmp_path, args)
    inputs = closed_loop.random_inputs(args, trials=1, frames=24, seed=3)
    ours(inputs["video"], inputs["behavior"]).square().sum().backward()
    for name, parameter in ours.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("core", "key"),
    [
        ("fcnn", "core.cnn._input_weight_regularizer.laplace.filter"),
        ("fcnn", "core.cnn.temporal_regularizer.laplace.filter"),
        ("gru_baseline", "core.cnn.features.layer0.hermite_conv.rotate_hermite.H"),
        ("gru_baseline", "core.cnn.features.layer1.hermite_conv.rotate_hermite.Rs.3"),
    ],
)
def test_another_constant_is_refused(core, key, tmp_path):
    args = closed_loop.default_args(core=core)
    closed_loop.write_run_folder(tmp_path, args, seed=1)
    path = tmp_path / "ckpt" / "model.pt"
    state = torch.load(path, weights_only=True)
    state[key] = state[key] + 0.01
    torch.save(state, path)
    run = read_run_folder(tmp_path)
    part = TRANSLATORS[core](run)
    with pytest.raises(CheckpointError, match=rf"another {key}"):
        translate(run.state, renames=part.renames, constants=part.constants, source="run")


@pytest.mark.parametrize("core", ["fcnn", "gru_baseline"])
def test_unknown_behavior_mode_is_refused(core, tmp_path):
    args = closed_loop.default_args(core=core)
    closed_loop.write_run_folder(tmp_path, args, seed=1)
    text = (tmp_path / "args.yaml").read_text()
    mode = args["core_behavior_mode"]
    text = text.replace(f"core_behavior_mode: {mode}", "core_behavior_mode: 7")
    (tmp_path / "args.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"core_behavior_mode: 7, which .* 0, 1, 2"):
        TRANSLATORS[core](read_run_folder(tmp_path))
