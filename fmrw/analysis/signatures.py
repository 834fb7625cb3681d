"""Signatures: find where file formats begin inside a stretch of bytes, not only at its start.

The signatures are puremagic's, a table that is kept up by others. It is made for the first bytes of a file; searched for
at every offset, most of it would fire by chance: four given bytes appear once in 4 GiB of noise, "function" or "This file"
in any text. So a signature of puremagic counts here if it has six bytes or more, five different values, and is not all text.
Of the others, those of common formats are in `_CHECKED`, each with a pattern that the bytes behind it must fit.

Searching. Of every signature the four bytes that say most are its anchor. Two tables of 65,536 flags, for the first two and
the next two bytes of anchors, sift a block with numpy; only what passes both is compared. The file is read in blocks, so memory does not grow with the gap.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from puremagic.main import magic_header_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.analysis.structure.parts import Source

MOST_HITS = 1000
"""Signatures reported of one range."""
MOST_CANDIDATES = 200_000
"""Places compared in one range; bytes made to look like signatures must not take hours."""

_BLOCK = 1 << 20
_ANCHOR = 4
_AHEAD = 128
_PROGRAM = "Windows program"
_FURTHEST_HEADER, _DOS_HEADER = 4096, 64
_SHORTEST, _FEWEST_VALUES = 6, 5
_TEXT = re.compile(rb"[\t\n\r -~]*")


class Magic(NamedTuple):
    """A format that begins at an offset of the file."""

    offset: int
    name: str


class Signature(NamedTuple):
    """Bytes that stand `back` bytes behind the beginning of a format, and what must follow."""

    magic: bytes
    name: str
    back: int = 0
    check: re.Pattern[bytes] | None = None

    @property
    def anchor(self) -> int:
        """Where in `magic` the four bytes stand that are searched for: zeros and 0xFF say little, programs are full of them."""
        windows = range(len(self.magic) - _ANCHOR + 1)
        return max(windows, key=lambda at: (len(set(self.magic[at : at + _ANCHOR]) - {0, 0xFF}), -at))


def _checked(name: str, magics: list[bytes], pattern: bytes, back: int = 0) -> list[Signature]:
    return [Signature(magic, name, back, re.compile(pattern, re.DOTALL)) for magic in magics]


_CHECKED = [
    *_checked("ZIP", [b"PK\3\4"], rb".{4}[\x00-\x3f].{3}[\x00-\x14\x5d-\x63]\x00.{16}(?:[^\x00][\x00-\x03]|\x00[\x01-\x03])"),
    *_checked("end of a ZIP", [b"PK\5\6"], rb".{4}\x00{4}(..)\1"),
    *_checked("PDF", [b"%PDF"], rb"%PDF-\d\.\d"),
    *_checked("PNG", [b"\x89PNG"], rb".{4}\r\n\x1a\n\x00\x00\x00\rIHDR"),
    *_checked("ELF", [b"\x7fELF"], rb".{4}[\x01\x02][\x01\x02]\x01.{2}\x00{7}"),
    *_checked("xz", [b"\xfd7zXZ\0"], rb".{6}\x00[\x00\x01\x04\x0a]"),
    *_checked("7z", [b"7z\xbc\xaf\x27\x1c"], rb""),  # six bytes that do not come by chance, whatever follows
    *_checked("RIFF", [b"RIFF", b"RIFX"], rb".{8}[ -~]{8}"),
    *_checked("RIFF", [b"RF64"], rb".{8}[ -~]{4}ds64"),
    *_checked("gzip", [b"\x1f\x8b\x08" + bytes([flags]) for flags in range(32)], rb".{8}[\x00\x02\x04][\x00-\x0d\xff]"),
    *_checked("bzip2", [b"BZh%d" % level for level in range(1, 10)], rb".{4}(?:1AY&SY|\x17rE8P\x90)"),
    *_checked("Zstandard", [b"\x28\xb5\x2f\xfd"], rb".{4}[^\x08-\x0f\x18-\x1f\x28-\x2f\x38-\x3f]"),
    *_checked("JPEG", [b"\xff\xd8\xff" + bytes([kind]) for kind in b"\xdb\xe0\xe1\xee"], rb".{4}..(?:JFIF\x00|Exif\x00|Adobe|http|\x00)"),
    *_checked("GIF", [b"GIF8"], rb".{4}[79]a(?!\x00\x00)..(?!\x00\x00)"),
    *_checked(_PROGRAM, [b"PE\0\0"], rb""),  # its beginning is found backwards: only two letters stand there
    *_checked("Ogg", [b"OggS"], rb".{4}\x00[\x00-\x07]"),
    *_checked("FLAC", [b"fLaC"], rb".{4}[\x00\x80]\x00\x00\x22"),
    *_checked("MIDI", [b"MThd"], rb".{4}\x00\x00\x00\x06\x00[\x00-\x02]"),
    *_checked("cabinet", [b"MSCF"], rb".{4}\x00{4}"),
    *_checked("Java class", [b"\xca\xfe\xba\xbe"], rb".{4}\x00[\x00-\x03]\x00[\x2d-\x60]"),
    *_checked("PostScript", [b"%!PS"], rb".{4}-Adobe-\d"),
    *_checked("RTF", [b"{\\rtf"], rb".{5}1[\\}]"),
    *_checked("XML", [b"<?xml"], rb".{5} version=[\"']1"),
    *_checked("ar", [b"!<arch>\n"], rb".{66}`\n"),
    *_checked("tar", [b"ustar\0", b"ustar "], rb"ustar(?:\x0000|  \x00)", 257),
    *_checked("ISO 9660", [b"CD001\1"], rb".{6}\x00", 32769),
]  # fmt: skip


def scan(source: Source, start: int, end: int) -> tuple[list[Magic], bool]:
    """Find the formats that begin within [start, end) and whose signature lies there whole.

    Returns
    -------
    list of Magic, bool
        By offset, one format at most at each; whether the search went to the end. It stops early at `MOST_HITS` formats or
        `MOST_CANDIDATES` places that look like one.
    """
    found: dict[int, str] = {}
    for compared, (at, anchor) in enumerate(_candidates(source, start, end), 1):
        for magic in _here(source, anchor, at, start, end):
            found.setdefault(magic.offset, magic.name)
        if len(found) >= MOST_HITS or compared >= MOST_CANDIDATES:
            return [Magic(*each) for each in sorted(found.items())], False
    return [Magic(*each) for each in sorted(found.items())], True


def _candidates(source: Source, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offsets at which an anchor stands, and the anchor."""
    first, second = _sieves()
    for at in range(start, end, _BLOCK):
        block = source.at(at, min(_BLOCK + _ANCHOR - 1, end - at))
        values = np.frombuffer(block, np.uint8).astype(np.uint16)
        pairs = values[:-1] << 8 | values[1:]
        for place in np.flatnonzero(first[pairs[:-2]] & second[pairs[2:]]).tolist():
            yield at + place, block[place : place + _ANCHOR]


