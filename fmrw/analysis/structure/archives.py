"""ZIP, tar and gzip, by the standard library.

`zipfile` finds the central directory, also of a ZIP inside a polyglot, and knows ZIP64 and the encodings of names; only the
lengths of the local headers it does not keep are read here. Of `tarfile`, only the decoder of one 512-byte
header is used: its reader of whole archives joins pax and long-name blocks into the entry they belong to (here they
are ranges of their own) and, on Pythons before 3.13.6, loops on negative sizes. Of a gzip file, the
members after the first cannot be told apart without decompressing; they count as data of the first.
"""

from __future__ import annotations

import re
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_LENGTH = 22
_TAIL = _END_LENGTH + 0xFFFF
_LOCAL_LENGTH = 30
_CENTRAL_LENGTH = 46
_LOCATOR_LENGTH = 20
_HAS_DESCRIPTOR = 8
_UNKNOWN_SIZE = 0xFFFFFFFF
_TAR_BLOCK = 512
_LONGEST_TEXT = 1 << 20
_PAX_RECORD = re.compile(rb"\d+ (path|size)=([^\n]*)\n")
_GZIP_TRAILER = 8
_GZIP_RESERVED = 0xE0


def zip_end(source: Source) -> int:
    """Give the offset of the end record of a ZIP, searched as `zipfile` does, or -1."""
    if source.at(source.size - _END_LENGTH, 4) == b"PK\5\6":
        return source.size - _END_LENGTH
    first = max(source.size - _TAIL, 0)
    found = source.at(first, _TAIL).rfind(b"PK\5\6")
    return first + found if found >= 0 else -1


def is_zip(source: Source) -> bool:
    """Say whether an unzipper would take the file, or would have before its end was lost."""
    return source.at(0, 4) == b"PK\3\4" or zip_end(source) >= 0


def zip_parts(source: Source) -> Iterator[Part]:
    """Yield entries, central directory and end record."""
    end = zip_end(source)
    if end < 0:
        yield from _local_walk(source)
        raise Damaged("no end of the central directory; entries are listed as they follow each other")
    yield Part(end, end + _END_LENGTH + _number("<H", source.at(end + 20, 2)), "end of central directory")
    try:
        source.file.seek(0)
        archive = zipfile.ZipFile(source.file)
    except Exception:
        yield from _local_walk(source)
        raise
    yield from _central(source, archive.start_dir, end)
    missing = 0
    for entry in archive.infolist():
        parts = list(_entry(source, entry))
        missing += not parts
        yield from parts
    if missing:
        raise Damaged(f"{missing} entries have no local header where the central directory says")


def _number(form: str, content: bytes) -> int:
    return int(struct.unpack(form, content)[0]) if len(content) == struct.calcsize(form) else 0


def _central(source: Source, start: int, stop: int) -> Iterator[Part]:
    if source.at(stop - _LOCATOR_LENGTH, 4) == b"PK\6\7":
        yield Part(stop - _LOCATOR_LENGTH, stop, "ZIP64 locator")
    at = start
    while source.at(at, 4) == b"PK\1\2":
        header = source.need(at, _CENTRAL_LENGTH, "a record of the central directory")
        name, extra, comment = struct.unpack_from("<3H", header, 28)
        length = _CENTRAL_LENGTH + name + extra + comment
        shown = source.at(at + _CENTRAL_LENGTH, name).decode("utf-8", "replace")
        yield Part(at, at + length, f"record of {shown}", 2)
        at += length
    yield Part(start, at, "central directory")
    if source.at(at, 4) == b"PK\6\6":
        yield Part(at, at + 12 + _number("<Q", source.at(at + 4, 8)), "ZIP64 end of central directory")


def _entry(source: Source, entry: zipfile.ZipInfo) -> Iterator[Part]:
    start = entry.header_offset
    header = source.at(start, _LOCAL_LENGTH)
    if header[:4] != b"PK\3\4" or len(header) < _LOCAL_LENGTH:
        return
    data = start + _LOCAL_LENGTH + sum(struct.unpack_from("<2H", header, 26))
    end = after = data + entry.compress_size
    if entry.flag_bits & _HAS_DESCRIPTOR:
        wide = 8 if max(entry.file_size, entry.compress_size) >= _UNKNOWN_SIZE else 4
        after = end + 4 + 2 * wide + (4 if source.at(end, 4) == b"PK\7\10" else 0)
    yield Part(start, after, f"entry {entry.filename}")
    yield Part(start, data, "local header", 2)
    yield Part(data, end, "data", 2)
    yield Part(end, after, "data descriptor", 2)


