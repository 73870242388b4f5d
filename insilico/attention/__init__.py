"""Looking inside a twin: where its attention lies on the stimulus, and whether it follows the eye.

``map_attention`` shows trials of a recording, or stimuli of one's own, to a twin with attention;
``relate_to_gaze`` asks whether its maps follow the animal's gaze, as in the poster of V1T.
"""

from insilico.attention.gaze import relate_to_gaze
from insilico.attention.mapping import map_attention
from insilico.attention.shown import ShownTrials, given_trials, recorded_trials

__all__ = ["ShownTrials", "given_trials", "map_attention", "recorded_trials", "relate_to_gaze"]
