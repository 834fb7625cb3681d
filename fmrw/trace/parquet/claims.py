"""Parquet claims: what a file says of itself, checked against its bytes before anybody believes it.

A session may come from a stranger, or from a disk that went bad. Readers of Parquet allocate what a header says, so a file of a kilobyte can
ask for ten gigabytes. Here the footer and every page header are read first, at a few microseconds each: all places lie inside the file,
pages fill their column, rows agree, and nothing unfolds into more than the `MOST_…`, nor into more than `UNFOLDS` bytes for each byte there is.
Data in the pages is not looked at; `fmrw.trace.parquet.tables` does that.

Source: parquet.thrift of apache/parquet-format. Only flat schemas are let in; ours has no others.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from fmrw.trace.parquet.thrift import Reader, Struct

MAGIC = b"PAR1"
MOST_FOOTER = 16 << 20
MOST_PAGE = 128 << 20
MOST_ROWS = 1 << 22  # in a row group: what is decoded at once
MOST_GROUP = 1 << 30  # bytes a row group unfolds into
UNFOLDS, _ALWAYS = 1000, 16 << 20  # bytes a file unfolds into: for each byte it has, and however small it is
ROWS_PER_BYTE = 4  # more than any recording reaches: each row has a number of its own
_USUAL, _HEADER = 1 << 8, 1 << 16  # a page header with its statistics, nearly always and at most
_DATA, _INDEX, _DICTIONARY, _DATA_V2 = range(4)  # PageType
_COUNTS = {_DATA: 5, _DATA_V2: 8}  # the field of PageHeader with the page's number of values


def check(fd: int) -> int:
    """Hold a Parquet file's claims against the file; give its number of rows.

    Raises
    ------
    ValueError
        It claims what cannot be, or more than anybody should unfold.
    OSError
        It cannot be read.
    """
    size = os.fstat(fd).st_size
    metadata, end = _footer(fd, size)
    columns = _columns(metadata)
    groups = _structs(metadata.get(4))
    rows = _number(metadata.get(3))
    _require(rows == sum(_number(group.get(3)) for group in groups), "its numbers of rows differ")
    _require(rows <= ROWS_PER_BYTE * size, f"it claims {rows:,} rows in {size:,} bytes")
    unfolded = 0
    for group in groups:
        unfolded += _group(fd, group, columns, end)
        _require(
            unfolded <= max(UNFOLDS * size, _ALWAYS), f"{size:,} bytes unfold into more than {unfolded:,}"
        )
    return rows


def footer(fd: int) -> bytes:
    """Give a Parquet file's metadata as they stand in it.

    Raises
    ------
    ValueError
        It has none, or too many.
    OSError
        It cannot be read.
    """
    size = os.fstat(fd).st_size
    length, begin = _placed(fd, size)
    return os.pread(fd, length, begin)


def _placed(fd: int, size: int) -> tuple[int, int]:
    """Tell how long the file's metadata are and where they begin."""
    tail = os.pread(fd, 8, size - 8) if size >= 12 else b""  # noqa: PLR2004 - two magics and a length
    _require(tail[4:] == MAGIC == os.pread(fd, 4, 0), "it is cut short, or no Parquet file")
    length = int.from_bytes(tail[:4], "little")
    begin = size - 8 - length
    _require(length <= MOST_FOOTER and begin >= len(MAGIC), f"it claims {length:,} bytes of metadata")
    return length, begin


def _footer(fd: int, size: int) -> tuple[Struct, int]:
    """Read the file's metadata; tell where they begin, which is where the data end."""
    length, begin = _placed(fd, size)
    return Reader(os.pread(fd, length, begin)).struct(), begin


def _columns(metadata: Struct) -> int:
    root, *leaves = _structs(metadata.get(2)) or [{}]
    flat = _number(root.get(5)) == len(leaves) and not any(leaf.get(5) for leaf in leaves)
    _require(flat and len(leaves) > 0, "its columns are nested, or none")
    return len(leaves)


def _group(fd: int, group: Struct, columns: int, end: int) -> int:
    rows, chunks = _number(group.get(3)), _structs(group.get(1))
    _require(rows <= MOST_ROWS, f"it claims {rows:,} rows in one group")
    _require(len(chunks) == columns, "a group lacks columns")
    unfolded = sum(_chunk(fd, _struct(chunk.get(3)), rows, end) for chunk in chunks)
    _require(unfolded <= MOST_GROUP, f"a group claims {unfolded:,} bytes")
    return unfolded


def _chunk(fd: int, column: Struct, rows: int, end: int) -> int:
    """Walk the pages of a column; give how many bytes they unfold into."""
    _require(_number(column.get(5)) == rows, "a column has another number of values than rows")
    starts = [_number(column[field]) for field in (9, 11) if column.get(field) is not None]
    stop = min(starts, default=0) + _number(column.get(7))
    place, values, unfolded = min(starts, default=0), 0, 0
    _require(place >= len(MAGIC) and stop <= end, "a column lies outside of the file")
    while place < stop:
        header, length = _page(fd, place, stop)
        kind, folded = header.get(1), _number(header.get(3))
        place += length + folded
        unfolded += _number(header.get(2))
        _require(place <= stop, "a page reaches beyond its column")
        _require(_number(header.get(2)) <= MOST_PAGE, f"a page claims {header.get(2):,} bytes")
        if kind in _COUNTS:
            values += _number(_struct(header.get(_COUNTS[kind])).get(1))
        else:
            _require(kind in (_INDEX, _DICTIONARY), "a page of an unknown kind")
    _require(values == rows, "its pages hold another number of values than rows")
    return unfolded


def _page(fd: int, place: int, stop: int) -> tuple[Struct, int]:
    reader = Reader(os.pread(fd, min(_USUAL, stop - place), place))
    with contextlib.suppress(ValueError):
        return reader.struct(), reader.place
    reader = Reader(os.pread(fd, min(_HEADER, stop - place), place))
    return reader.struct(), reader.place


def _structs(value: Any) -> list[Struct]:  # noqa: ANN401 - whatever was found there
    _require(isinstance(value, list), "its metadata lack a list")
    return [_struct(each) for each in value]


def _struct(value: Any) -> Struct:  # noqa: ANN401 - the same
    _require(isinstance(value, dict), "its metadata lack a structure")
    return value  # type: ignore[no-any-return]  # just looked at


def _number(value: Any) -> int:  # noqa: ANN401 - the same
    _require(isinstance(value, int) and 0 <= value < 1 << 62, "its metadata lack a number, or it is none")
    return int(value)


def _require(holds: object, what: str) -> None:
    if not holds:
        raise ValueError(what)
