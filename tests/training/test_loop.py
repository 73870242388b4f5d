"""The training loop: it learns, resumes to the bit, and gives the same curve however it is run."""

import copy
import dataclasses
import errno
import json
import shutil

import numpy as np
import pytest
import torch

import insilico
from insilico.errors import (
    CheckpointError,
    RecipeError,
    RecordingError,
    RunFolderError,
    TrainingError,
)
from insilico.models.checkpoint import load_checkpoint
from insilico.screen import Screen
from insilico.statistics.performance import correlation
from insilico.training import logs, loop, run_state
from insilico.training.loop import Training, train
from insilico.training.losses import LOSSES, WHOLE_BATCH_LOSSES

MICE = ("mouse-1", "mouse-2")


@pytest.fixture
def two_mice(cached):
    return {"mouse-1": cached("mouse-1"), "mouse-2": cached("mouse-2", neurons=4, train=15)}


@pytest.fixture
def two_movies(cached):
    shape = {"kind": "movie", "train": 10, "validation": 3}
    return {"mouse-1": cached("mouse-1", **shape), "mouse-2": cached("mouse-2", **shape)}


def weights_of(folder):
    return load_checkpoint(folder / "checkpoint").weights_sha256


def test_a_network_learns_and_its_checkpoint_is_a_twin(two_mice, recipe, tmp_path, fabric):
    chosen = recipe(epochs=12, options={"behavior_names": ("running_speed",), "has_shifter": True})
    result = train(chosen, two_mice, tmp_path / "run", fabric=fabric)
    assert result.log["loss"].iloc[-1] < result.log["loss"].iloc[0]
    assert result.validation_correlation > 0.3
    assert result.validation_correlation == result.log["validation_correlation"].max()
    assert result.log["epoch"].iloc[result.log["validation_correlation"].argmax()] == (
        result.best_epoch
    )
    twin = insilico.load(tmp_path / "run", device="cpu")
    assert twin.mice == MICE
    recording = two_mice["mouse-2"]
    shown = recording.trials_of("validation")
    answer = twin.respond(
        recording.stimulus[shown],
        mouse="mouse-2",
        behavior=recording.behavior[shown, 1:],
        pupil_center=recording.pupil_center[shown],
    )
    assert answer.units == "recorded"
    correlations = correlation([answer.values], [recording.responses[shown]])
    best = result.log.iloc[result.best_epoch - 1]
    # A constant prediction counts as 0.
    assert np.nan_to_num(correlations).mean() == pytest.approx(
        best["validation_correlation_mouse-2"], abs=1e-5
    )


def test_readouts_start_from_the_mean_response(two_mice, recipe, fabric):
    run = Training(recipe(options={"is_linear": True}), two_mice, fabric)
    gray = torch.zeros(1, 1, 18, 32)
    for readout in run.network.readout.values():
        torch.nn.init.zeros_(readout._features)
    answer = run.network.eval()(gray, mouse="mouse-2")[0].detach()
    np.testing.assert_allclose(answer, run.mice["mouse-2"].mean_response, rtol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("sensorium2022", {"schedule": "plateau", "patience_epochs": 1, "decay_count": 9}),
        ("sensorium2022", {"optimizer": "adamw_schedulefree", "schedule": "constant"}),
        ("factorized3d", {"schedule": "cosine", "clipping": "auto", "crop_frames": 20}),
    ],
)
def test_an_interrupted_run_ends_with_the_same_bits(
    two_mice, two_movies, recipe, tmp_path, fabric, architecture, changes
):
    data = two_mice if architecture == "sensorium2022" else two_movies
    chosen = recipe(architecture, epochs=5, learning_rate=0.05, **changes)
    whole = train(chosen, data, tmp_path / "whole", fabric=fabric)
    for stop_after in (1, 2, 4):
        folder = tmp_path / f"stopped-{stop_after}"
        with pytest.raises(KeyboardInterrupt), stopping_in_epoch(stop_after + 1):
            train(chosen, data, folder, fabric=fabric)
        torch.manual_seed(12345)  # whatever else happened in between
        resumed = train(chosen, data, folder, fabric=fabric, resume=True)
        assert weights_of(folder) == weights_of(tmp_path / "whole")
        columns = [name for name in whole.log if name != "minutes"]
        assert resumed.log[columns].equals(whole.log[columns])
        lines = (folder / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]


