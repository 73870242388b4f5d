"""``insilico respond``: a stimulus file in, a response file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np


def respond(
    model: str,
    stimuli: Path,
    *,
    out: Path,
    mouse: str | None = None,
    neurons: str | None = None,
    behavior: str | None = None,
    pupil: Path | None = None,
    input_units: Literal["gray", "standardized"] | None = None,
    output_units: Literal["recorded", "standardized"] | None = None,
    device: str = "auto",
) -> None:
    """Predict responses to stimuli of your own.

    Parameters
    ----------
    model : str
        A name of the zoo or a checkpoint folder.
    stimuli : Path
        A .npy file: (trial, y, x) for image models, (trial, frame, y, x) for movie models.
    out : Path
        The .npy file to write: (trial, neuron) or (trial, neuron, frame).
    mouse : str, optional
        May be left out where there is one.
    neurons : str, optional
        Such as 0:100 or 3,5,8.
    behavior : str, optional
        mean, quiet, running, or a .npy file (trial, variable[, frame]).
    pupil : Path, optional
        A .npy file (trial, 2[, frame]).
    input_units : str, optional
        gray (levels 0-255, recorded behavior) or standardized. Gray where the model knows its
        statistics, else standardized.
    output_units : str, optional
        recorded or standardized. Recorded where the model knows its statistics.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    """
    import numpy as np

    import insilico
    from insilico.files import atomic_file

    twin = insilico.load(model, device=device)
    is_file = behavior is not None and behavior.endswith(".npy")
    responses = twin.respond(
        read_npy(stimuli),
        mouse=mouse,
        neurons=neurons,
        behavior=read_npy(Path(behavior)) if is_file and behavior else behavior,
        pupil_center=None if pupil is None else read_npy(pupil),
        input_units=input_units,
        output_units=output_units,
        progress=True,
    )
    with atomic_file(out) as draft, draft.open("wb") as file:
        np.save(file, responses.values, allow_pickle=False)
    axes = "trial, neuron" + (", frame" if twin.kind == "movie" else "")
    print(f"{out}: ({axes}) = {responses.values.shape}, {responses.units} units")


def read_npy(path: Path) -> np.ndarray[Any, Any]:
    """Return the numbers in a .npy file.

    Raises
    ------
    ShapeError
        If it is missing, cut off, or holds objects.
    """
    import numpy as np

    from insilico.errors import ShapeError

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ShapeError(f"there is no file {path}; give a .npy file") from error
    except (ValueError, EOFError, OSError) as error:
        raise ShapeError(
            f"{path} is not a whole .npy file of numbers ({error}); save one with numpy.save"
        ) from error
