"""Averages of metrics over neurons and mice, with confidence intervals."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.statistics.bootstrap import bootstrap_means, percentile_interval
from insilico.statistics.performance import fraction_oracle

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Every metric of the tables, in their order.
METRICS = (
    "single_trial_correlation",
    "correlation",
    "correlation_to_average",
    "normalized_correlation",
    "fev",
    "feve",
    "oracle",
    "conservative_oracle",
    "poisson_loss",
)
#: The name of the rows of the summary that average over mice.
ALL_MICE = "all mice"
CONFIDENCE = 0.95
DRAWS = 2000


def summarize(neurons: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average the metrics over neurons, and mice.

    Parameters
    ----------
    neurons : DataFrame
        The neurons table of :func:`insilico.training.evaluation.evaluate`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        The summary table of :func:`insilico.training.evaluation.evaluate`.
    """
    mice = list(dict.fromkeys(neurons["mouse"]))
    rows: list[dict[str, Any]] = []
    for (tier, kind), group in neurons.groupby(["tier", "stimulus_type"], sort=False):
        parts = {mouse: group[group["mouse"] == mouse] for mouse in group["mouse"].unique()}
        for metric in (*METRICS, "fraction_oracle"):
            samples = {
                # Mice are drawn independently of each other, and of which others there are.
                mouse: _sample(part, metric, [seed, zlib.crc32(mouse.encode())])
                for mouse, part in parts.items()
            }
            if len(mice) > 1:
                samples[ALL_MICE] = _average([one for one in samples.values() if one.count])
            for mouse, sample in samples.items():
                low, high = percentile_interval(sample.means, confidence=CONFIDENCE)
                labels = {"mouse": mouse, "tier": tier, "stimulus_type": kind, "metric": metric}
                values = {"mean": sample.mean, "ci_low": low, "ci_high": high}
                rows.append({**labels, **values, "neuron_count": sample.count})
    table = pd.DataFrame(rows)
    order = {name: place for place, name in enumerate([*mice, ALL_MICE])}
    return table.sort_values("mouse", key=lambda m: m.map(order), kind="stable", ignore_index=True)


@dataclasses.dataclass(frozen=True)
class _Sample:
    """A mean over neurons, and the means of neurons drawn again."""

    mean: float
    means: FloatArray
    count: int


def _sample(part: pd.DataFrame, metric: str, seed: Sequence[int]) -> _Sample:
    if metric == "fraction_oracle":
        pairs = part[["correlation", "oracle"]].dropna().to_numpy(float)
        products = np.stack([pairs[:, 0] * pairs[:, 1], pairs[:, 1] ** 2], axis=1)
        sums = bootstrap_means(products, draws=DRAWS, seed=seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums[:, 0] / sums[:, 1]
        return _Sample(fraction_oracle(*pairs.T), means, len(pairs))
    chosen = part["is_explainable"] if metric == "feve" else slice(None)
    known = part.loc[chosen, metric].dropna().to_numpy(float)
    means = bootstrap_means(known[:, None], draws=DRAWS, seed=seed)[:, 0]
    return _Sample(float(known.mean()) if len(known) else float("nan"), means, len(known))


def _average(samples: Sequence[_Sample]) -> _Sample:
    """Return the unweighted mean over mice."""
    if not samples:
        return _Sample(float("nan"), np.full(DRAWS, np.nan), 0)
    return _Sample(
        float(np.mean([sample.mean for sample in samples])),
        np.mean([sample.means for sample in samples], axis=0),
        sum(sample.count for sample in samples),
    )
