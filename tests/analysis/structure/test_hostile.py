"""A stranger's file that lies: every range lies in it, and the work is bounded by counts, not by what it says of itself."""

from __future__ import annotations

import gzip
import io
import sqlite3
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fmrw.analysis.structure import FORMATS, structure
from fmrw.analysis.structure.parts import LIMIT, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from found import Found

DATA = Path(__file__).parents[3] / "data"
WASM = b"\0asm\1\0\0\0" + b"\1\4\1\x60\0\0" + b"\3\2\1\0" + b"\x0a\4\1\2\0\x0b" + b"\0\5\4name"


def tar_file() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, length in (("a" * 150 + ".txt", 700), ("short", 512), ("empty", 0)):
            member = tarfile.TarInfo(name)
            member.size = length
            archive.addfile(member, io.BytesIO(b"x" * length))
    return packed.getvalue()


def picture(kind: str) -> bytes:
    packed = io.BytesIO()
    Image.effect_noise((40, 30), 40).convert("RGB").save(packed, kind)
    return packed.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as base:
        base.executescript(
            "pragma page_size=512; create table t(a, b); create index i on t(b);"
            "with recursive c(n) as (select 1 union all select n + 1 from c where n < 60)"
            "insert into t select n, hex(zeroblob(n * 9)) from c; delete from t where a > 50;"
        )
        content = base.serialize()
    base.close()
    return content


def riff() -> bytes:
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", 16) + bytes(16)
    body += struct.pack("<4sI", b"LIST", 16) + b"INFOINAM" + struct.pack("<I", 4) + b"tone"
    return b"RF64" + b"\xff" * 4 + body[:4] + struct.pack("<4sI3QI", b"ds64", 28, 100, 4, 4, 0) + body[4:] + b"data\xff\xff\xff\xff1234"  # fmt: skip


def boxes() -> bytes:
    inner = struct.pack(">I4s8x", 16, b"mvhd") + struct.pack(">I4sI4s4x", 20, b"trak", 12, b"tkhd")
    return struct.pack(">I4s4s4x", 16, b"ftyp", b"isom") + struct.pack(">I4sQ4s", 1, b"mdat", 20, b"data") + struct.pack(">I4s", 8 + len(inner), b"moov") + inner  # fmt: skip


