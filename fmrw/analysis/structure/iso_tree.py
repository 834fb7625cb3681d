"""The trees of an ISO 9660 image: directory records (ECMA-119 9.1), and what Rock Ridge adds to them (SUSP 5.1, RRIP 4.1.4).

Where a record has a name of Rock Ridge (`NM`), that is the name, as for whoever mounts the image.
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


class Area(NamedTuple):
    """A continuation area: where it lies in the image, and its fields."""

    start: int
    end: int
    content: bytes


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
                areas = _continuations(self.source, volume, child)
                below = path
                if child.name not in (b"\0", b"\1"):
                    name = _long_name(child, areas).decode(volume.encoding, "replace")
                    below = f"{path.rstrip('/')}/{name}"[-_LONGEST_PATH:]
                    if not child.flags & _DIRECTORY:
                        yield from _data(volume, below, child, self._named)
                    elif child.start not in seen:
                        seen.add(child.start)
                        waiting.append((below, child))
                yield from self._areas(volume, below, areas)

    def _areas(self, volume: Volume, path: str, areas: Sequence[Area]) -> Iterator[Part]:
        for area in areas:
            place = area.start, area.end
            if place not in self._named:
                self._named.add(place)
                yield Part(*place, f"continuation area of {path}{volume.label}")

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


def _continuations(source: Source, volume: Volume, record: Record) -> list[Area]:
    """Give where the Rock Ridge fields of a record go on (`CE`)."""
    areas: list[Area] = []
    content = record.system
    while len(areas) < _MOST_CONTINUATIONS:
        place = next(_numbers(content), None)
        if place is None:
            break
        start = place[0] * volume.block + place[1]
        if any(start == area.start for area in areas):
            break
        content = source.at(start, min(place[2], _SECTOR))
        areas.append(Area(start, start + place[2], content))
    return areas


def _numbers(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield block, offset and length of continuation areas; each stands there in both byte orders."""
    for signature, data in _fields(content):
        if signature == b"CE" and len(data) >= 24:  # noqa: PLR2004 - three numbers in both orders
            yield struct.unpack_from("<I4xI4xI", data)


def _long_name(record: Record, areas: Sequence[Area]) -> bytes:
    """Give the name of Rock Ridge, which may stand in several fields, or else that of the record."""
    contents = (record.system, *(area.content for area in areas))
    names = [data for content in contents for signature, data in _fields(content) if signature == b"NM"]
    return b"".join(data[1:] for data in names) or record.name


def _fields(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield signature and data of the fields of a system use area."""
    at = 0
    while at + 4 <= len(content):
        length = content[at + 2]
        if length < 4 or at + length > len(content):  # noqa: PLR2004 - the head of a field
            return
        yield content[at : at + 2], content[at + 4 : at + length]
        at += length
