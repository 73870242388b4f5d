"""The encoding models of the Sensorium 2022 competition: images in, one response a neuron out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import MouseError, ShapeError, UnitsError
from insilico.models.cores.stacked2d import Stacked2dCore
from insilico.models.network import Network, Predict
from insilico.models.readouts.gaussian2d import FullGaussian2d, GaussType
from insilico.models.registry import Example, register
from insilico.models.shifters import MLPShifter
from insilico.stimuli.stimuli import Kind

#: Behavioral variables of the competition's recordings, in the order of their channels
#: (sensorium, notebooks/dataset_tutorial/README.md).
BEHAVIOR_NAMES = ("pupil_size", "pupil_size_derivative", "running_speed")

#: Images that pass through the core together on a CPU. Larger feature maps no longer fit the
#: cache: on two cores 32 and 64 images took 0.50 ms each, 128 took 0.9 ms and 256 took 1.6 ms.
IMAGES_AT_ONCE = 32


@dataclasses.dataclass(frozen=True)
class Sensorium2022Options:
    """What rebuilds a network of this family; the defaults are the published CNN.

    Parameters
    ----------
    height_px, width_px : int
        Size of the image.
    behavior_names : tuple of str
        Variables that enter as constant channels after the image.
    has_shifter : bool
        Whether gaze moves the receptive fields.
    layers, is_linear, hidden_channels, input_kernel, hidden_kernel, depth_separable, pad_input, \
