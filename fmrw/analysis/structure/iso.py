"""ISO 9660: descriptors with `struct`, the tree of directories by pycdlib.

The volume descriptors are read first and alone, since pycdlib gives an image whole or not at all: a damaged one keeps its
descriptors. Files and directories come from the primary volume; the trees of Joliet and Rock Ridge point to the same data.
pycdlib visits no directory twice, so that an image whose directories form a loop ends.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from fmrw.analysis.structure.parts import Part, Source, library

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16
_MOST_DESCRIPTORS = 256
_TERMINATOR = 255
_LONGEST_PATH = 1024  # of a path its end is kept: nested directories must not add up to gigabytes of names
_KINDS = {0: "boot record", 1: "primary volume descriptor", 2: "supplementary volume descriptor"}


def is_iso(source: Source) -> bool:
    """Say whether a volume descriptor stands in sector 16."""
    return source.at(_FIRST_DESCRIPTOR * _SECTOR + 1, 5) == b"CD001"


def iso_parts(source: Source) -> Iterator[Part]:
    """Yield the system area, descriptors, path tables, directories and files."""
    yield Part(0, _FIRST_DESCRIPTOR * _SECTOR, "system area")
    yield from _descriptors(source)
    pycdlib = library("pycdlib.pycdlib", "ISO 9660")
    image = pycdlib.PyCdlib()
    source.file.seek(0)
    image.open_fp(source.file)
    try:
        yield from _tree(image)
    finally:
        image.close()


def _descriptors(source: Source) -> Iterator[Part]:
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS):
        content = source.at(number * _SECTOR, _SECTOR)
        if content[1:6] != b"CD001":
            return
        kind = content[0]
        name = "descriptor terminator" if kind == _TERMINATOR else _KINDS.get(kind, f"descriptor {kind}")
        yield Part(number * _SECTOR, (number + 1) * _SECTOR, name)
        if kind in (1, 2) and len(content) == _SECTOR:
            yield from _path_tables(content, _KINDS[kind])
        if kind == _TERMINATOR:
            return


def _path_tables(descriptor: bytes, of: str) -> Iterator[Part]:
    (length,) = struct.unpack_from("<I", descriptor, 132)
    little = struct.unpack_from("<2I", descriptor, 140)
    big = struct.unpack_from(">2I", descriptor, 148)
    for order, sectors in (("little-endian", little), ("big-endian", big)):
        for sector in filter(None, sectors):
            start = sector * _SECTOR
            yield Part(start, start + length, f"{order} path table of the {of}")


def _tree(image: Any) -> Iterator[Part]:  # noqa: ANN401 - pycdlib's records
    block = image.pvd.logical_block_size()
    waiting = deque([("/", image.get_record(iso_path="/"))])
    while waiting:
        path, record = waiting.popleft()
        start = record.extent_location() * block
        kind = "directory" if record.is_dir() else "file"
        yield Part(start, start + record.get_data_length(), f"{kind} {path}")
        for child in record.children if record.is_dir() else ():
            if not child.is_dot() and not child.is_dotdot():
                name = child.file_identifier().decode("utf-8", "replace")
                waiting.append((f"{path.rstrip('/')}/{name}"[-_LONGEST_PATH:], child))
