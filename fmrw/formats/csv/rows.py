"""CSV records one by one: slower, and says what is wrong in which record.

`log` reads with polars and comes here only for records polars could not take or that are not plausible. What this
module accepts is what a CSV may hold; it gives the same columns as the fast way.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re

import polars as pl

from fmrw.text import visible
from fmrw.trace import schema

ANCESTOR = ("Time", "AccessDirection", "Offset", "Length", "Filesize", "ProcessID", "ProcessName")
"""The columns of every CSV, in the order they are written."""

OWN = ("ThreadID", "Requested", "Fidelity", "Handle")
"""The columns only our files have, and every one of them may be missing."""

NUMBERS = ("Offset", "Length", "Filesize", "ProcessID", "ThreadID", "Requested", "Handle")
LARGEST = 2**63 - 1
LARGEST_ID = 2**31 - 1
LONGEST_NAME = (
    1024  # a name is 15 bytes; escaped, and from elsewhere, it may be longer, but not a swallowed line
)
LONGEST_RECORD = 65_536  # bytes

READ = pl.Schema(
    {
        name: schema.EVENTS[name]
        for name in (
            "time",
            "op",
            "start",
            "end",
            "requested",
            "size",
            "fidelity",
            "handle",
            "pid",
            "tid",
            "process",
        )
    }
)
"""What a record becomes; the process still as its cell."""

_NUMBER = re.compile(r"-?[0-9]{1,19}")
_SHOWN = 60


class BadRow(ValueError):
    """A record that cannot be.

    Parameters
    ----------
    row : int
        0 for the first of those given.
    reason : str
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def read_rows(block: bytes, names: list[str]) -> pl.DataFrame:
    """Read whole records, the columns of which are named.

    Raises
    ------
    BadRow
        The first record that cannot be, and why.
    """
    text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
    records = csv.reader(text, strict=True)
    rows: list[tuple[object, ...]] = []
    try:
        for record in records:
            if record:
                rows.append(_row(_cells(record, names)))  # noqa: PERF401 - an error counts those before it
    except (csv.Error, ValueError) as error:
        raise BadRow(len(rows), str(error)) from error
    return pl.DataFrame(rows, schema=READ, orient="row")


def _cells(record: list[str], names: list[str]) -> dict[str, str]:
    if len(record) != len(names):
        raise ValueError(f"{len(record)} fields where the header has {len(names)}")
    for name, cell in zip(names, record, strict=True):
        if not cell.isascii() and any("\ud800" <= character <= "\udfff" for character in cell):
            raise ValueError(f"{name} {_quoted(cell)} is not UTF-8")
        if "\0" in cell:
            raise ValueError(f"{name} {_quoted(cell)} holds a NUL byte")
    return dict(zip(names, record, strict=True))


def _row(cells: dict[str, str]) -> tuple[object, ...]:
    start, length = _number(cells, "Offset"), _number(cells, "Length")
    if start + length > LARGEST:
        raise ValueError(f"Offset {start} and Length {length} end beyond {LARGEST}")
    pid = _number(cells, "ProcessID", LARGEST_ID)
    return (
        _time(cells["Time"]),
        _one_of(cells, "AccessDirection", ("read", "write")),
        start,
        start + length,
        _number(cells, "Requested") if "Requested" in cells else length,
        _number(cells, "Filesize"),
        _one_of(cells, "Fidelity", schema.FIDELITIES) if "Fidelity" in cells else "page",
        _number(cells, "Handle") if "Handle" in cells else 0,
        pid,
        _number(cells, "ThreadID", LARGEST_ID) if "ThreadID" in cells else pid,
        _name(cells["ProcessName"]),
    )


def _number(cells: dict[str, str], column: str, largest: int = LARGEST) -> int:
    cell = cells[column]
    if not _NUMBER.fullmatch(cell):
        raise ValueError(f"{column} {_quoted(cell)} is not a whole number")
    number = int(cell)
    if column == "Length" and number < 0:
        raise ValueError(f"Length {number}: the range ends before it starts")
    if number < 0:
        raise ValueError(f"{column} {number} is negative")
    if number > largest:
        raise ValueError(f"{column} {number} is larger than {largest}")
    return number


def _one_of(cells: dict[str, str], column: str, words: tuple[str, ...]) -> str:
    if cells[column] not in words:
        raise ValueError(f"{column} {_quoted(cells[column])} is neither {' nor '.join(words)}")
    return cells[column]


def _time(cell: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"Time {_quoted(cell)} is not ISO 8601") from None
    try:
        return time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)
    except OverflowError:
        raise ValueError(f"Time {_quoted(cell)} is out of range") from None


def _name(cell: str) -> str:
    if len(cell) > LONGEST_NAME:
        raise ValueError(f"ProcessName has {len(cell)} characters, a quote may be missing")
    return cell


def _quoted(cell: str) -> str:
    short = cell if len(cell) <= _SHOWN else f"{cell[:_SHOWN]}…"
    return f"'{visible(short)}'"
