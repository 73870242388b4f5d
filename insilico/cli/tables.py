"""Tables as plain text: aligned columns that survive a pipe, and fit a terminal where there is one.

>>> print(format_table(["name", "neurons"], [("a", 7776), ("long name", 5)]))
name       neurons
------------------
a            7,776
long name        5
"""

from __future__ import annotations

import itertools
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

_GAP = "  "


def format_table(
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    width: int | None = None,
    dispensable: Sequence[str] = (),
) -> str:
    """Return rows as aligned text; numbers to the right, text to the left.

    Parameters
    ----------
    header : sequence of str
        Column titles.
    rows : iterable of sequences
        One value a column; floats keep three significant digits, None is a dash.
    width : int, optional
        Characters that a line may have. Long texts are wrapped between words, the widest columns
        first; words are never cut, so a line can still be longer.
    dispensable : sequence of str
        Columns that may be left out where wrapping alone does not do, the first one first. A last
        line names what is missing.
    """
    titles, values = list(header), [list(row) for row in rows]
    left_out = []
    for title in dispensable:
        if width is None or _least_width(titles, values) <= width:
            break
        index = titles.index(title)
        left_out.append(titles.pop(index))
        for row in values:
            del row[index]
    lines = _lines(titles, values, width)
    if left_out:
        lines.append(f"\nToo narrow for: {', '.join(left_out)}.")
    return "\n".join(lines)


def terminal_width() -> int | None:
    """Return the characters of a line of the terminal; None where output goes to a file or pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _lines(titles: list[str], values: list[list[Any]], width: int | None) -> list[str]:
    texts = [titles, *([text_of(value) for value in row] for row in values)]
    widths = _widths(texts, width)
    is_number = [
        any(row[index] is not None for row in values)
        and all(isinstance(row[index], int | float | None) for row in values)
        for index in range(len(titles))
    ]
    blocks = [_wrapped(row, widths, is_number) for row in texts]
    rule = "-" * max(map(len, itertools.chain(*blocks)))
    # Rows of several lines are told apart by an empty one.
    gap = [""] if any(len(block) > 1 for block in blocks[1:]) else []
    body = [line for block in blocks[1:] for line in [*block, *gap]]
    return [*blocks[0], rule, *body[: len(body) - len(gap)]]


def _wrapped(row: list[str], widths: list[int], is_number: list[bool]) -> list[str]:
    """Return the lines of one row."""
    cells = [
        textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
        for text, width in zip(row, widths, strict=True)
    ]
    return [
        _GAP.join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in itertools.zip_longest(*cells, fillvalue="")
    ]


def _widths(texts: list[list[str]], width: int | None) -> list[int]:
    """Return the width of each column; the widest give way until a line fits."""
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    least = _longest_words(texts)
    while width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        slack = [size if size > low else 0 for size, low in zip(widths, least, strict=True)]
        if not any(slack):
            break
        widths[slack.index(max(slack))] -= 1
    return widths


def _least_width(titles: list[str], values: list[list[Any]]) -> int:
    least = _longest_words([titles, *([text_of(value) for value in row] for row in values)])
    return sum(least) + len(_GAP) * (len(least) - 1)


def _longest_words(texts: list[list[str]]) -> list[int]:
    return [
        max((len(word) for text in column for word in text.split()), default=0)
        for column in zip(*texts, strict=True)
    ]


def text_of(value: Any) -> str:
    """Return a value as a cell shows it: floats with three significant digits, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
