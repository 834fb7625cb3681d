"""ISO 9660 (ECMA-119) by its records: descriptors, path tables, El Torito, and the trees of all volumes.

Each number of a record is there twice, in both byte orders; the little-endian one is used, as by all systems in use, or the other
where that is 0. What a strict reader would refuse (a wrong unused byte, an unknown Rock Ridge field) is no reason to lose the tree.
Joliet has directories of its own that point to the same files; a file that only one tree names is named by that.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fmrw.analysis.structure.iso_tree import Volume, tree
from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16
_MOST_DESCRIPTORS = 256
_TERMINATOR = 255
_KINDS = {
    0: "boot record",
    1: "primary volume descriptor",
    2: "supplementary volume descriptor",
    3: "volume partition descriptor",
}
_JOLIET = (b"%/@", b"%/C", b"%/E")
_ROOT = 156
_EL_TORITO = b"EL TORITO SPECIFICATION"
_FLOPPIES = {1: 1_228_800, 2: 1_474_560, 3: 2_949_120}
_BOOTABLE = (0x88, 0x00)
_HEADERS = (0x90, 0x91)
_EXTENSION = 0x44


def is_iso(source: Source) -> bool:
    """Say whether a volume descriptor stands in sector 16."""
    return source.at(_FIRST_DESCRIPTOR * _SECTOR + 1, 5) == b"CD001"


def iso_parts(source: Source) -> Iterator[Part]:
    """Yield the system area, descriptors, path tables, boot images, directories and files."""
    yield Part(0, _FIRST_DESCRIPTOR * _SECTOR, "system area")
    volumes: list[Volume] = []
    for at, content in _descriptors(source):
        yield from _descriptor(at, content)
        if content[0] == 0 and content[7:].startswith(_EL_TORITO):
            yield from _boot(source, struct.unpack_from("<I", content, 71)[0] * _SECTOR)
        if content[0] in (1, 2):
            volumes.append(_volume(content))
    if not volumes:
        raise Damaged("no volume descriptor that leads to a tree")
    yield from tree(source, volumes)


def _descriptors(source: Source) -> Iterator[tuple[int, bytes]]:
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS):
        content = source.at(number * _SECTOR, _SECTOR)
        if content[1:6] != b"CD001" or len(content) < _SECTOR:
            return
        yield number * _SECTOR, content
        if content[0] == _TERMINATOR:
            return


def _descriptor(at: int, content: bytes) -> Iterator[Part]:
    kind = content[0]
    name = "descriptor terminator" if kind == _TERMINATOR else _KINDS.get(kind, f"descriptor {kind}")
    yield Part(at, at + _SECTOR, name)
    if kind in (1, 2):
        length = both(content, 132, "I")
        for order, sign in (("little-endian", "<"), ("big-endian", ">")):
            for sector in filter(None, struct.unpack_from(f"{sign}2I", content, 140 if sign == "<" else 148)):
                start = sector * _block(content)
                yield Part(start, start + length, f"{order} path table of the {name}")


def both(content: bytes, at: int, form: str) -> int:
    """Read a number that is stored in both byte orders."""
    little, big = (
        struct.unpack_from(f"<{form}", content, at),
        struct.unpack_from(f">{form}", content, at + struct.calcsize(form)),
    )
    return int(little[0] or big[0])


def _block(descriptor: bytes) -> int:
    size = both(descriptor, 128, "H")
    return size if size in (512, 1024, 2048, 4096) else _SECTOR


def _volume(content: bytes) -> Volume:
    kind = content[0]
    joliet = kind == 2 and content[88:120].startswith(_JOLIET)  # noqa: PLR2004 - supplementary
    label = "" if kind == 1 else " (Joliet)" if joliet else " (supplementary)"
    root = content[_ROOT : _ROOT + 34]
    return Volume(
        label,
        "utf-16-be" if joliet else "utf-8",
        _block(content),
        both(root, 2, "I"),
        both(root, 10, "I"),
        root[1],
    )


def _boot(source: Source, at: int) -> Iterator[Part]:
    """Yield the boot catalog of El Torito and the images its entries point to."""
    catalog = source.at(at, _SECTOR)
    yield Part(at, at + _SECTOR, "boot catalog")
    number = 0
    for place in range(32, len(catalog) - 31, 32):
        entry = catalog[place : place + 32]
        if entry[0] not in _BOOTABLE or (place > 32 and entry == bytes(32)):  # noqa: PLR2004 - the initial entry
            if entry[0] in (*_HEADERS, _EXTENSION):
                continue
            return
        media, sectors, sector = entry[1] & 0xF, *struct.unpack_from("<HI", entry, 6)
        if sector:
            length = _FLOPPIES.get(media, sectors * 512)
            yield Part(sector * _SECTOR, sector * _SECTOR + length, f"boot image {number}")
        number += 1
