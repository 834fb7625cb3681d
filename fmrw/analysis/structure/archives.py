"""gzip (RFC 1952) and 7z (7zFormat.txt of the LZMA SDK).

Where a gzip member ends only its data says, so members are inflated, up to `MOST` of output, and what comes out is dropped.
What stands behind the last member is padding if it is zeros, else nothing of the format's. Of a 7z, the
headers at both ends are named; the names of its files are compressed mostly, and not looked for.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

MOST = 512 << 20
"""Bytes a gzip file is inflated to; what lies behind is not told apart."""

_LONGEST_TEXT = 1 << 20
_TRAILER = 8
_RESERVED = 0xE0
_STEP = 1 << 16
_OUTPUT = 1 << 20
_7Z = b"7z\xbc\xaf\x27\x1c"
_7Z_HEADER = 32


def begins_gzip(source: Source) -> bool:
    """Say whether the file begins with the magic of gzip with deflate data."""
    return source.at(0, 3) == b"\x1f\x8b\x08"


def is_gzip(source: Source, at: int = 0) -> bool:
    """Say whether a gzip member with deflate data begins at an offset."""
    head = source.at(at, 4)
    return head[:3] == b"\x1f\x8b\x08" and len(head) > 3 and not head[3] & _RESERVED  # noqa: PLR2004 - RFC 1952


def gzip_parts(source: Source) -> Iterator[Part]:
    """Yield of each member the fields of the header, the deflate data and the trailer; then padding."""
    at, room = 0, MOST
    if not is_gzip(source):
        raise Damaged("the header at 0x0 is cut off, or has flags that no gzip has")
    while is_gzip(source, at):
        data = yield from _gzip_header(source, at)
        end, room, problem = _inflated(source, data, room)
        if end < 0:
            yield Part(data, source.size, "deflate data" if problem else "deflate data and what follows")
            raise Damaged(problem or f"inflated to {MOST >> 20} MiB only; where the data ends is not known")
        yield Part(data, end, "deflate data")
        yield Part(end, end + _TRAILER, "CRC and length")
        at = end + _TRAILER
    rest = source.at(at, _STEP)
    if rest and not rest.strip(b"\0"):
        yield Part(at, _zeros_end(source, at), "padding")


def _gzip_header(source: Source, start: int) -> Generator[Part, None, int]:
    yield Part(start, start + 10, "header")
    flags, at = source.need(start, 10, "the header")[3], start + 10
    if flags & 4:
        length = 2 + source.fields("<H", at, "the extra field")[0]
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
    return at


def _inflated(source: Source, at: int, room: int) -> tuple[int, int, str]:
    """Give where deflate data ends (-1 if that cannot be told), the output still allowed, and what is wrong."""
    inflate, start = zlib.decompressobj(-zlib.MAX_WBITS), at
    while not inflate.eof:
        content = inflate.unconsumed_tail
        if not content:
            content = source.at(at, _STEP)
            at += len(content)
        if room <= 0:
            return -1, 0, ""
        try:
            came = len(inflate.decompress(content, _OUTPUT))
        except zlib.error as error:
            return -1, room, f"deflate data at {start:#x}: {str(error).rpartition(': ')[2]}"
        room -= came + 1
        if not content and not came and not inflate.eof:
            return -1, room, f"deflate data at {start:#x} is cut off"
    return at - len(inflate.unused_data), room, ""


def _zeros_end(source: Source, at: int) -> int:
    while block := source.at(at, _STEP):
        zeros = len(block) - len(block.lstrip(b"\0"))
        at += zeros
        if zeros < len(block):
            break
    return at


def is_7z(source: Source) -> bool:
    """Say whether the file begins with the signature of 7z."""
    return source.at(0, 6) == _7Z


def seven_zip_parts(source: Source) -> Iterator[Part]:
    """Yield the signature header, the packed streams and the header at the end."""
    yield Part(0, _7Z_HEADER, "signature header")
    start, length, crc = source.fields("<2QI", 12, "the signature header")
    stated = source.fields("<I", 8, "the signature header")[0]
    if zlib.crc32(source.at(12, 20)) != stated:
        raise Damaged("the CRC of the signature header is wrong")
    start += _7Z_HEADER
    if not length:
        return
    content = source.at(start, min(length, _LONGEST_TEXT))
    encoded = content[:1] == b"\x17"
    yield Part(_7Z_HEADER, start, "packed streams")
    yield Part(start, start + length, "encoded header" if encoded else "header")
    yield from _packed(
        content[1:] if encoded else content[2:], start, "packed header" if encoded else "packed stream"
    )
    if length == len(content) and zlib.crc32(content) != crc:
        raise Damaged("the CRC of the header is wrong")


def _packed(content: bytes, stop: int, name: str) -> Iterator[Part]:
    """Yield the streams that a `PackInfo` at the beginning of `content` lists: where the first begins, how long each is."""
    if content[:1] != b"\6":
        return
    first, at = _7z_number(content, 1)
    count, at = _7z_number(content, at)
    if content[at : at + 1] != b"\x09":
        return
    start, at = _7Z_HEADER + first, at + 1
    for number in range(min(count, len(content))):
        length, at = _7z_number(content, at)
        if not 0 < length <= stop - start:
            return
        yield Part(start, start + length, f"{name} {number}" if name == "packed stream" else name, 2)
        start += length


def _7z_number(content: bytes, at: int) -> tuple[int, int]:
    """Read a number: the ones its first byte begins with say how many bytes follow, the lowest first."""
    head = content[at] if at < len(content) else 0
    more = 8 - (head ^ 0xFF).bit_length()
    low = int.from_bytes(content[at + 1 : at + 1 + more], "little")
    high = head & ((1 << (7 - more)) - 1) if more < 7 else 0  # noqa: PLR2004 - of 0xFE and 0xFF nothing is left
    return low | high << (8 * more), at + 1 + more
