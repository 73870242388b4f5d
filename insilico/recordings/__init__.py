"""Recordings on disk, read into trials: one reader a format, statistics, checks, a fast cache."""
