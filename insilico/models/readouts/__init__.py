"""Readouts: from shared features to single neurons, one file each."""
