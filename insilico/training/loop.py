"""The training loop: recordings and a recipe in, a checkpoint out.

One step takes one batch of every mouse. A batch passes through the network whole or in
micro-batches, the *units* of the step; gradients of all units add up before the optimizer moves.
Several processes share the units of a step, so accumulation and several GPUs are one mechanism, and
any number of processes gives the same loss curve. Nothing random runs on from one epoch to the
next, so a run that was stopped, or killed, goes on to the same bits.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor

from insilico.errors import RunFolderError, TrainingError
from insilico.models.checkpoint import Checkpoint, save_checkpoint
from insilico.models.network import Network
from insilico.progress import progress_bar
from insilico.training.announcement import Announcement
from insilico.training.checks import check_recordings
from insilico.training.clipping import GradientClipper
from insilico.training.data import Batch, Order, Unit, choose_trials
from insilico.training.hardware import add_up, start_fabric, sum_gradients
from insilico.training.logs import TrainingLog, check_trackers
from insilico.training.losses import LOSSES, MEAN_LOSSES, dataset_scale
from insilico.training.memory import out_of_memory_advice
from insilico.training.normalization import StepStatistics, refresh_statistics
from insilico.training.optimization import (
    Schedule,
    build_optimizer,
    is_schedule_free,
    learning_rates,
    set_mode,
)
from insilico.training.prediction import StreamedCorrelation, predict_trials
from insilico.training.recipe import TrainingRecipe
from insilico.training.run_state import TrainingFolder
from insilico.training.start import build_network, core_of

if TYPE_CHECKING:
    from insilico.recordings.cache import CachedRecording

logger = logging.getLogger(__name__)

#: Batches that measure the statistics of a schedule-free network anew. Our choice: the mean over 20
#: batches varies a few percent from epoch to epoch.
REFRESHING_UNITS = 20


#: A validation correlation below this is told: networks that learned nothing stay below it.
HARDLY_PREDICTS = 0.05


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a training run ends with.

    Attributes
    ----------
    checkpoint : Path
        Folder of the best weights, for :func:`insilico.load`.
    log : DataFrame
        One row an epoch.
    best_epoch : int
        The epoch of the best weights.
    validation_correlation : float
        Theirs: mean over mice of the mean over neurons.
    """

    checkpoint: Path
    log: pd.DataFrame
    best_epoch: int
    validation_correlation: float


def train(
    recipe: TrainingRecipe,
    recordings: Mapping[str, CachedRecording],
    out: Path,
    *,
    core: Checkpoint | None = None,
    is_core_frozen: bool = False,
    resume: bool = False,
    fabric: Fabric | None = None,
    trackers: tuple[str, ...] = (),
    progress: bool = False,
    command: str = "insilico.training.train",
) -> TrainingResult:
    """Train a network on recordings, and keep the weights that predict best.

    Parameters
    ----------
    recipe : TrainingRecipe
        Network and settings.
    recordings : mapping of str to CachedRecording
        By mouse.
    out : Path
        Folder of the run; see :class:`TrainingFolder`.
    core : Checkpoint, optional
        Trained before; its core is where this one starts.
    is_core_frozen : bool
        Train readouts and shifters alone; the core stays in evaluation mode.
    resume : bool
        Go on with the run in ``out``, or begin it where there is none.
    fabric : Fabric, optional
        As :func:`start_fabric` makes it; a GPU where there is one when left out.
    trackers : tuple of str
        "tensorboard" and "wandb", beside the log files.
    progress : bool
        Tell size and pace of the run, a line each on stderr, and show a bar with loss, validation
        correlation and time left where somebody watches.
    command : str
        Written into the run's record.

    Returns
    -------
    TrainingResult

    Raises
    ------
    RecordingError
        If the recordings do not fit each other or the network.
    RunFolderError
        If the folder holds another run, or cannot be written.
    TrainingError
        If the loss is not finite or memory runs out; finished epochs are kept.
    """
    fabric = fabric or start_fabric(precision=recipe.training.precision)
    check_recordings(recipe, recordings)
    folder = TrainingFolder(out)
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        run = Training(recipe, recordings, fabric, core=core, is_core_frozen=is_core_frozen)
        try:
            with fabric.rank_zero_first():
                if fabric.is_global_zero:
                    check_trackers(trackers)
                    folder.begin(
                        run.identity(),
                        recipe=recipe.to_dict(),
                        command=command,
                        is_resumed=resume,
                    )
            if (state := folder.load()) is not None:
                run.load_state_dict(state)
            return _train(run, folder, trackers=trackers, progress=progress)
        except OSError as error:
            if isinstance(error, RunFolderError):
                raise
            raise RunFolderError(
                f"{out} cannot be written ({error.strerror or error}); make room, and add --resume "
                f"to go on after epoch {run.epoch}"
            ) from error


