"""The linear baseline of movies: a gain and an offset a pixel, then the readout."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.cores.linear import PixelwiseCore
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import MOVIE_BEHAVIOR


@dataclasses.dataclass(frozen=True)
class LinearMovieOptions(CoreReadoutOptions):
    """What rebuilds the linear baseline; behavior enters as channels.

    Parameters
    ----------
    all
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/linear.py and viv1t/model/readout.
    """

    behavior_names: tuple[str, ...] = MOVIE_BEHAVIOR
    has_shifter: bool = True
    initial_sigma: float = 1.0
    initial_position_range: float = 0.2


def _examples() -> dict[str, Example]:
    small = {"height_px": 12, "width_px": 20}
    return {
        "behavior": (small, {"mouse-a": 12, "mouse-b": 7}),
        "behavior and gaze": (
            small | {"core_reads_gaze": True, "has_shifter": False, "readout": "factorized"},
            {"mouse-a": 12},
        ),
        "movies alone": (small | {"behavior_names": (), "has_shifter": False}, {"mouse-a": 12}),
    }


@register("linear_movie", options=LinearMovieOptions, examples=_examples)
class LinearMovie(CoreReadoutNetwork):
    """Pixels, each with a gain and an offset, read out frame by frame.

    Parameters
    ----------
    options : LinearMovieOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/linear.py.
    """

    kind: Kind = "movie"
    options: LinearMovieOptions
    core: PixelwiseCore

    def __init__(self, options: LinearMovieOptions, neuron_counts: Mapping[str, int]) -> None:
        core = PixelwiseCore(
            options.stimulus_channels,
            image_px=(options.height_px, options.width_px),
            state_count=options.state_count,
        )
        super().__init__(options, core, neuron_counts)
