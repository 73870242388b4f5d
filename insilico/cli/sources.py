"""What ``insilico generate`` builds on beside the model, as options name it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insilico.recordings import CachedRecording
    from insilico.results import Result
    from insilico.synthesis import Sources
    from insilico.synthesis.protocol import SynthesisProtocol
    from insilico.synthesis.sources import Candidates
    from insilico.twin import Twin


def read_sources(
    twin: Twin,
    mouse: str,
    protocol: SynthesisProtocol,
    *,
    fields: Path | None,
    natural: Path | None,
    recording: Path | None,
    transfer: dict[str, Twin],
    least_repeats: int | None,
) -> Sources:
    """Return what synthesis builds on.

    Parameters
    ----------
    twin, mouse, protocol
        Whose neurons, and how their stimuli are made.
    fields, natural, recording
        As for :func:`insilico.cli.generate.generate`.
    transfer : dict of str to Twin
        Other models, by what their columns are called.
    least_repeats : int or None
        Presentations that count for reliabilities; None where nothing is ranked by these.

    Raises
    ------
    NotFittedError
        If the receptive fields are missing or of another model.
    RecordingError, ShapeError, StimulusError
        If a recording or natural stimuli cannot be used.
    """
    from insilico.synthesis import Sources

    results = {} if fields is None else _results(fields, twin)
    # A folder is looked into before a recording is decoded, which can take long.
    found = None if natural is None else _natural(protocol, twin, mouse, natural, None)
    is_needed = natural is None or least_repeats is not None
    cached = _recording(recording, mouse) if recording is not None and is_needed else None
    return Sources(
        results=results,
        reliability=None
        if cached is None or least_repeats is None
        else _reliability(twin, cached, mouse, least_repeats),
        natural=_natural(protocol, twin, mouse, None, cached) if natural is None else found,
        transfer=transfer,
    )


def _results(run: Path, twin: Twin) -> dict[str, Result]:
    """Return the receptive fields, and sizes where there are some, of a run on the same twin."""
    from insilico.errors import NotFittedError
    from insilico.results import Result

    found = {
        name: Result.load(run / name) for name in ("retinotopy", "size") if (run / name).is_dir()
    }
    if "retinotopy" not in found:
        raise NotFittedError(
            f"{run} holds no retinotopy; give the folder of 'insilico run retinotopy', or leave "
            "--fields out"
        )
    for name, result in found.items():
        measured = result.provenance.get("weights", {}).get("state_sha256")
        if measured != twin.state_sha256:
            raise NotFittedError(
                f"{run / name} was measured on another model, {result.provenance.get('model')}; "
                f"give a run on {twin.name}, or leave --fields out"
            )
    return found


def _recording(path: Path, mouse: str) -> CachedRecording:
    from insilico.models.hub import cache_folder
    from insilico.recordings import cache_recordings, open_recordings

    opened = open_recordings(path, mice=[mouse])
    return cache_recordings(opened, folder=cache_folder(None) / "recordings", progress=True)[mouse]


def _reliability(twin: Twin, cached: CachedRecording, mouse: str, least_repeats: int) -> Any:
    """Return how reliable recorded neurons are."""
    from insilico.synthesis.recorded_reliability import reliability_of

    return reliability_of(twin, cached, mouse=mouse, least_repeats=least_repeats, progress=True)


def _natural(
    protocol: SynthesisProtocol,
    twin: Twin,
    mouse: str,
    folder: Path | None,
    cached: CachedRecording | None,
) -> Candidates | None:
    """Return natural stimuli to search among: of a folder, or of the recording."""
    from insilico.synthesis.image_folder import folder_clips
    from insilico.synthesis.natural import recorded_clips

    screen = twin.screen(mouse)
    options: dict[str, Any] = {
        "frame_count": protocol.free_frames(protocol.exposure(twin.kind, screen)),
        "stride_frames": protocol.natural_stride_frames,
        "limit": protocol.natural_count,
        "seed": protocol.seed,
    }
    if folder is not None:
        return folder_clips(folder, screen, **options)
    if cached is not None:
        return recorded_clips(cached, screen, **options)
    if "natural" in protocol.controls:
        print(
            "no natural control: give --natural FOLDER or --recording to search among natural "
            "images or clips",
            file=sys.stderr,
        )
    return None


def columns_of(models: list[str]) -> dict[str, str]:
    """Return other models by what their columns are called.

    Raises
    ------
    ProtocolError
        If two would be called the same.
    """
    from insilico.errors import ProtocolError

    columns: dict[str, str] = {}
    for model in models:
        name = Path(model).resolve().name
        if name in columns:
            raise ProtocolError(
                f"two models of --transfer are called {name!r}, and columns are named after them; "
                "rename a folder"
            )
        columns[name] = model
    return columns
