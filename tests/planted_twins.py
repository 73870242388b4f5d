"""Twins whose best stimuli are known in closed form, and how they are asked for them."""

import numpy as np
import torch
import xarray as xr

import insilico
from insilico.models.mouse import Statistics
from insilico.results import Result
from insilico.screen import Screen
from insilico.synthesis import ChoiceRule, Selection, Sources

SCREEN = Screen()
#: A quarter of the pixels, as large as before, for movies.
SMALL_SCREEN = Screen(width_px=32, height_px=18, width_cm=28.25, height_cm=15.9)
STATISTICS = Statistics(stimulus_mean=127, stimulus_std=60)
#: What follows the gradient itself, so that nothing but the constraints decides.
SHARP = {"gradient_blur_px": 0.0, "pattern_blur_px": 0.0}
#: Neurons may lie anywhere, so that few of them suffice.
ANYWHERE = ChoiceRule(least_coverage=0.0)


def gabor(
    x_px, y_px, *, angle_deg=30.0, cycles_per_px=0.14, sigma_px=3.0, phase=0.7, screen=SCREEN
):
    """Return values (y, x); the angle is that of the carrier, x to the right and y down."""
    y, x = np.mgrid[: screen.height_px, : screen.width_px].astype(float)
    angle = np.radians(angle_deg)
    along = (x - x_px) * np.cos(angle) + (y - y_px) * np.sin(angle)
    envelope = np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2 * sigma_px**2))
    return envelope * np.cos(2 * np.pi * cycles_per_px * along + phase)


def drifting_filter(x_px, y_px, *, lags=8, cycles=1.0, screen=SMALL_SCREEN, **options):
    """Return a space-time filter (lag, y, x) that drifts, lag 0 the frame on the screen."""
    phases = 2 * np.pi * cycles * np.arange(lags) / lags
    envelope = np.hanning(lags + 2)[1:-1]
    frames = [gabor(x_px, y_px, phase=phase, screen=screen, **options) for phase in phases]
    return envelope[:, None, None] * np.stack(frames)


class Filters(torch.nn.Module):
    """Linear neurons with filters ([lag,] y, x), and what is made of their sums."""

    def __init__(self, filters, bias=0.0, then=None):
        super().__init__()
        # Filters of the same length drive every neuron alike.
        size = (filters**2).sum(axis=tuple(range(1, filters.ndim)), keepdims=True) ** 0.5
        unit = filters / np.maximum(size, 1e-12)
        self.register_buffer("filters", torch.tensor(unit, dtype=torch.float32))
        offset = np.broadcast_to(np.asarray(bias, np.float32), len(filters))
        self.register_buffer("bias", torch.tensor(offset))
        self.then = then or torch.nn.Identity()

    def forward(self, stimulus):
        shown = stimulus[:, 0]
        if self.filters.ndim == 3:
            return self.then(torch.einsum("byx,nyx->bn", shown, self.filters) + self.bias)
        lags = self.filters.shape[1]
        seen = torch.einsum("btyx,nlyx->bnlt", shown, self.filters)
        count = seen.shape[3] - lags + 1
        lagged = [seen[:, :, lag, lags - 1 - lag : lags - 1 - lag + count] for lag in range(lags)]
        return self.then(torch.stack(lagged).sum(0) + self.bias[:, None])


def linear_twin(filters, *, bias=0.0, then=None, screen=SCREEN):
    """Return a twin of linear neurons; filters (neuron[, lag], y, x) of images or movies."""
    kind = "image" if np.ndim(filters) == 3 else "movie"
    module = Filters(np.asarray(filters, float), bias, then)
    return insilico.Twin(module, kind=kind, screen=screen, statistics=STATISTICS, device="cpu")


def planted_fields(twin, x_px, y_px, *, status="ok"):
    """Return what retinotopy would say if it made no error."""
    table = twin.neurons().assign(mouse=twin.mice[0], status=status, r2=1.0)
    table = table.assign(x_px=np.asarray(x_px, float), y_px=np.asarray(y_px, float))
    tables = {"neurons": table}
    result = Result("retinotopy", tables, xr.Dataset(), {}, {"source": "planted"})
    return Sources(results={"retinotopy": result})


def make(twin, neurons=None, *, what=None, fields=None, seconds=None, out=None, **overrides):
    """Make stimuli without controls, unless they are asked for."""
    what = what or ("mei" if twin.kind == "image" else "mev")
    lead = {} if twin.kind == "image" else {"lead_s": 0.3, "pattern_s": 0.4}
    wanted = neurons if isinstance(neurons, Selection) else Selection(neurons, rule=ANYWHERE)
    return insilico.synthesize(
        twin,
        what,
        wanted,
        overrides={"controls": (), **lead, **overrides},
        sources=fields,
        seconds=seconds,
        out=out,
    )


def cosine(a, b):
    """Return the cosine between two arrays."""
    a, b = np.ravel(a).astype(float), np.ravel(b).astype(float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def deviation(values, mask):
    """Return values ([frame,] y, x) less their mean inside a mask, 0 beside it."""
    values = np.asarray(values, float)
    return np.where(mask, values - values[..., mask].mean(), 0.0)


def windowed(values, weights):
    """Return values ([frame,] y, x) less a constant, seen through weights (y, x), of mean 0."""
    seen = weights > 0
    share = np.broadcast_to(weights, np.shape(values))[..., seen]
    mean = (share * np.asarray(values, float)[..., seen]).sum() / share.sum()
    return weights * (np.asarray(values, float) - mean)
