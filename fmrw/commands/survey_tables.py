"""Tables of a survey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.analysis.effects import CLASSES, UNSETTLED
from fmrw.commands.table import Coloured, Column, Share, Table
from fmrw.figures.programs import program_colours
from fmrw.offsets import hex_offset, human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fmrw.commands.table import Cell

_VERDICTS = ("accepted", "refused", "crashed", "hung", "failed")


def parsers(summary: pl.DataFrame) -> Table:
    """Show what each parser did."""
    columns = [
        Column("parser"), Column("runs", right=True, drop=1), *(Column(name, right=True) for name in _VERDICTS),
        Column("median share requested", right=True), Column("median ms", right=True, drop=2),
    ]  # fmt: skip
    colours = program_colours(summary["parser"].to_list())
    rows: list[Sequence[Cell]] = [
        [
            Coloured(row["parser"], colours[row["parser"]]), *(f"{row[name] or 0:,}" for name in ("runs", *_VERDICTS)),
            Share(row["median_share"]), "" if row["median_seconds"] is None else f"{1000 * row['median_seconds']:.1f}",
        ]
        for row in summary.iter_rows(named=True)
    ]  # fmt: skip
    changed = sum(filter(None, summary["changed"]))
    told = f"{changed:,} runs on files that vanished or changed since they were listed: column `changed`"
    return Table(columns, rows, notes=[told] if changed else [])


def effects(found: pl.DataFrame, maps: pl.DataFrame) -> Table:
    """Show what the bytes do to each parser: a row for each class, a column for each parser."""
    shares = {(row["parser"], row["class"]): row["share"] for row in found.iter_rows(named=True)}
    present, names = found["class"].to_list(), maps["parser"].to_list()
    rows: list[Sequence[Cell]] = [
        [UNSETTLED if each is None else each, *(Share(shares.get((name, each), 0.0)) for name in names)]
        for each in (*CLASSES, None) if each in present
    ]  # fmt: skip
    if rows:
        rows.append(["complete maps", *(f"{row['complete']:,} of {row['files']:,}" for row in maps.iter_rows(named=True))])  # fmt: skip
        rows.append(["runs", *(f"{runs:,}" for runs in maps["runs"])])
    columns = [Column(""), *(Column(name, right=True) for name in names)]
    told = "share of the bytes of all files that were probed"
    return Table(columns, rows or [["none"]], title="What altering bytes does", notes=[told])


def disagreements(found: pl.DataFrame, most: int) -> Table:
    """Show the files on which parsers disagree, at most so many."""
    columns = [Column("file"), Column("size", right=True, drop=1), Column("accepted by"), Column("not accepted by"), Column("bytes", long=True)]  # fmt: skip
    rows: list[Sequence[Cell]] = [
        [
            row["file"], human_size(row["size"]), row["accepted_by"] or "", row["rejected_by"] or "",
            f"{row['reader']} reads {human_size(row['only'])} that {row['other']} never does" if row["only"] else "",
        ]
        for row in found.head(most).iter_rows(named=True)
    ]  # fmt: skip
    return Table(columns, _cut(rows, found, most), title="Where parsers disagree, the most remarkable first")


def matrix(pairs: pl.DataFrame, names: Sequence[str]) -> Table:
    """Show how far parsers agree: on bytes, and on verdicts."""
    found = {(row["a"], row["b"]): row for row in pairs.iter_rows(named=True)}
    rows: list[Sequence[Cell]] = [
        [a, *("" if a == b else _pair(found[a, b]["jaccard"], found[a, b]["same"]) for b in names)] for a in names
    ]  # fmt: skip
    columns = [Column(""), *(Column(name, right=True) for name in names)]
    told = "share of the bytes that either requested which both did / share of the files about which both say the same"
    return Table(columns, rows, title="Agreement", notes=[told])


def _pair(jaccard: float | None, same: float | None) -> str:
    return f"{Share(jaccard).text or '?'} / {Share(same).text or '?'}"


def clusters(found: pl.DataFrame, most: int) -> Table:
    """Show groups of files, at most so many."""
    rows: list[Sequence[Cell]] = [
        [f"{row['files']:,}", row["example"], row["pattern"]]
        for row in found.head(most).iter_rows(named=True)
    ]
    columns = [Column("files", right=True), Column("for example"), Column("parser, verdict, eighths read (# all, - some, . none)", long=True)]  # fmt: skip
    return Table(columns, _cut(rows, found, most), title="Files that all parsers treat alike")


def tails(found: pl.DataFrame, most: int) -> Table:
    """Show files with unread bytes behind their format, at most so many."""
    columns = [Column("file"), Column("size", right=True), Column("ends at", right=True), Column("unread", right=True), Column("format", long=True)]  # fmt: skip
    rows: list[Sequence[Cell]] = [
        [
            row["file"],
            human_size(row["size"]),
            hex_offset(row["format_end"]),
            human_size(row["unread"]),
            row["format"],
        ]
        for row in found.head(most).iter_rows(named=True)
    ]
    return Table(
        columns, _cut(rows, found, most), title="Behind the last part of the format, and read by nobody"
    )


def _cut(rows: list[Sequence[Cell]], found: pl.DataFrame, most: int) -> list[Sequence[Cell]]:
    """Say below the rows how many are not among them, or that there are none."""
    left = found.height - most
    return [*rows, [f"… and {left:,} more; --most shows them"]] if left > 0 else rows or [["none"]]