def pcap() -> bytes:
    return (
        struct.pack("<I2H4I", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
        + struct.pack("<4I4s", 0, 0, 4, 4, b"data") * 3
    )


def pcapng() -> bytes:
    return struct.pack("<3I2HqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack(
        "<2I4sI", 6, 16, b"data", 16
    )


MADE: dict[str, Callable[[], bytes]] = {
    "cavity.zip": (DATA / "cavity.zip").read_bytes,
    "polyglot.pdf": (DATA / "polyglot.pdf").read_bytes,
    "polyglot.png": (DATA / "polyglot.png").read_bytes,
    "gzip": lambda: gzip.compress(b"one") + gzip.compress(b"two") + bytes(20),
    "tar": tar_file,
    "RIFF": riff,
    "JPEG": lambda: picture("JPEG"),
    "GIF": lambda: picture("GIF"),
    "BMP": lambda: picture("BMP"),
    "SQLite": database,
    "WebAssembly": lambda: WASM,
    "MP4": boxes,
    "pcap": pcap,
    "pcapng": pcapng,
}
TOOLS = {  # name → commands that leave `made`
    "ISO 9660": [
        "mkdir -p t/deep && echo a > t/deep/a && echo b > t/b",
        "genisoimage -quiet -R -J -o made t",
    ],
    "OLE2": ["head -c 5000 /bin/sh > large && echo small > small", "gsf createole made large small"],
    "7z": [
        "echo one > one",
        "7z a -bd -mhc=off made.7z one",
        "mv made.7z made",
    ],
    "PDF with streams": [f"qpdf --object-streams=generate '{DATA / 'polyglot.pdf'}' made"],
    "ELF": ["echo 'int x;' > p.c", "gcc -c -o made p.c"],
    "Mach-O": ["echo '_x: ret' > p.s", "llvm-mc -triple x86_64-apple-macos11 -filetype=obj -o made p.s"],
    "PE": [
        "echo '.globl main\nmain: ret' > p.s && llvm-mc -triple x86_64-windows-msvc -filetype=obj -o p.o p.s",
        "lld-link /entry:main /subsystem:console /debug /out:made p.o",
    ],
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    found = {name: make() for name, make in MADE.items()}
    for name, commands in TOOLS.items():
        folder = tmp_path_factory.mktemp("made")
        for command in commands:
            subprocess.run(["sh", "-c", command], cwd=folder, check=True, capture_output=True, timeout=600)
        found[name] = (folder / "made").read_bytes()
    return found


def steering(path: Path) -> list[int]:
    """Give the bytes that steer a parser: the first 64 of every part."""
    size, starts = path.stat().st_size, structure(path)["start"].unique().to_list()
    return sorted({place for start in starts for place in range(start, min(start + 64, size))})


def test_the_samples_have_all_formats(samples: dict[str, bytes], tmp_path: Path) -> None:
    found = set()
    for content in samples.values():
        (tmp_path / "sample").write_bytes(content)
        found |= set(structure(tmp_path / "sample").filter(pl.col("depth") == 0)["name"])
    assert found == FORMATS.keys()


@settings(max_examples=500)
@given(data=st.data(), cut=st.none() | st.floats(0, 1))
def test_damaged_files_give_what_is_left(
    samples: dict[str, bytes], tmp_path: Path, data: st.DataObject, cut: float | None
) -> None:
    path = tmp_path / "sample"
    original = samples[data.draw(st.sampled_from(sorted(samples)))]
    path.write_bytes(original)
    content, places = bytearray(original), st.sampled_from(steering(path))
    values = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for place, value in data.draw(st.lists(st.tuples(places, values), max_size=30)):
        content[place] = value
    if cut is not None:
        del content[int(cut * len(content)) :]
    path.write_bytes(bytes(content))
    frame = structure(path)
    assert frame.schema == SCHEMA
    outside = (pl.col("start") < 0) | (pl.col("end") > len(content)) | (pl.col("start") >= pl.col("end"))
    assert frame.filter(outside).is_empty()
    # the library's own words for a slip of ours: every damage has a name that says what stands where
    assert not [name for name in frame.filter(pl.col("depth") == 0)["name"] if "Error:" in name]


def one_directory_in_all() -> bytes:
    """An ISO image whose every sector is a directory of the whole rest."""
    sectors = 3000
    record = struct.pack("<BBI4xI4x7xB2xH2xB", 38, 0, 20, 1 << 30, 2, 1, 4)
    root = struct.pack("<BBI4xI4x7xB2xH2xBx", 34, 0, 20, sectors * 2048, 2, 1, 1)
    head = bytes(16 * 2048) + (b"\1CD001\1".ljust(156, b"\0") + root).ljust(2048, b"\0") + b"\xffCD001\1".ljust(2048, b"\0")  # fmt: skip
    sector = b"".join(record[:2] + struct.pack("<I", 20 + n) + record[6:] + b"%04d\0" % n for n in range(52))
    return head.ljust(20 * 2048, b"\0") + sector.ljust(2048, b"\0") * sectors


def many_descriptors() -> bytes:
    """A ZIP whose one entry of unknown length is followed by a million signatures of descriptors."""
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0, 0, 1, 0) + b"a" + b"PK\7\x08" * 1_000_000


def one_zip_entry_named_often() -> bytes:
    """A central directory of 100,000 records with names of 600 letters, all of one entry."""
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    central = (
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 600, 0, 0, 0, 0, 0, 0) + b"n" * 600
    )
    count = 100_000
    end = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, len(central) * count, len(local), 0
    )
    return local + central * count + end


def objects_everywhere() -> bytes:
    return b"%PDF-1.7\n" + b"1 0 obj<</Length 9>>stream\n" * 400_000


def tables_that_lead_on() -> bytes:
    table = b"xref\n0 0\ntrailer<</Prev %010d>>\n"
    length = len(table % 0)
    content = b"%PDF-1.7\n" + b"".join(table % (9 + length * (n - 1)) for n in range(20_000))
    return content + b"startxref\n%d\n%%%%EOF" % (9 + length * 19_999)


def comments_without_end() -> bytes:
    return b"%PDF-1.7\n" + b"xref\n" + b"%" * 2_000_000 + b"\ntrailer<<>>\nstartxref\n9\n%%EOF"


