"""What gratings find in the noiseless neurons themselves: the truth for an index.

An index depends on how it is measured. These are the indices of the direction experiment on the
neurons of the simulation, without calcium, behavior or noise. Frequencies, contrast and window are
the defaults of its protocol; angles are denser, and stills have more phases.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from insilico.screen import Screen
from insilico.simulation.network import SimulatedV1Network
from insilico.simulation.simulated_v1 import STIMULUS_STD
from insilico.statistics.selectivity import (
    direction_selectivity_index,
    orientation_selectivity_index,
)
from insilico.stimuli.gratings import drifting_grating, static_grating

#: The grating, and the window in which its answer has settled: two cycles, one second after its
#: onset (experiments/direction.toml).
SPATIAL_FREQUENCY_CPD = 0.04
TEMPORAL_FREQUENCY_HZ = 2.0
WINDOW_S = (1.0, 2.0)
#: Angles over the full circle, or half of it for stills, and phases of each; the experiment shows
#: 16 directions at 4 phases, or 16 orientations at 8.
DIRECTION_COUNT, MOVIE_PHASE_COUNT = 24, 4
ORIENTATION_COUNT, IMAGE_PHASE_COUNT = 36, 16


def measure_selectivity(network: SimulatedV1Network, screen: Screen) -> pd.DataFrame:
    """Show gratings to noiseless neurons and return their selectivity.

    Parameters
    ----------
    network : SimulatedV1Network
        Of movies or images.
    screen : Screen
        What its receptive fields are laid out on.

    Returns
    -------
    DataFrame, one row a neuron
        ``osi`` and, for movies, ``dsi``.
    """
    if network.kind == "image":
        angle_deg = np.arange(ORIENTATION_COUNT) * 180 / ORIENTATION_COUNT
        curve = torch.stack([_answer_still(network, screen, angle) for angle in angle_deg])
        return pd.DataFrame({"osi": orientation_selectivity_index(curve.T.numpy(), angle_deg)})
    angle_deg = np.arange(DIRECTION_COUNT) * 360 / DIRECTION_COUNT
    curve = torch.stack([_answer_drift(network, screen, angle) for angle in angle_deg])
    values = curve.T.numpy()
    return pd.DataFrame(
        {
            "osi": orientation_selectivity_index(values, angle_deg),
            "dsi": direction_selectivity_index(values, angle_deg),
        }
    )


def _answer_still(
    network: SimulatedV1Network, screen: Screen, orientation_deg: float
) -> torch.Tensor:
    frames = static_grating(
        screen,
        orientation_deg=orientation_deg,
        spatial_frequency_cpd=SPATIAL_FREQUENCY_CPD,
        phase_deg=np.arange(IMAGE_PHASE_COUNT) * 360 / IMAGE_PHASE_COUNT,
    )
    shown = (torch.from_numpy(frames).float() - screen.gray) / STIMULUS_STD
    with torch.inference_mode():
        return network(shown[:, None], mouse=network.mouse).double().mean(0)


def _answer_drift(
    network: SimulatedV1Network, screen: Screen, direction_deg: float
) -> torch.Tensor:
    start, stop = (screen.frames(edge_s) for edge_s in WINDOW_S)
    frames = drifting_grating(
        screen,
        direction_deg=direction_deg,
        spatial_frequency_cpd=SPATIAL_FREQUENCY_CPD,
        temporal_frequency_hz=TEMPORAL_FREQUENCY_HZ,
        phase_deg=np.arange(MOVIE_PHASE_COUNT) * 360 / MOVIE_PHASE_COUNT,
        frame_count=stop,
    )
    shown = (torch.from_numpy(frames).float() - screen.gray) / STIMULUS_STD
    with torch.inference_mode():
        answer = network(shown[:, None], mouse=network.mouse)
    return answer[..., start:].double().mean((0, 2))
