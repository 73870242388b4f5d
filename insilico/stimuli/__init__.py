"""What is shown: pure functions from parameters to frames, and the lazy ``Stimuli`` type."""

from insilico.stimuli.gratings import drifting_grating, static_grating
from insilico.stimuli.noise import white_noise
from insilico.stimuli.shapes import blank, disc
from insilico.stimuli.stimuli import Stimuli

__all__ = ["Stimuli", "blank", "disc", "drifting_grating", "static_grating", "white_noise"]
