"""JPEG (T.81), GIF (89a) and BMP: markers, blocks, and the three stretches of a bitmap.

Coded data of a JPEG has no length: it ends at the next marker that is neither a stuffed 0xFF nor a restart.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_BLOCK = 1 << 20
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_ALONE = {0x01: "TEM", 0xD8: "SOI"} | {0xD0 + n: f"RST{n}" for n in range(8)}
_EOI, _SOS, _FILL = 0xD9, 0xDA, 0xFF
_NAMES = (
    {0xC0 + n: f"SOF{n}" for n in range(16) if n not in (4, 8, 12)}
    | {0xE0 + n: f"APP{n}" for n in range(16)}
    | {
        0xC4: "DHT",
        0xCC: "DAC",
        0xDA: "SOS",
        0xDB: "DQT",
        0xDC: "DNL",
        0xDD: "DRI",
        0xDE: "DHP",
        0xDF: "EXP",
        0xFE: "COM",
    }
)
_APPLICATIONS = range(0xE0, 0xF0)


def is_jpeg(source: Source) -> bool:
    """Say whether the file begins with a start of image and another marker."""
    return source.at(0, 3) == b"\xff\xd8\xff"


def jpeg_parts(source: Source) -> Iterator[Part]:
    """Yield the segments and the coded data between them, up to the end of the image."""
    at = 0
    while True:
        head = source.need(at, 2, "a marker")
        if head[0] != _FILL:
            raise Damaged(f"no marker at {at:#x}")
        kind = head[1]
        if kind == _FILL:  # a marker may be filled up with any number of these
            at = _fill_end(source, at)
        elif kind == _EOI:
            yield Part(at, at + 2, "EOI")
            return
        elif kind in _ALONE:
            yield Part(at, at + 2, _ALONE[kind])
            at += 2
        else:
            (length,) = source.fields(">H", at + 2, "the length of a segment")
            end = at + 2 + max(length, 2)
            yield Part(at, end, _segment(source, at, kind))
            at = end
            if kind == _SOS:
                at = _coded_end(source, end)
                yield Part(end, at, "coded data")


def _fill_end(source: Source, at: int) -> int:
    """Give the last of the bytes 0xFF that stand from here on."""
    while block := source.at(at, _BLOCK):
        filled = len(block) - len(block.lstrip(b"\xff"))
        at += filled
        if filled < len(block):
            break
    return at - 1


def _segment(source: Source, at: int, kind: int) -> str:
    name = _NAMES.get(kind, f"marker {kind:#x}")
    if kind in _APPLICATIONS:
        word = re.match(rb"[A-Za-z][\x20-\x7e]{1,30}", source.at(at + 4, 32))
        return f"{name} {word[0].decode('ascii')}" if word else name
    return name


def _coded_end(source: Source, at: int) -> int:
    while block := source.at(at, _BLOCK):
        marker = _MARKER.search(block)
        if marker:
            return at + marker.start()
        at += len(block) - (block[-1] == _FILL and len(block) > 1)
        if len(block) == 1:
            break
    raise Damaged("the coded data does not end")


def is_gif(source: Source) -> bool:
    """Say whether the file begins with a signature of GIF."""
    return source.at(0, 6) in (b"GIF87a", b"GIF89a")


_EXTENSIONS = {0x01: "plain text", 0xF9: "graphic control", 0xFE: "comment", 0xFF: "application"}


def gif_parts(source: Source) -> Iterator[Part]:
    """Yield header, colour tables, extensions and images up to the trailer."""
    yield Part(0, 6, "header")
    flags = source.need(6, 7, "the screen descriptor")[4]
    yield Part(6, 13, "logical screen descriptor")
    at = 13 + _table(flags)
    yield Part(13, at, "global colour table")
    number = 0
    while (kind := source.need(at, 1, "a block")) != b";":
        start = at
        if kind == b"!":
            label = source.need(at, 2, "an extension")[1]
            at = yield from _sub_blocks(source, at + 2, None)
            yield Part(start, at, f"extension {_EXTENSIONS.get(label, f'{label:#x}')}")
        elif kind == b",":
            flags = source.need(at, 10, "an image descriptor")[9]
            data = at + 10 + _table(flags)
            yield Part(at, at + 10, "image descriptor", 2)
            yield Part(at + 10, data, "local colour table", 2)
            at = yield from _sub_blocks(source, data + 1, data)
            yield Part(start, at, f"image {number}")
            number += 1
        else:
            raise Damaged(f"no block at {at:#x}")
    yield Part(at, at + 1, "trailer")


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _sub_blocks(source: Source, at: int, data: int | None) -> Generator[Part, None, int]:
    while length := source.need(at, 1, "a sub-block")[0]:
        at += 1 + length
    if data is not None:
        yield Part(data, at + 1, "data", 2)
    return at + 1


def is_bmp(source: Source) -> bool:
    """Say whether the file begins as a bitmap: its letters, a known size of the second header, data behind it."""
    head = source.at(0, 18)
    if len(head) < 18 or head[:2] != b"BM":  # noqa: PLR2004 - what is read
        return False
    data, length = struct.unpack_from("<2I", head, 10)
    return length in (12, 16, 40, 52, 56, 64, 108, 124) and data >= 14 + length


def bmp_parts(source: Source) -> Iterator[Part]:
    """Yield both headers, masks and palette, the pixels and a colour profile."""
    yield Part(0, 14, "file header")
    _, start, length = source.fields("<3I", 6, "the header")
    yield Part(14, 14 + length, "bitmap header")
    yield Part(14 + length, start, "masks and palette")
    if length == 12:  # noqa: PLR2004 - of OS/2
        width, height, _, bits = source.fields("<2H2H", 18, "the header")
        packed, stated = 0, 0
    else:
        width, height, _, bits = source.fields("<2i2H", 18, "the header")
        packed, stated = source.fields("<2I", 30, "the header") if length >= 40 else (0, 0)  # noqa: PLR2004 - BITMAPINFOHEADER
    rows = (abs(width) * bits + 31) // 32 * 4 * abs(height)
    yield Part(start, start + (stated if packed not in (0, 3, 6) and stated else rows), "pixels")
    if length == 124:  # noqa: PLR2004 - BITMAPV5HEADER
        kind, profile, size = source.fields("<I52x2I", 14 + 56, "the header")
        if kind in (0x4D424544, 0x4C494E4B):
            yield Part(14 + profile, 14 + profile + size, "colour profile")
