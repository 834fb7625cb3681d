"""Tables: which columns, rows and words the answer to each question has. How a table is shown stands in `fmrw.commands.table`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from fmrw.commands.table import Coloured, Column, Share, Table
from fmrw.figures.programs import program_colours
from fmrw.offsets import human_size, range_text
from fmrw.text import typed, visible
from fmrw.trace.exactness import MAPPED, MAPPED_MARK, files_text, mark, unread_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from rich.console import RenderableType

    from fmrw.commands.table import Cell
    from fmrw.recording.doctor import Finding
    from fmrw.session.overview import Overview
    from fmrw.session.trace import Trace

_ROWS = 40
_PROCESSES = 10
_COMMAND = 160  # characters of a command line
_DETAILED = 24  # rows of file and program up to which each has a line of its own
_MAPPED = 3  # names of mapped files
_MATRIX = 8  # programs that have columns beside each other

COUNTS = (
    Column("bytes", right=True), Column("requested", right=True, drop=3), Column("share", right=True), Column("reads", right=True),
    Column("writes", right=True, drop=4), Column("smallest request", right=True, drop=5), Column("largest gap", drop=2),
)  # fmt: skip
"""Columns of what was read and written of a file."""


# What a recording holds


def trace_tables(trace: Trace, overview: Overview | None = None) -> list[RenderableType]:
    """Show what a recording holds: what each program read of each file, and which programs the processes really were.

    `overview` is that of the recording, for who has it already.
    """
    import polars as pl  # noqa: PLC0415 - the tables of mounts do without

    from fmrw.session import questions  # noqa: PLC0415 - the same
    from fmrw.session.overview import Overview  # noqa: PLC0415 - the same

    overview = overview or Overview.of(trace)
    files, maps, callers = overview.files, overview.mapped, overview.processes
    rows, marked = (
        frame.with_columns(mapped=pl.col("path").is_in(maps)) for frame in (overview.programs, files)
    )
    parts: list[RenderableType] = [programs_table(rows, marked, trace.programs)]
    if (advised := files["advised"].sum()) > 0:
        parts.append(Text(f"advice, which is no read (op `advise`): {advised:,}"))
    if maps:
        rest = f" and {len(maps) - _MAPPED:,} more" if len(maps) > _MAPPED else ""
        named = ", ".join(map(visible, maps[:_MAPPED]))
        parts.append(Text(f"{MAPPED_MARK} {MAPPED}: {named}{rest}"))
    if found := questions.findings(trace, files):
        parts += ["", findings_table(found, mapped=any(path in maps for path, _ in found))]
    return [*parts, "", processes_table(callers, trace.programs)] if callers.height else parts


def programs_table(rows: pl.DataFrame, files: pl.DataFrame, names: Sequence[str]) -> Table:
    """Show what each program did with each file.

    Parameters
    ----------
    rows, files : frames of `summary.BY_PROGRAM` and `summary.FILES`
        A file that nobody read or wrote stands in the second only.
    names
        All programs of the recording, which decide about colours.
    """
    colours = program_colours([*names, *rows["program"].unique().to_list()])
    programs = rows["program"].unique(maintain_order=True).to_list()
    if len(programs) <= 1:
        return files_table(files, [Coloured(name, colours[name]) for name in programs])
    if rows.height > _DETAILED and len(programs) <= _MATRIX:
        return _matrix(rows, files, programs, colours)
    columns = [Column("file"), Column("program"), *COUNTS]
    busiest = files.sort("reads", "writes", "path", descending=[True, True, False])["path"].to_list()
    shown: list[Sequence[Cell]] = []
    grouped = rows.partition_by("path", as_dict=True)
    for path in busiest:
        before = ""
        for row in grouped[path,].iter_rows(named=True) if (path,) in grouped else ():
            name = "" if row["path"] == before else row["path"]
            shown.append(
                [name, Coloured(row["processes"] or row["program"], colours[row["program"]]), *counts(row)]
            )
            before = row["path"]
    left = len(shown) - _ROWS
    shown = [*shown[:_ROWS], *([[f"… and {left:,} more lines; --json lists them all"]] if left > 0 else [])]
    return Table(columns, shown, notes=_exactness(files))


def _matrix(
    rows: pl.DataFrame, files: pl.DataFrame, programs: Sequence[str], colours: Mapping[str, str]
) -> Table:
    """Show a line for each file and a column for each program: what share it read."""
    shares = {(row["path"], row["program"]): row for row in rows.iter_rows(named=True)}
    busiest = files.sort("reads", "writes", "path", descending=[True, True, False])
    columns = [
        Column("file"),
        Column("bytes", right=True),
        *(Column(name, right=True, colour=colours[name]) for name in programs),
    ]
    shown: list[Sequence[Cell]] = []
    for row in busiest.head(_ROWS).iter_rows(named=True):
        cells = [_share_word(shares.get((row["path"], name))) for name in programs]
        shown.append([row["path"], f"{row['size']:,}", *cells])
    if (left := busiest.height - _ROWS) > 0:
        shown.append([f"… and {left:,} more files; --json lists them all"])
    notes = ["share of each file that each program requested; w: written", *_exactness(files)]
    return Table(columns, shown, title="", notes=notes)


def _share_word(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return "·"
    share = Share(row["covered"] if row["reads"] else None)
    return f"{share.text} w".strip() if row["writes"] else share


def files_table(files: pl.DataFrame, programs: Sequence[Coloured] = ()) -> Table:
    """Show what was touched, the files with the most reads first; `programs` are those that did it, where that is one."""
    touched = files.sort("reads", "writes", "path", descending=[True, True, False])
    columns = [Column("file"), *COUNTS, Column("by", drop=6)]
    shown: list[Sequence[Cell]] = []
    for row in touched.head(_ROWS).iter_rows(named=True):
        by: Cell = row["processes"] or ""
        if by and len(programs) == 1:
            by = Coloured(str(by), programs[0].colour)
        shown.append([row["path"], *counts(row), by])
    if (left := touched.height - _ROWS) > 0:
        shown.append([f"… and {left:,} more files; --json lists them all"])
    if not touched.height:
        shown.append(["nothing was touched"])
    return Table(columns, shown, notes=_exactness(touched))


def _exactness(files: pl.DataFrame) -> list[str]:
    """Say how exact a table of files is, and how coarse the requests were."""
    if not files.height:
        return []
    smallest = files["smallest_request"].min()
    asked = "" if smallest is None else f"smallest request {human_size(int(smallest))}"  # type: ignore[arg-type] # a number
    return [", ".join(filter(None, (files_text(files["fidelity"]), asked)))]


def counts(row: Mapping[str, Any]) -> list[Cell]:
    """Give the cells of `COUNTS` for a row of `summary.FILES` or `summary.BY_PROGRAM`, perhaps with a column `mapped`."""
    asked, gap = row["smallest_request"], row["largest_gap"]
    start = row["largest_gap_start"]
    return [
        f"{row['size']:,}",
        "" if row["bytes_read"] is None else f"{row['bytes_read']:,}",
        Share(row["covered"], mark(row["fidelity"], mapped=row.get("mapped", False))),
        f"{row['reads']:,}",
        f"{row['writes']:,}",
        "" if asked is None else f"{asked:,}",
        range_text(start, start + gap) if gap else "",
    ]


def processes_table(callers: pl.DataFrame, names: Sequence[str] = ()) -> Table:
    """Show the processes that read or wrote, the busiest first: the name each gave itself, its number, its program."""
    columns = [
        Column("process"), Column("reads", right=True), Column("writes", right=True, drop=1), Column("program", drop=2),
        Column("command line"),
    ]  # fmt: skip
    colours = program_colours([*names, *callers["name"].drop_nulls().to_list()])
    shown: list[Sequence[Cell]] = []
    ordered = callers.sort("reads", "writes", "pid", descending=[True, True, False])
    for row in ordered.head(_PROCESSES).iter_rows(named=True):
        command = visible(row["cmdline"])
        shown.append([
            Coloured(f"{row['name']} [{row['pid']}]", colours.get(row["name"], "#808080")), f"{row['reads']:,}", f"{row['writes']:,}",
            row["exe"] or "?", command if len(command) <= _COMMAND else command[:_COMMAND] + " …",
        ])  # fmt: skip
    if (left := callers.height - _PROCESSES) > 0:
        shown.append([f"… and {left:,} more; --json lists them all"])
    return Table(columns, shown)


# Mounts and the machine


def mounted_text(root: Path, session: Path | None, options: Mapping[str, Any], sign: str = "") -> Text:
    """Say what is monitored now; `session` is None where nothing is kept, `sign` the `%` of a notebook's command."""
    where = {
        "beside": "NAME.csv and NAME-heatmap.pdf stand beside the files",
        "hidden": "NAME.csv and NAME-heatmap.pdf can be opened, and are not listed",
        "aside": "reports under .fmrw/",
        "off": "no reports",
    }
    kept = (
        f"recording into {visible(str(session))}"
        if session is not None
        else f"recording in memory; `{sign}fmrw view {typed(root)}` shows it, `-o FOLDER` would keep it"
    )
    parts = [
        f"monitoring {visible(str(root))} ({options['capture']}); {where[options['reports']]}",
        kept,
        f"`{sign}fmrw unmount {typed(root)}` ends it; programs that stand in it already must `cd` again to be seen",
    ]
    return Text("\n".join(parts))


