"""Probes of real programs against the specifications of real formats, written down by hand."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from fmrw.experiments.probe import probe

if TYPE_CHECKING:
    from pathlib import Path

    from fmrw.experiments.probe import Probe

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

IGNORED = {"ignored"}
MATTERS = {"content", "checked", "decides", "steers", "conditional"}


def probed(tmp_path: Path, name: str, content: bytes, *command: str) -> Probe:
    path = tmp_path / "watched" / name
    path.parent.mkdir()
    path.write_bytes(content)
    found = probe(path, command)
    assert found.complete
    return found


def classes(found: Probe, start: int, end: int) -> set[str | None]:
    return {found.at(at).kind for at in range(start, end)}


def test_gzip_by_rfc_1952(tmp_path: Path) -> None:
    content = gzip.compress(b"some text, some text, some more", mtime=0x5F5E1000)
    found = probed(tmp_path, "a.gz", content, "gzip", "-t", "{}")
    assert classes(found, 0, 3) == {"checked"}, "ID1, ID2, CM"
    assert found.at(3).kind == "conditional", "FLG: FTEXT says nothing, others move what follows"
    assert classes(found, 4, 10) == IGNORED, "MTIME, XFL, OS"
    assert classes(found, 10, len(content) - 9) <= {"checked", "decides"}, (
        "the compressed data; some end it too late"
    )
    assert classes(found, len(content) - 8, len(content)) == {"checked"}, "CRC32, ISIZE"


def test_zip_by_appnote(tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("name.txt", (2001, 2, 3, 4, 5, 6)), "content")
    content = path.read_bytes()
    record, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    found = probed(tmp_path, "a.zip", content, "unzip", "-l", "{}")
    assert classes(found, 0, record) <= {"unread", "ignored"}, (
        "local header and data: a listing needs neither"
    )
    assert classes(found, record, record + 4) == {"checked"}, "signature of the record"
    assert classes(found, record + 6, record + 8) == IGNORED, "version needed to extract"
    assert classes(found, record + 13, record + 16) == {"content"}, "time and date, but for the seconds"
    assert classes(found, record + 16, record + 20) == IGNORED, "CRC-32: a listing checks none"
    assert found.at(record + 24).kind == "content", "uncompressed size"
    assert classes(found, record + 46, record + 54) == {"content"}, "name"
    assert classes(found, end, end + 4) == {"checked"}, "signature of the end record"
    assert classes(found, end + 12, end + 20) <= MATTERS, "size and offset of the central directory"


def test_records_of_the_same_make_cost_a_run_for_each_byte_that_matters(tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30):
            entry = zipfile.ZipInfo(f"{number:0{number % 3 + 2}}.txt", (2001, 2, 3, 4, 5, 6 + number))
            archive.writestr(entry, bytes(number))
    content = path.read_bytes()
    found = probed(tmp_path, "a.zip", content, "unzip", "-l", "{}")
    matter = sum(found.bytes_of(kind) for kind in MATTERS)
    assert found.runs < 3 * matter, "six values for each byte would be more than twice as many"
    records = [at for at in range(len(content)) if content[at : at + 4] == b"PK\1\2"]
    assert len(records) == 30
    for record in records:
        assert classes(found, record, record + 4) <= {"checked", "decides"}, "signature"
        assert classes(found, record + 6, record + 8) == IGNORED, "version needed to extract"
        assert classes(found, record + 13, record + 16) == {"content"}, "time and date, but for the seconds"
        assert classes(found, record + 16, record + 20) == IGNORED, "CRC-32"
        assert found.at(record + 24).kind == "content", "uncompressed size"
        assert classes(found, record + 46, record + 46 + content[record + 28]) == {"content"}, "name"


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 0x123, 0x45, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


def test_png_by_its_specification(tmp_path: Path) -> None:
    content = png()
    found = probed(tmp_path, "a.png", content, "file", "-b", "{}")
    assert classes(found, 0, 8) <= {"content", "decides"}, "signature; another format is looked for elsewhere"
    assert classes(found, 16, 24) == {"content"}, "width, height"
    assert classes(found, 24, 26) == {"content"}, "bit depth, colour type"
    assert classes(found, 26, 28) == IGNORED, "compression, filter: told by nobody"
    assert found.at(28).kind == "content", "interlace"
    assert classes(found, 29, 33) == IGNORED, "CRC: not checked"


def test_wav_by_its_specification(tmp_path: Path) -> None:
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    content = (
        b"RIFF"
        + struct.pack("<I", 44)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", 8)
        + bytes(8)
    )
    found = probed(tmp_path, "a.wav", content, "file", "-b", "{}")
    assert classes(found, 0, 4) == {"content"}, "RIFF"
    assert classes(found, 4, 8) == IGNORED, "size"
    assert classes(found, 8, 12) == {"content"}, "WAVE"
    assert classes(found, 20, 28) <= {"content", "conditional"}, "format, channels, samples a second"
    assert classes(found, 28, 32) == IGNORED, "bytes a second"
    assert classes(found, 44, 52) == IGNORED, "samples"


def test_bmp_by_its_specification(tmp_path: Path) -> None:
    size = struct.pack("<IiiHHIIiiII", 40, 2, 3, 1, 24, 0, 24, 2835, 2836, 0, 0)
    content = b"BM" + struct.pack("<IHHI", 78, 0, 0, 54) + size + bytes(24)
    found = probed(tmp_path, "a.bmp", content, "file", "-b", "{}")
    assert classes(found, 0, 2) == {"content"}, "BM"
    assert classes(found, 18, 26) <= {"content", "conditional"}, "width, height"
    assert classes(found, 54, 78) == IGNORED, "pixels"


def test_elf_by_its_specification(tmp_path: Path) -> None:
    names = b"\0.shstrtab\0"
    programs, sections = 64, 64 + 56
    text = sections + 2 * 64
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x400000, programs, sections, 0, 64, 56, 1, 64, 2, 1
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 100, 100, 4096)
    table = bytes(64) + struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, text, len(names), 0, 0, 1, 0)
    content = (
        head + segment + table + names + bytes(20_000)
    )  # so that more headers than there are can be read
    found = probed(tmp_path, "a.elf", content, "readelf", "-h", "-l", "-S", "{}")
    fields = {
        (each.field.start, each.field.kind, each.field.byteorder, each.field.scale)
        for each in found.map
        if each.field
    }
    assert (32, "offset", "little", 1) in fields, "e_phoff"
    assert (40, "offset", "little", 1) in fields, "e_shoff"
    assert any(start == 56 and kind == "length" and scale == 56 for start, kind, _, scale in fields), (
        "e_phnum"
    )
    assert any(start == 60 and kind == "length" and scale == 64 for start, kind, _, scale in fields), (
        "e_shnum"
    )
    assert classes(found, 0, 4) == {"checked"}, "magic"
