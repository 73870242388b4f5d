"""The one door to a model: ask it for responses, in the units and the state you choose."""

from insilico.models.mouse import Mouse, Statistics
from insilico.twin.loading import load
from insilico.twin.prepared import PreparedTwin
from insilico.twin.twin import Twin, ensemble

__all__ = ["Mouse", "PreparedTwin", "Statistics", "Twin", "ensemble", "load"]