def _train(
    run: Training, folder: TrainingFolder, *, trackers: tuple[str, ...], progress: bool
) -> TrainingResult:
    """Go from epoch to epoch until the schedule says stop."""
    options, is_writer = run.recipe.training, run.fabric.is_global_zero
    log = TrainingLog(folder.path, trackers=trackers) if is_writer else None
    if log:
        log.restore(run.rows)
    steps = run.order.step_count
    total = options.epochs * steps
    is_shown = progress and is_writer
    announcement = Announcement(run, folder.path, is_shown=is_shown and not run.is_finished)
    with progress_bar("training", total, shown=is_shown) as advance:

        def on_step() -> None:
            advance(1)
            announcement.step()

        advance(run.epoch * steps)
        announcement.start()
        while run.epoch < options.epochs and not run.is_finished:
            advance(0, label=run.describe())
            row = run.train_epoch(on_step=on_step)
            if log:
                # In this order a kill in between repeats the epoch, to the same bits.
                if run.schedule.is_best:
                    save_checkpoint(run.checkpoint(), folder.checkpoint, replace=True)
                folder.save(run.state_dict())
                log.add(row)
    if not run.best:
        raise TrainingError(
            f"after {run.epoch} epochs no mouse has a validation correlation: predictions or "
            "responses are constant; lower learning_rate, or check the recordings"
        )
    if log and run.schedule.best_score < HARDLY_PREDICTS:
        logger.warning(
            "the validation correlation is %.3f: predictions hardly follow the responses; lower "
            "learning_rate and core_learning_rate, or raise warmup_steps",
            run.schedule.best_score,
        )
    run.restore_best()
    if log:
        save_checkpoint(run.checkpoint(), folder.checkpoint, replace=True)
        log.close()
    run.fabric.barrier()
    return TrainingResult(
        checkpoint=folder.checkpoint,
        log=pd.DataFrame(run.rows),
        best_epoch=run.schedule.best_epoch,
        validation_correlation=run.schedule.best_score,
    )


