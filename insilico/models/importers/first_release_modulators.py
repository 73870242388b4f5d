"""Modulators of the first release of ViV1T, from its options and names to ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from insilico.models.importers.run_folder import RunFolder
from insilico.models.importers.translation import Constant, Part, Rename, choose

#: What the modulator ``mlp`` reads of behavior and gaze, by number.
_STATES = {0: "nothing", 1: "behavior", 2: "behavior and gaze"}


def _renames(**names: Mapping[int, str]) -> list[Rename]:
    """Return the rules for layers, which are numbered by their place in a published sequence."""
    return [
        Rename(
            rf"modulators\.([^.]+)\.{sequence}\.{number}\.(weight|bias)", rf"modulator.\1.{ours}.\2"
        )
        for sequence, layers in names.items()
        for number, ours in layers.items()
    ]


def _none(run: RunFolder) -> Part:
    return Part({"modulator": "none"})


def _mlp(run: RunFolder) -> Part:
    reads_history = run.option("modulator_include_history", bool)
    reads_state = choose(run, "modulator_include_behaviors", _STATES)
    constants = [Constant(r"modulators\.[^.]+\.(history|behavior)_reg", None)]
    if not reads_history and reads_state == "nothing":
        return Part({"modulator": "none"}, constants=constants)
    options = {
        "modulator": "mlp",
        "modulator_reads_history": reads_history,
        "modulator_history_frames": run.option("modulator_history_size", int),
        "modulator_history_dropout": run.option("modulator_history_dropout", float),
        "modulator_reads_state": reads_state,
        "modulator_state_dropout": run.option("modulator_behaviors_dropout", float),
    }
    renames = _renames(
        history_encoder={0: "history.hidden", 3: "history.answer"},
        behavior_encoder={0: "state_hidden", 3: "state_answer"},
    )
    return Part(options, renames, constants, reads_state=reads_state != "nothing")


def _gru(run: RunFolder) -> Part:
    options = {
        "modulator": "gru",
        "modulator_hidden_units": run.option("modulator_hidden_dim", int, default=None) or 0,
        "modulator_state_dropout": run.option("modulator_dropout", float),
    }
    renames = [
        *_renames(state_encoder={0: "state_drive"}, decoder={0: "answer"}),
        Rename(r"modulators\.([^.]+)\.gru_cell\.(\w+)", r"modulator.\1.cell.\2"),
    ]
    return Part(options, renames, reads_state=True)


def _window(run: RunFolder) -> Part:
    options = {
        "modulator": "window",
        "modulator_history_frames": run.option("modulator_history_size", int),
        "modulator_history_dropout": run.option("modulator_history_dropout", float),
    }
    renames = _renames(encoder={0: "window.hidden", 3: "window.answer"})
    return Part(options, renames, reads_state=True)


def _linear(run: RunFolder) -> Part:
    known = {name: name for name in ("identity", "sigmoid", "tanh")}
    options = {
        "modulator": "linear",
        "modulator_activation": choose(run, "modulator_activation", known),
    }
    return Part(options, _renames(modulator={0: "state_weight"}), reads_state=True)


#: Translators by number (src/viv1t/model/modulators).
MODULATORS: Mapping[int, Callable[[RunFolder], Part]] = {
    0: _none,
    1: _mlp,
    2: _gru,
    3: _window,
    4: _linear,
}
