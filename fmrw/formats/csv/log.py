r"""CSV of the reads and writes of one file, out of the frame and into it.

Every field is quoted (RFC 4180; lines end with LF, as the ancestor's do, so that `cut` and `awk` work):

    "Time","AccessDirection","Offset","Length","Filesize","ProcessID","ProcessName","ThreadID","Requested","Fidelity","Handle"

Time is ISO 8601, UTC, with microseconds and `+00:00`. Only reads and writes that succeeded have a row. The file's path is
not inside; it is the name of the CSV without `.csv`. Process names are made harmless by `csvnames`, reversibly.

The ancestor's files have the first seven columns and put a backslash before a quote. Its `ProcessID` was the id of the
thread, so it stands for both; its extents came through the page cache, so they are `page`; its handles are unknown, 0.

Reading takes 16 MiB at a time: polars parses them, and where it finds something it cannot take, or that is not plausible, the
same rows go through `csvrows`, which is slow and says what is wrong in which row. A file of any content costs bounded
memory beside its frame.
"""

from __future__ import annotations

import csv
import os
import re
import warnings
from codecs import BOM_UTF8
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import polars as pl

from fmrw.errors import BadInput
from fmrw.formats.csv import names as csvnames
from fmrw.formats.csv.rows import (
    ANCESTOR,
    LONGEST_NAME,
    LONGEST_RECORD,
    NUMBERS,
    OWN,
    READ,
    BadRow,
    read_rows,
)
from fmrw.text import path_text, visible
from fmrw.trace import schema
from fmrw.trace.foreign import DamagedWarning, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader

    from polars.expr.string import ExprStringNameSpace

_BLOCK = 2**24
_SHORTEST_RECORD = 24  # bytes; more lines than that allows are blank ones
_LINES_IN_RECORD = 32  # names hold line ends only to make trouble
_TIME = "%Y-%m-%dT%H:%M:%S%.6f+00:00"
_PACKED = (
    b"\x28\xb5\x2f\xfd",
    b"\x1f\x8b",
    b"\x78",
)  # zstd, gzip, zlib: polars would unpack them, however large
_ESCAPED_QUOTE = re.compile(rb'\\"(?!\r?\n|\Z)')  # at the end of a line: a backslash, then the closing quote


# Writing


