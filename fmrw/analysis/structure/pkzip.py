"""ZIP: end records, the central directory, and what stands at each entry (APPNOTE 6.3).

The central directory says which entries there are and how long their data is; the local header's own flags say whether a
data descriptor follows. Neither says how wide the sizes of a descriptor are, nor whether it has a signature: the one
whose sizes are those of the central directory is taken. Without a central directory, entries are listed as they follow each other.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_RECORD = struct.Struct("<4s4xH6x3I3HH6xI")
_CENTRAL_LENGTH = _RECORD.size
_LOCAL_LENGTH = 30
_FURTHEST = 1 << 16
_MOST_CANDIDATES = 100_000
_TAIL = _END.size + 0xFFFF
_HAS_DESCRIPTOR = 8
_UTF8 = 0x800
_UNKNOWN, _UNKNOWN_SHORT = 0xFFFFFFFF, 0xFFFF
_ZIP64, _UNICODE_PATH = 1, 0x7075
_SPLIT_MARKERS = (b"PK\7\x08PK\3\4", b"PK00PK\3\4")


class End(NamedTuple):
    """What the end records say; `at` is where the first of them begins, `disk` the number of this file."""

    at: int
    disk: int
    directory: int
    length: int


class Entry(NamedTuple):
    """What the central directory says of an entry."""

    name: str
    flags: int
    crc: int
    packed: int
    size: int
    start: int
    disk: int


def zip_end(source: Source) -> int:
    """Give the offset of the end record, or -1.

    The one whose comment ends the file, the last of several; if none does (junk behind, comment cut), the last at all.
    """
    first = max(source.size - _TAIL, 0)
    tail = source.at(first, _TAIL)
    found = at = tail.rfind(b"PK\5\6", 0, max(len(tail) - _END.size + 4, 0))
    while at >= 0:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _END.size + comment == len(tail):
            return first + at
        at = tail.rfind(b"PK\5\6", 0, at)
    return first + found if found >= 0 else -1


def is_zip(source: Source) -> bool:
    """Say whether an unzipper would take the file, or would have before its end was lost.

    A file that does not begin as a ZIP has an end record that ends it or leads to a central directory: the letters alone stand
    in every program that reads ZIP.
    """
    head = source.at(0, 8)
    if head[:4] == b"PK\3\4" or head in _SPLIT_MARKERS:
        return True
    at = zip_end(source)
    if at < 0:
        return False
    comment = int.from_bytes(source.at(at + 20, 2), "little")
    return at + _END.size + comment == source.size or _leads(source, at)


def _leads(source: Source, at: int) -> bool:
    records = _end(source, at)
    try:
        while True:
            next(records)
    except StopIteration as done:
        return bool(done.value.length) and _directory(source, done.value)[0] >= 0
    except Damaged:
        return False


def zip_parts(source: Source) -> Iterator[Part]:
    """Yield entries, central directory and end records."""
    at = zip_end(source)
    if at < 0:
        yield from _without_end(source)
        return
    comment = int.from_bytes(source.at(at + 20, 2), "little")
    yield Part(at, at + _END.size + comment, "end of central directory")
    end = yield from _end(source, at)
    start, base = _directory(source, end)
    if start < 0:
        yield from _local_walk(source, 0)
        raise Damaged(
            "no central directory where the end record says; entries are listed as they follow each other"
        )
    entries, stop = yield from _central(source, start, end.at)
    yield from _signing_block(source, start)
    missing = elsewhere = 0
    for entry in entries:
        if entry.disk not in (end.disk, _UNKNOWN_SHORT):
            elsewhere += 1
            continue
        parts = _entry(source, entry, base + entry.start)
        missing += not parts
        yield from parts
    _complain(end, start, stop, missing, elsewhere)


def _complain(end: End, start: int, stop: int, missing: int, elsewhere: int) -> None:
    if elsewhere or end.disk:
        raise Damaged(
            f"split archive: this is part {end.disk + 1}, and {elsewhere} entries begin in other parts; join them first"
        )
    if missing:
        raise Damaged(f"{missing} entries have no local header where the central directory says")
    if stop < start + end.length <= end.at:
        raise Damaged(f"no record of the central directory at {stop:#x}")


def _end(source: Source, at: int) -> Generator[Part, None, End]:
    """Yield the records of ZIP64 before the end record, and return what all of them say."""
    _, disk, _, _, _, length, directory, _ = _END.unpack(source.need(at, _END.size, "the end record"))
    locator = at - 20
    if source.at(locator, 4) != b"PK\6\7":
        return End(at, disk, directory, length)
    yield Part(locator, at, "ZIP64 locator")
    (stated,) = struct.unpack("<Q", source.need(locator + 8, 8, "the ZIP64 locator"))
    wide = next((x for x in (stated, locator - _END64.size) if source.at(x, 4) == b"PK\6\6"), None)
    if wide is None:
        wide = _search_back(source, locator)
    if wide is None:
        return End(at, disk, directory, length)
    fields = _END64.unpack(source.need(wide, _END64.size, "the ZIP64 end record"))
    yield Part(wide, min(wide + 12 + fields[1], locator), "ZIP64 end of central directory")
    disk = fields[4] if disk == _UNKNOWN_SHORT else disk
    length = fields[8] if length == _UNKNOWN else length
    directory = fields[9] if directory == _UNKNOWN else directory
    return End(wide, disk, directory, length)


def _search_back(source: Source, locator: int) -> int | None:
    """Find a ZIP64 end record that has data of its own, in a file something was put before."""
    first = max(locator - _FURTHEST, 0)
    found = source.at(first, locator - first).rfind(b"PK\6\6")
    return first + found if found >= 0 else None


def _directory(source: Source, end: End) -> tuple[int, int]:
    """Give where the central directory begins, and what is to be added to the offsets in it; -1, 0 if nowhere.

    It ends where the end records begin. If something stands between, its offset is right as it is.
    """
    for start in (end.at - end.length, end.directory):
        if (start == end.at and not end.length) or source.at(start, 4) == b"PK\1\2":
            return start, start - end.directory if not end.disk else 0
    return -1, 0


def _central(source: Source, start: int, stop: int) -> Generator[Part, None, tuple[list[Entry], int]]:
    """Yield the records of the central directory; return the entries they describe and where they end."""
    at, entries = start, list[Entry]()
    while at < stop and source.at(at, 4) == b"PK\1\2":
        header = source.need(at, _CENTRAL_LENGTH, "a record of the central directory")
        _, flags, crc, packed, size, name, extra, comment, disk, offset = _RECORD.unpack(header)
        variable = source.at(at + _CENTRAL_LENGTH, name + extra)
        entry = Entry(_name(variable[:name], flags, variable[name:]), flags, crc, packed, size, offset, disk)
        if _UNKNOWN in (packed, size, offset) or disk == _UNKNOWN_SHORT:
            entry = _widened(entry, variable[name:])
        entries.append(entry)
        length = _CENTRAL_LENGTH + name + extra + comment
        yield Part(at, at + length, f"record of {entry.name}", 2)
        at += length
    yield Part(start, at, "central directory")
    if source.at(at, 4) == b"PK\5\5":
        signature = 6 + int.from_bytes(source.at(at + 4, 2), "little")
        yield Part(at, at + signature, "digital signature")
        at += signature
    return entries, at


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    """Decode a name as its flags say, or by the Unicode path beside it if that belongs to this name."""
    if b"up" in extra:  # 0x7075
        field = _extra(extra).get(_UNICODE_PATH, b"")
        if field[:1] == b"\1" and int.from_bytes(field[1:5], "little") == crc32(raw):
            return field[5:].decode("utf-8", "replace")
    return raw.decode("utf-8", "replace") if flags & _UTF8 else raw.decode("cp437")


def _extra(content: bytes) -> dict[int, bytes]:
    fields, at = dict[int, bytes](), 0
    while at + 4 <= len(content):
        kind, length = struct.unpack_from("<2H", content, at)
        fields.setdefault(kind, content[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _widened(entry: Entry, extra: bytes) -> Entry:
    """Take the numbers that do not fit from the ZIP64 field, which holds only those, in this order."""
    field, at, found = _extra(extra).get(_ZIP64, b""), 0, dict[str, Any]()
    for key, width in (("size", 8), ("packed", 8), ("start", 8), ("disk", 4)):
        unknown = _UNKNOWN if width == 8 else _UNKNOWN_SHORT  # noqa: PLR2004 - bytes of the field
        if getattr(entry, key) == unknown and at + width <= len(field):
            found[key] = int.from_bytes(field[at : at + width], "little")
            at += width
    return entry._replace(**found) if found else entry


def _entry(source: Source, entry: Entry, start: int) -> list[Part]:
    header = source.at(start, _LOCAL_LENGTH)
    if header[:4] != b"PK\3\4" or len(header) < _LOCAL_LENGTH:
        return []
    flags = header[6]
    data = (
        start
        + _LOCAL_LENGTH
        + int.from_bytes(header[26:28], "little")
        + int.from_bytes(header[28:30], "little")
    )
    end = data + entry.packed
    after = end + (_descriptor(source, end, entry) if flags & _HAS_DESCRIPTOR else 0)
    parts = [Part(start, after, f"entry {entry.name}"), Part(start, data, "local header", 2)]
    if end > data:
        parts.append(Part(data, end, "data", 2))
    if after > end:
        parts.append(Part(end, after, "data descriptor", 2))
    return parts


def _descriptor(source: Source, at: int, entry: Entry) -> int:
    """Give the length of a data descriptor: with signature or not, sizes of four or eight bytes, by what it says."""
    content = source.at(at, 24)
    for signature in (b"PK\7\x08", b""):
        for form in ("<I2Q", "<3I"):
            if max(entry.packed, entry.size) > _UNKNOWN and form == "<3I":
                continue
            expected = signature + struct.pack(form, entry.crc, entry.packed, entry.size)
            if content.startswith(expected):
                return len(expected)
    wide = max(entry.packed, entry.size) >= _UNKNOWN
    return (20 if wide else 12) + (4 if content[:4] == b"PK\7\x08" else 0)


def _signing_block(source: Source, directory: int) -> Iterator[Part]:
    """Yield the block in which Android packages are signed, right before the central directory."""
    if source.at(directory - 16, 16) == b"APK Sig Block 42":
        length = int.from_bytes(source.at(directory - 24, 8), "little")
        yield Part(directory - length - 8, directory, "APK signing block")


def _without_end(source: Source) -> Iterator[Part]:
    split = source.at(0, 8) in _SPLIT_MARKERS
    if split:
        yield Part(0, 4, "marker of a split archive")
    at = yield from _local_walk(source, 4 if split else 0)
    entries, stop = yield from _central(source, at, source.size)
    if source.at(stop, 4) == b"PK\5\6":
        yield Part(stop, stop + _END.size, "end of central directory")
    found = f"; the central directory still lists {len(entries)}" if entries else ""
    what = "split archive: this is its first part" if split else "no end of the central directory"
    raise Damaged(f"{what}; entries are listed as they follow each other{found}")


def _local_walk(source: Source, at: int) -> Generator[Part, None, int]:
    """Yield entries as they follow each other; return where no further one begins."""
    while source.at(at, 4) == b"PK\3\4":
        header = source.need(at, _LOCAL_LENGTH, "a local header")
        flags, crc, packed, size, name, extra = struct.unpack_from("<6xH6x3I2H", header)
        variable = source.at(at + _LOCAL_LENGTH, name + extra)
        entry = Entry(_name(variable[:name], flags, variable[name:]), flags, crc, packed, size, at, 0)
        entry = _widened(entry, variable[name:])
        data = at + _LOCAL_LENGTH + name + extra
        if flags & _HAS_DESCRIPTOR and not entry.packed:
            found = _described(source, data, entry)
            if found is None:
                yield Part(at, data, f"entry {entry.name}")
                yield Part(at, data, "local header", 2)
                return at
            entry = found
        parts = _entry(source, entry, at)
        yield from parts
        at = parts[0].end
    return at


def _described(source: Source, data: int, entry: Entry) -> Entry | None:
    """Find the data descriptor of an entry that does not say its size: the first that gives the distance."""
    at = data - 4
    for _ in range(_MOST_CANDIDATES):
        at = source.find(b"PK\7\x08", at + 4, source.size)
        if at < 0:
            break
        content = source.at(at + 4, 20)
        for form in ("<I2Q", "<3I"):
            if len(content) >= struct.calcsize(form):
                crc, packed, size = struct.unpack_from(form, content)
                if packed == at - data:
                    return entry._replace(crc=crc, packed=packed, size=size)
    return None
