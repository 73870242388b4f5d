"""Where a neuron looks: receptive fields from white noise.

Noise fills the screen, a new pattern every image, every frame, or as published every trial. Each
neuron gets two maps, by correlation of its responses with the noise
(:mod:`insilico.experiments.noise_sums`) or by differentiating them by its pixels
(:mod:`insilico.experiments.gradient_sums`): the linear map and the energy map. The one that comes
back in both halves of the trials is fitted with a rotated two-dimensional Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments.experiment import Accumulator, Experiment, Setting
from insilico.experiments.field_fits import STATUS, fit_maps
from insilico.experiments.field_sums import FieldSums
from insilico.experiments.gradient_sums import GradientSums
from insilico.experiments.noise_sums import NoiseSums
from insilico.experiments.published_fields import fit_published, published_table
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.experiments.reverse_correlation import Maps
from insilico.experiments.sites import Site
from insilico.screen import Screen
from insilico.stimuli.noise import white_noise
from insilico.stimuli.stimuli import Kind, Stimuli

if TYPE_CHECKING:
    from insilico.twin import PreparedTwin

#: Tells the noise of this experiment from other noise of the same seed.
NOISE_STREAM = 7

#: Neurons per part of the analysis: an interrupted run repeats at most one part, and the working
#: memory beyond the sums stays small.
CHUNK_NEURONS = 500


class Retinotopy(Experiment[RetinotopyProtocol]):
    """Receptive fields by white noise.

    References
    ----------
    The question, the noise and its presentation as still images follow ViV1T-closed-loop,
    tuning_retinotopy/predict_noise.py and fit_aRFs.py. Unlike there, noise and responses are
    centered, halves are compared, cells without a linear map get an energy map, the clean signed
    map is fitted within bounds from a start taken from the data, and nobody is dropped: every
    neuron has a row and a status. The protocol's ``compatibility`` adds what was published.
    """

    name = "retinotopy"
    protocol_type = RetinotopyProtocol
    summary_columns = ("x_deg", "y_deg", "sigma_major_deg", "sigma_minor_deg")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {"image_count": 1000, "frame_count": 1000}

    def sites(self, setting: Setting[RetinotopyProtocol]) -> list[Site]:
        """Ask all neurons at once, but differentiate one after the other.

        A twin that was prepared for one neuron computes no more than its answer needs.
        """
        if setting.protocol.estimator == "gradient":
            return [Site(np.array([row])) for row in range(len(setting.neurons))]
        return super().sites(setting)

    def stimuli(
        self, protocol: RetinotopyProtocol, screen: Screen, kind: Kind, site: Site | None = None
    ) -> Stimuli:
        """Return the noise: one image a trial, or movies of fresh or still noise after gray."""
        is_still = protocol.is_still(kind)
        noise, lead = screen.frames(protocol.noise_s), screen.frames(protocol.lead_s)

        def draw(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
            patterns = white_noise(
                screen,
                seed=(protocol.seed, NOISE_STREAM),
                trials=rows["trial"],
                frame_count=None if is_still else noise,
                levels=protocol.noise_levels,
            )
            if protocol.noise_contrast == 1:
                return patterns
            scaled = 127.5 + protocol.noise_contrast * (patterns.astype(np.float32) - 127.5)
            return np.rint(scaled).astype(np.uint8)

        trials = np.arange(_trial_count(protocol, screen, kind))
        if kind == "image":
            return Stimuli(kind, screen, pd.DataFrame({"trial": trials, "onset_frame": 0}), draw)
        return Stimuli(
            kind,
            screen,
            pd.DataFrame({"trial": trials, "onset_frame": lead}),
            draw,
            pattern_frames=noise,
            trial_frames=lead + noise,
            is_still=is_still,
        )

    def window(
        self, protocol: RetinotopyProtocol, screen: Screen, kind: Kind
    ) -> tuple[int, int] | None:
        """Return the frames whose whole history is noise; for a gradient the last one alone."""
        if kind == "image":
            return None
        lead = screen.frames(protocol.lead_s)
        stop = lead + screen.frames(protocol.noise_s)
        if protocol.estimator == "gradient":
            return stop - 1, stop
        return lead + protocol.lag_count(screen, kind) - 1, stop

    def ask(
        self,
        protocol: RetinotopyProtocol,
        prepared: PreparedTwin,
        frames: np.ndarray[Any, Any],
        *,
        first_trial: int,
        on_batch: Callable[[int], None],
    ) -> np.ndarray[Any, Any]:
        """Return the responses, or their gradients."""
        if protocol.estimator == "covariance":
            return prepared.respond(frames, first_trial=first_trial, on_batch=on_batch)
        # Only here does an experiment touch more of torch than a twin's responses.
        from insilico.twin.gradients import response_gradients

        return response_gradients(
            prepared,
            frames,
            last_frames=protocol.lag_count(prepared.mouse.screen, "movie"),
            first_trial=first_trial,
            on_batch=on_batch,
        )

    def accumulator(self, setting: Setting[RetinotopyProtocol]) -> FieldSums:
        """Return empty sums."""
        return (
            GradientSums(setting)
            if setting.protocol.estimator == "gradient"
            else NoiseSums(setting)
        )

    def conclude(
        self, accumulator: Accumulator, setting: Setting[RetinotopyProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Fit every neuron's map; chunks of neurons bound the memory."""
        if not isinstance(accumulator, FieldSums):
            raise TypeError("retinotopy concludes from the sums it accumulated itself")
        count = len(setting.neurons)
        fits, published, maps = [], [], []
        for start in range(0, count, CHUNK_NEURONS):
            rows = np.arange(start, min(start + CHUNK_NEURONS, count))
            linear, energy = accumulator.maps(rows)
            maps.append((linear, energy))
            fits.append(
                setting.keep(
                    f"fits-{start:06d}",
                    lambda rows=rows, linear=linear, energy=energy: fit_maps(  # type: ignore[misc]
                        linear,
                        energy,
                        accumulator.spread(rows),
                        setting,
                        energy_fit_in_px=accumulator.energy_fit_in_px,
                    ),
                )
            )
            if setting.protocol.compatibility and isinstance(accumulator, NoiseSums):
                published.append(_publish(accumulator, rows, setting))
            setting.on_done(len(rows))
        neurons = setting.neurons.reset_index(drop=True)
        tables = {"neurons": pd.concat([neurons, pd.concat(fits, ignore_index=True)], axis=1)}
        arrays = _arrays(maps, accumulator, setting)
        if published:
            found = pd.concat([fit for _, fit in published], ignore_index=True)
            tables["published"] = published_table(found, neurons)
            values = np.concatenate([of_some for of_some, _ in published]).astype(np.float32)
            arrays["published_map"] = (("neuron", "y_px", "x_px"), values)
        return tables, arrays


