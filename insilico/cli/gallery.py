"""One page with everything a run folder holds: ``RUN/gallery.html``."""

from __future__ import annotations

import base64
import html
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insilico.files import atomic_file

if TYPE_CHECKING:
    from insilico.results import Result

#: Name of the page.
PAGE = "gallery.html"

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .3rem; border-top: 1px solid #ccc; padding-top: 1rem; }
p { margin: .3rem 0; }
nav a { margin-right: .9rem; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption, .quiet { color: #666; font-size: .9rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
th { border-bottom: 1px solid #ccc; font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; color: #666; font-size: .9rem; margin: .4rem 0; }
code { font-size: .9em; overflow-wrap: anywhere; }
"""


def write_gallery(run: Path, skipped: Mapping[str, str] | None = None) -> Path:
    """Write the page of a run folder, with the figures that are there.

    Parameters
    ----------
    run : Path
        With finished experiments and their figures.
    skipped : mapping of str to str, optional
        Why experiments were not run, by name.

    Returns
    -------
    Path
        The page: one file, pictures included. It is left alone where nothing changed.
    """
    from insilico.experiments import EXPERIMENTS
    from insilico.experiments.run_folder import RECORD
    from insilico.results import Result

    record = json.loads((run / RECORD).read_text(encoding="utf-8"))
    entries = record["experiments"]
    names = [name for name in EXPERIMENTS if entries.get(name, {}).get("state") == "finished"]
    results = [Result.load(run / name) for name in names if (run / name).exists()]
    sections = [section(result, _pictures(result, run)) for result in results]
    text = page(record["identity"], results, sections, skipped or {})
    path = run / PAGE
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        with atomic_file(path) as draft:
            draft.write_text(text, encoding="utf-8")
    return path


def page(
    identity: Mapping[str, Any],
    results: Sequence[Result],
    sections: Sequence[str],
    skipped: Mapping[str, str],
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    identity : mapping
        Of the run: model or recording, mouse, neurons.
    results : sequence of Result
        Of its experiments, in order.
    sections : sequence of str
        HTML of each.
    skipped : mapping of str to str
        Why others were not run.
    """
    who = str(identity.get("model") or identity.get("recording"))
    source = "model" if "model" in identity else "recording"
    facts = f"{source} {who}, mouse {identity['mouse']}, {identity['neuron_count']:,} neurons"
    links = "".join(
        f'<a href="#{html.escape(result.experiment)}">{html.escape(result.experiment)}</a>'
        for result in results
    )
    left_out = "".join(
        f"<li>{html.escape(name)}: {html.escape(why)}</li>" for name, why in skipped.items()
    )
    notes = f"<p>Not run:</p><ul>{left_out}</ul>" if left_out else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(who)}</title><style>{STYLE}</style></head>\n<body>"
        f"<h1>{html.escape(who)}</h1><p>{html.escape(facts)}</p>"
        f"<nav>{links}</nav>{notes}\n" + "\n".join(sections) + "</body></html>\n"
    )


def section(result: Result, pictures: Mapping[str, bytes]) -> str:
    """Return one experiment as HTML.

    Parameters
    ----------
    result : Result
        Of the experiment.
    pictures : mapping of str to bytes
        Its figures as PNG, by name.
    """
    from insilico.cli.saving import MEDIANS, medians, status_counts
    from insilico.cli.tables import text_of
    from insilico.experiments import find_experiment

    question = find_experiment(result.experiment)
    title = html.escape(result.experiment)
    about = html.escape(_first_sentence(type(question)))
    counts = status_counts(result)
    meanings = [(name, count, question.statuses.get(name, "")) for name, count in counts.items()]
    good = f"{counts.get('ok', 0):,} of {len(result.neurons):,} neurons have status ok."
    parts = [
        f'<section id="{title}"><h2>{title}</h2><p>{about} {good}</p>',
        _table(["status", "N", "meaning"], meanings),
        _table(MEDIANS, [[row[0], *map(text_of, row[1:])] for row in medians(result)]),
        *(_figure(result.experiment, name, picture) for name, picture in pictures.items()),
        f'<p class="quiet">Protocol: {html.escape(str(result.protocol.get("source", "")))}</p>',
        _details("protocol", _plain(result.protocol, leave_out=("experiment", "source"))),
        _details("provenance", _plain(result.provenance)),
    ]
    return "".join(parts) + "</section>"


def _pictures(result: Result, run: Path) -> dict[str, bytes]:
    from insilico.figures import figure_names

    folder = run / result.experiment / "figures"
    files = {name: folder / f"{name}.png" for name in figure_names(result)}
    return {name: path.read_bytes() for name, path in files.items() if path.exists()}


def _figure(experiment: str, name: str, picture: bytes) -> str:
    from insilico.figures import find_figure

    # Functions say what they draw: "Draw tuning curves of ...".
    caption = _first_sentence(find_figure(experiment, name)).removeprefix("Draw ")
    caption = html.escape(caption[:1].upper() + caption[1:])
    data = base64.b64encode(picture).decode()
    drawing = f"{experiment}/figures/{name}.pdf"
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f'<figcaption>{caption} <a href="{html.escape(drawing)}">PDF</a></figcaption></figure>'
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    texts = [[f"{value:,}" if isinstance(value, int) else str(value) for value in r] for r in rows]
    if not texts:
        return ""
    kinds = [
        ' class="number"' if all(_is_number(row[index]) for row in texts) else ""
        for index in range(len(header))
    ]
    head = "".join(
        f"<th{kind}>{html.escape(name)}</th>" for name, kind in zip(header, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html.escape(text)}</td>" for text, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in texts
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return text == "-"
    return True


def _details(title: str, rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td>{html.escape(key)}</td><td><code>{html.escape(value)}</code></td></tr>"
        for key, value in rows
    )
    return f"<details><summary>{title}</summary><table>{cells}</table></details>"


def _plain(values: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return keys and values as text; what is nested gets its path as key."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if key in leave_out:
            continue
        if isinstance(value, Mapping):
            rows += [(f"{key}.{name}", text) for name, text in _plain(value)]
        else:
            rows.append((key, value if isinstance(value, str) else json.dumps(value, default=str)))
    return rows


def _first_sentence(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n\n")[0].replace("\n", " ")
