"""Captures of packets: pcap (both byte orders, microseconds or nanoseconds) and pcapng."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORDERS = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}
_LONGEST_PACKET = 1 << 28
_SECTION = b"\n\r\r\n"
_BLOCKS = {1: "interface description", 2: "packet (obsolete)", 3: "simple packet", 4: "name resolution", 5: "interface statistics", 6: "enhanced packet", 10: "decryption secrets", 11: "custom", 0x40000BAD: "custom"}  # fmt: skip


def is_pcap(source: Source) -> bool:
    """Say whether the file begins with a magic of pcap."""
    return source.at(0, 4) in _ORDERS


def pcap_parts(source: Source) -> Iterator[Part]:
    """Yield the header, and of every packet its header and data."""
    order = _ORDERS[source.at(0, 4)]
    yield Part(0, 24, "header")
    at, number = 24, 1
    while at < source.size:
        (length,) = source.fields(f"{order}8xI4x", at, "the header of a packet")
        if length > _LONGEST_PACKET:
            raise Damaged(f"packet {number} at {at:#x} is said to have {length:,} bytes")
        yield Part(at, at + 16 + length, f"packet {number}")
        yield Part(at, at + 16, "packet header", 2)
        yield Part(at + 16, at + 16 + length, "data", 2)
        at, number = at + 16 + length, number + 1


def is_pcapng(source: Source) -> bool:
    """Say whether the file begins with a section header block."""
    head = source.at(0, 12)
    return head[:4] == _SECTION and head[8:] in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a")


def pcapng_parts(source: Source) -> Iterator[Part]:
    """Yield the blocks; each section has a byte order of its own."""
    at, order = 0, "<"
    while at < source.size:
        head = source.need(at, 12, "a block")
        if head[:4] == _SECTION:
            order = ">" if head[8:] == b"\x1a\x2b\x3c\x4d" else "<"
        kind, length = source.fields(f"{order}2I", at, "a block")
        if length < 12 or length % 4:  # noqa: PLR2004 - type, and length on both sides
            raise Damaged(f"a block at {at:#x} is said to have {length:,} bytes")
        name = "section header" if head[:4] == _SECTION else _BLOCKS.get(kind, f"type {kind:#x}")
        yield Part(at, at + length, f"block {name}")
        yield Part(at, at + 8, "type and length", 2)
        yield Part(at + 8, at + length - 4, "body", 2)
        yield Part(at + length - 4, at + length, "length again", 2)
        at += length
