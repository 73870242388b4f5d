"""For whom ``insilico generate`` makes stimuli, as options say it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from insilico.synthesis import ChoiceRule, Selection

    IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Columns of a file of weights.
WEIGHT_COLUMNS = ("neuron", "weight")


def check_together(
    *,
    neurons: str | None,
    against: str | None,
    best: int | None,
    population: bool,
    weights: Path | None,
) -> None:
    """Refuse options that do not go together.

    Raises
    ------
    ProtocolError
        If there are some; nothing needs to be loaded to tell.
    """
    from insilico.errors import ProtocolError

    if best is not None and best < 1:
        raise ProtocolError(f"--best is {best}; give 1 or more")
    if weights is not None and not population:
        raise ProtocolError(
            "--weights was given without --population, whose neurons it weighs; add --population "
            "or leave --weights out"
        )
    if against is None:
        return
    if neurons is None:
        raise ProtocolError(
            "--against was given without --neurons; name with --neurons those to be driven"
        )
    for name, is_given in (("--best", best is not None), ("--population", population)):
        if is_given:
            raise ProtocolError(
                f"--against and {name} were both given, and a difference is of all neurons named "
                "in --neurons and --against; leave one of the two out"
            )


def make_rule(assignments: Sequence[str], bad_fits: str) -> ChoiceRule:
    """Return what a neuron must have.

    Parameters
    ----------
    assignments : sequence of str
        ``key=value`` of thresholds.
    bad_fits : {"refuse", "flag", "leave_out"}
        What happens to named neurons without a usable receptive field.

    Raises
    ------
    ProtocolError
        If a key is unknown, or a value is no number or out of range.
    """
    from insilico.configuration import build, known_keys, parse_assignments
    from insilico.errors import ProtocolError
    from insilico.synthesis import ChoiceRule
    from insilico.synthesis.gates import GATES

    values = parse_assignments(assignments, error=ProtocolError, option="--rule")
    thresholds = [name for _, name in GATES.values()]
    # What happens to bad fits has an option of its own.
    if unknown := sorted(set(values) - set(thresholds)):
        raise ProtocolError(
            f"--rule {unknown[0]}: there is no such threshold; {known_keys(unknown[0], thresholds)}"
        )
    rule: ChoiceRule = build(
        ChoiceRule, {**values, "on_bad_fit": bad_fits}, what="--rule", error=ProtocolError
    )
    return rule


def tell_idle(
    assignments: Sequence[str], *, best: int | None, recording: Path | None, region: str
) -> None:
    """Say on stderr which thresholds of a rule nothing asks for."""
    for assignment in assignments:
        name = assignment.partition("=")[0].strip()
        is_ranked_by_trials = best is not None and recording is not None
        if name in ("least_trial_reliability", "least_prediction_correlation"):
            is_asked, when = is_ranked_by_trials, "--best and --recording"
        else:
            is_asked = region != "full" or (best is not None and not is_ranked_by_trials)
            when = "a region with a disc, or --best without --recording"
        if not is_asked:
            print(f"--rule {name} changes nothing here: it acts with {when}", file=sys.stderr)


def make_selection(
    neuron_count: int,
    rule: ChoiceRule,
    *,
    neurons: str | None = None,
    against: str | None = None,
    best: int | None = None,
    population: bool = False,
    weights: Path | None = None,
) -> Selection:
    """Return for whom stimuli are made; say where --best asks for more neurons than there are.

    Parameters
    ----------
    neuron_count : int
        How many neurons the mouse has.
    rule : ChoiceRule
        What a neuron must have.
    neurons, against, best, population, weights
        As for :func:`insilico.cli.generate.generate`.

    Raises
    ------
    NeuronError
        If a neuron does not exist, is in both groups, or has no weight.
    ProtocolError
        If the weights cannot be read or used.
    """
    from insilico.errors import NeuronError
    from insilico.synthesis import Selection, difference
    from insilico.synthesis.targets import check_weights
    from insilico.twin.selection import choose_neurons

    pool = choose_neurons(neurons, neuron_count).tolist()
    if against is not None:
        others = choose_neurons(against, neuron_count).tolist()
        if both := set(pool) & set(others):
            raise NeuronError(
                f"neuron {min(both)} is in both --neurons and --against; name each in one of them"
            )
        return Selection(objectives=[difference(pool, others)], rule=rule)
    if best is not None and best > len(pool):
        print(
            f"--best is {best:,}, and only {len(pool):,} neurons come into question: all that pass "
            "are taken",
            file=sys.stderr,
        )
    by_neuron = None
    if weights is not None:
        named = read_weights(weights, neuron_count)
        by_neuron = {index: named[index] for index in pool if index in named}
        if best is None:
            # Who is among the best is known only after long work.
            check_weights(pool, by_neuron)
    return Selection(neurons, best=best, is_population=population, weights=by_neuron, rule=rule)


def read_weights(path: Path, neuron_count: int) -> dict[int, float]:
    """Return the weights of a file, by neuron.

    Parameters
    ----------
    path : Path
        Comma-separated, with a header; columns ``neuron`` and ``weight``, and any others.
    neuron_count : int
        How many neurons the mouse has.

    Raises
    ------
    NeuronError
        If a neuron does not exist or has two rows.
    ProtocolError
        If the file cannot be read, lacks a column, or a weight is not finite.
    """
    import numpy as np
    import pandas as pd

    from insilico.errors import ProtocolError

    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ProtocolError(
            f"the weights {path} cannot be read ({reason}); give a CSV file with the columns "
            f"{' and '.join(WEIGHT_COLUMNS)}"
        ) from error
    if lacking := [name for name in WEIGHT_COLUMNS if name not in table]:
        raise ProtocolError(
            f"the weights {path} have no column {' or '.join(lacking)}; give a CSV file with the "
            f"columns {' and '.join(WEIGHT_COLUMNS)}"
        )
    if not isinstance(table.index, pd.RangeIndex):
        raise ProtocolError(
            f"the rows of the weights {path} have more values than its header has names; give each "
            "column a name"
        )
    values = pd.to_numeric(table["weight"], errors="coerce").to_numpy(float)
    if len(rows := np.flatnonzero(~np.isfinite(values))):
        told = table["weight"].iloc[rows[0]]
        raise ProtocolError(
            f"the weight of neuron {table['neuron'].iloc[rows[0]]} in {path} is {told}; give a "
            "finite number, or leave the row out"
        )
    indices = _indices(table["neuron"], path, neuron_count)
    return dict(zip(indices.tolist(), values.tolist(), strict=True))


def _indices(column: pd.Series[Any], path: Path, neuron_count: int) -> IntArray:
    """Return the neurons of a file, each once."""
    import numpy as np
    import pandas as pd

    from insilico.errors import NeuronError

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    is_known = (numbers >= 0) & (numbers < neuron_count) & (numbers == np.floor(numbers))
    if len(rows := np.flatnonzero(~is_known)):
        raise NeuronError(
            f"{path} has a weight for neuron {column.iloc[rows[0]]}, which does not exist; the "
            f"mouse has neurons 0 to {neuron_count - 1}"
        )
    indices = numbers.astype(np.int64)
    if column.duplicated().any():
        raise NeuronError(
            f"{path} has two weights for neuron {column[column.duplicated()].iloc[0]}; give one a "
            "neuron"
        )
    return indices