def status_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Show what is monitored."""
    columns = [
        Column("directory"), Column("state"), Column("capture", drop=3), Column("events", right=True), Column("lost", right=True),
        Column("faults", right=True, drop=1), Column("worker", right=True, drop=2), Column("session", long=True),
    ]  # fmt: skip
    shown = [
        [
            str(row["root"]), row["state"], row.get("capture", ""),
            *(f"{row[name]:,}" if name in row else "" for name in ("events", "lost", "faults")),
            str(row["worker"] or ""), row["session"] or "",
        ]
        for row in rows
    ]  # fmt: skip
    return Table(columns, shown)


def doctor_table(findings: Sequence[Finding]) -> Table:
    """Show what was looked at, and the cure of what is not well."""
    columns = [Column(""), Column("what"), Column("found"), Column("cure", long=True)]
    shown = [["ok" if each.well else "--", each.what, each.found, each.cure] for each in findings]
    return Table(columns, shown)


def verdict_text(row: Mapping[str, Any]) -> str:
    """Say what is in a gap, and what there is to note, of a row of a gap report."""
    return str(row["verdict"]) + (f" ({row['note']})" if row["note"] else "")


def findings_table(found: Sequence[tuple[str, Mapping[str, Any]]], *, mapped: bool = False) -> Table:
    """Show the most remarkable gap of each of a few files; `found` are paths, each with a row of a gap report; `mapped`: whether one of them was."""
    columns = [
        Column("file"),
        Column(unread_text(mapped=mapped)),
        Column("share", right=True),
        Column("what is there", long=True),
    ]
    shown: list[Sequence[Cell]] = [
        [path, range_text(row["start"], row["end"]), Share(row["share"]), verdict_text(row)]
        for path, row in found
    ]
    return Table(columns, shown)
