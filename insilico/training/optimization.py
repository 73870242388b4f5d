"""Optimizers and learning-rate schedules, and when training has done enough."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

from insilico.errors import RecipeError, TrainingError

OPTIMIZERS = ("adam", "adamw", "adamw_schedulefree")
SCHEDULES = ("constant", "plateau", "cosine")

#: What the loop does after an epoch: go on; restore the best weights and go on, at learning rates
#: the schedule has lowered; stop.
Decision = Literal["continue", "reduce", "stop"]


def build_optimizer(
    network: nn.Module,
    *,
    name: str,
    learning_rate: float,
    core_learning_rate: float | None = None,
    weight_decay: float = 0.0,
    core_weight_decay: float | None = None,
    betas: tuple[float, float] = (0.9, 0.999),
    warmup_steps: int = 0,
    is_core_frozen: bool = False,
) -> Optimizer:
    """Make the optimizer of a network, with one group for its core and one for the rest.

    Parameters
    ----------
    network : Module
        Parameters under ``network.core`` form the group "core", all others the group "rest".
        Parameters that require no gradient are left out.
    name : {"adam", "adamw", "adamw_schedulefree"}
        "adam" adds the decay to the gradient, "adamw" applies it to the weights.
    learning_rate, core_learning_rate : float
        Largest learning rate of each group; the core's is the same when omitted.
    weight_decay, core_weight_decay : float
        Decay of every parameter of each group; the core's is the same when omitted.
    betas : tuple of float
        Decay of the averages of the gradient and of its square.
    warmup_steps : int
        Steps over which "adamw_schedulefree" raises its learning rate linearly. It must know them
        itself, because its average of weights counts them; for the others they are the
        :class:`Schedule`'s.
    is_core_frozen : bool
        Leave the core out. Turning its gradients and its batch statistics off is the caller's.

    Returns
    -------
    Optimizer
        Each group has a "name" and, in "initial_lr", its largest learning rate.

    Raises
    ------
    RecipeError
        If there is no such optimizer.
    TrainingError
        If no parameter is left to train.

    References
    ----------
    Defazio et al. 2024, "The road less scheduled", arXiv 2405.15682, for "adamw_schedulefree", with
    the constants of ViV1T-closed-loop (viv1t/optimizer.py): eps 1e-8, weights of the average
    proportional to the squared largest learning rate so far.
    """
    rates = {"core": core_learning_rate, "rest": learning_rate}
    decays = {"core": core_weight_decay, "rest": weight_decay}
    groups: list[dict[str, Any]] = []
    for group, parameters in _parameters_by_group(network, is_core_frozen).items():
        rate, decay = rates[group], decays[group]
        rate = learning_rate if rate is None else rate
        decay = weight_decay if decay is None else decay
        groups.append(
            {
                "params": parameters,
                "name": group,
                "lr": rate,
                "initial_lr": rate,
                "weight_decay": decay,
            }
        )
    if name == "adam":
        return torch.optim.Adam(groups, betas=betas)
    if name == "adamw":
        return torch.optim.AdamW(groups, betas=betas)
    if name == "adamw_schedulefree":
        from schedulefree import AdamWScheduleFree

        optimizer: Optimizer = AdamWScheduleFree(
            groups, betas=betas, eps=1e-8, warmup_steps=warmup_steps, r=0.0, weight_lr_power=2.0
        )
        return optimizer
    raise RecipeError(f"optimizer {name!r} is not known; choose one of {', '.join(OPTIMIZERS)}")


def _parameters_by_group(network: nn.Module, is_core_frozen: bool) -> dict[str, list[nn.Parameter]]:
    """Return the parameters to train by group, groups without any left out."""
    groups: dict[str, list[nn.Parameter]] = {"core": [], "rest": []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups["core" if name.startswith("core.") else "rest"].append(parameter)
    if is_core_frozen:
        groups["core"] = []
    kept = {group: parameters for group, parameters in groups.items() if parameters}
    if not kept:
        raise TrainingError(
            "no parameter of the network is left to train; freeze less of it, or give it mice"
        )
    return kept


def is_schedule_free(optimizer: Optimizer) -> bool:
    """Return whether an optimizer trains other weights than those it is evaluated with."""
    return "train_mode" in optimizer.param_groups[0]


def set_mode(optimizer: Optimizer, training: bool) -> None:
    """Put into the network the weights to train, or those to evaluate and to save.

    A schedule-free optimizer takes its gradients at other weights than it answers with: call this
    with True before training and with False before validating and saving. For the others it does
    nothing. Both weights differ by rounding after a change forth and back, so a run resumes
    bit-exactly only from a state that was saved in evaluation mode.

    Parameters
    ----------
    optimizer : Optimizer
        Also one that Fabric has wrapped.
    training : bool
        Whether training comes next.
    """
    if not is_schedule_free(optimizer):
        return
    inner: Any = getattr(optimizer, "optimizer", optimizer)
    if training:
        inner.train()
    else:
        inner.eval()


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """Return the learning rate of the last step by the name of the group, warm-up included."""
    key = "scheduled_lr" if is_schedule_free(optimizer) else "lr"
    return {group["name"]: float(group[key]) for group in optimizer.param_groups}


class Schedule:
    """Learning rates from step to step, and what to do after each epoch.

    Parameters
    ----------
    name : {"constant", "plateau", "cosine"}
        "constant": the largest rate, then stop. "plateau": where the score has not improved for
        ``patience_epochs``, multiply the rates by ``factor`` and go back to the best weights;
        after ``learning_rate_decays`` such reductions the next plateau stops. "cosine": fall along
        half a cosine to ``minimum_learning_rate`` at ``total_steps``; a plateau stops.
    patience_epochs : int
        Epochs without a new best score that make a plateau.
    minimum_improvement : float
        A score is a new best where it is greater than the best by more than this.
    warmup_steps : int
        Steps over which the rates rise linearly, (step + 1) / warmup_steps. Left to the optimizer
        where it is schedule-free.
    total_steps : int, optional
        Optimizer steps in all, warm-up included; "cosine" only.
    factor : float
        What "plateau" multiplies the rates by.
    learning_rate_decays : int
        How often "plateau" does that, in the whole of training.
    minimum_learning_rate : float
        No group falls below it; a group whose largest rate is lower stays at that.

    Attributes
    ----------
    best_score : float
        Greatest score so far, -inf before the first.
    best_epoch : int
        The epoch it belongs to, counted from 1; 0 before the first.
    epoch : int
        Epochs seen.
    steps : int
        Optimizer steps seen.
    decays : int
        Reductions so far.

    Raises
    ------
    RecipeError
        If there is no such schedule, or a number is out of range.

    Notes
    -----
    The published loops start from a best score of 0, so that a run without a positive correlation
    leaves no weights at all; ours starts from -inf. They count reductions anew after an improvement
    (ViV1T-closed-loop) or not (sensorium); we do not, so that the number in the recipe is the
    number of reductions.

    References
    ----------
    ViV1T-closed-loop, viv1t/scheduler.py: patience 5, factor 0.3, 2 reductions. sensorium,
    sensorium/training/trainers.py, has the same with ``lr_decay_steps`` 3: as many phases, hence
    2 reductions.
    """

    def __init__(
        self,
        name: str,
        *,
        patience_epochs: int,
        minimum_improvement: float = 0.0,
        warmup_steps: int = 0,
        total_steps: int | None = None,
        factor: float = 0.3,
        learning_rate_decays: int = 2,
        minimum_learning_rate: float = 0.0,
    ) -> None:
        _check_schedule(name, patience_epochs, factor, total_steps, warmup_steps)
        self.name = name
        self.patience_epochs = patience_epochs
        self.minimum_improvement = minimum_improvement
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.factor = factor
        self.learning_rate_decays = learning_rate_decays
        self.minimum_learning_rate = minimum_learning_rate
        self.best_score = -math.inf
        self.best_epoch = 0
        self.epoch = 0
        self.steps = 0
        self.decays = 0
        self._waited_epochs = 0

    @property
    def is_best(self) -> bool:
        """Whether the last epoch is the best so far: its weights are the ones to keep."""
        return self.epoch > 0 and self.epoch == self.best_epoch

    def step(self, optimizer: Optimizer) -> None:
        """Set the learning rates of the step about to be taken.

        Call it before every ``optimizer.step()``, unlike torch's schedulers: the rates then depend
        on the number of steps only, and nothing has to be set at the start.

        Parameters
        ----------
        optimizer : Optimizer
            One of :func:`build_optimizer`.

        Raises
        ------
        RecipeError
            If the optimizer is schedule-free and this schedule changes rates.
        """
        if is_schedule_free(optimizer):
            if self.name != "constant":
                raise RecipeError(
                    f"schedule {self.name!r} does not go with optimizer 'adamw_schedulefree', "
                    "which averages weights in place of a schedule; choose schedule 'constant'"
                )
        else:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate(group["initial_lr"])
        self.steps += 1

    def learning_rate(self, largest: float) -> float:
        """Return the rate of the coming step, given the largest of the group."""
        floor = min(self.minimum_learning_rate, largest)
        if self.steps < self.warmup_steps:
            # A plateau within the warm-up lowers what it rises to.
            rise = (self.steps + 1) / self.warmup_steps
            return largest * rise * self.factor**self.decays
        if self.name == "cosine" and self.total_steps is not None:
            done = (self.steps - self.warmup_steps) / (self.total_steps - self.warmup_steps)
            return floor + (largest - floor) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return max(largest * self.factor**self.decays, floor)

    def after_epoch(self, score: float) -> Decision:
        """Take in the validation score of an epoch, and say what to do.

        Parameters
        ----------
        score : float
            Larger is better. NaN is not better than anything.

        Returns
        -------
        {"continue", "reduce", "stop"}
            After "reduce", restore the weights of ``best_epoch``; the rates are lowered here. The
            moments of the optimizer stay as they are, as in the published loops. Where no epoch
            had a score, there is nothing to restore and the answer is "stop".
        """
        self.epoch += 1
        if score > self.best_score + self.minimum_improvement:
            self.best_score, self.best_epoch = float(score), self.epoch
            self._waited_epochs = 0
            return "continue"
        self._waited_epochs += 1
        if self._waited_epochs < self.patience_epochs:
            return "continue"
        has_decays = self.name == "plateau" and self.decays < self.learning_rate_decays
        if not has_decays or self.best_epoch == 0:
            return "stop"
        self.decays += 1
        self._waited_epochs = 0
        return "reduce"

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`load_state_dict` needs to go on exactly as before."""
        return {
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "epoch": self.epoch,
            "steps": self.steps,
            "decays": self.decays,
            "waited_epochs": self._waited_epochs,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.best_score = state["best_score"]
        self.best_epoch = state["best_epoch"]
        self.epoch = state["epoch"]
        self.steps = state["steps"]
        self.decays = state["decays"]
        self._waited_epochs = state["waited_epochs"]


def _check_schedule(
    name: str, patience_epochs: int, factor: float, total_steps: int | None, warmup_steps: int
) -> None:
    if name not in SCHEDULES:
        raise RecipeError(f"schedule {name!r} is not known; choose one of {', '.join(SCHEDULES)}")
    if patience_epochs < 1:
        raise RecipeError(f"patience_epochs is {patience_epochs}; give 1 or more")
    if not 0 < factor <= 1:
        raise RecipeError(
            f"the factor of the learning rate is {factor:g}; give a number above 0, up to 1"
        )
    if name == "cosine" and (total_steps is None or total_steps <= warmup_steps):
        raise RecipeError(
            f"training takes {total_steps} steps in all, and warmup_steps is {warmup_steps}; lower "
            "warmup_steps, or raise epochs"
        )