def brackets_without_end() -> bytes:
    return (
        b"%PDF-1.7\ntrailer"
        + b"<<(" * 500_000
        + b"xref\n0 1\ntrailer"
        + b"<<" * 500_000
        + b"startxref\n1500016\n%%EOF"
    )


def tiny_gzip_members() -> bytes:
    return gzip.compress(b"") * 60_000


def a_bomb() -> bytes:
    return gzip.compress(bytes(600 << 20), 1)


def boxes_in_boxes() -> bytes:
    return struct.pack(">I4s4s4x", 16, b"ftyp", b"isom") + struct.pack(">I4s", 0xFFFFFFFF, b"moov") * 300_000


def sections_of_everything() -> bytes:
    count = 60_000
    head = struct.pack("<16s2HI3QI6H", b"\x7fELF\2\1\1", 1, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, count, 1)
    return head + struct.pack("<2I4Q2I2Q", 1, 1, 0, 0, 0, 1 << 40, 0, 0, 0, 0) * count


def a_page_in_every_cell() -> bytes:
    page = bytearray(65_536)
    page[:100] = struct.pack(">16sH6B10I12xI", b"SQLite format 3\0", 1, 1, 1, 0, 64, 32, 32, 1, 1000, 0, 0, 0, 4, 0, 0, 0, 0, 1).ljust(100, b"\0")  # fmt: skip
    page[100:112] = struct.pack(">B3HBI", 5, 0, 30_000, 0, 0, 2)
    inner = bytearray(65_536)
    inner[:12] = struct.pack(">B3HBI", 5, 0, 30_000, 0, 0, 2)
    return bytes(page) + bytes(inner) * 200


def packets_without_data() -> bytes:
    return struct.pack("<I2H4I", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1) + bytes(16) * 1_200_000


def functions_without_code() -> bytes:
    size = 3_000_000
    leb = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21])
    return b"\0asm\1\0\0\0\x0a" + leb + b"\xff\xff\xff\xff\x0f" + bytes(size)


def sub_blocks_of_one_byte() -> bytes:
    return b"GIF89a" + bytes(7) + (b"," + bytes(9) + b"\2" + b"\1x" * 100 + b"\0") * 20_000


def fill_bytes() -> bytes:
    return b"\xff\xd8" + b"\xff" * 6_000_000


