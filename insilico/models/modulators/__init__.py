"""Modulators: what recent values, behavior and gaze change before the output, one file each."""