def _here(source: Source, anchor: bytes, at: int, start: int, end: int) -> Iterator[Magic]:
    for signature, place in _by_anchor().get(anchor, ()):
        first = at - place
        begin, stop = first - signature.back, first + len(signature.magic)
        if signature.name == _PROGRAM:
            begin = _dos_header(source, first, start)
        if begin >= start and stop <= end and _fits(source, first, signature):
            yield Magic(begin, signature.name)


def _fits(source: Source, at: int, signature: Signature) -> bool:
    block = source.at(at, _AHEAD)
    if not block.startswith(signature.magic) or (signature.check and not signature.check.match(block)):
        return False
    if signature.magic in (b"RIFF", b"RIFX"):
        size = int.from_bytes(block[4:8], "big" if signature.magic == b"RIFX" else "little")
        return at + size <= source.size
    return True


def _dos_header(source: Source, header: int, start: int) -> int:
    """Give where the DOS header stands that leads to a PE header, or -1; in the smallest programs they overlap."""
    first = max(start, header - _FURTHEST_HEADER)
    content = source.at(first, header - first + _DOS_HEADER)
    at = content.rfind(b"MZ", 0, header - first)
    while at >= 0:
        if (
            int.from_bytes(content[at + 60 : at + 64], "little") == header - first - at > 0
            and len(content) >= at + 64
        ):
            return first + at
        at = content.rfind(b"MZ", 0, at)
    return -1


@cache
def signatures() -> tuple[Signature, ...]:
    """Give every signature that is searched for, those with a check first."""
    known = tuple({signature.magic[:_ANCHOR] for signature in _CHECKED})
    names: dict[tuple[bytes, int], str] = {}
    for row in magic_header_array:
        if _telling(row.byte_match) and not row.byte_match.startswith(known):
            names.setdefault((row.byte_match, row.offset), row.name or row.extension.lstrip(".").upper())
    return (*_CHECKED, *(Signature(magic, name, back) for (magic, back), name in names.items()))


def _telling(magic: bytes) -> bool:
    return len(magic) >= _SHORTEST and len(set(magic)) >= _FEWEST_VALUES and not _TEXT.fullmatch(magic)


@cache
def _by_anchor() -> dict[bytes, list[tuple[Signature, int]]]:
    anchors: dict[bytes, list[tuple[Signature, int]]] = {}
    for signature in signatures():
        place = signature.anchor
        anchors.setdefault(signature.magic[place : place + _ANCHOR], []).append((signature, place))
    return anchors


@cache
def _sieves() -> tuple[np.ndarray, np.ndarray]:
    first, second = np.zeros(1 << 16, bool), np.zeros(1 << 16, bool)
    for anchor in _by_anchor():
        first[int.from_bytes(anchor[:2], "big")] = True
        second[int.from_bytes(anchor[2:], "big")] = True
    return first, second