def _local_walk(source: Source) -> Iterator[Part]:
    at = 0
    while source.at(at, 4) == b"PK\3\4":
        header = source.need(at, _LOCAL_LENGTH, "a local header")
        flags, size = struct.unpack_from("<6xH10xI", header)
        name, extra = struct.unpack_from("<2H", header, 26)
        shown = source.at(at + _LOCAL_LENGTH, name).decode("utf-8", "replace")
        data = at + _LOCAL_LENGTH + name + extra
        known = size != _UNKNOWN_SIZE and (size or not flags & _HAS_DESCRIPTOR)
        yield Part(at, data + size if known else data, f"entry {shown}")
        yield Part(at, data, "local header", 2)
        if not known:
            return
        yield Part(data, data + size, "data", 2)
        at = data + size


def is_tar(source: Source) -> bool:
    """Say whether the first block is a header whose checksum is right."""
    try:
        _tar_header(source.at(0, _TAR_BLOCK))
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def tar_parts(source: Source) -> Iterator[Part]:
    """Yield headers, data and padding of each entry, and the blocks of zero behind the last."""
    at, override = 0, dict[bytes, bytes]()
    while any(block := source.at(at, _TAR_BLOCK)):
        try:
            header = _tar_header(block)
        except (tarfile.HeaderError, ValueError):
            raise Damaged(f"no header of an entry at {at:#x}") from None
        if override.get(b"size", b"").isdigit():
            header.size = int(override[b"size"][:20])
        name = override.get(b"path", b"").decode("utf-8", "replace") or header.name
        data = _tar_data(source, at, header)
        end = data + (header.size if _has_data(header) else 0)
        after = data + -(-(end - data) // _TAR_BLOCK) * _TAR_BLOCK
        yield Part(at, after, f"{_TAR_TYPES.get(header.type, 'entry')} {name}")
        yield Part(at, data, "header", 2)
        yield Part(data, end, "data", 2)
        yield Part(end, after, "padding", 2)
        override = _tar_override(source, header, data, end)
        at = after
    yield Part(at, _end_of_zeros(source, at), "end of archive")


_TAR_TYPES = {
    tarfile.XHDTYPE: "pax header of",
    tarfile.XGLTYPE: "global pax header",
    tarfile.GNUTYPE_LONGNAME: "long name",
    tarfile.GNUTYPE_LONGLINK: "long link",
    tarfile.DIRTYPE: "directory",
}


def _tar_header(block: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if header.size < 0:
        raise ValueError(header.size)
    return header


def _has_data(header: tarfile.TarInfo) -> bool:
    return header.isreg() or header.type in _TAR_TYPES or header.type not in tarfile.SUPPORTED_TYPES


def _tar_data(source: Source, at: int, header: tarfile.TarInfo) -> int:
    """Skip the extension blocks that list the pieces of a sparse file (old GNU format)."""
    data, flag_at = at + _TAR_BLOCK, 482
    block = source.at(at, _TAR_BLOCK)
    while header.type == tarfile.GNUTYPE_SPARSE and block[flag_at : flag_at + 1] not in (b"", b"\0"):
        block, flag_at = source.at(data, _TAR_BLOCK), 504
        data += _TAR_BLOCK
    return data


def _tar_override(source: Source, header: tarfile.TarInfo, data: int, end: int) -> dict[bytes, bytes]:
    content = source.at(data, min(end - data, _LONGEST_TEXT))
    if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
        return dict(_PAX_RECORD.findall(content))
    return {b"path": content.rstrip(b"\0")} if header.type == tarfile.GNUTYPE_LONGNAME else {}


def _end_of_zeros(source: Source, at: int) -> int:
    step = 1 << 20
    while block := source.at(at, step):
        zeros = len(block) - len(block.lstrip(b"\0"))
        at += zeros
        if zeros < len(block):
            break
    return at


def is_gzip(source: Source) -> bool:
    """Say whether a gzip member with deflate data begins at 0."""
    head = source.at(0, 4)
    return head[:3] == b"\x1f\x8b\x08" and len(head) > 3 and not head[3] & _GZIP_RESERVED  # noqa: PLR2004 - RFC 1952


def gzip_parts(source: Source) -> Iterator[Part]:
    """Yield the fields of the header, the deflate data and the trailer (RFC 1952)."""
    yield Part(0, 10, "header")
    flags, at = source.need(0, 10, "the header")[3], 10
    if flags & 4:
        length = 2 + _number("<H", source.need(at, 2, "the extra field"))
        yield Part(at, at + length, "extra field")
        at += length
    for flag, name in ((8, "file name"), (16, "comment")):
        if flags & flag:
            end = source.find(b"\0", at, at + _LONGEST_TEXT)
            if end < 0:
                raise Damaged(f"the {name} at {at:#x} does not end")
            yield Part(at, end + 1, name)
            at = end + 1
    if flags & 2:
        yield Part(at, at + 2, "header CRC")
        at += 2
    data_end = max(source.size - _GZIP_TRAILER, at)
    yield Part(at, data_end, "deflate data")
    yield Part(data_end, data_end + _GZIP_TRAILER, "CRC and length")
