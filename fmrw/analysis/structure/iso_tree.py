"""The trees of an ISO 9660 image: directory records (ECMA-119 9.1), and the continuation areas of Rock Ridge (SUSP 5.1).

No directory is visited twice and no more bytes of directories are read than the image has, so that loops and overlaps end.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.parts import LIMIT, Damaged, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fmrw.analysis.structure.parts import Source

_SECTOR = 2048
_LONGEST_PATH = 1024  # of a path its end is kept: nested directories must not add up to gigabytes of names
_SHORTEST = 34
_DIRECTORY, _MORE = 2, 0x80
_MOST_CONTINUATIONS = 100


class Volume(NamedTuple):
    """Where the tree of a volume begins, and how its names are written."""

    label: str
    encoding: str
    block: int
    root: int
    length: int
    attributes: int


class Record(NamedTuple):
    """A directory record: `start` and `length` of its data, in bytes; `attributes` is how long the record before that is."""

    name: bytes
    start: int
    length: int
    attributes: int
    flags: int
    unit: int
    gap: int
    system: bytes


def tree(source: Source, volumes: Sequence[Volume]) -> Iterator[Part]:
    """Yield directories and files, volume after volume; what an earlier volume named is not named again."""
    walk = _Walk(source)
    for volume in volumes:
        yield from walk.volume(volume)
    if walk.problem:
        raise Damaged(walk.problem)


class _Walk:
    """What the walks of all volumes share: what is named already, and how much may still be read."""

    def __init__(self, source: Source) -> None:
        self.source, self.problem = source, ""
        self._named = set[tuple[int, int]]()
        self._room, self._records = 2 * source.size + _SECTOR, LIMIT

    def volume(self, volume: Volume) -> Iterator[Part]:
        block = volume.block
        root = Record(
            b"", volume.root * block, volume.length, volume.attributes * block, _DIRECTORY, 0, 0, b""
        )
        waiting, seen = deque([("/", root)]), {root.start}
        while waiting:
            path, directory = waiting.popleft()
            yield from _data(volume, path, directory, self._named)
            for child in self._children(volume, path, directory):
                below = path
                if child.name not in (b"\0", b"\1"):
                    below = f"{path.rstrip('/')}/{child.name.decode(volume.encoding, 'replace')}"[
                        -_LONGEST_PATH:
                    ]
                    if not child.flags & _DIRECTORY:
                        yield from _data(volume, below, child, self._named)
                    elif child.start not in seen:
                        seen.add(child.start)
                        waiting.append((below, child))
                yield from _continuations(self.source, volume, below, child, self._named)

    def _children(self, volume: Volume, path: str, directory: Record) -> Iterator[Record]:
        self._room -= min(directory.length, max(self.source.size - directory.start, 0))
        if self._room < 0:
            raise Damaged("the directories overlap")
        for child in _records(self.source, volume, directory):
            self._records -= 1
            if self._records < 0:
                raise Damaged(f"only the first {LIMIT:,} records are followed")
            if child is None:
                self.problem = self.problem or f"a record of directory {path} makes no sense"
            else:
                yield child


def _data(volume: Volume, path: str, record: Record, named: set[tuple[int, int]]) -> Iterator[Part]:
    kind = "directory" if record.flags & _DIRECTORY else "file"
    start = record.start
    if record.attributes and (start, -1) not in named:
        named.add((start, -1))
        yield Part(start, start + record.attributes, f"extended attributes of {path}{volume.label}")
    start += record.attributes
    if not record.length or (start, record.length) in named:
        return
    named.add((start, record.length))
    if not record.unit or not record.gap:
        yield Part(start, start + record.length, f"{kind} {path}{volume.label}")
        return
    for done in range(0, record.length, record.unit):  # interleaved with other files: a unit, then a gap
        at = start + done // record.unit * (record.unit + record.gap)
        yield Part(at, at + min(record.unit, record.length - done), f"{kind} {path}{volume.label}")


def _records(source: Source, volume: Volume, directory: Record) -> Iterator[Record | None]:
    """Yield the records of a directory, None where one makes no sense; none reaches over the end of a sector."""
    start = directory.start + directory.attributes
    for sector in range(start, min(start + directory.length, source.size), _SECTOR):
        content, at = source.at(sector, min(_SECTOR, start + directory.length - sector)), 0
        while at < len(content) and content[at]:
            length = content[at]
            record = content[at : at + length]
            if length < _SHORTEST or len(record) < length or _SHORTEST - 1 + record[32] > length:
                yield None
                break
            yield _record(record, volume)
            at += length


def _record(content: bytes, volume: Volume) -> Record:
    little = struct.unpack_from("<I4xI", content, 2)
    big = struct.unpack_from(">I4xI", content, 6)
    name = content[33 : 33 + content[32]]
    system = content[33 + content[32] + (1 - content[32] % 2) :]
    return Record(
        name,
        (little[0] or big[0]) * volume.block,
        little[1] or big[1],
        content[1] * volume.block,
        content[25],
        content[26] * volume.block,
        content[27] * volume.block,
        system,
    )


def _continuations(
    source: Source, volume: Volume, path: str, record: Record, named: set[tuple[int, int]]
) -> Iterator[Part]:
    """Yield where the Rock Ridge fields of a record go on (`CE`)."""
    content = record.system
    for _ in range(_MOST_CONTINUATIONS):
        place = _continuation(content, volume)
        if place is None or place in named:
            return
        named.add(place)
        yield Part(*place, f"continuation area of {path}{volume.label}")
        content = source.at(place[0], min(place[1] - place[0], _SECTOR))


def _continuation(content: bytes, volume: Volume) -> tuple[int, int] | None:
    at = 0
    while at + 4 <= len(content):
        length = content[at + 2]
        if content[at : at + 2] == b"CE" and length >= 28 and at + 28 <= len(content):  # noqa: PLR2004 - three numbers in both orders
            block, offset, size = struct.unpack_from("<I4xI4xI", content, at + 4)
            return block * volume.block + offset, block * volume.block + offset + size
        if length < 4:  # noqa: PLR2004 - the head of a field
            return None
        at += length
    return None