class Training:
    """A network in training: everything that changes from epoch to epoch.

    Parameters
    ----------
    recipe, recordings, fabric, core, is_core_frozen
        As for :func:`train`.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        recordings: Mapping[str, CachedRecording],
        fabric: Fabric,
        *,
        core: Checkpoint | None = None,
        is_core_frozen: bool = False,
    ) -> None:
        options = recipe.training
        self.recipe, self.fabric = recipe, fabric
        self.core, self.is_core_frozen = core, is_core_frozen
        self.network, self.mice = build_network(recipe, recordings, core=core)
        self.network.to(fabric.device)
        self.network.checkpoints_activations = options.checkpoint_activations
        if is_core_frozen:
            core_of(self.network).requires_grad_(False)
        self.forward = _compile(self.network) if options.compile else self.network
        self.train_trials = {
            name: choose_trials(data.cached, options.trial_limit, seed=options.seed)
            for name, data in self.mice.items()
        }
        self.order = Order(
            trials=self.train_trials,
            frames={name: data.frames(self.train_trials[name]) for name, data in self.mice.items()},
            batch_size=options.batch_size,
            micro_batch_size=options.micro_batch_size,
            crop_frames=options.crop_frames,
            seed=options.seed,
            epoch_steps=options.epoch_steps,
        )
        self.optimizer = build_optimizer(
            self.network,
            name=options.optimizer,
            learning_rate=options.learning_rate,
            core_learning_rate=options.core_learning_rate,
            weight_decay=options.weight_decay,
            core_weight_decay=options.core_weight_decay,
            betas=(options.betas[0], options.betas[1]),
            warmup_steps=options.warmup_steps,
            is_core_frozen=is_core_frozen,
        )
        self.schedule = Schedule(
            options.schedule,
            patience_epochs=options.patience_epochs,
            warmup_steps=options.warmup_steps,
            total_steps=options.epochs * self.order.step_count,
            factor=options.decay_factor,
            learning_rate_decays=options.decay_count,
            minimum_learning_rate=options.minimum_learning_rate,
        )
        value = options.clipping_norm if options.clipping == "norm" else None
        self.clipper = GradientClipper(options.clipping, value)
        self.best: dict[str, Tensor] = {}
        self.rows: list[dict[str, Any]] = []
        self.is_finished = False

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.rows)

    def identity(self) -> dict[str, Any]:
        """Return what decides the weights: a resumed run must have the same."""
        return {
            "recipe": self.recipe.identity(),
            "data": {name: data.cached.content_sha256 for name, data in self.mice.items()},
            "core": self.core.weights_sha256 if self.core else None,
            "is_core_frozen": self.is_core_frozen,
        }

    def train_epoch(self, *, on_step: Callable[[], None]) -> dict[str, Any]:
        """Run one epoch, validate, and decide how to go on; return its row of the log."""
        started = time.monotonic()
        options = self.recipe.training
        try:
            loss = self._steps(self.epoch + 1, on_step)
            set_mode(self.optimizer, training=False)
            validation = self.validate()
        except (RuntimeError, MemoryError) as error:
            raise (
                out_of_memory_advice(
                    error,
                    micro_batch_size=options.micro_batch_size or options.batch_size,
                    crop_frames=options.crop_frames,
                    checkpoint_activations=options.checkpoint_activations,
                    precision=options.precision,
                )
                or error
            ) from error
        if not math.isfinite(loss):
            kept = f" (epochs 1 to {self.epoch} are kept)" if self.epoch else ""
            raise TrainingError(
                f"the loss of epoch {self.epoch + 1} is {loss}; lower learning_rate, or set "
                f"clipping=auto, and start anew{kept}"
            )
        decision = self.schedule.after_epoch(validation["validation_correlation"])
        if self.schedule.is_best:
            self.best = self._weights()
        minutes = self.rows[-1]["minutes"] if self.rows else 0.0
        row = {
            "epoch": self.epoch + 1,
            "loss": loss,
            **validation,
            "is_best": self.schedule.is_best,
            **{f"learning_rate_{k}": v for k, v in learning_rates(self.optimizer).items()},
            "minutes": minutes + (time.monotonic() - started) / 60,
        }
        self.rows.append(row)
        if decision == "reduce":
            self.restore_best()
        self.is_finished = decision == "stop" or self.epoch >= options.epochs
        return row

    def validate(self) -> dict[str, float]:
        """Return the correlation of each mouse, their mean, and the Poisson loss per response.

        A constant prediction correlates with nothing, which is 0; neurons whose recorded trace is
        constant are left out.
        """
        values = torch.zeros(2, len(self.mice), dtype=torch.float64)
        for number, data in enumerate(self.mice.values()):
            if number % self.fabric.world_size == self.fabric.global_rank:
                positions = data.cached.trials_of("validation")
                with self.fabric.autocast():
                    scores = _score(
                        predict_trials(
                            self.network,
                            data,
                            positions,
                            burn_in_frames=self.recipe.training.burn_in_frames,
                        )
                    )
                values[:, number] = torch.tensor(scores, dtype=torch.float64)
        # Not every device has double precision.
        values = add_up(self.fabric, values.float().to(self.fabric.device)).cpu().double()
        correlations = dict(zip(self.mice, values[0].tolist(), strict=True))
        return {
            "validation_correlation": _mean(correlations.values()),
            "validation_poisson": float(values[1].mean()),
            **{f"validation_correlation_{name}": value for name, value in correlations.items()},
        }

    def restore_best(self) -> None:
        """Put the best weights back."""
        if self.best:
            self.network.load_state_dict(self.best)

    def checkpoint(self) -> Checkpoint:
        """Return the present weights with all that a twin needs."""
        return Checkpoint(
            name=self.recipe.name,
            architecture=self.recipe.architecture,
            options=self.recipe.options,
            network=self.network,
            mice={name: data.mouse for name, data in self.mice.items()},
            origin={
                "trained_by": "insilico",
                "epoch": self.schedule.best_epoch,
                "validation_correlation": self.schedule.best_score,
                "training_minutes": self.rows[-1]["minutes"] if self.rows else 0.0,
                "data_sha256": {n: data.cached.content_sha256 for n, data in self.mice.items()},
                "core_sha256": self.core.weights_sha256 if self.core else "",
            },
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next epoch needs."""
        return {
            "network": self._weights(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "clipper": self.clipper.state_dict(),
            "rows": self.rows,
            "is_finished": self.is_finished,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state, to the bit."""
        self.network.load_state_dict(state["network"])
        self.best = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.clipper.load_state_dict(state["clipper"])
        self.rows = list(state["rows"])
        self.is_finished = state["is_finished"]

    def describe(self) -> str:
        """Return the last epoch in a few words."""
        if not self.rows:
            return "epoch 1"
        row = self.rows[-1]
        return (
            f"epoch {self.epoch + 1}: loss {row['loss']:.4f}, validation "
            f"{row['validation_correlation']:.3f} (best {self.schedule.best_score:.3f})"
        )

    def _steps(self, epoch: int, on_step: Callable[[], None]) -> float:
        """Take every step of an epoch; return the mean loss of a response."""
        set_mode(self.optimizer, training=True)
        self.network.train()
        if self.is_core_frozen:
            # Its batch statistics stay what they were when it was trained.
            core_of(self.network).eval()
        statistics = StepStatistics(self.network)
        totals = torch.zeros(2, device=self.fabric.device)
        for units in self._prefetched(epoch):
            self.optimizer.zero_grad(set_to_none=True)
            with statistics.step(functools.partial(add_up, self.fabric)) as after_unit:
                for unit, batch in units:
                    totals += self._backward(unit, batch)
                    after_unit(len(unit.positions) / unit.batch_size / len(self.mice))
            parameters = [p for p in self.network.parameters() if p.requires_grad]
            sum_gradients(self.fabric, parameters)
            self.schedule.step(self.optimizer)
            if math.isfinite(self.clipper.clip(parameters)):
                self.optimizer.step()
            on_step()
        if is_schedule_free(self.optimizer):
            set_mode(self.optimizer, training=False)
            refresh_statistics(self.network, self._some_forwards(epoch))
        loss, count = add_up(self.fabric, totals).tolist()
        return loss / count

    def _some_forwards(self, epoch: int) -> Iterator[Callable[[], object]]:
        """Yield what passes the first batches of an epoch through the network."""
        units = [unit for step in self.order.epoch(epoch) for unit in step]
        for unit in units[:REFRESHING_UNITS]:
            yield functools.partial(self._answer, unit, self._read(unit))

    def _answer(self, unit: Unit, batch: Batch) -> Tensor:
        torch.manual_seed(unit.seed)
        with self.fabric.autocast():
            answer: Tensor = self.forward(
                batch.stimulus,
                mouse=unit.mouse,
                behavior=batch.behavior,
                pupil_center=batch.pupil_center,
            )
        return answer

    def _backward(self, unit: Unit, batch: Batch) -> Tensor:
        """Add the gradients of one unit; return its loss and the number of its responses."""
        options = self.recipe.training
        predicted = self._answer(unit, batch)
        recorded = (
            batch.responses[..., -predicted.shape[-1] :] if predicted.ndim == 3 else batch.responses
        )
        loss = LOSSES[options.loss](predicted, recorded)
        share = len(batch.stimulus) / unit.batch_size
        scale = dataset_scale(
            options.dataset_scale,
            trial_counts={name: len(trials) for name, trials in self.train_trials.items()},
            mouse=unit.mouse,
            batch_size=unit.batch_size,
        )
        is_mean = options.loss in MEAN_LOSSES
        part = share * loss if is_mean else loss
        self.fabric.backward(scale * part + share * self._penalty(unit.mouse))
        count = torch.tensor(float(recorded.numel())).to(loss)
        total = loss.detach() * count if is_mean else loss.detach()
        return torch.stack([total.float(), count.float()])

    def _penalty(self, mouse: str) -> Tensor | float:
        options = self.recipe.training
        weights = {
            "core": 0.0 if self.is_core_frozen else options.core_regularization,
            "readout": options.readout_regularization,
        }
        if not any(weights.values()):
            return 0.0
        penalties = self.network.regularizers(mouse)
        return sum((weight * penalties[name] for name, weight in weights.items()), 0.0)

    def _prefetched(self, epoch: int) -> Iterator[list[tuple[Unit, Batch]]]:
        """Yield this process' own units of each step, read one step ahead."""
        rank, processes = self.fabric.global_rank, self.fabric.world_size

        def read(units: list[Unit]) -> list[tuple[Unit, Batch]]:
            return [(unit, self._read(unit)) for unit in units[rank::processes]]

        with ThreadPoolExecutor(1) as pool:
            waiting = None
            for units in self.order.epoch(epoch):
                following = pool.submit(read, units)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _read(self, unit: Unit) -> Batch:
        batch = self.mice[unit.mouse].batch(
            unit.positions, starts=unit.starts, frame_count=unit.frame_count
        )
        return batch.to(self.fabric.device)

    def _weights(self) -> dict[str, Tensor]:
        return {
            name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()
        }


def _compile(network: Network) -> Callable[..., Any]:
    # With the random numbers of the plain network, so that both learn the same.
    compiled: Callable[..., Any] = torch.compile(network, options={"fallback_random": True})
    return compiled


def _score(predictions: Iterator[Any]) -> tuple[float, float]:
    """Return the mean correlation over neurons and the mean Poisson loss of a response."""
    correlation, loss, count = StreamedCorrelation(), 0.0, 0
    for trial in predictions:
        correlation.add(trial.predicted, trial.recorded)
        rate = np.maximum(trial.predicted, 0) + 1e-8
        loss += float((rate - trial.recorded * np.log(rate)).sum(dtype=float))
        count += trial.recorded.size
    values = correlation.value(constant_prediction=0.0)
    return _mean(values), loss / max(count, 1)


def _mean(values: Iterable[float]) -> float:
    """Return the mean of what is known; NaN where nothing is."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
