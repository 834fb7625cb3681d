"""PNG and RIFF: lengths, four-letter types and data, read with `struct`.

No library gives the offsets of chunks (Pillow skips what it does not know; the standard library's `chunk` is gone since 3.13),
and both formats are one loop. RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088) are RIFF whose sizes of 0xFFFFFFFF
stand in their first chunk, `ds64`: that of the form, that of `data`, and a table of others.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_RIFFS = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}
_LISTS = (*_RIFFS, b"LIST")
_DEEPEST = 32
_UNKNOWN_SIZE = 0xFFFFFFFF
_MOST_SIZES = 10_000


def is_png(source: Source) -> bool:
    """Say whether the file begins with the signature of PNG."""
    return source.at(0, 8) == _PNG


def png_parts(source: Source) -> Iterator[Part]:
    """Yield the signature and the chunks up to IEND."""
    yield Part(0, 8, "signature")
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", source.need(at, 8, "a chunk"))
        if not kind.isalpha():
            raise Damaged(f"no chunk at {at:#x}")
        data, end = at + 8, at + 12 + length
        yield Part(at, end, f"chunk {kind.decode('latin-1')}")
        yield Part(at, data, "length and type", 2)
        yield Part(data, end - 4, "data", 2)
        yield Part(end - 4, end, "CRC", 2)
        at = end


def is_riff(source: Source) -> bool:
    """Say whether the file begins as a RIFF, RIFX, RF64 or BW64 form."""
    return source.at(0, 4) in _RIFFS


def riff_parts(source: Source) -> Iterator[Part]:
    """Yield chunks and the chunks in lists; a file may hold several forms in a row, as large AVI files do."""
    order = _RIFFS[source.at(0, 4)]
    levels = [source.size]  # where each open list ends
    at, sizes = 0, dict[bytes, list[int]]()
    while at < source.size:
        while len(levels) > 1 and at >= levels[-1]:
            levels.pop()
        kind = source.at(at, 4)
        if len(levels) == 1:
            if kind not in _RIFFS:
                return
            sizes = _long_sizes(source, at, kind)
        (length,) = source.fields(f"{order}I", at + 4, "the length of a chunk")
        if length == _UNKNOWN_SIZE:
            length = sizes[kind].pop(0) if sizes.get(kind) else levels[-1] - at - 8
        depth, end = len(levels), at + 8 + length
        yield from _chunk(source, at, end, kind, depth)
        if kind in _RIFFS and length < 4:  # noqa: PLR2004 - what form it is
            raise Damaged(f"the form at {at:#x} is said to have {length} bytes")
        if kind in _LISTS and depth < _DEEPEST:
            levels.append(min(end, levels[-1]))
            at += 12
        else:
            yield Part(end, min(end + length % 2, levels[-1]), "padding", depth)
            at = end + length % 2


def _long_sizes(source: Source, form: int, kind: bytes) -> dict[bytes, list[int]]:
    """Read the sizes in `ds64`, the first chunk of the form: by type of chunk, in the order of the file."""
    if source.at(form + 12, 4) != b"ds64":
        return {}
    riff, data, _, count = source.fields("<3QI", form + 20, "the chunk ds64")
    sizes = {kind: [riff], b"data": [data]}
    for number in range(min(count, _MOST_SIZES)):
        entry = source.at(form + 48 + 12 * number, 12)
        sizes.setdefault(entry[:4], []).append(int.from_bytes(entry[4:], "little"))
    return sizes


def _chunk(source: Source, at: int, end: int, kind: bytes, depth: int) -> Iterator[Part]:
    name = kind.decode("latin-1")
    if kind in _LISTS:
        yield Part(at, end, f"{name} {source.at(at + 8, 4).decode('latin-1')}", depth)
        yield Part(at, min(at + 12, end), "type, length, form", depth + 1)
    else:
        yield Part(at, end, f"chunk {name}", depth)
        yield Part(at, at + 8, "type and length", depth + 1)
        yield Part(at + 8, end, "data", depth + 1)
