"""Tables: how outcomes look on a terminal."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fmrw.offsets import hex_offset, human_size
from fmrw.text import visible
from fmrw.trace.exactness import exactness_text, files_text, mark, request_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from rich.console import RenderableType

    from fmrw.session.trace import Trace
    from fmrw.session.verbs import Comparison

_ROWS = 40
_LONG = 200
_FEW = 10  # ranges shown of each class
_PROCESSES = 10
_COMMAND = 60  # characters of a command line
_NAME = 24  # characters of a file name that a narrow terminal leaves together


def _table(*columns: str) -> Table:
    """Make a plain table; columns that end in `>` are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in columns:
        right = name.endswith(">")
        table.add_column(name.rstrip(">"), justify="right" if right else "left", overflow="fold")
    return table


def files_table(files: pl.DataFrame, first: str = "file") -> Table:
    """Show what was touched, the files with the most reads first; `first` heads the column of names."""
    table = _table(
        first,
        "size>",
        "requested>",
        "covered>",
        "reads>",
        "writes>",
        "smallest request>",
        "largest gap",
        "by",
    )
    touched = files.sort("reads", "writes", "path", descending=[True, True, False])
    table.columns[0].min_width = min(max(map(len, touched["path"].head(_ROWS)), default=0), _NAME)
    for row in touched.head(_ROWS).iter_rows(named=True):
        table.add_row(*_file_cells(row))
    left = touched.height - _ROWS
    if left > 0:
        table.add_row(f"… and {left:,} more files; --json lists them all")
    if not touched.height:
        table.add_row("nothing was touched")
    table.caption = files_text(touched["fidelity"])
    table.caption_justify = "left"
    return table


def _file_cells(row: Mapping[str, Any]) -> list[Text | str]:
    share = "" if row["covered"] is None else f"{100 * row['covered']:.1f} %"
    asked = row["smallest_request"]
    gap = ""
    if row["largest_gap"]:
        gap = f"{human_size(row['largest_gap'])} at {hex_offset(row['largest_gap_start'])}"
    return [
        Text(visible(row["path"]), "bold"), human_size(row["size"]), human_size(row["bytes_read"]) + mark(row["fidelity"]), share,
        f"{row['reads']:,}", f"{row['writes']:,}", "" if asked is None else human_size(asked), gap, Text(visible(row["processes"] or "")),
    ]  # fmt: skip


def trace_tables(trace: Trace) -> list[RenderableType]:
    """Show what a recording holds: its files, and which programs the processes really were."""
    from fmrw.analysis import summary  # noqa: PLC0415 - polars, which the tables of mounts do without

    callers = summary.processes(trace.lazy, trace.processes)
    files = files_table(trace.files)
    parts: list[RenderableType] = [files]
    if (advised := trace.files["advised"].sum()) > 0:
        parts.append(Text(f"advice, which is no read (op `advise`): {advised:,}"))
    return [*parts, "", processes_table(callers)] if callers.height else parts


def processes_table(callers: pl.DataFrame) -> Table:
    """Show the processes that read or wrote, the busiest first: the name each gave itself, its number, its program."""
    table = _table("process", "reads>", "writes>", "program", "command line")
    for row in (
        callers.sort("reads", "writes", "pid", descending=[True, True, False])
        .head(_PROCESSES)
        .iter_rows(named=True)
    ):
        command = visible(row["cmdline"])
        table.add_row(
            Text(f"{visible(row['name'])} [{row['pid']}]", "bold"), f"{row['reads']:,}", f"{row['writes']:,}",
            Text(visible(row["exe"]) or "?"), Text(command if len(command) <= _COMMAND else command[:_COMMAND] + " …"),
        )  # fmt: skip
    left = callers.height - _PROCESSES
    if left > 0:
        table.add_row(f"… and {left:,} more; --json lists them all")
    return table


def mounted_text(root: Path, session: Path | None, options: Mapping[str, Any], sign: str = "") -> Text:
    """Say what is monitored now; `session` is None where nothing is kept, `sign` the `%` of a notebook's command."""
    where = {
        "beside": "NAME.csv and NAME-heatmap.pdf stand beside the files",
        "hidden": "NAME.csv and NAME-heatmap.pdf can be opened, and are not listed",
        "aside": "reports under .fmrw/",
        "off": "no reports",
    }
    typed = visible(shlex.quote(str(root)))
    kept = (
        f"recording into {visible(str(session))}"
        if session is not None
        else f"recording in memory; `{sign}fmrw view {typed}` shows it, `-o FOLDER` would keep it"
    )
    parts = [
        f"monitoring {visible(str(root))} ({options['capture']}); {where[options['reports']]}",
        kept,
        f"`{sign}fmrw unmount {typed}` ends it; programs that stand in it already must `cd` again to be seen",
    ]
    return Text("\n".join(parts))


