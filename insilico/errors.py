"""Every error a user of insilico can meet, under one root.

Each class is also the standard Python error it resembles, so ``except ValueError`` still works. A
message is one sentence with three parts: what arrived, what was expected, what to do. The command
line prints it and exits with code 2; nothing else in the package catches it.
"""


class InsilicoError(Exception):
    """Root of every error that insilico raises on purpose."""


class ShapeError(InsilicoError, ValueError):
    """An array has the wrong number of axes, the wrong length or the wrong dtype."""


class UnitsError(InsilicoError, ValueError):
    """A number lies outside its physical range, or its unit cannot be converted."""


class StimulusError(InsilicoError, ValueError):
    """A stimulus cannot be shown: NaN pixels, or a movie where an image is wanted."""


class ProtocolError(InsilicoError, ValueError):
    """A protocol file has an unknown key, a missing key or a value out of range."""


class CheckpointError(InsilicoError, ValueError):
    """A checkpoint or weight file is missing, foreign, damaged or of another model."""


class DownloadError(InsilicoError, OSError):
    """A download failed, was cut off, or is not the file that was pinned."""


class CatalogError(InsilicoError, LookupError):
    """A model, experiment or protocol of that name is not known."""


class MouseError(InsilicoError, LookupError):
    """A twin has no mouse of that name, or has several and none was named."""


class NeuronError(InsilicoError, IndexError):
    """A neuron index is out of range or not an integer."""


class RunFolderError(InsilicoError, OSError):
    """A run folder holds another run, is incomplete, or cannot be written."""


class RecordingError(InsilicoError, ValueError):
    """A recording is missing, foreign, cut off or does not hold together."""


class RecipeError(InsilicoError, ValueError):
    """A recipe has an unknown key, a missing key or a value of the wrong type or range."""


class TrainingError(InsilicoError, RuntimeError):
    """Training cannot start or go on: no validation trials, no finite loss, no memory."""


class NotFittedError(InsilicoError, ValueError):
    """A result lacks what a figure or a later experiment needs."""