def _trial_count(protocol: RetinotopyProtocol, screen: Screen, kind: Kind) -> int:
    if protocol.estimator == "gradient":
        return protocol.gradient_count
    if protocol.is_still(kind):
        return protocol.image_count
    usable = screen.frames(protocol.noise_s) - protocol.lag_count(screen, kind) + 1
    # Half of the trials are compared with the other half: an even number, at least two.
    return 2 * -(-protocol.frame_count // (2 * usable))


def _publish(
    sums: NoiseSums, rows: np.ndarray[Any, Any], setting: Setting[RetinotopyProtocol]
) -> tuple[np.ndarray[Any, Any], pd.DataFrame]:
    """Return the published maps of some neurons, and their fits."""
    maps = sums.published_maps(rows)
    seed, jobs = setting.protocol.seed, setting.jobs
    fits = setting.keep(
        f"published-{rows[0]:06d}", lambda: fit_published(maps, seed=seed, jobs=jobs)
    )
    return maps, fits


def _arrays(
    maps: list[tuple[Maps, Maps]], sums: FieldSums, setting: Setting[RetinotopyProtocol]
) -> xr.Dataset:
    screen = setting.screen
    linear = np.concatenate([pair[0].values for pair in maps]).astype(np.float32)
    energy = np.concatenate([pair[1].values for pair in maps]).astype(np.float32)
    units = [{"units": name} for name in sums.map_units]
    coordinates = sums.energy_coordinates()
    lags = setting.protocol.lag_count(screen, setting.kind)
    coordinates["lag_s"] = np.arange(lags) / screen.frame_rate_hz
    variables: dict[str, Any] = {
        "linear_map": (("neuron", "y_px", "x_px"), linear, units[0]),
        "energy_map": (("neuron", "grid_y_px", "grid_x_px"), energy, units[1]),
        "linear_weight": (("neuron", "lag_s"), np.concatenate([pair[0].weights for pair in maps])),
    }
    if sums.energy_axes:
        weights = np.concatenate([pair[1].weights for pair in maps])
        shape = [len(coordinates[axis]) for axis in sums.energy_axes]
        axes = ("neuron", *sums.energy_axes)
        variables["energy_weight"] = (axes, weights.reshape(len(weights), *shape))
    return xr.Dataset(
        variables,
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "y_px": np.arange(screen.height_px),
            "x_px": np.arange(screen.width_px),
            **coordinates,
        },
        attrs=dict(screen.to_dict()),
    )
