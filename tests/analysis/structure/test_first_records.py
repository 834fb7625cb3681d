"""Files whose signature leaves no doubt, and whose first record lies: they are damaged files of that format, and not of none."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from fmrw.analysis.structure import structure
from fmrw.analysis.structure.naming import NOTHING, format_of

if TYPE_CHECKING:
    from pathlib import Path

HUGE = 1 << 62
REST = bytes(200)
MACHO, FAT, JAVA = (
    struct.pack("<I", 0xFEEDFACF),
    struct.pack(">2I", 0xCAFEBABE, 2),
    struct.pack(">2I", 0xCAFEBABE, 52),
)
USTAR = (
    b"name"
    + bytes(120)
    + b"7" * 11
    + bytes(13)
    + b"0123456\0"
    + b"0"
    + bytes(100)
    + b"ustar\x0000"
    + bytes(247)
)

DAMAGED = {
    "ftyp of 2^62 bytes": (struct.pack(">I4sQ", 1, b"ftyp", HUGE) + b"isom" + REST, "MP4 (damaged: 2 parts run past the end of the file)"),
    "ftyp of 2^64 - 1 bytes": (struct.pack(">I4sQ", 1, b"ftyp", (1 << 64) - 1) + REST, "MP4 (damaged: 2 parts run past the end of the file)"),
    "ftyp of 3 bytes, in 64 bits": (struct.pack(">I4sQ", 1, b"ftyp", 3) + REST, "MP4 (damaged: a box at 0x0 is shorter than its own head)"),
    "ftyp of 4 bytes": (struct.pack(">I4s", 4, b"ftyp") + REST, "MP4 (damaged: a box at 0x0 is shorter than its own head)"),
    "ftyp that is cut": (struct.pack(">I4s", 1, b"ftyp"), "MP4 (damaged: the size of a box at 0x8 is cut off)"),
    "styp of 2^62 bytes": (struct.pack(">I4sQ", 1, b"styp", HUGE) + REST, "MP4 (damaged: 2 parts run past the end of the file)"),
    "moov of 4 GiB": (struct.pack(">I4sI4s", 0xFFFFFFF0, b"moov", 108, b"mvhd") + REST, "MP4 (damaged: 1 parts run past the end of the file)"),
    "moov of 4 bytes": (struct.pack(">I4sI4s", 4, b"moov", 108, b"mvhd") + REST, "MP4 (damaged: a box at 0x0 is shorter than its own head)"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 0xFFFFFFFF, b"IHDR") + REST, "PNG (damaged: a chunk at 0x100000013 is cut off)"),
    "RIFF that is cut": (b"RIFF", "RIFF (damaged: the length of a chunk at 0x4 is cut off)"),
    "RIFF of no byte": (b"RIFF\0\0\0\0WAVE" + REST, "RIFF (damaged: the form at 0x0 is said to have 0 bytes)"),
    "RIFF of 4 GiB": (b"RIFF" + struct.pack("<I", 0xFFFFFFF0) + b"WAVE", "RIFF (damaged: 1 parts run past the end of the file)"),
    "OLE2 that is cut": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE2 (damaged: the header at 0x1e is cut off)"),
    "OLE2 of sectors of 2^65535 bytes": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(22) + b"\xff" * 4 + REST, "OLE2 (damaged: sectors of 2^65535 bytes)"),
    "gzip that is cut": (b"\x1f\x8b\x08", "gzip (damaged: the header at 0x0 is cut off, or has flags that no gzip has)"),
    "gzip of unknown flags": (b"\x1f\x8b\x08\xff" + REST, "gzip (damaged: the header at 0x0 is cut off, or has flags that no gzip has)"),
    "tar whose checksum is wrong": (USTAR, "tar (damaged: no header of an entry at 0x0)"),
    "WebAssembly that is cut": (b"\0asm", "WebAssembly (damaged: the version at 0x4 is cut off)"),
    "WebAssembly of version 30464": (b"\0asm\x00\x77\0\0" + REST, "WebAssembly (damaged: version 30,464 of the format)"),
    "WebAssembly with a section of 4 GiB": (b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f" + REST, "WebAssembly (damaged: 2 parts run past the end of the file)"),
    "Mach-O that is cut": (MACHO, "Mach-O (damaged: the header at 0x0 is cut off)"),
    "universal file that is cut": (FAT, "Mach-O (damaged: the table of programs at 0x8 is cut off)"),
    "universal file of programs elsewhere": (FAT + struct.pack(">5I", 7, 3, 0xFFFFFFF0, 9, 12) * 2 + REST, "Mach-O (damaged: program 0 lies outside the file)"),
    "ELF of sections elsewhere": (b"\x7fELF\2\1\1" + bytes(33) + struct.pack("<QI6H", HUGE, 0, 64, 0, 0, 64, 3, 0) + REST, "ELF (damaged: 3 of 3 section headers lie outside the file)"),
    "SQLite that is cut": (b"SQLite format 3\0", "SQLite (damaged: the header at 0x10 is cut off)"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I2QI", 0, HUGE, HUGE, 0) + REST, "7z (damaged: the CRC of the signature header is wrong)"),
    "pcapng of no byte": (struct.pack("<3I", 0x0A0D0D0A, 0, 0x1A2B3C4D) + REST, "pcapng (damaged: a block at 0x0 is said to have 0 bytes)"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_it_is_a_damaged_file_of_its_format(name: str, tmp_path: Path) -> None:
    content, said = DAMAGED[name]
    (tmp_path / "file").write_bytes(content)
    found = structure(tmp_path / "file")
    assert format_of(found) == said
    assert found.height >= 2
    assert found["start"].min() >= 0  # type: ignore[operator]
    assert found["end"].max() <= len(content)  # type: ignore[operator]


UNCERTAIN = {
    "a class of Java": JAVA + REST,
    "a moov in a text": b"and moov on, mvhd",
    "MZ alone": b"MZ" + b"\xff" * 100,
    "BM alone": b"BM" + b"\xff" * 100,
    "a line end": b"\n\r\r\n",
    "ustar without its end": USTAR.replace(b"ustar\0", b"ustard"),
}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_a_few_letters_may_be_by_chance_is_of_no_format(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(UNCERTAIN[name])
    assert format_of(structure(tmp_path / "file")) == NOTHING