def entries_of_one_chain() -> bytes:
    """A compound file of 20,000 streams that all follow one chain of 20,000 sectors."""
    count = 20_000
    fat_sectors = -(-(count + 6000) // 128)
    fat = (
        [n + 1 for n in range(count - 1)]
        + [0xFFFFFFFE]
        + [n + 1 for n in range(count, count + 5005)]
        + [0xFFFFFFFE]
    )
    entry = b"S\0".ljust(64, b"\0") + struct.pack("<HBB3I36xIQ", 4, 2, 1, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0, count * 512)  # fmt: skip
    entries = [entry[:72] + struct.pack("<I", n + 1) + entry[76:] for n in range(count)]
    root = entry[:66] + struct.pack("<BB3I", 5, 1, 0xFFFFFFFF, 0xFFFFFFFF, 1) + entry[80:]
    difat = [count + 5006 + n for n in range(109)]
    head = struct.pack("<8s16x5H6x9I109I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, 109, count, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, *difat)  # fmt: skip
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(fat_sectors * 512, b"\xff")
    return (
        head.ljust(512, b"\0")
        + bytes(512 * count)
        + b"".join([root, *entries[1:]]).ljust(5006 * 512, b"\0")
        + table
    )


def files_behind_the_end() -> bytes:
    """An image of 52 files of 4 GiB each behind its end, in pieces of one block."""
    head = bytearray(20 * 2048)
    head[32768:32774] = b"\1CD001"
    head[32768 + 156 : 32768 + 190] = struct.pack(
        "<2BI4sI4s7xB2B4xB1s", 34, 0, 20, b"", 2048, b"", 2, 0, 0, 1, b"\0"
    )
    files = [
        struct.pack("<2BI4sI4s7x3B4xB4sx", 38, 0, 1 << 20 | number, b"", 0xFFFFFFFF, b"", 0, 1, 1, 4, b"%04d" % number)
        for number in range(52)
    ]  # fmt: skip
    return bytes(head) + b"".join(files).ljust(2048, b"\0")


def one_header_for_all_entries() -> bytes:
    """An archive whose global header says 80,000 things, none of them of use, before 50,000 entries."""
    said = b"".join(b"13 k%05d=vv\n" % number for number in range(80_000))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        first = tarfile.TarInfo("said")
        first.type, first.size = b"g", len(said)
        archive.addfile(first, io.BytesIO(said))
        entry = tarfile.TarInfo("entry").tobuf()
    return packed.getvalue()[: 512 - len(said) // -512 * 512] + entry * 50_000 + b"PK"


def streams_of_one_small_chain() -> bytes:
    """A compound file of 10,000 streams that all follow one chain of 100,000 small sectors."""
    count, entries = 100_000, 10_000
    tables = {"fat": 126, "mini": -(-count // 128), "directory": -(-entries // 4), "holder": -(-count // 8)}
    fat = [0xFFFFFFFD] * tables.pop("fat")
    starts = {}
    for name, sectors in tables.items():
        starts[name] = len(fat)
        fat += [*range(len(fat) + 1, len(fat) + sectors), 0xFFFFFFFE]
    assert len(fat) <= 126 * 128
    numbers = [*range(1, count), 0xFFFFFFFE]
    entry = b"S\0".ljust(64, b"\0") + struct.pack(
        "<HBB3I36xIQ", 4, 2, 1, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0, 0xF0000000
    )
    listed = [entry[:72] + struct.pack("<I", number + 1) + entry[76:] for number in range(entries)]
    root = entry[:66] + struct.pack("<BB3I", 5, 1, 0xFFFFFFFF, 0xFFFFFFFF, 1) + entry[80:116] + struct.pack("<IQ", starts["holder"], count * 64)  # fmt: skip
    head = struct.pack("<8s16x5H6x9I109I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, 126, starts["directory"], 0, 0xFFFFFFFF, starts["mini"], tables["mini"], 0xFFFFFFFE, 0, *range(109))  # fmt: skip
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(126 * 512, b"\xff")
    return (
        head.ljust(512, b"\0")
        + table
        + struct.pack(f"<{count}I", *numbers).ljust(tables["mini"] * 512, b"\xff")
        + b"".join([root, *listed[1:]])
        + bytes(tables["holder"] * 512)
    )


WORST = [one_directory_in_all, many_descriptors, one_zip_entry_named_often, objects_everywhere, tables_that_lead_on, comments_without_end, brackets_without_end, tiny_gzip_members, a_bomb, boxes_in_boxes, sections_of_everything, a_page_in_every_cell, packets_without_data, functions_without_code, sub_blocks_of_one_byte, fill_bytes, entries_of_one_chain, files_behind_the_end, one_header_for_all_entries, streams_of_one_small_chain]  # fmt: skip


@pytest.mark.parametrize("make", WORST, ids=lambda make: make.__name__)
def test_the_worst_that_came_to_mind_ends_and_says_what_is_wrong(
    make: Callable[[], bytes], look: Callable[..., Found]
) -> None:
    found = look(make())
    assert 0 < found.frame.height <= LIMIT + len(FORMATS)
    sound = (sections_of_everything, sub_blocks_of_one_byte, tiny_gzip_members)
    assert ("damaged" in found.formats[0] or "rebuilt" in found.formats[0]) or make in sound


@pytest.mark.parametrize("vacuum", [0, 1])
def test_a_database_of_a_terabyte_of_nothing_ends(tmp_path: Path, vacuum: int) -> None:
    sparse = tmp_path / "sparse.db"
    page = bytearray(512)
    page[:100] = database()[:100]
    page[52:56] = struct.pack(">I", vacuum)
    page[100:108] = struct.pack(">B3HB", 13, 0, 0, 0, 0)
    with sparse.open("wb") as file:
        file.write(page)
        file.truncate(1 << 40)
    names = structure(sparse)["name"].to_list()
    assert "page 1: leaf of sqlite_schema" in names
    if vacuum:  # a pointer map every so many pages
        assert len(names) > 500_000
    else:
        assert names[-1] == f"pages {(1 << 30) // 512 + 2}-{1 << 31}: unreferenced"