def write_csv(events: pl.DataFrame, file: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write the reads and writes of one file.

    Parameters
    ----------
    events : frame of schema.EVENTS
        Events of one path; other operations and failed calls are left out.
    file : path or binary file

    Raises
    ------
    BadInput
        The events are of several files.
    """
    rows = events.filter(pl.col("op").is_in(["read", "write"]), pl.col("errno") == 0)
    paths = rows["path"].n_unique()
    if paths > 1:
        raise BadInput(
            f"a CSV is about one file and these are events of {paths}; keep one with `events.filter(pl.col('path') == …)`."
        )
    with open(file, "wb") if isinstance(file, str | os.PathLike) else nullcontext(file) as stream:  # noqa: PTH123 - either kind
        _table(rows).write_csv(stream, quote_style="always", datetime_format=_TIME)


def _table(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.col("time").alias("Time"),
        pl.col("op").alias("AccessDirection"),
        pl.col("start").alias("Offset"),
        (pl.col("end") - pl.col("start")).alias("Length"),
        pl.col("size").alias("Filesize"),
        pl.col("pid").alias("ProcessID"),
        _renamed(rows["process"], csvnames.cell).alias("ProcessName"),
        pl.col("tid").alias("ThreadID"),
        pl.col("requested").alias("Requested"),
        pl.col("fidelity").alias("Fidelity"),
        pl.col("handle").alias("Handle"),
    )


def _renamed(names: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Change names, looking at each different one once."""
    changed = {old: change(old) for old in names.unique().drop_nulls().to_list()}
    changed = {old: new for old, new in changed.items() if new != old}
    return names.replace(list(changed), list(changed.values())) if changed else names


# Reading


@dataclass(frozen=True)
class _Layout:
    """What the header says: the columns in their order, and whose dialect it is."""

    names: list[str]

    @property
    def ancestor(self) -> bool:
        return not set(self.names) & set(OWN)

    @property
    def unknown(self) -> bool:
        return not set(self.names) <= {*ANCESTOR, *OWN}

    @property
    def dtypes(self) -> dict[str, pl.DataType]:
        return {name: pl.Int64() if name in NUMBERS else pl.String() for name in self.names}


def read_csv(file: str | os.PathLike[str], path: str | None = None) -> pl.DataFrame:
    """Read a CSV of ours or of the ancestor's; columns may stand in any order, unknown ones are ignored.

    Parameters
    ----------
    file : path
        A regular file.
    path : str, optional
        The path the events are of; the name of `file` without `.csv` if not given.

    Returns
    -------
    frame of schema.EVENTS
        In the order of the rows, which `seq` and `call` number from 0.

    Raises
    ------
    BadInput
        Not such a CSV, or a row that cannot be: its number (the first after the header is 1) and the reason.

    Warns
    -----
    DamagedWarning
        The last line is incomplete; everything before it is there.
    """
    shown = visible(os.fspath(file))
    with opened(file, "a CSV file") as stream:
        layout = _layout(shown, stream.readline(LONGEST_RECORD))
        frames = list(_frames(shown, stream, layout))
    own = path if path is not None else path_text(os.fsencode(Path(file).name.removesuffix(".csv")))
    return _events(pl.concat([pl.DataFrame(schema=READ), *frames]), layout, own)


def _layout(shown: str, header: bytes) -> _Layout:
    if not header:
        raise BadInput(f"{shown} is empty; give a CSV with the header {','.join(ANCESTOR)}.")
    line = header.removeprefix(BOM_UTF8).decode("utf-8", "replace").rstrip("\r\n")
    try:
        names = [name.strip() for name in next(csv.reader([line]), [])]
    except csv.Error as error:
        raise BadInput(
            f"{shown}: its header is damaged ({error}); give a CSV with the header {','.join(ANCESTOR)}."
        ) from error
    missing = [name for name in ANCESTOR if name not in names]
    if missing:
        raise BadInput(
            f"{shown} has no column {', '.join(missing)}; give a CSV with the header {','.join(ANCESTOR)}."
        )
    if len(set(names)) < len(names):
        raise BadInput(f"{shown} has two columns of one name; remove one of them.")
    return _Layout(names)


def _frames(shown: str, stream: BufferedReader, layout: _Layout) -> Iterator[pl.DataFrame]:
    before = 0
    for block, whole in _blocks(shown, stream, layout):
        try:
            frame = _frame(block, layout, whole=whole)
        except BadRow as bad:
            raise BadInput(f"{shown}: row {before + bad.row + 1}: {bad}; correct or remove it.") from bad
        before += frame.height
        yield frame


def _frame(block: bytes, layout: _Layout, *, whole: bool) -> pl.DataFrame:
    frame = _fast(block, layout) if whole else None
    if frame is None:
        frame = read_rows(block, layout.names)
    if not whole:
        raise BadRow(
            frame.height - 1, f"longer than {LONGEST_RECORD} bytes, a quote or a line end may be missing"
        )
    return frame


def _blocks(shown: str, stream: BufferedReader, layout: _Layout) -> Iterator[tuple[bytes, bool]]:
    """Cut the file where records end, at a line's end with an even number of quotes before it, and say if that worked."""
    while block := _line_end(stream.read(_BLOCK), stream, layout):
        pieces, odd, extra = [block], block.count(b'"') % 2, 0
        while odd and extra < LONGEST_RECORD and (line := _line_end(b"", stream, layout)):
            pieces.append(line)
            odd ^= line.count(b'"') % 2
            extra += len(line)
        block = b"".join(pieces)
        if not block.endswith(b"\n") and not stream.peek(1):
            block = _without_tail(shown, block, layout)
            odd = block.count(b'"') % 2
        yield block, not odd and (block.endswith(b"\n") or not stream.peek(1))


def _line_end(block: bytes, stream: BufferedReader, layout: _Layout) -> bytes:
    """Read on to the end of the line, and put the ancestor's way to escape quotes into the standard one."""
    if not block.endswith(b"\n"):
        block += stream.readline(LONGEST_RECORD)
    return _ESCAPED_QUOTE.sub(b'""', block) if layout.ancestor else block


def _without_tail(shown: str, block: bytes, layout: _Layout) -> bytes:
    """Leave out a last line without an end, unless its last cell is closed and can be nothing but whole."""
    start, odd = len(block), block.count(b'"') % 2
    for _ in range(_LINES_IN_RECORD):
        start = block.rfind(b"\n", 0, max(start - 1, 0)) + 1
        if block.count(b'"', start) % 2 == odd:
            break
    if _is_whole(block[start:], layout):
        return block
    warnings.warn(f"{shown}: the last line is incomplete and was left out", DamagedWarning, stacklevel=6)
    return block[:start]


def _is_whole(line: bytes, layout: _Layout) -> bool:
    if not line.endswith(b'"') or layout.names[-1] == "ProcessName":
        return False
    try:
        return read_rows(line, layout.names).height == 1
    except BadRow:
        return False


def _fast(block: bytes, layout: _Layout) -> pl.DataFrame | None:
    """Read whole records with polars; nothing if there is anything to look at more closely."""
    if b"\0" in block or block.startswith((BOM_UTF8, *_PACKED)) or layout.unknown:
        return None
    most = len(block) // _SHORTEST_RECORD + 1
    try:
        raw = pl.read_csv(block, has_header=False, schema=layout.dtypes, n_rows=most)
    except pl.exceptions.PolarsError:
        return None
    if raw.height == most:
        return None
    names = raw["ProcessName"].unique().to_list()
    if any(raw.null_count().row(0)) or any(len(name) > LONGEST_NAME or "\n" in name for name in names):
        return None
    frame = raw.select(_columns(layout)).match_to_schema(READ)
    return None if any(frame.null_count().row(0)) or frame.select(_implausible()).item() else frame


def _columns(layout: _Layout) -> list[pl.Expr]:
    own = {
        "requested": pl.col("Requested" if "Requested" in layout.names else "Length"),
        "fidelity": pl.col("Fidelity") if "Fidelity" in layout.names else pl.lit("page"),
        "handle": pl.col("Handle") if "Handle" in layout.names else pl.lit(0),
        "tid": pl.col("ThreadID" if "ThreadID" in layout.names else "ProcessID"),
    }
    columns = {
        "time": _time(pl.col("Time").str),
        "op": pl.col("AccessDirection"),
        "start": pl.col("Offset"),
        "end": pl.col("Offset") + pl.col("Length"),
        "size": pl.col("Filesize"),
        "pid": pl.col("ProcessID"),
        "process": pl.col("ProcessName"),
        **own,
    }
    return [columns[name].cast(kind, strict=False).alias(name) for name, kind in READ.items()]


def _time(text: ExprStringNameSpace) -> pl.Expr:
    """Read our own form of a time, others become null; whole seconds repeat, so polars parses each of them once."""
    second = text.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", time_zone="UTC", strict=False)
    micros = text.slice(20, 6).cast(pl.Int64, strict=False)
    own = (text.slice(19, 1) == ".") & (text.slice(26) == "+00:00") & (micros >= 0)
    return pl.when(own).then(second + pl.duration(microseconds=micros))


def _implausible() -> pl.Expr:
    numbers = ("start", "requested", "size", "handle", "pid", "tid")
    wrong = [pl.col(name) < 0 for name in numbers]
    other = ~pl.col("op").is_in(["read", "write"])
    return pl.any_horizontal(*wrong, pl.col("end") < pl.col("start"), other).any()


def _events(rows: pl.DataFrame, layout: _Layout, path: str) -> pl.DataFrame:
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    constant = {
        "path": pl.lit(path),
        "errno": pl.lit(0, pl.Int32),
        "seq": number,
        "call": number,
        "site": pl.lit(None, pl.Int32),
    }
    process = _renamed(rows["process"], visible if layout.ancestor else _shown_name)
    return rows.with_columns(process, thread=process, **constant).select(schema.EVENTS.names())


def _shown_name(cell: str) -> str:
    """Give the name that a cell stands for, as the frame of a mount has it: nothing in it acts on a terminal."""
    return visible(csvnames.name(cell))
