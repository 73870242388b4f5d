"""Sets of stimuli as synthesis makes them, drawn by hand: Gabors, gratings, noise, clips."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from insilico.screen import Screen
from insilico.synthesis.identity import stimulus_id

SCREEN = Screen()
FRAMES = 30


def gabor(x_px, y_px, *, orientation, cycles_per_px=0.16, sigma_px=2.4, phase=0.0):
    """Return values (y, x) between -1 and 1."""
    y, x = np.mgrid[: SCREEN.height_px, : SCREEN.width_px].astype(float)
    along = (x - x_px) * np.cos(orientation) + (y - y_px) * np.sin(orientation)
    envelope = np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2 * sigma_px**2))
    return envelope * np.cos(2 * np.pi * cycles_per_px * along + phase)


def disc(x_px, y_px, diameter_deg):
    y, x = np.mgrid[: SCREEN.height_px, : SCREEN.width_px]
    return (np.hypot(x - x_px, y - y_px) < SCREEN.radius_px(diameter_deg)).astype(float)


def leveled(content, weights, rms_level):
    """Return content on gray with the same luminance and contrast inside the mask, uint8."""
    mask = np.broadcast_to(weights > 0, content.shape)
    inside = content[mask]
    scaled = (content - inside.mean()) / max(inside.std(), 1e-9) * rms_level
    return np.clip(SCREEN.gray + scaled * weights, 0, 255).round().astype(np.uint8)


def contents(rng, place, *, is_movie):
    """Return the pattern of each class before its levels are set."""
    frame = np.arange(FRAMES) if is_movie else np.zeros(1)
    angle, width = rng.uniform(0, np.pi), rng.uniform(1.8, 3.0)

    def drifting(orientation, sigma_px, hz):
        phases = 2 * np.pi * hz * frame / SCREEN.frame_rate_hz
        parts = [
            gabor(*place, orientation=orientation, sigma_px=sigma_px, phase=phase)
            for phase in phases
        ]
        return np.stack(parts)

    coarse = rng.standard_normal((len(frame), 10, 17)).repeat(4, 1).repeat(4, 2)
    spectrum = np.fft.fft2(rng.standard_normal((len(frame), *SCREEN.shape)))
    radius = np.hypot(np.fft.fftfreq(36)[:, None], np.fft.fftfreq(64)) + 0.02
    return {
        "exciting": drifting(angle, width, 2.0),
        "inhibiting": drifting(angle + np.pi / 2, 1.5 * width, 4.0),
        "natural": coarse[:, : SCREEN.height_px, : SCREEN.width_px],
        "grating": drifting(angle, 40.0, 2.0),
        "noise": np.fft.ifft2(spectrum / radius).real,
        "swap": drifting(angle + 1.0, width, 3.0),
    }


GAINS = {
    "exciting": 1.0,
    "inhibiting": 0.03,
    "natural": 0.42,
    "grating": 0.5,
    "noise": 0.18,
    "swap": 0.22,
}


def fake_set(
    kind="image",
    count=5,
    *,
    motion=None,
    region="center",
    classes=tuple(GAINS),
    rms_level=6.0,
    seed=0,
    checks=True,
):
    """Return a set of so many targets, all columns filled, with responses that make sense."""
    rng = np.random.default_rng(seed)
    motion = motion or ("moving" if kind == "movie" else "still")
    noise = np.random.default_rng([seed, motion == "still"])
    stimuli, rows, traces, weights, curves = [], [], [], [], []
    for index in range(count):
        place = rng.uniform(18, 46), rng.uniform(11, 25)
        shape = disc(*place, 40.0)
        shape = {"center": shape, "surround": 1 - shape, "full": np.ones(SCREEN.shape)}[region]
        patterns = contents(rng, place, is_movie=kind == "movie")
        peak = rng.gamma(3.0, 1.5)
        generated = {}
        for name in classes:
            pattern = patterns[name]
            if motion == "still":
                pattern = np.repeat(pattern[:1], len(pattern), axis=0)
            frames = leveled(pattern, shape, rms_level)
            frames = frames if kind == "movie" else frames[0]
            gain = GAINS[name] * noise.uniform(0.8, 1.2) * (0.7 if motion == "still" else 1.0)
            time = np.arange(FRAMES if kind == "movie" else 1)
            trace = peak * gain * (1 - np.exp(-(time + 1) / 4)) * (1 + 0.3 * np.sin(time / 2.4))
            if name in ("exciting", "inhibiting"):
                generated[name] = stimulus_id(frames)
                score = 1 - np.exp(-np.arange(21) / rng.uniform(1, 8))
                ends = 21 if rng.uniform() > 0.3 else 12
                sign = 1.0 if name == "exciting" else -1.0
                curves.append(
                    pd.DataFrame(
                        {
                            "stimulus_id": generated[name],
                            "step": np.arange(ends) * 10,
                            "score": (sign * trace.mean() + score - score[ends - 1])[:ends],
                        }
                    )
                )
            row = {
                "stimulus_id": stimulus_id(frames),
                "mouse": "mouse-a",
                "neuron": 3 * index,
                "target": f"neuron {3 * index}",
                "motion": motion,
                "stimulus_class": name,
                "region": region,
                "x_px": place[0],
                "y_px": place[1],
                "diameter_deg": 40.0,
                "outer_diameter_deg": np.inf,
                "restart": 0,
                "seed": index,
                "steps": 200,
                "seconds": 1.0,
                "status": str(rng.choice(["ok", "deadline"], p=[0.9, 0.1])),
                "goal": "inhibit" if name == "inhibiting" else "excite",
                "response": float(trace.mean()),
                "blank_response": 0.1 * peak,
                "control_of": "" if name in generated else generated.get("exciting", ""),
            }
            inside = frames[..., shape > 0].astype(float)
            row |= {"luminance_level": inside.mean(), "rms_level": inside.std()}
            if checks:
                row |= {
                    "saturated_fraction": float((inside == 255).mean()),
                    "spectrum_distance": rng.gamma(4, 0.02) + 0.1 * (name == "exciting"),
                    "restart_correlation": rng.beta(30, 2) if name in generated else np.nan,
                    "transfer_sensorium2022-ln": peak * gain * rng.uniform(0.5, 1.1),
                    "transfer_other": peak * gain * rng.uniform(0.3, 1.0),
                    "gaze_robustness_1px": rng.uniform(0.5, 1.0),
                    "response_quiet": float(trace.mean()) * 0.8,
                    "response_running": float(trace.mean()) * rng.uniform(1.0, 1.6),
                }
            stimuli.append(frames)
            rows.append(row)
            traces.append(trace.astype(np.float32))
            weights.append(shape.astype(np.float32))
    return SimpleNamespace(
        frames=np.stack(stimuli),
        table=pd.DataFrame(rows),
        traces=np.stack(traces),
        weights=np.stack(weights),
        curves=pd.concat(curves, ignore_index=True)
        if curves
        else pd.DataFrame({"stimulus_id": [], "step": [], "score": []}),
        screen=SCREEN,
        kind=kind,
        frame_rate_hz=SCREEN.frame_rate_hz,
        lead_frames=135 if kind == "movie" else 0,
        protocol={"over_frames": "mean"},
        provenance={},
    )
