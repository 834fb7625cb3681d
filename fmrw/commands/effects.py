"""Effects: how maps of what matters look as text."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fmrw.analysis.effects import CLASSES, UNSETTLED
from fmrw.offsets import hex_offset, human_size, range_text
from fmrw.text import visible

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType

    from fmrw.experiments.probe import Probe
    from fmrw.experiments.reduce import Reduction
    from fmrw.experiments.steering import Field
    from fmrw.experiments.versus import Versus

_ROWS = 60
_VALUES = 6
_PARTS = 30
STYLES = {
    "unread": "dim", "ignored": "dim", "redundant": "cyan", "conditional": "blue", "content": "", "checked": "yellow",
    "decides": "magenta", "steers": "bold magenta", "crash": "bold red", "hang": "bold red",
}  # fmt: skip


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        right = name.endswith(">")
        table.add_column(name.rstrip(">"), justify="right" if right else "left", overflow="fold")
    return table


def counts_text(found: Probe) -> str:
    """Count the bytes of each class."""
    counts = {kind: found.bytes_of(kind) for kind in CLASSES}
    unsettled = found.bytes_of(None)
    so_far = sum(each.end - each.start for each in found.map if each.kind and not each.settled)
    told = [f"{kind} {count:,}" for kind, count in counts.items() if count]
    text = ", ".join([*told, *([f"{UNSETTLED} {unsettled:,}"] if unsettled else [])])
    return f"{text}; more runs may change the class of {so_far:,}" if so_far else text


def probe_tables(found: Probe) -> list[RenderableType]:
    """Show a map: one row per range, then what steers, in sentences."""
    table = _table("range", "bytes>", "class", "values", "effect")
    for each in found.map[:_ROWS]:
        values = " ".join(f"{value:02x}" for value in each.values[:_VALUES]) + (
            " …" if len(each.values) > _VALUES else ""
        )
        kind = each.kind or UNSETTLED
        table.add_row(
            range_text(each.start, each.end), f"{each.end - each.start:,}", Text(kind, STYLES.get(kind, "dim")), values,
            Text(visible(each.effect)),
        )  # fmt: skip
    sentences: list[RenderableType] = [Text(sentence) for sentence in steering(found)]
    command = visible(shlex.join(found.command))
    head = Text(
        f"{visible(found.path)}, {human_size(found.size)}: {command}; {found.runs:,} runs in {found.seconds:.1f} s: {counts_text(found)}"
    )
    told = [head, "", table, *_further(len(found.map) - _ROWS), *(["", *sentences] if sentences else [])]
    parts = found.by_part()
    return [*told, "", parts_table(parts)] if parts.height > 1 else told


def _further(left: int, what: str = "ranges; --json lists them all") -> list[Text]:
    """Say below a table that there is more: in a row it would widen the first column."""
    return [Text(f"… and {left:,} more {what}")] if left > 0 else []


def parts_table(parts: pl.DataFrame) -> Group:
    """Show how many bytes of each class the parts of a format have."""
    classes = parts.columns[3:]
    table = _table("part", "range", *(f"{name}>" for name in classes))
    for row in parts.head(_PARTS).iter_rows():
        name, start, end, *counts = row
        table.add_row(
            Text(visible(name)), range_text(start, end), *(f"{count:,}" if count else "" for count in counts)
        )
    return Group(table, *_further(parts.height - _PARTS, "parts"))


def steering(found: Probe) -> list[str]:
    """Say what steers accesses: a sentence per number."""
    settled: dict[Field, bool] = {}
    for each in found.map:
        if each.field is not None:
            settled[each.field] = each.settled and settled.get(each.field, True)
    return [
        f"{_closed(field.start, field.end)} {field.sentence}{'' if known else '; so far'}"
        for field, known in settled.items()
    ]


def _closed(start: int, end: int) -> str:
    return hex_offset(start) if end - start == 1 else f"{hex_offset(start)}\N{EN DASH}{hex_offset(end - 1)}"


def versus_tables(found: Versus) -> list[RenderableType]:
    """Show two maps side by side, and how many bytes each pair of classes has."""
    names = [visible(shlex.join(each.command)) for each in (found.a, found.b)]
    table = _table("range", "bytes>", "A", "B", "")
    rows = found.ranges
    for start, end, a, b in rows.head(_ROWS).iter_rows():
        cells = [Text(kind or UNSETTLED, STYLES.get(kind or "", "dim")) for kind in (a, b)]
        table.add_row(
            range_text(start, end), f"{end - start:,}", *cells, "differs" if a and b and a != b else ""
        )
    head = [
        Text(f"{letter}: {name}: {counts_text(each)}")
        for letter, name, each in zip("AB", names, (found.a, found.b), strict=True)
    ]
    return [*head, Text(_difference(found)), "", table, *_further(rows.height - _ROWS)]


def _difference(found: Versus) -> str:
    differing, settled = (
        int((each["end"] - each["start"]).sum()) for each in (found.differential, found.settled)
    )
    left = found.a.size - settled
    if not left:
        return f"classes differ for {differing:,} of {settled:,} bytes"
    return f"classes differ for {differing:,} of {settled:,} settled bytes; {left:,} are not settled"


def reduction_tables(found: Reduction) -> list[RenderableType]:
    """Show what is left of a file, and why that is enough."""
    table = _table("kept", "bytes>")
    for start, end in found.kept[:_ROWS]:
        table.add_row(range_text(start, end), f"{end - start:,}")
    same = {
        "accesses": "status, output, files and accesses",
        "output": "status, output and files",
        "status": "status",
    }[found.keep]
    left_out = (
        f" (left out, since it is not the same twice: {', '.join(found.unstable)})" if found.unstable else ""
    )
    cut = f", cut to {human_size(found.reduced_size)}" if found.reduced_size < found.size else ""
    return [
        Text(
            f"{visible(found.output)}: {found.nonzero:,} bytes of {found.size:,} are left, all others are zero{cut}"
        ),
        Text(
            f"proved by {found.proof} runs of {visible(shlex.join(found.command))}: same {same}{left_out}; {found.runs:,} runs in {found.seconds:.1f} s"
        ),
        "",
        table,
        *_further(len(found.kept) - _ROWS),
    ]
