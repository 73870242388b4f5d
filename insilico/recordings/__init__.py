"""Recordings on disk, read into trials: one reader a format, statistics, checks, a fast cache."""

from insilico.recordings.cache import CachedRecording, cache_recording, cache_recordings
from insilico.recordings.opening import open_recording, open_recordings
from insilico.recordings.recording import SIGNALS, TIERS, Recording, Trial

__all__ = [
    "SIGNALS",
    "TIERS",
    "CachedRecording",
    "Recording",
    "Trial",
    "cache_recording",
    "cache_recordings",
    "open_recording",
    "open_recordings",
]
