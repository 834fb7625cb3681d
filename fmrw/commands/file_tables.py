"""Tables of one file: its coverage, gaps, structure, and how two runs over it differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from fmrw.commands.table import Coloured, Column, Share, Table
from fmrw.commands.tables import COUNTS, counts, verdict_text
from fmrw.figures.programs import program_colours
from fmrw.offsets import hex_offset
from fmrw.text import visible
from fmrw.trace.exactness import exactness_text, nobody_text, request_text, unread_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from rich.console import RenderableType

    from fmrw.commands.table import Cell
    from fmrw.session.verbs import Comparison

_ROWS = 40
_LONG = 200
_FEW = 10  # ranges shown of each class


def coverage_tables(
    found: Mapping[str, Any], programs: pl.DataFrame, names: Sequence[str]
) -> list[RenderableType]:
    """Show what each program read of a file, where that is several, then its ranges in order, each with what happened to it."""
    parts: list[RenderableType] = []
    if programs.height > 1:
        colours = program_colours([*names, *programs["program"].to_list()])
        shown = [
            [Coloured(row["processes"] or row["program"], colours[row["program"]]), *counts(row)]
            for row in programs.iter_rows(named=True)
        ]
        parts = [Table([Column("program"), *COUNTS], shown, title=f"{found['path']}, program by program"), ""]
    return [*parts, coverage_table(found)]


def coverage_table(found: Mapping[str, Any]) -> Table:
    """Show the ranges of a file in order, each with what happened to it."""
    kinds = (("read", "requested"), ("written", "written"), ("gaps", _unread(found)))
    rows = sorted((start, end, word) for key, word in kinds for start, end in found[key])
    shown: list[Sequence[Cell]] = [
        [hex_offset(start), hex_offset(end), f"{end - start:,}", word] for start, end, word in rows[:_LONG]
    ]
    if (left := len(rows) - _LONG) > 0:
        shown.append([f"… and {left:,} more; --json lists them all"])
    asked = f"{found['read_bytes']:,} of {found['size']:,} bytes requested"
    title = f"{found['path']}: {asked}; {exactness_of(found)}"
    return Table(_ranges(Column("")), shown, title=title)


def _unread(found: Mapping[str, Any]) -> str:
    return unread_text(mapped=bool(found.get("mapped")))


def _ranges(*others: Column) -> list[Column]:
    return [Column("from"), Column("to"), Column("length", right=True), *others]


def file_facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Give what programs are told of a file beside its ranges; `found` is its coverage report."""
    told = ("path", "size", "fidelity", "smallest_request", "mapped")
    return {name: found[name] for name in told if name in found}


def exactness_of(found: Mapping[str, Any]) -> str:
    """Say how exact the ranges of a file are, and how coarse its requests were."""
    exactly = exactness_text(found["fidelity"], mapped=bool(found.get("mapped")))
    parts = (exactly, request_text(found["smallest_request"]))
    return ", ".join(filter(None, parts))


def gaps_table(report: pl.DataFrame, found: Mapping[str, Any]) -> Table:
    """Show what was never read and what is in it, the most remarkable first; `found` is the file's coverage report."""
    columns = _ranges(
        Column("share", right=True), Column("content", drop=1), Column("entropy", right=True, drop=2), Column("verdict", long=True)
    )  # fmt: skip
    shown: list[Sequence[Cell]] = [
        [
            hex_offset(row["start"]), hex_offset(row["end"]), f"{row['length']:,}", Share(row["share"]),
            row["byte_class"] or "?", "?" if row["entropy"] is None else f"{row['entropy']:.2f}",
            verdict_text(row) + _neighbour(row),
        ]
        for row in report.head(_ROWS).iter_rows(named=True)
    ]  # fmt: skip
    if report.height > _ROWS:
        shown.append([f"… and {report.height - _ROWS:,} more; --json lists them all"])
    if not report.height:
        shown.append(
            [
                "the file is empty, as far as the recording tells"
                if not found["size"]
                else "every byte was requested"
            ]
        )
    return Table(columns, shown, title=f"{found['path']}: {_unread(found)}; {exactness_of(found)}")


def _neighbour(gap: Mapping[str, Any]) -> str:
    """Say which function read up to a gap, where call sites were recorded."""
    if not gap["last_read_by"]:
        return ""
    return f"; the bytes {'before' if gap['start'] else 'behind'} it were last read by {gap['last_read_by']}"


def crosstab_tables(classes: pl.DataFrame, found: Mapping[str, Any]) -> list[RenderableType]:
    """Show how many bytes the format describes and how many of them were read, of which format that is, and the ranges.

    `found` is the file's coverage report.
    """
    from fmrw.analysis.structure.crosstab import SAID  # noqa: PLC0415 - reads many formats, which most tables need not

    classes = classes.with_columns(classes["class"].replace_strict(SAID))
    columns = [
        Column("what the format says, and what was requested"), Column("bytes", right=True), Column("share", right=True),
        Column("ranges", right=True),
    ]  # fmt: skip
    shown = [
        [row["class"], f"{row['bytes']:,}", Share(row["share"]), f"{row['ranges']:,}"]
        for row in classes.iter_rows(named=True)
    ]
    table = Table(columns, shown, title=f"{found['path']}: {exactness_of(found)}")
    return [Text(f"format: {visible(classes['format'][0])}"), table, "", _named(classes)]


def _named(classes: pl.DataFrame) -> Table:
    """Show the first ranges of each class by name."""
    shown: list[Sequence[Cell]] = []
    for row in classes.iter_rows(named=True):
        places = zip(row["starts"][:_FEW], row["ends"][:_FEW], row["names"][:_FEW], strict=True)
        shown += [[row["class"], hex_offset(start), hex_offset(end), name] for start, end, name in places]
        if row["ranges"] > _FEW:
            shown.append([f"… and {row['ranges'] - _FEW:,} more {row['class']}; --json lists them all"])
    return Table([Column("class"), Column("from"), Column("to"), Column("what")], shown)


def differential_tables(found: Comparison, a: str, b: str) -> list[RenderableType]:
    """Show which ranges A and B read, and how much they agree; first of all whether that is one file."""
    table, agreed, order = found.ranges, found.agreement, found.order
    words = {"": nobody_text(mapped=found.mapped), "A, B": "both", "A": f"only {a}", "B": f"only {b}"}
    shown: list[Sequence[Cell]] = [
        [hex_offset(row["start"]), hex_offset(row["end"]), f"{row['length']:,}", words[row["readers"]]]
        for row in table.head(_LONG).iter_rows(named=True)
    ]
    if table.height > _LONG:
        shown.append([f"… and {table.height - _LONG:,} more; --json lists them all"])
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
    ended = f"{share}; the shared bytes {turned}" if agreed["both"] else share
    first = [Text(found.difference, "yellow")] if found.difference else []
    return [
        *first,
        Table(_ranges(Column("requested by")), shown, notes=[ended, exactness_of(found._asdict())]),
    ]
