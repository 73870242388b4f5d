"""What is measured of a recording while its trials pass by once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from insilico.errors import RecordingError
from insilico.models.mouse import Statistics
from insilico.recordings.moments import FloatArray, StreamingMoments
from insilico.recordings.recording import Recording

Array = np.ndarray[Any, Any]

#: Responses whose standard deviation is below this fraction of the mean one are divided by that
#: instead (neuralpredictors, data/transforms.py; ViV1T-closed-loop, viv1t/data/data.py).
SMALLEST_RESPONSE_STD = 0.01

#: A recorded variable that varies by less than this fraction of its mean is constant but for
#: rounding, and is not scaled.
CONSTANT = 1e-6


class Measurement:
    """Statistics over the training tier and a hash of all trials.

    Parameters
    ----------
    recording : Recording
        Whose trials are to come.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._hash = hashlib.sha256()
        self._moments = {
            "stimulus": StreamingMoments(1),
            "responses": StreamingMoments(len(recording.neurons)),
            "behavior": StreamingMoments(len(recording.behavior_names)),
            "pupil_center": StreamingMoments(2),
        }
        self.trial_count = 0

    def add(self, rows: Mapping[str, Array], *, tier: str, has_responses: bool) -> None:
        """Take in one trial.

        Parameters
        ----------
        rows : mapping of str to array
            Each recorded signal as (row, …).
        tier : str
            Only trials of "train" are measured; all are hashed.
        has_responses : bool
            Trials without are hashed only.
        """
        self._hash.update(f"{tier} {len(rows['stimulus'])}\n".encode())
        for signal, values in rows.items():
            self._hash.update(f"{signal} {values.shape}\n".encode())
            self._hash.update(np.ascontiguousarray(values, "<f4").data)
        if tier == "train" and has_responses:
            self.trial_count += 1
            for signal, values in rows.items():
                flat = values.reshape(-1, 1) if signal == "stimulus" else values
                self._moments[signal].add(flat)

    @property
    def content_sha256(self) -> str:
        """Hash of what was shown and recorded, whatever files it came in."""
        return self._hash.hexdigest()

    @property
    def response_mean(self) -> FloatArray:
        """Mean response of each neuron, recorded units; NaN without training trials."""
        if not self.trial_count:
            return np.full(len(self._recording.neurons), np.nan)
        return self._moments["responses"].mean

    @property
    def constant_neurons(self) -> Array:
        """Neurons whose responses do not vary over the training trials."""
        if not self.trial_count:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self._moments["responses"].std == 0)

    def statistics(self) -> Statistics:
        """Return the statistics; without training trials nothing is known.

        Raises
        ------
        RecordingError
            If the stimuli or the responses of the training tier do not vary at all.
        """
        if not self.trial_count:
            return Statistics()
        names, moments = self._recording.behavior_names, self._moments
        source = f"measured on {self.trial_count:,} training trials"
        sources = {"stimulus": source, "response": source}
        behavior_std = pupil_std = None
        if names:
            behavior_std, constant = _scale(moments["behavior"])
            still = [name for name, is_still in zip(names, constant, strict=True) if is_still]
            sources["behavior"] = source + (
                f"; {', '.join(still)} did not vary and is not scaled" if still else ""
            )
        if self._recording.has_pupil:
            pupil_std, _ = _scale(moments["pupil_center"])
            sources["pupil"] = source
        return Statistics(
            stimulus_mean=float(moments["stimulus"].mean[0]),
            stimulus_std=self._stimulus_std(),
            response_std=self._response_std(),
            behavior_mean=None if behavior_std is None else moments["behavior"].mean / behavior_std,
            behavior_std=behavior_std,
            pupil_mean=None if pupil_std is None else moments["pupil_center"].mean,
            pupil_std=pupil_std,
            sources=sources,
        )

    def _stimulus_std(self) -> float:
        std = float(self._moments["stimulus"].std[0])
        if std == 0:
            raise RecordingError(
                f"every training stimulus of {self._recording.source} is the same gray; fetch it "
                "again"
            )
        return std

    def _response_std(self) -> FloatArray:
        std = self._moments["responses"].std
        smallest = SMALLEST_RESPONSE_STD * std.mean()
        if smallest == 0:
            raise RecordingError(
                f"no neuron of {self._recording.source} varies during training; fetch it again"
            )
        return np.maximum(std, smallest)


def _scale(moments: StreamingMoments) -> tuple[FloatArray, Array]:
    """Return what to divide by, and which variables are constant and hence divided by 1."""
    std = moments.std
    is_constant = std <= CONSTANT * np.abs(moments.mean)
    return np.where(is_constant, 1.0, std), is_constant
