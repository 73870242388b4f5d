"""Cores: shared nonlinear features of the stimulus, one file each."""
