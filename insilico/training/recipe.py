"""How a network is trained: every setting, its meaning and its default."""

from __future__ import annotations

import dataclasses
import math
import pydoc
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from insilico import configuration
from insilico.errors import RecipeError
from insilico.models import registry
from insilico.models.modulators.options import ModulatorOptions
from insilico.models.readouts.options import ReadoutOptions
from insilico.models.recipes import read_recipe
from insilico.training.losses import WHOLE_BATCH_LOSSES


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """The table ``[training]`` of a recipe.

    Parameters
    ----------
    loss : str
        What is made small: "poisson", "poisson_mean", "mse", "log_mse", "correlation", "gamma" or
        "poisson_correlation".
    dataset_scale : str
        How losses of mice with unequal trials are weighed: "sqrt" multiplies by the root of trials
        per batch (Sensorium 2022), "balanced" by the share of trials (ViV1T), "none" by nothing.
    optimizer : str
        "adam", "adamw" or "adamw_schedulefree".
    learning_rate : float
        Of readouts, shifters, and the core where ``core_learning_rate`` is not given.
    core_learning_rate : float
        Learning rate of the core.
    weight_decay : float
        Pull of weights to 0, decoupled from the gradient but for "adam"; of everything where
        ``core_weight_decay`` is not given.
    core_weight_decay : float
        Weight decay of the core.
    betas : list of two floats
        Memory of the optimizer's first and second moment.
    warmup_steps : int
        Steps over which the learning rate rises linearly.
    schedule : str
        "plateau" lowers the learning rate when validation stops improving, and goes on from the
        best weights; "cosine" lowers it along a half cosine over all epochs; "constant" keeps it.
    decay_factor : float
        What a plateau multiplies the learning rate by.
    decay_count : int
        How often it is lowered before training stops.
    minimum_learning_rate : float
        It is not lowered further.
    patience_epochs : int
        Epochs without a better validation correlation until it is lowered, or training stops.
    epochs : int
        How often training goes on to the next validation, at most.
    batch_size : int
        Trials of each mouse in one step.
    micro_batch_size : int
        Trials that pass through the network at once, to save memory; 0 takes the whole batch. Batch
        normalization sees a micro-batch, so it changes a network that has it.
    trial_limit : int
        Training trials of each mouse, drawn at random; 0 takes all.
    epoch_steps : int
        Steps of an epoch; 0 goes on until the mouse with most trials has been seen once.
    crop_frames : int
        Movies are cut to random pieces of this many frames; 0 takes them whole.
    burn_in_frames : int
        Frames at the start of a movie that validation leaves out.
    clipping : str
        Of gradients: "auto" to the 10th percentile of the norms so far (AutoClip), "norm" to
        ``clipping_norm``, or "none".
    clipping_norm : float
        For clipping = "norm".
    core_regularization : float
        Weight of the smoothness penalty on the first filters.
    readout_regularization : float
        Weight of the L1 penalty on readout weights.
    precision : str
        "float32", or "bfloat16" for autocast; weights stay float32.
    compile : bool
        Whether torch.compile makes the network faster; the first epoch is slower.
    checkpoint_activations : bool
        Whether activations are computed again in the backward pass, which saves memory.
    seed : int
        Of weights, order and everything drawn.

    References
    ----------
    Choices and their names: sensorium, training/trainers.py; ViV1T-closed-loop, train.py. The
    defaults are ours, of the order of both.
    """

    loss: Literal[
        "poisson",
        "poisson_mean",
        "mse",
        "log_mse",
        "correlation",
        "gamma",
        "poisson_correlation",
    ] = "poisson"
    dataset_scale: Literal["sqrt", "balanced", "none"] = "sqrt"
    optimizer: Literal["adam", "adamw", "adamw_schedulefree"] = "adamw"
    learning_rate: float = 0.005
    core_learning_rate: float | None = None
    weight_decay: float = 0.0
    core_weight_decay: float | None = None
    betas: tuple[float, ...] = (0.9, 0.999)
    warmup_steps: int = 0
    schedule: Literal["plateau", "cosine", "constant"] = "plateau"
    decay_factor: float = 0.3
    decay_count: int = 3
    minimum_learning_rate: float = 1e-5
    patience_epochs: int = 5
    epochs: int = 200
    batch_size: int = 16
    micro_batch_size: int = 0
    trial_limit: int = 0
    epoch_steps: int = 0
    crop_frames: int = 0
    burn_in_frames: int = 50
    clipping: Literal["auto", "norm", "none"] = "none"
    clipping_norm: float = 1.0
    core_regularization: float = 0.0
    readout_regularization: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    checkpoint_activations: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_combinations()

    def _check_numbers(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise RecipeError(f"the recipe's {name} is {value}; give a finite number")
            if name in _POSITIVE and value <= 0:
                raise RecipeError(f"the recipe's {name} is {value}; give more than 0")
            if name in _NOT_NEGATIVE and value is not None and value < 0:
                raise RecipeError(f"the recipe's {name} is {value}; give 0 or more")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise RecipeError(
                f"the recipe's betas are {list(self.betas)}; give two numbers from 0 to below 1"
            )
        if not 0 < self.decay_factor < 1:
            raise RecipeError(
                f"the recipe's decay_factor is {self.decay_factor}; give a number between 0 and 1"
            )

    def _check_combinations(self) -> None:
        if self.loss in WHOLE_BATCH_LOSSES and self.micro_batch_size:
            raise RecipeError(
                f"the recipe's micro_batch_size is {self.micro_batch_size}, and the loss "
                f"{self.loss!r} needs the batch whole; set micro_batch_size to 0, or take another "
                "loss"
            )
        if self.optimizer == "adamw_schedulefree" and self.schedule != "constant":
            raise RecipeError(
                f"the recipe's schedule is {self.schedule!r}, and adamw_schedulefree needs none; "
                "set schedule to 'constant'"
            )


#: Settings that change time and memory, and no weight beyond rounding.
_MACHINE = ("compile", "checkpoint_activations")
_POSITIVE = ("learning_rate", "patience_epochs", "epochs", "batch_size", "clipping_norm")
_NOT_NEGATIVE = (
    "core_learning_rate",
    "weight_decay",
    "core_weight_decay",
    "warmup_steps",
    "decay_count",
    "minimum_learning_rate",
    "micro_batch_size",
    "trial_limit",
    "epoch_steps",
    "crop_frames",
    "burn_in_frames",
    "core_regularization",
    "readout_regularization",
    "seed",
)


#: A parameter that is documented with another class.
_REFERENCE = re.compile(r"As for :class:`~([\w.]+)`")
#: Other references, of which people see the last word.
_MARKUP = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


@dataclasses.dataclass(frozen=True)
class TrainingRecipe:
    """A network and its training, checked and complete.

    Parameters
    ----------
    name : str
        What twins trained by it are called.
    architecture : str
        Name in the registry.
    options : dataclass
        The architecture's own.
    training : TrainingOptions
        The settings of the training.
    """

    name: str
    architecture: str
    options: Any
    training: TrainingOptions

    def to_dict(self) -> dict[str, Any]:
        """Return everything as TOML can hold it; :func:`read_training_recipe` reads it again."""
        return {
            "architecture": self.architecture,
            "options": configuration.to_plain(self.options),
            "training": configuration.to_plain(self.training),
        }

    def identity(self) -> dict[str, Any]:
        """Return what decides the weights: everything but how the machine computes them."""
        values = self.to_dict()
        training = {k: v for k, v in values["training"].items() if k not in _MACHINE}
        return {**values, "training": training}


def read_training_recipe(
    source: str | Path, *, overrides: Mapping[str, Any] | None = None
) -> TrainingRecipe:
    """Read a recipe, change some values, and check everything.

    Parameters
    ----------
    source : str or Path
        Name of an entry of the zoo, or the path of a TOML file.
    overrides : mapping, optional
        Values by key, of the training or of the network's options.

    Returns
    -------
    TrainingRecipe

    Raises
    ------
    CatalogError
        If there is no recipe or architecture of that name.
    RecipeError
        If a key is unknown or has a value of the wrong type or range.
    """
    recipe = read_recipe(source)
    option_type = registry.find_architecture(recipe.architecture).options
    training, options = dict(recipe.training or {}), dict(recipe.options)
    for key, value in (overrides or {}).items():
        kind, values = _home(key, option_type)
        (training if kind is TrainingOptions else options)[values] = value
    return TrainingRecipe(
        name=recipe.name,
        architecture=recipe.architecture,
        options=configuration.build(
            option_type, options, what="the recipe's [options]", error=RecipeError
        ),
        training=configuration.build(
            TrainingOptions, training, what="the recipe's [training]", error=RecipeError
        ),
    )


def explain(recipe: TrainingRecipe) -> Iterator[tuple[str, str, str, str]]:
    """Yield each key of a recipe with its value, what it takes and what it means.

    Parameters
    ----------
    recipe : TrainingRecipe
        Whose values to show.

    Yields
    ------
    key, value, takes, meaning : str
        Keys of the training first, then the network's options.
    """
    for prefix, values in (("training", recipe.training), ("options", recipe.options)):
        meanings = _meanings(type(values))
        hints = typing.get_type_hints(type(values))
        for field in dataclasses.fields(values):
            yield (
                f"{prefix}.{field.name}",
                str(getattr(values, field.name)),
                configuration.describe(hints[field.name]),
                meanings.get(field.name, ""),
            )


def unused_options(recipe: TrainingRecipe) -> tuple[str, ...]:
    """Return the options of readouts and modulators that the recipe's choice of them never reads.

    Parameters
    ----------
    recipe : TrainingRecipe
        A network of it is built for one neuron, watched for what it reads.

    Returns
    -------
    tuple of str
        Names, in the order of the options.

    Raises
    ------
    CheckpointError
        If no network can be built with these options.
    """
    kind, read = type(recipe.options), set()

    def watch(options: Any, name: str) -> Any:
        read.add(name)
        return object.__getattribute__(options, name)

    values = {field.name: getattr(recipe.options, field.name) for field in dataclasses.fields(kind)}
    watched = type(kind.__name__, (kind,), {"__getattribute__": watch})(**values)
    read.clear()
    with torch.random.fork_rng(devices=[]):
        registry.build(recipe.architecture, watched, {"mouse": 1})
    owners = {
        field.name
        for owner in (ReadoutOptions, ModulatorOptions)
        for field in dataclasses.fields(owner)
    }
    return tuple(name for name in values if name in owners - read)


def _home(key: str, option_type: type[Any]) -> tuple[type[Any], str]:
    """Return the table that a key belongs to, and its name there."""
    table, _, name = key.rpartition(".")
    names: dict[type[Any], list[str]] = {
        TrainingOptions: [field.name for field in dataclasses.fields(TrainingOptions)],
        option_type: [field.name for field in dataclasses.fields(option_type)],
    }
    tables: dict[str, list[type[Any]]] = {
        "training": [TrainingOptions],
        "options": [option_type],
        "": [*names],
    }
    for kind in tables.get(table, []):
        if name in names[kind]:
            return kind, name
    known = [name for kind in names.values() for name in kind]
    raise RecipeError(
        f"the recipe has no key {key!r}; {configuration.nearest(name, known)}its keys are "
        f"{', '.join(sorted(known))}"
    )


def _meanings(kind: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a dataclass and its bases say of each field."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            meanings |= _documented(base)
    return meanings


def _documented(kind: type[Any]) -> dict[str, str]:
    """Return what a docstring says of each parameter, itself or by reference to another class."""
    import docstring_parser

    parsed = docstring_parser.parse(kind.__doc__ or "", docstring_parser.DocstringStyle.NUMPYDOC)
    meanings: dict[str, str] = {}
    for parameter in parsed.params:
        text = " ".join((parameter.description or "").split())
        reference = _REFERENCE.match(text)
        others = _documented(pydoc.locate(reference[1])) if reference else {}  # type: ignore[arg-type]
        text = _MARKUP.sub(r"\1", text.replace("``", ""))
        for name in parameter.arg_name.split(","):
            meanings[name.strip()] = others.get(name.strip(), text)
    return meanings
