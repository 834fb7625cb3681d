"""Parquet claims: what a file says of itself, checked against its bytes before anybody believes it.

A session may come from a stranger, or from a disk that went bad. Readers of Parquet allocate what a header says, so a file of a kilobyte can
ask for ten gigabytes. Here the footer is read first, and then the header of every page that somebody is going to read, at a few
microseconds each: all places lie inside the file, pages fill their column, rows agree, and nothing unfolds into more than the `MOST_…`, nor into
more than `UNFOLDS` bytes for each byte there is. Pages of columns and row groups that nobody reads are left alone: a session of a hundred
million events has twenty thousand. Data in the pages is not looked at; `fmrw.trace.parquet.tables` does that.

Source: parquet.thrift of apache/parquet-format, and its LogicalTypes.md. Only flat columns are let in, and lists of numbers or texts where a table of ours has one.
"""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from typing import TYPE_CHECKING, Any

from fmrw.trace.parquet.thrift import Reader, Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

MAGIC = b"PAR1"
MOST_FOOTER = 16 << 20
MOST_PAGE = 128 << 20
MOST_ROWS = 1 << 22  # in a row group: what is decoded at once
MOST_GROUP = 1 << 30  # bytes a row group unfolds into
UNFOLDS, _ALWAYS = 1000, 16 << 20  # bytes a file unfolds into: for each byte it has, and however small it is
MOST_VALUES, VALUES_PER_BYTE = 1 << 24, 64  # in lists: however small a file is, and for each byte it has
ROWS_PER_BYTE = 4  # more than any recording reaches: each row has a number of its own
_USUAL, _HEADER = 1 << 8, 1 << 16  # a page header with its statistics, nearly always and at most
_DATA, _INDEX, _DICTIONARY, _DATA_V2 = range(4)  # PageType
_REPEATED = 2  # FieldRepetitionType
_COUNTS = {_DATA: 5, _DATA_V2: 8}  # the field of PageHeader with the page's number of values


