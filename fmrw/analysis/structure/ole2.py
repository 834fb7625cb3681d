"""Compound files (OLE2; MS-CFB): the tables of sectors, the directory, and where the pieces of each stream lie.

A stream is a chain of sectors; neighbours are one part. Streams below the cutoff (4,096 bytes) lie in sectors of 64 bytes
inside the mini stream. No more sectors, and small ones, are followed in all than the file has twice, so that loops and overlaps end.
"""

from __future__ import annotations

import struct
from array import array
from itertools import pairwise
from sys import byteorder
from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER = 512
_LAST_SECTOR = 0xFFFFFFFA
_FREE = 0xFFFFFFFF
_ENTRY = 128
_STREAM, _ROOT = 2, 5
_MOST_ENTRIES = 200_000
_LONGEST_PATH = 1024


class Entry(NamedTuple):
    """An entry of the directory."""

    name: str
    kind: int
    links: tuple[int, int, int]  # left, right, child
    start: int
    size: int


def is_ole2(source: Source) -> bool:
    """Say whether the file begins with the magic of a compound file."""
    return source.at(0, 8) == _MAGIC


def ole2_parts(source: Source) -> Iterator[Part]:
    """Yield header, tables, directory, streams and free sectors."""
    (shift, mini_shift) = source.fields("<2H", 30, "the header")
    if shift not in (9, 12) or mini_shift != 6:  # noqa: PLR2004 - what the format allows
        yield Part(0, _HEADER, "header")
        raise Damaged(f"sectors of 2^{shift} bytes")
    yield Part(0, _HEADER, "header")
    yield from _Compound(source, shift).parts()


class _Compound:
    def __init__(self, source: Source, shift: int) -> None:
        self.source, self.shift, self.sector = source, shift, 1 << shift
        self.count = max(source.size - 1 >> shift, 0)
        self.room = 2 * self.count + 16
        self.problem = ""
        self.fat = array("I")

    def parts(self) -> Iterator[Part]:
        directory, cutoff, minifat = self.source.fields("<I4x2I", 48, "the header")
        yield from self._tables()
        listed = self._chain(directory)
        yield from self._runs(listed, "directory")
        entries = self._entries(listed)
        small = self._chain(minifat)
        yield from self._runs(small, "mini FAT")
        mini = self._numbers(small)
        self.room += 2 * len(mini)
        holder = (
            self._chain(entries[0].start) if entries and entries[0].kind == _ROOT and entries[0].size else []
        )
        yield from self._runs(holder, "mini stream")
        for path, entry in _paths(entries):
            if entry.kind == _STREAM and entry.size:
                if entry.size < cutoff:
                    yield from self._small(mini, holder, path, entry)
                else:
                    yield from self._runs(self._chain(entry.start), f"stream {path}", entry.size)
        free = [number for number, following in enumerate(self.fat[: self.count]) if following == _FREE]
        yield from self._runs(free, "free sectors")
        if self.problem:
            raise Damaged(self.problem)

    def _place(self, number: int) -> int:
        return (number + 1) << self.shift

    def _tables(self) -> Iterator[Part]:
        """Yield the sectors of the FAT and of the list of these, and read them."""
        sectors = list(struct.unpack("<109I", self.source.need(76, 436, "the header")))
        following, seen = self.source.fields("<I", 68, "the header")[0], set[int]()
        while following < min(self.count, _LAST_SECTOR) and following not in seen:
            seen.add(following)
            *more, following = self._numbers([following]) or [_FREE]
            sectors += more
        yield from self._runs(sorted(seen), "DIFAT")
        own = [number for number in dict.fromkeys(sectors) if number < self.count]
        yield from self._runs(own, "FAT")
        self.fat = self._numbers(own)

    def _numbers(self, sectors: list[int]) -> array[int]:
        numbers = array("I")
        for number in sectors:
            content = self.source.at(self._place(number), self.sector)
            numbers.frombytes(content[: len(content) // 4 * 4])
        if byteorder == "big":
            numbers.byteswap()
        return numbers

    def _chain(self, start: int, table: array[int] | None = None) -> list[int]:
        table, chain, seen = self.fat if table is None else table, list[int](), set[int]()
        number = start
        while number < _LAST_SECTOR:
            self.room -= 1
            if number in seen or number >= len(table) or self.room < 0:
                self.problem = self.problem or f"the chain of sectors from {start} makes no sense"
                break
            seen.add(number)
            chain.append(number)
            number = table[number]
        return chain

    def _runs(self, sectors: list[int], name: str, size: int | None = None) -> Iterator[Part]:
        """Yield neighbouring sectors as one part each, `size` bytes in all."""
        left = len(sectors) * self.sector if size is None else size
        if left > len(sectors) * self.sector:
            self.problem = self.problem or f"{name} has fewer sectors than bytes"
        breaks = [0, *(at for at, (a, b) in enumerate(pairwise(sectors), 1) if b != a + 1), len(sectors)]
        for first, stop in pairwise(breaks):
            if first == stop or left <= 0:
                return
            start = self._place(sectors[first])
            length = min((stop - first) * self.sector, left)
            yield Part(start, start + length, name)
            left -= length

    def _entries(self, sectors: list[int]) -> list[Entry]:
        entries: list[Entry] = []
        for number in sectors:
            content = self.source.at(self._place(number), self.sector)
            for at in range(0, len(content) - _ENTRY + 1, _ENTRY):
                length, kind, *links = struct.unpack_from("<HBx3I", content, at + 64)
                start, size = struct.unpack_from("<IQ", content, at + 116)
                size = size & 0xFFFFFFFF if self.shift == 9 else size  # noqa: PLR2004 - version 3 has 32 bits
                name = content[at : at + min(max(length - 2, 0), 64)].decode("utf-16-le", "replace")
                entries.append(Entry(name, kind, (links[0], links[1], links[2]), start, size))
                if len(entries) >= _MOST_ENTRIES:
                    return entries
        return entries

    def _small(self, mini: array[int], holder: list[int], path: str, entry: Entry) -> Iterator[Part]:
        """Yield the pieces of a stream that lies in the mini stream."""
        left, per, joined = entry.size, self.sector >> 6, [0, 0]
        for number in self._chain(entry.start, mini):
            if left <= 0 or number // per >= len(holder):
                break
            start = self._place(holder[number // per]) + (number % per << 6)
            length = min(64, left)
            left -= length
            if start != joined[1]:
                if joined[1]:
                    yield Part(joined[0], joined[1], f"stream {path}", 2)
                joined[0] = start
            joined[1] = start + length
        if joined[1]:
            yield Part(joined[0], joined[1], f"stream {path}", 2)


def _paths(entries: list[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield the entries below the root with their paths; each once, whatever the links say."""
    waiting, seen = [(entries[0].links[2], "")] if entries else [], {0}
    while waiting:
        number, above = waiting.pop()
        if number in seen or number >= len(entries):
            continue
        seen.add(number)
        entry = entries[number]
        path = f"{above}/{entry.name}"[-_LONGEST_PATH:] if above else entry.name
        yield path, entry
        left, right, child = entry.links
        waiting += [(left, above), (right, above), (child, path)]
