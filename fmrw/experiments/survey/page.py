"""Page: a survey's report as one HTML file that needs no network; its tables can be sorted, and rows open to lanes of what each parser read."""

from __future__ import annotations

import html
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fmrw.analysis.effects import CLASSES, UNSETTLED
from fmrw.experiments.survey.lanes import lanes, strip
from fmrw.offsets import hex_offset, human_size
from fmrw.text import visible
from fmrw.trace.version import VERSION

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from fmrw.experiments.survey.findings import Findings

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--faint:#626b76;--paper:#fff;--line:#e4e8ec;--none:#e4e8ec;--read:#2f7dbf;--bad:#b3005e}
@media(prefers-color-scheme:dark){:root{--ink:#f2f4f7;--faint:#9aa4b1;--paper:#14171c;--line:#2a2f37;--none:#2a2f37;--read:#57aee5;--bad:#ff7ac0}}
body{font:14px/1.45 "Liberation Sans",Arial,Helvetica,sans-serif;color:var(--ink);background:var(--paper);margin:2em auto;max-width:1200px;padding:0 1em}
h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:2em 0 .3em}p{margin:.3em 0;color:var(--faint);max-width:60em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid var(--line);vertical-align:top}
th{position:sticky;top:0;background:var(--paper)}th button{all:unset;cursor:pointer;font-weight:bold}th button:focus-visible{outline:2px solid var(--read)}
th[aria-sort=ascending] button::after{content:" \\25b2"}th[aria-sort=descending] button::after{content:" \\25bc"}
.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:var(--bad)}code{font-family:"Liberation Mono","DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
summary{cursor:pointer;overflow-wrap:anywhere}svg{display:block}.none{fill:var(--none)}.read{fill:var(--read)}text{fill:var(--ink);font-size:11px}
details[open]{min-width:40em}.n{white-space:nowrap}.small{color:var(--faint);font-size:.9em;white-space:pre-wrap;overflow-wrap:anywhere}.scroll{overflow-x:auto}
"""
SCRIPT = """
for(const button of document.querySelectorAll("th button"))button.onclick=()=>{
 const th=button.parentNode,table=th.closest("table"),column=th.cellIndex,body=table.tBodies[0];
 const down=th.getAttribute("aria-sort")=="descending"||(th.getAttribute("aria-sort")!="ascending"&&th.className!="n");
 for(const other of th.parentNode.cells)other.removeAttribute("aria-sort");
 th.setAttribute("aria-sort",down?"ascending":"descending");
 const value=row=>row.cells[column].dataset.v??row.cells[column].textContent;
 const number=th.className=="n",sign=down?1:-1;
 [...body.rows].sort((a,b)=>sign*(number?(+value(a)-+value(b)):value(a).localeCompare(value(b)))).forEach(row=>body.append(row));
}
"""


class Cell(NamedTuple):
    """A cell of a table: its HTML, and by what it is sorted where that is a number."""

    html: str
    value: float | None = None


def write(survey: Findings, to: str | os.PathLike[str], most: int) -> Path:
    """Write the report of a survey; give its path."""
    path = Path(to)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(survey, most), encoding="utf-8")
    return path


def page(survey: Findings, most: int) -> str:
    """Make the report of a survey: HTML."""
    plan = survey.plan
    name = f"Survey of {_text(Path(plan.corpus).name)}"
    skipped = "".join(f", left out: {count:,} {_text(why)}" for why, count in plan.skipped.items())
    head = (
        f"<h1>{name}</h1><p>{plan.count:,} files of <code>{_text(plan.corpus)}</code>{skipped}; {len(plan.parsers)} parsers; fmrw {VERSION}. "
        "Ranges are what programs requested from the kernel: they may have looked at less, by up to the smallest request. "
        "What was never requested was not seen.</p>"
    )
    parts = [
        head,
        _parsers(survey),
        _effects(survey),
        _disagreements(survey, most),
        _matrix(survey),
        _clusters(survey, most),
        _tails(survey, most),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><title>{name}</title><style>{STYLE}</style>'
        f"{''.join(parts)}<script>{SCRIPT}</script></html>\n"
    )


def _text(text: str) -> str:
    return html.escape(visible(text))


def _number(value: float | None, shown: str | None = None) -> Cell:
    return Cell(
        "" if value is None else f"{value:,}" if shown is None else shown, -1 if value is None else value
    )


def _percent(share: float | None) -> Cell:
    return _number(share, "" if share is None else f"{100 * share:.1f} %")


def _size(size: int | None) -> Cell:
    return _number(size, "" if size is None else human_size(size))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], nothing: str) -> str:
    """Make a table; columns that end in `>` are numbers."""
    made = [
        "<tr>" + "".join(_cell(cell, number=name.endswith(">")) for cell, name in zip(row, columns, strict=True)) + "</tr>" for row in rows
    ]  # fmt: skip
    if not made:
        return f"<p>{nothing}</p>"
    heads = "".join(_head(name.rstrip(">"), number=name.endswith(">")) for name in columns)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(made)}</tbody></table></div>'


_RIGHT = ' class="n"'


def _head(name: str, *, number: bool) -> str:
    return f"<th{_RIGHT if number else ''}><button>{_text(name)}</button></th>"


def _cell(cell: Cell, *, number: bool) -> str:
    value = "" if cell.value is None else f' data-v="{cell.value}"'
    return f"<td{_RIGHT if number else ''}{value}>{cell.html}</td>"


def _parsers(survey: Findings) -> str:
    columns = [
        "parser",
        "command",
        "runs>",
        "accepted>",
        "refused>",
        "crashed>",
        "hung>",
        "failed>",
        "median share requested>",
        "median ms>",
    ]
    rows = []
    for row in survey.summary.iter_rows(named=True):
        counts = [
            _number(row[name] or 0) for name in ("runs", "accepted", "refused", "crashed", "hung", "failed")
        ]
        command = f"<code>{_text(_typed(survey.plan.parsers[row['parser']]))}</code>"
        seconds = row["median_seconds"]
        took = _number(seconds, "" if seconds is None else f"{1000 * seconds:.1f}")
        rows.append([Cell(_text(row["parser"])), Cell(command), *counts, _percent(row["median_share"]), took])
    told = "accepted: exit status 0; refused: another; crashed: ended by a signal; hung: killed at the limit of time; failed: not run."
    return f"<h2>Parsers</h2><p>{told}</p>" + _table(columns, rows, "no runs yet")


def _typed(words: Sequence[str]) -> str:
    return " ".join(word if word == "{}" else shlex.quote(word) for word in words)


def _effects(survey: Findings) -> str:
    """Show what the bytes do to each parser; nothing where none was probed."""
    if not survey.plan.probe:
        return ""
    found = survey.effects_by_class
    shares = {(row["parser"], row["class"]): row["share"] for row in found.iter_rows(named=True)}
    present = [name for name in (*CLASSES, None) if name in found["class"].to_list()]
    rows = [
        [
            Cell(_text(row["parser"])), _number(row["files"]), _number(row["complete"]), _number(row["runs"]), _size(row["bytes"]),
            *(_percent(shares.get((row["parser"], name), 0.0)) for name in present),
        ]
        for row in survey.maps.iter_rows(named=True)
    ]  # fmt: skip
    told = (
        f"Share of the bytes of all files by what altering them does to the parser, found with at most {survey.plan.probe:,} runs for each file and parser. "
        "Where those did not suffice, the map is not complete: ranges are coarse, and some bytes not settled."
    )
    columns = ["parser", "files>", "complete>", "runs>", "bytes>", *(f"{UNSETTLED if name is None else name}>" for name in present)]  # fmt: skip
    return f"<h2>What the bytes do</h2><p>{told}</p>" + _table(columns, rows, "no file has any bytes")


def _disagreements(survey: Findings, most: int) -> str:
    found = survey.disagreements(most)
    names = found["file"].to_list()
    known = _by_file(survey.runs, names)
    extents = _by_file(survey.extents, names)
    columns = ["file", "size>", "accepted by", "not accepted by", *survey.parsers, "only one reads>", "which"]
    rows = []
    for row in found.iter_rows(named=True):
        runs = {each["parser"]: each for each in known[row["file"]].iter_rows(named=True)}
        opened = f"<details><summary>{_text(row['file'])}</summary>{lanes(row['size'] or 0, survey.parsers, runs, extents.get(row['file']))}</details>"
        which = f"{_text(row['reader'])}, never {_text(row['other'])}" if row["only"] else ""
        strips = [Cell(strip(runs.get(parser))) for parser in survey.parsers]
        rows.append([
            Cell(opened), _size(row["size"]), Cell(_text(row["accepted_by"] or "")), Cell(f'<span class="bad">{_text(row["rejected_by"] or "")}</span>'),
            *strips, _size(row["only"]), Cell(which),
        ])  # fmt: skip
    told = "First those that some parsers accept and others do not; then by the share of the file that one parser reads and another never does. A row opens to the exact ranges."
    return f"<h2>Disagreements</h2><p>{told}</p>" + _table(
        columns, rows, "none: all parsers agree on every file"
    )


def _by_file(frame: pl.LazyFrame, names: list[str]) -> dict[str, pl.DataFrame]:
    found = frame.filter(pl.col("file").is_in(names)).collect()
    return {str(name): each for (name,), each in found.partition_by("file", as_dict=True).items()}


def _matrix(survey: Findings) -> str:
    pairs = {(row["a"], row["b"]): row for row in survey.matrix.iter_rows(named=True)}
    rows = []
    for a in survey.parsers:
        cells = [
            Cell("", 2) if a == b else _pair(pairs[a, b]["jaccard"], pairs[a, b]["same"])
            for b in survey.parsers
        ]
        rows.append([Cell(_text(a)), *cells])
    told = "Share of the bytes that either parser requested which both did / share of the files about which both say the same."
    return f"<h2>Agreement</h2><p>{told}</p>" + _table(
        ["", *(f"{name}>" for name in survey.parsers)], rows, ""
    )


def _pair(jaccard: float | None, same: float | None) -> Cell:
    return Cell(
        " / ".join("?" if each is None else f"{100 * each:.1f} %" for each in (jaccard, same)), jaccard or 0
    )


def _clusters(survey: Findings, most: int) -> str:
    rows = [
        [
            _number(row["files"]),
            Cell(f"<code>{_text(row['pattern']).replace('; ', '<br>')}</code>"),
            Cell(_text(row["example"])),
        ]
        for row in survey.clusters(most).iter_rows(named=True)
    ]
    told = "Files about which every parser says the same and of which it reads the same eighths: # all, - some, . none. Small groups at the end are the odd ones."
    return f"<h2>Groups of files</h2><p>{told}</p>" + _table(
        ["files>", "parser, verdict, eighths", "for example"], rows, "no runs yet"
    )


def _tails(survey: Findings, most: int) -> str:
    rows = [
        [Cell(_text(row["file"])), _size(row["size"]), Cell(_text(row["format"])), _number(row["format_end"], hex_offset(row["format_end"])), _size(row["unread"])]
        for row in survey.tails(most).iter_rows(named=True)
    ]  # fmt: skip
    told = "Bytes behind the last part that the file's format describes, and that no parser requested."
    return f"<h2>Unread behind the format</h2><p>{told}</p>" + _table(
        ["file", "size>", "format", "ends at>", "unread>"], rows, "none"
    )