class Claims:
    """What one file claims; its footer is held against the file at once, its pages when `check` is asked.

    May be used by several threads. What is kept takes 17 bytes for each column of each row group.

    Parameters
    ----------
    fd : int
        Descriptor of the file.
    lists : collection of bytes
        Names of the columns that may hold lists.

    Attributes
    ----------
    rows : int
        Rows in the file.

    Raises
    ------
    ValueError
        The footer claims what cannot be.
    OSError
        It cannot be read.
    """

    def __init__(self, fd: int, lists: Collection[bytes] = ()) -> None:
        self._size = os.fstat(fd).st_size
        metadata, end = _footer(fd, self._size)
        self._columns, repeated = _columns(metadata, lists)
        groups = _structs(metadata.get(4))
        self.rows = _number(metadata.get(3))
        _require(self.rows == sum(_number(group.get(3)) for group in groups), "its numbers of rows differ")
        _require(
            self.rows <= ROWS_PER_BYTE * self._size, f"it claims {self.rows:,} rows in {self._size:,} bytes"
        )
        self._heights = array("q", (_number(group.get(3)) for group in groups))
        self._places = array("q")  # of each column of each group: where its pages begin, and end
        self._listed = dict[int, int]()  # of each column of lists of each group: its values
        for group in groups:
            for place, values in _group(group, repeated, end):
                if values is not None:
                    self._listed[len(self._places) // 2] = values
                self._places.extend(place)
        listed = sum(self._listed.values())
        _require(
            listed <= max(MOST_VALUES, VALUES_PER_BYTE * self._size),
            f"it claims {listed:,} values of lists in {self._size:,} bytes",
        )
        self._checked = bytearray(len(self._places) // 2)
        self._unfolded, self._all = array("q", bytes(8 * len(groups))), 0
        self._lock = threading.Lock()

    def check(
        self, fd: int, columns: Iterable[str] | None = None, groups: Iterable[int] | None = None
    ) -> None:
        """Hold the pages of some columns of some row groups against the file, of all if not given.

        Raises
        ------
        ValueError
            They claim what cannot be, or more than anybody should unfold.
        OSError
            They cannot be read.
        """
        chosen = range(len(self._columns)) if columns is None else self._numbers(columns)
        with self._lock:
            for group in range(len(self._heights)) if groups is None else groups:
                for column in chosen:
                    self._check(fd, group, group * len(self._columns) + column)

    def _numbers(self, columns: Iterable[str]) -> list[int]:
        wanted = {name.encode() for name in columns}
        return [number for number, name in enumerate(self._columns) if name in wanted]

    def _check(self, fd: int, group: int, chunk: int) -> None:
        if self._checked[chunk]:
            return
        begin, stop = self._places[2 * chunk : 2 * chunk + 2]
        unfolds = _chunk(fd, begin, stop, self._listed.get(chunk, self._heights[group]))
        self._unfolded[group] += unfolds
        self._all += unfolds
        _require(
            self._all <= max(UNFOLDS * self._size, _ALWAYS),
            f"{self._size:,} bytes unfold into more than {self._all:,}",
        )
        _require(self._unfolded[group] <= MOST_GROUP, f"a group claims {self._unfolded[group]:,} bytes")
        self._checked[chunk] = 1

    def at_ends(self, count: int) -> set[int]:
        """Give the numbers of the row groups in which the first and the last `count` rows lie."""
        found, before = set(), 0
        for group, rows in enumerate(self._heights):
            if before < count or before + rows > self.rows - count:
                found.add(group)
            before += rows
        return found


def check(fd: int) -> int:
    """Hold all that a Parquet file claims against the file; give its number of rows.

    Raises
    ------
    ValueError, OSError
        As `Claims` and its `check`.
    """
    claims = Claims(fd)
    claims.check(fd)
    return claims.rows


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


def _columns(metadata: Struct, lists: Collection[bytes]) -> tuple[list[bytes], list[bool]]:
    """Give the names of the columns, and which of them hold lists: a group of a repeated group of one element."""
    root, *elements = _structs(metadata.get(2)) or [{}]
    names, repeated = list[bytes](), list[bool]()
    while elements:
        name, nested = elements[0].get(4), bool(elements[0].get(5))
        shape = [each.get(5) or 0 for each in elements[:3]]
        is_list = shape == [1, 1, 0] and elements[1].get(3) == _REPEATED and name in lists
        _require(is_list or not nested, "its columns are nested, or none")
        names.append(name if isinstance(name, bytes) else b"")
        repeated.append(nested)
        del elements[: len(shape) if nested else 1]
    _require(_number(root.get(5)) == len(names) > 0, "its columns are nested, or none")
    _require(len({*names}) == len(names), "two of its columns have one name")
    return names, repeated


def _group(group: Struct, repeated: Sequence[bool], end: int) -> Iterator[tuple[tuple[int, int], int | None]]:
    """Give the place of each column of a row group, and of one with lists its number of values."""
    rows, chunks = _number(group.get(3)), _structs(group.get(1))
    _require(rows <= MOST_ROWS, f"it claims {rows:,} rows in one group")
    _require(len(chunks) == len(repeated), "a group lacks columns")
    for chunk, lists in zip(chunks, repeated, strict=True):
        column = _struct(chunk.get(3))
        values = _number(column.get(5))
        _require(
            values == rows or (lists and rows < values), "a column has another number of values than rows"
        )
        starts = [_number(column[field]) for field in (9, 11) if column.get(field) is not None]
        begin = min(starts, default=0)
        stop = begin + _number(column.get(7))
        _require(begin >= len(MAGIC) and stop <= end, "a column lies outside of the file")
        yield (begin, stop), values if lists else None


def _chunk(fd: int, place: int, stop: int, rows: int) -> int:
    """Walk the pages of a column; give how many bytes they unfold into."""
    values, unfolded = 0, 0
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
