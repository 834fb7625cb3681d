"""MP4, QuickTime, HEIF and others of ISO base media files (ISO/IEC 14496-12): boxes in boxes.

A box that holds boxes is one by its type. Boxes are walked with a list of the open ones, not by calls in calls; what reaches
out of its parent ends where the parent ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST = (b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"sidx", b"wide", b"free", b"skip", b"pnot")
_IN_MOOV = (b"mvhd", b"trak", b"cmov", b"iods", b"mvex", b"udta", b"meta", b"rmra")
_HOLDERS = frozenset(
    b"moov trak mdia minf stbl dinf edts udta mvex moof traf mfra meco strk strd sinf schi rinf iprp ipco ilst "
    b"tref gmhd tapt clip matt hnti hinf paen strk".split()
)
_AFTER = {b"meta": 4, b"stsd": 8, b"dref": 8, b"iinf": 6}
_DEEPEST = 32


def is_mp4(source: Source) -> bool:
    """Say whether the file begins with a box as such files do, whatever size it has; without `ftyp`, another box must follow it, or lie in it."""
    kind = source.at(4, 4)
    if kind not in _FIRST:
        return False
    if kind in (b"ftyp", b"styp") or (kind == b"moov" and source.at(12, 4) in _IN_MOOV):
        return True
    size = int.from_bytes(source.at(0, 4), "big")
    following = source.at(size + 4, 4)
    return size in (0, 1) or (size >= 8 and (size == source.size or following.isalnum()))  # noqa: PLR2004 - the head of a box


def mp4_parts(source: Source) -> Iterator[Part]:
    """Yield every box, those in it one level deeper."""
    at, ends = 0, [source.size]
    problem = ""
    while at < ends[-1] or len(ends) > 1:
        if at >= ends[-1]:
            ends.pop()
            continue
        if ends[-1] - at < 8:  # noqa: PLR2004 - QuickTime ends a list of boxes with a zero
            at = ends[-1]
            continue
        size, head, kind = _box(source, at, ends[-1])
        if len(ends) == 1 and not _is_type(kind):
            raise Damaged(f"no box at {at:#x}")
        if size < head:
            problem = problem or f"a box at {at:#x} is shorter than its own head"
            at = ends[-1]
            continue
        if at + size > ends[-1] and len(ends) > 1:
            problem = problem or f"a box at {at:#x} reaches out of the box that holds it"
            size = ends[-1] - at
        depth = len(ends)
        yield Part(at, at + size, f"box {_name(kind)}", depth)
        inside = _inside(source, at + head, kind) if depth < _DEEPEST else 0
        if inside:
            ends.append(min(at + size, ends[-1]))
            at += head + inside - 1
        else:
            yield Part(at, at + head, "size and type", depth + 1)
            yield Part(at + head, at + size, "data", depth + 1)
            at += size
    if problem:
        raise Damaged(problem)


def _box(source: Source, at: int, end: int) -> tuple[int, int, bytes]:
    """Give the size of a box, the length of its head, and its type."""
    head = source.need(at, 8, "a box")
    size, kind = int.from_bytes(head[:4], "big"), head[4:]
    length = 24 if kind == b"uuid" else 8
    if size == 1:
        return source.fields(">Q", at + 8, "the size of a box")[0], length + 8, kind
    return (end - at if size == 0 else size), length, kind


def _inside(source: Source, at: int, kind: bytes) -> int:
    """Give one more than the bytes before the first box in a box; 0 if it holds none."""
    if kind in _HOLDERS:
        return 1
    if kind == b"meta" and source.at(at + 4, 4) == b"hdlr":  # QuickTime's has no version
        return 1
    return _AFTER[kind] + 1 if kind in _AFTER else 0


def _is_type(kind: bytes) -> bool:
    return all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind)  # noqa: PLR2004 - printable, and QuickTime's copyright sign


def _name(kind: bytes) -> str:
    return (
        kind.decode("ascii")
        if kind.isascii() and kind.decode("ascii").isprintable()
        else kind.decode("mac-roman")
    )
