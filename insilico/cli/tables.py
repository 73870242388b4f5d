"""Tables as plain text: aligned columns that survive a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def format_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as aligned text; numbers to the right, text to the left.

    Parameters
    ----------
    header : sequence of str
        Column titles.
    rows : iterable of sequences
        One value a column; floats keep three significant digits.
    """
    values = [list(row) for row in rows]
    texts = [list(header), *([_text(value) for value in row] for row in values)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    is_number = [
        all(isinstance(value, int | float) for value in column) if values else False
        for column in zip(*values, strict=True)
    ] or [False] * len(header)
    lines = [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in texts
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
