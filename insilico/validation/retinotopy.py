"""Receptive fields against a Gaussian fitted to each neuron's own noiseless map."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insilico.experiments.field_fits import envelope_in_px, grid_fit_in_px
from insilico.experiments.protocols import build_protocol
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.fits.gaussian import fit_gaussians
from insilico.results import Result
from insilico.simulation import SimulatedV1
from insilico.validation.comparison import (
    STATUS_CHECK,
    Comparison,
    FloatArray,
    Limits,
    Part,
    long_table,
    wide_table,
)
from insilico.validation.truth import (
    ideal_energy_maps,
    ideal_gradient_energies,
    ideal_linear_maps,
)

#: Noise shown to each class: images to the image twin, frames to the movie twin.
NOISE = {
    ("image", "simple"): {"image_count": 1000},
    ("image", "energy"): {"image_count": 2000},
    ("movie", "simple"): {"frame_count": 5000},
    ("movie", "energy"): {"frame_count": 20000},
}

LIMITS: Limits = {
    "center error (px)": ("median", "<=", 0.3),
    "width error (%)": ("median", "<=", 10.0),
    STATUS_CHECK: ("share", ">=", 97.0),
}
#: Widths are reported and held to nothing: a network of few parameters smooths what noisy
#: recordings do not pin down.
TRAINED_LIMITS: Limits = {
    "center error (px)": ("median", "<=", 1.0),
    "width error (%)": ("median", "<=", np.inf),
    STATUS_CHECK: ("share", ">=", 90.0),
}


def compare_retinotopy(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put receptive fields beside a Gaussian fitted to each neuron's own noiseless map.

    Parameters
    ----------
    twin : SimulatedV1
        On which they were measured.
    result : Result
        Of retinotopy.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`.
    """
    protocol = build_protocol(RetinotopyProtocol, result.protocol)
    screen = twin.screen()
    truth = twin.ground_truth.iloc[result.neurons["neuron"]].reset_index(drop=True)
    is_simple = (truth["cell_class"] == "simple").to_numpy()
    parts = []
    if is_simple.any():
        maps = ideal_linear_maps(truth[is_simple], screen=screen, kind=twin.kind, protocol=protocol)
        parts.append(fit_gaussians(maps).set_index(np.flatnonzero(is_simple)))
    if not is_simple.all():
        fit = _planted_energy(truth[~is_simple], twin, protocol)
        parts.append(fit.set_index(np.flatnonzero(~is_simple)))
    planted = pd.concat(parts).sort_index()
    columns = ["x_px", "y_px", "sigma_major_px", "sigma_minor_px"]
    return long_table(twin.kind, "retinotopy", truth, planted[columns], result.neurons)


def _planted_energy(
    energy_cells: pd.DataFrame, twin: SimulatedV1, protocol: RetinotopyProtocol
) -> pd.DataFrame:
    """Return Gaussians fitted to the noiseless maps of energy cells, in pixels of the screen."""
    screen = twin.screen()
    if protocol.estimator == "gradient":
        fit = fit_gaussians(ideal_gradient_energies(energy_cells, screen=screen))
        return envelope_in_px(fit)
    maps = ideal_energy_maps(energy_cells, screen=screen, kind=twin.kind, protocol=protocol)
    return grid_fit_in_px(fit_gaussians(maps), protocol.bank(screen))


def retinotopy_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return distances between centers, and relative errors of both widths."""
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
    error = recovered - planted
    widths = ["sigma_major_px", "sigma_minor_px"]
    relative = 100 * (error[widths] / planted[widths]).abs()
    return {
        "center error (px)": np.hypot(error["x_px"].to_numpy(), error["y_px"].to_numpy()),
        "width error (%)": relative.to_numpy().reshape(-1),
    }


def noise_parts(twin: SimulatedV1) -> list[Part]:
    """Return each class of cells with the noise it needs."""
    cell_class = twin.ground_truth["cell_class"]
    return [
        Part(f", {name} cells", (cell_class == name).to_numpy(), NOISE[twin.kind, name])
        for name in ("simple", "energy")
        if (cell_class == name).any()
    ]


COMPARISON = Comparison(
    experiment="retinotopy",
    compare=compare_retinotopy,
    checks=retinotopy_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    parts=noise_parts,
)
