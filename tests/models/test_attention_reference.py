"""Attention of imported runs, against what plain compositions of the published code attend to."""

import numpy as np
import pytest
import torch
from reference import closed_loop as closed_loop_reference
from reference import first_release as first_release_reference
from reference import v1t_images

from insilico.models.importers import closed_loop, first_release, v1t
from insilico.models.importers.run_folder import read_run_folder
from insilico.models.importers.translation import build_checkpoint
from insilico.models.mouse import Mouse, neurons_table
from insilico.screen import Screen


def import_run(folder, parts):
    run = read_run_folder(folder)
    counts = {mouse: shape[0] for mouse, shape in run.args["output_shapes"].items()}
    mice = {mouse: Mouse(mouse, Screen(), neurons_table(n)) for mouse, n in counts.items()}
    return build_checkpoint(run, mice, parts=parts(run), name="run", origin={}).network


@pytest.fixture
def softmaxes(monkeypatch):
    """Everything that a softmax returned, in order."""
    seen = []
    plain = torch.Tensor.softmax

    def recorded(logits, dim):
        seen.append(plain(logits, dim=dim))
        return seen[-1]

    monkeypatch.setattr(torch, "softmax", recorded)
    monkeypatch.setattr(torch.Tensor, "softmax", recorded)
    return seen


def rolled_out(attention):
    """Roll out (block, head, token, token) as published: V1T, attention_rollout.py."""
    mixed = attention.max(axis=1) + np.eye(attention.shape[-1])
    mixed = mixed / mixed.sum(axis=-1, keepdims=True)
    joint = mixed[0]
    for block in mixed[1:]:
        joint = block @ joint
    return joint


def by_heads(seen, heads):
    """Return (block, row, head, token, token) of maps that came head by head."""
    maps = torch.stack(seen).double().numpy()
    return maps.reshape(-1, heads, *maps.shape[1:]).swapaxes(1, 2)


@pytest.mark.parametrize("changes", [{}, {"use_lsa": True, "behavior_mode": 4}])
def test_images_are_attended_to_as_published(changes, tmp_path, softmaxes):
    args = v1t_images.default_args(**changes, patch_stride=2, num_blocks=3)
    published = v1t_images.write_run_folder(tmp_path, args, seed=3)
    network = import_run(tmp_path, v1t.parts)
    inputs = v1t_images.random_inputs(args, trials=2, seed=4)
    mouse = next(iter(network.neuron_counts))
    state = {name: inputs[name] for name in ("behavior", "pupil_center")}
    with torch.no_grad():
        published(mouse=mouse, **inputs)
        maps = by_heads(softmaxes, args["num_heads"])
        ours = network.attention_maps(inputs["images"], mouse=mouse, **state)
    assert len(maps) == 3
    for image in range(2):
        expected = rolled_out(maps[:, image])[0, 1:]
        np.testing.assert_allclose(ours.spatial[image].flatten(), expected, rtol=1e-4)
    assert expected.max() > 1.5 * expected.min()


def movie_rollout(spatial, temporal, *, trials, patches, times):
    """Return spatial (trial, time, patch) and temporal (trial, time) attention as published.

    Parameters
    ----------
    spatial, temporal : float array, shape (block, row, head, token, token)
        With registers, which come last.
    """
    over_space = [rolled_out(spatial[:, row, :, :patches, :patches]).mean(axis=0)
                  for row in range(trials * times)]  # fmt: skip
    over_time = [rolled_out(temporal[:, row, :, :times, :times]).mean(axis=0)
                 for row in range(trials * patches)]  # fmt: skip
    return (
        np.reshape(over_space, (trials, times, patches)),
        np.reshape(over_time, (trials, patches, times)).mean(axis=1),
    )


@pytest.mark.parametrize("is_causal", [True, False])
def test_movies_are_attended_to_as_published(is_causal, tmp_path, softmaxes):
    args = closed_loop_reference.default_args(
        core_use_causal_attention=is_causal, core_flash_attention=0
    )
    args["input_shapes"]["video"] = [1, 30, 20, 28]
    published = closed_loop_reference.write_run_folder(tmp_path, args, seed=3)
    network = import_run(tmp_path, closed_loop.parts)
    inputs = closed_loop_reference.random_inputs(args, trials=2, frames=30, seed=5)
    mouse = next(iter(network.neuron_counts))
    with torch.no_grad():
        published(**inputs, mouse=mouse)
        seen = [one.double().numpy() for one in softmaxes]
        ours = network.attention_maps(
            inputs["video"],
            mouse=mouse,
            behavior=inputs["behavior"],
            pupil_center=inputs["pupil_center"],
        )
    depth = args["core_spatial_depth"]
    times, patches = ours.spatial.shape[1], ours.spatial[0, 0].numel()
    space, time = movie_rollout(
        np.stack(seen[:depth]),
        np.stack(seen[depth:]),
        trials=2,
        patches=patches,
        times=times,
    )
    np.testing.assert_allclose(ours.spatial.flatten(2), space, rtol=1e-4)
    np.testing.assert_allclose(ours.temporal, time, rtol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"core_parallel_attention": False}])
def test_movies_of_the_first_release_are_rolled_out_alike(changes, tmp_path, softmaxes):
    args = first_release_reference.default_args(**changes)
    published = first_release_reference.write_run_folder(tmp_path, args, seed=1)
    network = import_run(tmp_path, first_release.parts)
    inputs = first_release_reference.random_inputs(args, trials=2, frames=30, seed=3)
    mouse = next(iter(network.neuron_counts))
    with torch.no_grad():
        published(**inputs, mouse=mouse)
        maps = list(softmaxes)
        ours = network.attention_maps(
            inputs["video"],
            mouse=mouse,
            behavior=inputs["behavior"],
            pupil_center=inputs["pupil_center"],
        )
    heads = args["core_num_heads"]
    split = args["core_spatial_depth"] * heads
    times, patches = ours.spatial.shape[1], ours.spatial[0, 0].numel()
    space, time = movie_rollout(
        by_heads(maps[:split], heads),
        by_heads(maps[split:], heads),
        trials=2,
        patches=patches,
        times=times,
    )
    np.testing.assert_allclose(ours.spatial.flatten(2), space, rtol=1e-4)
    np.testing.assert_allclose(ours.temporal, time, rtol=1e-4)