momentum
        As for :class:`~insilico.models.cores.stacked2d.Stacked2dCore`.
    position, gauss_type, predictor_hidden_units, initial_sigma, initial_position_range
        As for :class:`~insilico.models.readouts.gaussian2d.FullGaussian2d`.
    shifter_hidden_units, shifter_layers : int
        Size of the shifter.

    References
    ----------
    sensorium, models/models.py and notebooks/model_tutorial.
    """

    height_px: int = 36
    width_px: int = 64
    behavior_names: tuple[str, ...] = ()
    has_shifter: bool = False
    layers: int = 4
    is_linear: bool = False
    hidden_channels: int = 64
    input_kernel: int = 9
    hidden_kernel: int = 7
    depth_separable: bool = True
    pad_input: bool = False
    momentum: float = 0.9
    position: Literal["cortex", "free"] = "cortex"
    gauss_type: GaussType = "full"
    predictor_hidden_units: int = 30
    initial_sigma: float = 0.1
    initial_position_range: float = 0.3
    shifter_hidden_units: int = 5
    shifter_layers: int = 3


def _examples() -> dict[str, Example]:
    small = {"hidden_channels": 8, "input_kernel": 5, "hidden_kernel": 3, "height_px": 18}
    small |= {"width_px": 32, "layers": 3}
    return {
        "cnn": (small, {"mouse-a": 12}),
        "linear": (small | {"is_linear": True, "layers": 2}, {"mouse-a": 12}),
        "cnn with behavior and gaze": (
            small | {"behavior_names": BEHAVIOR_NAMES, "has_shifter": True},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "free positions": (
            small | {"position": "free", "gauss_type": "isotropic", "initial_position_range": 1.0},
            {"mouse-a": 12},
        ),
    }


@register("sensorium2022", options=Sensorium2022Options, examples=_examples)
class Sensorium2022(Network):
    """Convolutional core, Gaussian readout, and where asked behavior channels and a gaze shifter.

    The response is ``ELU(z) + 1`` of the readout's value. Names of parameters and buffers are those
    of the published files: ``core.…``, ``readout.<mouse>.…``, ``shifter.<mouse>.…``.

    Parameters
    ----------
    options : Sensorium2022Options
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    Willeke et al. 2022, "The Sensorium competition on predicting large-scale mouse primary visual
    cortex activity"; sensorium, models/models.py; neuralpredictors 0.3.0, layers/encoders.
    """

    kind: Kind = "image"

    def __init__(self, options: Sensorium2022Options, neuron_counts: Mapping[str, int]) -> None:
        super().__init__()
        self.options = options
        self.behavior_names = tuple(options.behavior_names)
        self.uses_pupil = options.has_shifter
        self.core = Stacked2dCore(
            self.channels + len(self.behavior_names),
            hidden_channels=options.hidden_channels,
            input_kernel=options.input_kernel,
            hidden_kernel=options.hidden_kernel,
            layers=options.layers,
            is_linear=options.is_linear,
            depth_separable=options.depth_separable,
            pad_input=options.pad_input,
            momentum=options.momentum,
        )
        self.readout = nn.ModuleDict(
            {name: self._new_readout(count) for name, count in neuron_counts.items()}
        )
        if options.has_shifter:
            self.shifter = nn.ModuleDict({name: self._new_shifter() for name in neuron_counts})

    def _new_readout(self, neuron_count: int) -> FullGaussian2d:
        options = self.options
        return FullGaussian2d(
            options.hidden_channels,
            neuron_count,
            position=options.position,
            gauss_type=options.gauss_type,
            predictor_hidden_units=options.predictor_hidden_units,
            initial_sigma=options.initial_sigma,
            initial_position_range=options.initial_position_range,
        )

    def _new_shifter(self) -> MLPShifter:
        return MLPShifter(
            hidden_units=self.options.shifter_hidden_units, layers=self.options.shifter_layers
        )

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons by mouse."""
        return {name: self._readout_of(name).neuron_count for name in self.readout}

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the core's feature map."""
        return self.core.output_shape(self.options.height_px, self.options.width_px)

    def forward(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        neurons: Tensor | None = None,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> Tensor:
        """Predict responses (trial, neuron); see :meth:`Network.forward`.

        Raises
        ------
        MouseError
            If the mouse is unknown.
        ShapeError
            If the image has another size, or behavior or gaze is not one row a trial.
        UnitsError
            If behavior or gaze is missing where the network needs it.
        """
        readout = self._readout_of(mouse)
        features = self.core(self._with_behavior(stimulus, behavior))
        shift = self._shift(mouse, pupil_center)
        return F.elu(readout(features, neurons=neurons, shift=shift)) + 1

    def prepare(
        self, mouse: str, *, neurons: Tensor, pupil_center: Tensor | None = None
    ) -> Predict:
        """Fix neurons and gaze; compute only the window of the map that is read.

        See :meth:`Network.prepare`. In training mode, where points are drawn, this is the plain
        path.
        """
        if self.training:
            return super().prepare(mouse, neurons=neurons, pupil_center=pupil_center)
        readout = self._readout_of(mouse)
        with torch.no_grad():
            gaze = None if pupil_center is None else pupil_center[None]
            shift = self._shift(mouse, gaze)
        points = readout.at_fixed_points(
            self.map_shape, neurons=neurons, shift=None if shift is None else shift[0]
        )

        def predict_some(image: Tensor) -> Tensor:
            return F.elu(points(self.core.forward_window(image, points.rows, points.columns))) + 1

        def predict(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
            image = self._with_behavior(stimulus, behavior)
            if image.device.type != "cpu" or len(image) <= IMAGES_AT_ONCE:
                return predict_some(image)
            return torch.cat([predict_some(part) for part in torch.split(image, IMAGES_AT_ONCE)])

        return predict

    def _readout_of(self, mouse: str) -> FullGaussian2d:
        if mouse not in self.readout:
            raise MouseError(
                f"the network has no mouse {mouse!r}; it has {', '.join(self.readout)}"
            )
        return cast(FullGaussian2d, self.readout[mouse])

    def _with_behavior(self, stimulus: Tensor, behavior: Tensor | None) -> Tensor:
        """Check the image, and append behavior as constant channels after it."""
        expected = self.channels, self.options.height_px, self.options.width_px
        if stimulus.ndim != 4 or stimulus.shape[1:] != expected:
            raise ShapeError(
                f"the stimulus has shape {tuple(stimulus.shape)}; the network takes "
                f"(trial, {', '.join(map(str, expected))})"
            )
        if not self.behavior_names:
            return stimulus
        names = ", ".join(self.behavior_names)
        if behavior is None:
            raise UnitsError(f"the network needs behavior ({names}); give one row a trial")
        trials = len(stimulus)
        if behavior.shape != (trials, len(self.behavior_names)):
            raise ShapeError(
                f"behavior has shape {tuple(behavior.shape)}; give {trials} rows of {names}"
            )
        constant = behavior[:, :, None, None].expand(-1, -1, *stimulus.shape[2:])
        return torch.cat([stimulus, constant.to(stimulus.dtype)], dim=1)

    def _shift(self, mouse: str, pupil_center: Tensor | None) -> Tensor | None:
        if not self.uses_pupil:
            return None
        if pupil_center is None:
            raise UnitsError("the network needs pupil_center; give one standardized (x, y) a trial")
        shift: Tensor = self.shifter[mouse](pupil_center.to(self._readout_of(mouse).bias.dtype))
        return shift