def status_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Show what is monitored."""
    table = _table("directory", "state", "capture", "events>", "lost>", "faults>", "worker>", "session")
    for row in rows:
        numbers = [f"{row[name]:,}" if name in row else "" for name in ("events", "lost", "faults")]
        table.add_row(
            Text(visible(row["root"])), row["state"], row.get("capture", ""), *numbers,
            str(row["worker"] or ""), Text(visible(row["session"] or "")),
        )  # fmt: skip
    return table


def coverage_table(found: Mapping[str, Any]) -> Table:
    """Show the ranges of a file in order, each with what happened to it."""
    table = _table("from", "to", "length>", "")
    kinds = (("read", "requested"), ("written", "written"), ("gaps", "never read"))
    rows = sorted((start, end, word) for key, word in kinds for start, end in found[key])
    for start, end, word in rows:
        table.add_row(hex_offset(start), hex_offset(end), f"{end - start:,}", word)
    asked = f"{found['read_bytes']:,} of {found['size']:,} bytes requested"
    table.title = f"{visible(found['path'])}: {asked}; {exactness_of(found)}"
    return table


def exactness_of(found: Mapping[str, Any]) -> str:
    """Say how exact the ranges of a file are, and how coarse its requests were."""
    parts = (exactness_text(found["fidelity"]), request_text(found["smallest_request"]))
    return ", ".join(filter(None, parts))


def gaps_table(report: pl.DataFrame, found: Mapping[str, Any]) -> Table:
    """Show what was never read and what is in it, the most remarkable first; `found` is the file's coverage report."""
    table = _table("from", "to", "length>", "share>", "content", "entropy>", "verdict")
    for row in report.head(_ROWS).iter_rows(named=True):
        table.add_row(
            hex_offset(row["start"]), hex_offset(row["end"]), f"{row['length']:,}", f"{100 * row['share']:.1f} %",
            row["byte_class"] or "?", "?" if row["entropy"] is None else f"{row['entropy']:.2f}",
            Text(visible(row["verdict"]) + (f" ({visible(row['note'])})" if row["note"] else "")),
        )  # fmt: skip
    if report.height > _ROWS:
        table.add_row(f"… and {report.height - _ROWS:,} more; --json lists them all")
    if not report.height:
        table.add_row("the file is empty" if not found["size"] else "every byte was requested")
    table.title = f"{visible(found['path'])}: never read; {exactness_of(found)}"
    return table


def crosstab_table(classes: pl.DataFrame, found: Mapping[str, Any]) -> Group:
    """Show how many bytes the format describes and how many of them were read, of which format that is, and the ranges.

    `found` is the file's coverage report.
    """
    table = _table("what the format says, and what was requested", "bytes>", "share>", "ranges>")
    for row in classes.iter_rows(named=True):
        share = "" if row["share"] is None else f"{100 * row['share']:.1f} %"
        table.add_row(row["class"], f"{row['bytes']:,}", share, f"{row['ranges']:,}")
    table.title = f"{visible(found['path'])}: {exactness_of(found)}"
    named = _table("class", "from", "to", "what")
    for row in classes.iter_rows(named=True):
        places = zip(row["starts"][:_FEW], row["ends"][:_FEW], row["names"][:_FEW], strict=True)
        for start, end, name in places:
            named.add_row(row["class"], hex_offset(start), hex_offset(end), Text(visible(name)))
        if row["ranges"] > _FEW:
            named.add_row(row["class"], f"… and {row['ranges'] - _FEW:,} more; --json lists them all")
    return Group(Text(f"format: {visible(classes['format'][0])}"), table, Text(""), named)


def differential_table(found: Comparison, a: str, b: str) -> Group:
    """Show which ranges A and B read, and how much they agree; first of all whether that is one file."""
    table, agreed, order = found.ranges, found.agreement, found.order
    shown = _table("from", "to", "length>", "requested by")
    words = {"": "nobody", "A, B": "both", "A": f"only {visible(a)}", "B": f"only {visible(b)}"}
    for row in table.head(_LONG).iter_rows(named=True):
        shown.add_row(
            hex_offset(row["start"]), hex_offset(row["end"]), f"{row['length']:,}", words[row["readers"]]
        )
    if table.height > _LONG:
        shown.add_row(f"… and {table.height - _LONG:,} more; --json lists them all")
    share = (
        "neither requested a byte"
        if agreed["jaccard"] is None
        else f"they agree on {100 * agreed['jaccard']:.1f} % of the bytes either requested"
    )
    turned = (
        "in the same order"
        if not order["inversions"]
        else f"in another order from {hex_offset(order['parts_at'])} on ({100 * order['distance']:.0f} % of pairs inverted)"
    )
    ended = Text(f"{share}; the shared bytes {turned}" if agreed["both"] else share)
    first = [Text(found.difference, "yellow")] if found.difference else []
    return Group(*first, shown, ended, Text(exactness_of(found._asdict())))