class stopping_in_epoch:  # noqa: N801 - reads as the context it is
    """Press Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.original = Training._backward

    def __enter__(self):
        stop_at, original = self.epoch, self.original

        def backward(run, unit, batch):
            if run.epoch + 1 == stop_at and unit.mouse == MICE[-1]:
                raise KeyboardInterrupt
            return original(run, unit, batch)

        Training._backward = backward

    def __exit__(self, *error):
        Training._backward = self.original


def test_resuming_a_finished_run_changes_nothing(two_mice, recipe, tmp_path, fabric):
    first = train(recipe(), two_mice, tmp_path / "run", fabric=fabric)
    before = weights_of(tmp_path / "run")
    again = train(recipe(), two_mice, tmp_path / "run", fabric=fabric, resume=True)
    assert again.log.equals(first.log)
    assert weights_of(tmp_path / "run") == before


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - WHOLE_BATCH_LOSSES))
def test_micro_batches_add_up_to_the_batch(two_movies, recipe, fabric, loss):
    # A linear network has no batch normalization, and a small sigma draws nearly fixed points.
    linear = {"is_linear": True, "initial_sigma": 1e-9}
    chosen = recipe("factorized3d", options=linear, loss=loss)
    gradients, logged = [], []
    for size in (0, 3):
        options = dataclasses.replace(chosen.training, micro_batch_size=size, crop_frames=0)
        run = Training(dataclasses.replace(chosen, training=options), two_movies, fabric)
        run.network.train()
        totals = sum(run._backward(unit, run._read(unit)) for unit in next(run.order.epoch(1)))
        logged.append((totals[0] / totals[1]).item())
        gradients.append([p.grad.clone() for p in run.network.core.parameters()])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-3 * whole.abs().max().item())
    assert logged[1] == pytest.approx(logged[0], rel=1e-3)


@pytest.mark.parametrize("loss", ["mse", "poisson_mean"])
def test_the_log_has_the_loss_of_a_response(two_mice, recipe, fabric, loss):
    run = Training(recipe(loss=loss, learning_rate=1e-9, batch_size=24), two_mice, fabric)
    row = run.train_epoch(on_step=lambda: None)
    # Standardized responses have a variance of 1, and a network at their mean an error of 1.
    assert 0.3 < abs(row["loss"]) < 3


@pytest.mark.parametrize("loss", sorted(WHOLE_BATCH_LOSSES))
def test_a_correlation_is_not_added_up_from_micro_batches(recipe, loss):
    with pytest.raises(RecipeError, match="needs the batch whole; set micro_batch_size to 0"):
        recipe(loss=loss, micro_batch_size=2)


def test_running_statistics_are_the_mean_over_mice_in_any_order(two_mice, recipe, fabric):
    def statistics(data):
        run = Training(recipe(options={"initial_sigma": 0.0}, batch_size=64), data, fabric)
        run.train_epoch(on_step=lambda: None)
        return run.network.core.features.layer0.norm.running_mean

    forth = statistics(two_mice)
    back = statistics(dict(reversed(two_mice.items())))
    # One step: both mice saw the same first filters.
    torch.testing.assert_close(forth, back, rtol=1e-4, atol=1e-6)


def test_a_frozen_core_keeps_every_bit_and_the_readout_learns(
    two_mice, cached, recipe, tmp_path, fabric
):
    train(recipe(), two_mice, tmp_path / "core", fabric=fabric)
    core = load_checkpoint(tmp_path / "core" / "checkpoint")
    new = {"mouse-3": cached("mouse-3", neurons=5)}
    train(recipe(), new, tmp_path / "fine", core=core, is_core_frozen=True, fabric=fabric)
    tuned = load_checkpoint(tmp_path / "fine" / "checkpoint")
    for name, value in core.network.core.state_dict().items():
        assert torch.equal(tuned.network.core.state_dict()[name], value), name
    train(recipe(), new, tmp_path / "free", core=core, fabric=fabric)
    free = load_checkpoint(tmp_path / "free" / "checkpoint").network.core.state_dict()
    assert not torch.equal(
        free["features.layer0.conv.weight"],
        core.network.core.state_dict()["features.layer0.conv.weight"],
    )
    with pytest.raises(RunFolderError, match="holds another run: its is_core_frozen is True"):
        train(recipe(), new, tmp_path / "fine", core=core, fabric=fabric, resume=True)


def test_a_core_of_another_shape_is_refused(two_mice, recipe, tmp_path, fabric):
    train(recipe(epochs=1), two_mice, tmp_path / "core", fabric=fabric)
    core = load_checkpoint(tmp_path / "core" / "checkpoint")
    wide = recipe(options={"hidden_channels": 6})
    with pytest.raises(CheckpointError, match=r"hidden_channels 4 \(recipe: 6\); give the recipe"):
        train(wide, two_mice, tmp_path / "wide", core=core, fabric=fabric)
    assert not (tmp_path / "wide").exists()


def test_a_core_that_computes_something_else_is_refused(
    two_mice, two_movies, cached, recipe, tmp_path, fabric
):
    def refused(chosen, data, message):
        with pytest.raises(CheckpointError, match=message):
            train(chosen, data, tmp_path / "other", core=core, fabric=fabric)
        assert not (tmp_path / "other").exists()

    train(recipe("factorized3d", epochs=1), two_movies, tmp_path / "core", fabric=fabric)
    core = load_checkpoint(tmp_path / "core" / "checkpoint")
    # The weights fit, and mean something else.
    strided = recipe("factorized3d", options={"spatial_strides": (1, 1)})
    refused(strided, two_movies, r"spatial_strides \(2, 1\) \(recipe: \(1, 1\)\)")
    refused(recipe(), two_mice, "is a factorized3d and the recipe's a sensorium2022")
    slow = dataclasses.replace(Screen(width_px=32, height_px=18), frame_rate_hz=20.0)
    movie = {"mouse-1": cached("mouse-1", kind="movie", screen=slow)}
    refused(recipe("factorized3d"), movie, "was trained at 30 Hz, and mouse mouse-1 .* at 20 Hz")
    # Readouts may differ.
    free = recipe("factorized3d", options={"position": "free"}, epochs=1)
    train(free, two_movies, tmp_path / "free", core=core, fabric=fabric)


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"checkpoint_activations": True}])
def test_other_ways_to_compute_give_nearly_the_same_curve(
    two_movies, recipe, tmp_path, fabric, changes
):
    from insilico.training.hardware import start_fabric

    plain = train(recipe("factorized3d"), two_movies, tmp_path / "plain", fabric=fabric)
    other = train(
        recipe("factorized3d", **changes),
        two_movies,
        tmp_path / "other",
        fabric=start_fabric("cpu", precision=changes.get("precision", "float32")),
    )
    np.testing.assert_allclose(other.log["loss"], plain.log["loss"], rtol=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(not shutil.which("c++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_gives_the_same_curve(cached, recipe, tmp_path, fabric):
    # The compiler takes seconds for every layer and every mouse.
    short, mice = {"epochs": 2, "options": {"layers": 1}}, {"mouse-1": cached("mouse-1")}
    plain = train(recipe(**short), mice, tmp_path / "plain", fabric=fabric)
    fast = train(recipe(**short, compile=True), mice, tmp_path / "fast", fabric=fabric)
    np.testing.assert_allclose(fast.log["loss"], plain.log["loss"], rtol=1e-4)


def test_another_recipe_other_data_or_no_resume_are_refused(two_mice, cached, recipe, tmp_path):
    folder = tmp_path / "run"
    train(recipe(epochs=1), two_mice, folder)
    before = weights_of(folder)
    with pytest.raises(RunFolderError, match="add --resume"):
        train(recipe(epochs=1), two_mice, folder)
    message = r"its recipe.training.learning_rate is 0.02, now 0.5; resume with what"
    with pytest.raises(RunFolderError, match=message):
        train(recipe(epochs=1, learning_rate=0.5), two_mice, folder, resume=True)
    changed = {**two_mice, "mouse-1": cached("mouse-1", content_sha256="other")}
    with pytest.raises(RunFolderError, match=r"its data.mouse-1 is mouse-1-6, now other"):
        train(recipe(epochs=1), changed, folder, resume=True)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match="is no training run"):
        train(recipe(epochs=1), two_mice, tmp_path / "foreign")
    assert weights_of(folder) == before


@pytest.mark.parametrize("keep", [0, 100, -7])
def test_a_damaged_state_is_told_and_the_best_weights_stay(two_mice, recipe, tmp_path, keep):
    folder = tmp_path / "run"
    train(recipe(epochs=1), two_mice, folder)
    state = folder / run_state.STATE_FILE
    state.write_bytes(state.read_bytes()[:keep])
    with pytest.raises(RunFolderError, match="is damaged, so the run cannot be resumed"):
        train(recipe(epochs=1), two_mice, folder, resume=True)
    assert insilico.load(folder, device="cpu").mice == MICE


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    two_mice, recipe, tmp_path, monkeypatch, fabric
):
    train(recipe(), two_mice, tmp_path / "whole", fabric=fabric)
    original, calls = run_state.torch.save, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(run_state.torch, "save", full)
        with pytest.raises(RunFolderError, match=r"No space left on device.*--resume"):
            train(recipe(), two_mice, tmp_path / "run", fabric=fabric)
    train(recipe(), two_mice, tmp_path / "run", fabric=fabric, resume=True)
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")


def test_a_loss_that_is_not_finite_stops_with_what_was_finished(
    two_mice, recipe, tmp_path, monkeypatch, fabric
):
    original = loop.LOSSES["poisson"]
    calls = []

    def explode(predicted, recorded):
        calls.append(1)
        return original(predicted, recorded) * (1 if len(calls) < 8 else float("nan"))

    monkeypatch.setitem(loop.LOSSES, "poisson", explode)
    with pytest.raises(TrainingError, match=r"epoch 2 is nan; lower learning_rate.* 1 to 1 are"):
        train(recipe(), two_mice, tmp_path / "run", fabric=fabric)
    with pytest.raises(TrainingError, match=r"the loss of epoch 1 is nan; .* start anew$"):
        train(recipe(), two_mice, tmp_path / "other", fabric=fabric)
    assert insilico.load(tmp_path / "run", device="cpu").mice == MICE


def test_a_missing_tracker_is_told_before_the_folder_is_claimed(
    two_mice, recipe, tmp_path, monkeypatch, fabric
):
    def missing():
        raise ImportError

    monkeypatch.setattr(logs, "_wandb", missing)
    with pytest.raises(TrainingError, match="'wandb' needs a package that is not installed"):
        train(recipe(), two_mice, tmp_path / "run", fabric=fabric, trackers=("wandb",))
    assert not (tmp_path / "run").exists()


def test_no_memory_is_told_with_what_to_lower(two_mice, recipe, tmp_path, monkeypatch, fabric):
    def too_large(*arguments):
        raise MemoryError

    monkeypatch.setattr(Training, "_backward", too_large)
    with pytest.raises(TrainingError, match="micro_batch_size"):
        train(recipe(), two_mice, tmp_path / "run", fabric=fabric)
    small = recipe(batch_size=1, checkpoint_activations=True)
    with pytest.raises(TrainingError, match='set precision to "bfloat16" and give a new run'):
        train(small, two_mice, tmp_path / "small", fabric=fabric)


def test_recordings_that_cannot_train_together_are_refused(cached, recipe, tmp_path):
    def refused(recordings, message, kind=RecordingError, **options):
        with pytest.raises(kind, match=message):
            train(recipe(**options), recordings, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused({}, "no recording was given")
    large = cached("b", screen=Screen(width_px=48, height_px=27))
    refused({"a": cached("a"), "b": large}, "frames of mouse b are 27 x 48 pixels")
    refused({"a": cached("a", kind="movie")}, "shown movies, and test is a network for images")
    unvalidated = cached("a", validation=0)
    refused({"a": unvalidated}, r"no trials .* in the tier validation \(its tiers are train\)")
    refused({"a": cached("a", validation=1)}, "mouse a has one validation image")
    refused({"a": cached("a")}, "have 1 channels .*takes 2", options={"stimulus_channels": 2})
    slow = dataclasses.replace(Screen(width_px=32, height_px=18), frame_rate_hz=20.0)
    movies = {"a": cached("a", kind="movie"), "b": cached("b", kind="movie", screen=slow)}
    refused(movies, "different rates", architecture="factorized3d")
    movie = {"a": cached("a", kind="movie")}
    short = {"architecture": "factorized3d", "kind": RecipeError}
    refused(movie, "burn_in_frames leaves out the first 30", burn_in_frames=30, **short)
    refused(movie, "pieces of 4 frames", crop_frames=4, **short)


def test_a_constant_neuron_is_told_and_does_not_stop_training(
    cached, recipe, tmp_path, fabric, caplog
):
    recording = cached()
    responses = recording.responses.copy()
    responses[:, 2] = 3.0
    std = responses[:24].std(0)
    std[2] = 0.01 * std.mean()
    dull = dataclasses.replace(
        recording,
        responses=responses,
        statistics=dataclasses.replace(recording.statistics, response_std=std),
    )
    result = train(recipe(), {"mouse-1": dull}, tmp_path / "run", fabric=fabric)
    assert "mouse mouse-1: 1 neuron(s) hardly respond" in caplog.text
    assert np.isfinite(result.validation_correlation)


def test_training_leaves_the_random_state_of_the_caller_alone(two_mice, recipe, tmp_path, fabric):
    before = torch.get_rng_state()
    train(recipe(epochs=1), two_mice, tmp_path / "run", fabric=fabric)
    assert torch.equal(torch.get_rng_state(), before)


def test_state_survives_a_round_trip(two_mice, recipe, fabric):
    run = Training(recipe(clipping="auto"), two_mice, fabric)
    run.train_epoch(on_step=lambda: None)
    other = Training(recipe(clipping="auto"), two_mice, fabric)
    other.load_state_dict(copy.deepcopy(run.state_dict()))
    one, two = (r.train_epoch(on_step=lambda: None) for r in (run, other))
    assert {k: v for k, v in one.items() if k != "minutes"} == {
        k: v for k, v in two.items() if k != "minutes"
    }
