"""tar: headers of 512 bytes, by our own reading of them (POSIX pax, ustar; GNU).

Python's `tarfile` joins pax and long-name blocks into the entry they belong to; here they are ranges of their own.
Which types have data is what `tarfile`, GNU tar and bsdtar agree on. What a pax or long-name block says holds for the next
entry, whatever further blocks stand between; of several that say the same, the first wins, as in `tarfile`.
A block that is no header is skipped, as the programs do, up to the next that is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_LONGEST_TEXT = 1 << 20
_STEP = 1 << 20
_CHECKSUM = slice(148, 156)
_SPACES = 8 * 0x20
_MAGIC_AT = 257
_SPARSE_MORE, _SPARSE_MORE_LATER = 482, 504
_WITHOUT_DATA = b"123456"
_USED = ("GNU.sparse.name", "path", "size")  # of what pax headers say
_KINDS = {
    b"x": "pax header of",
    b"X": "pax header of",
    b"g": "global pax header",
    b"L": "long name",
    b"K": "long link",
    b"5": "directory",
}


class Header(NamedTuple):
    """What is used of a header."""

    name: str
    kind: bytes
    size: int


def is_tar(source: Source) -> bool:
    """Say whether the first block is a header whose checksum is right, or one with the magic of newer tars."""
    block = source.at(0, _BLOCK)
    return _header(block) is not None or block[_MAGIC_AT : _MAGIC_AT + 6] in (b"ustar\0", b"ustar ")


def tar_parts(source: Source) -> Iterator[Part]:
    """Yield headers, data and padding of each entry, and the blocks of zero behind the last."""
    at, skipped = 0, list[int]()
    override, always = dict[str, str](), dict[str, str]()
    while (block := source.at(at, _BLOCK)).strip(b"\0"):
        header = _header(block)
        if header is None:
            skipped.append(at)
            at = _next_header(source, at + _BLOCK)
            if at < 0:
                break
            continue
        header = _overridden(header, always | override)
        data = _data(source, at, block, header)
        end = data + (0 if header.kind in _WITHOUT_DATA else header.size)
        after = at + -(-(end - at) // _BLOCK) * _BLOCK
        yield Part(at, after if end > source.size else min(after, source.size), _title(header))
        yield Part(at, data, "header", 2)
        if end > data:
            yield Part(data, end, "data", 2)
            if after > end:
                yield Part(end, min(after, source.size), "padding", 2)
        override, always = _said(source, header, (data, end), override, always)
        at = after
    if at >= 0:
        yield Part(at, _end_of_zeros(source, at), "end of archive")
    if skipped:
        raise Damaged(f"no header of an entry at {skipped[0]:#x}" + _skipped(skipped, at))


def _skipped(places: list[int], end: int) -> str:
    if end < 0 and len(places) == 1:
        return ""
    return (
        "; skipped to the next one"
        if len(places) == 1
        else f" and at {len(places) - 1} other places; skipped"
    )


def _title(header: Header) -> str:
    return f"{_KINDS.get(header.kind, 'entry')} {header.name}"


def _header(block: bytes) -> Header | None:
    """Read a header, or say that it is none: its checksum, its numbers."""
    if len(block) < _BLOCK:
        return None
    stated, size = _number(block[_CHECKSUM]), _number(block[124:136])
    if stated is None or size is None or size < 0 or not _sums_up(block, stated):
        return None
    kind, name = block[156:157], _text(block[:100])
    if block[_MAGIC_AT : _MAGIC_AT + 6] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    if kind == b"\0" and name.endswith("/"):
        kind = b"5"
    return Header(name.rstrip("/") if kind == b"5" else name, kind, size)


def _sums_up(block: bytes, stated: int) -> bool:
    without = block[:148] + block[156:]
    total = sum(without) + _SPACES
    return stated == total or stated == total - 256 * sum(byte > 0x7F for byte in without)  # noqa: PLR2004 - old tars add signed bytes


def _number(field: bytes) -> int | None:
    """Read octal digits, or base 256 (GNU): the first bit is set, two's complement."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if field[0] & 0x40 else value
    digits = field.split(b"\0", 1)[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _overridden(header: Header, said: dict[str, str]) -> Header:
    if header.kind in b"xXgLK":
        return header
    name = said.get("GNU.sparse.name") or said.get("path") or header.name
    size = said.get("size", "")
    return Header(
        name.rstrip("/") if header.kind == b"5" else name,
        header.kind,
        int(size[:20]) if size.isascii() and size.isdigit() else header.size,
    )


def _data(source: Source, at: int, block: bytes, header: Header) -> int:
    """Skip the extension blocks that list the pieces of a sparse file (old GNU format)."""
    data, flag = at + _BLOCK, _SPARSE_MORE
    while header.kind == b"S" and block[flag : flag + 1] not in (b"", b"\0"):
        block, flag = source.at(data, _BLOCK), _SPARSE_MORE_LATER
        data += _BLOCK
    return data


def _said(
    source: Source, header: Header, data: tuple[int, int], override: dict[str, str], always: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Give what holds for the next entry, and what holds for all that follow."""
    if header.kind not in b"xXgLK":
        return {}, always
    content = source.at(data[0], min(data[1] - data[0], _LONGEST_TEXT))
    if header.kind == b"g":
        return override, always | _used(content)
    if header.kind == b"L":
        return {"path": _text(content)} | override, always
    return (override if header.kind == b"K" else _used(content) | override), always


def _used(content: bytes) -> dict[str, str]:
    """Give what is used of the records of a pax header: all of them would be copied for each entry that follows."""
    records = pax_records(content)
    return {key: records[key] for key in _USED if key in records}


def pax_records(content: bytes) -> dict[str, str]:
    """Read `LENGTH KEY=VALUE` and a newline, record after record, each as long as it says."""
    records, at = dict[str, str](), 0
    while at < len(content):
        digits = content[at : at + 20].split(b" ", 1)[0]
        length = int(digits) if digits.isdigit() else 0
        if length <= len(digits) + 1 or at + length > len(content):
            break
        key, _, value = content[at + len(digits) + 1 : at + length - 1].partition(b"=")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        at += length
    return records


def _next_header(source: Source, at: int) -> int:
    """Find the next block that is a header with a magic, or -1."""
    while (found := source.find(b"ustar", at + _MAGIC_AT, source.size)) >= 0:
        start = found - _MAGIC_AT
        if start % _BLOCK == 0 and _header(source.at(start, _BLOCK)):
            return start
        at = start + 1
    return -1


def _end_of_zeros(source: Source, at: int) -> int:
    while block := source.at(at, _STEP):
        zeros = len(block) - len(block.lstrip(b"\0"))
        at += zeros
        if zeros < len(block):
            break
    return at
