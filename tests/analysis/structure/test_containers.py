"""MP4 against `ffprobe`, SQLite against its own `dbstat`, compound files against `7z`, captures against `tcpdump`."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from found import Found


@pytest.mark.parametrize(
    "options",
    [[], ["-movflags", "+faststart"], ["-movflags", "frag_keyframe+empty_moov"], ["-f", "mov"]],
    ids=["plain", "faststart", "fragments", "QuickTime"],
)
def test_boxes_are_those_of_ffprobe(
    options: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=64x64", "-f", "lavfi", "-i", "sine=d=1", *options, "-y", "v.mp4")  # fmt: skip
    found = look(tmp_path / "v.mp4")
    said = subprocess.run(["ffprobe", "-v", "trace", "v.mp4"], cwd=tmp_path, capture_output=True, check=True).stderr.decode()  # fmt: skip
    pattern = r"type:'(....)' parent:'root' sz: (\d+) (\d+) "
    listed = {(kind, int(at) - 8, int(at) - 8 + int(size)) for kind, size, at in re.findall(pattern, said)}
    ours = {(name[4:], *place) for name, where in found.named("box ", 1).items() for place in where}
    assert len(listed) >= 4
    assert ours == listed
    sizes = re.findall(r"type:'([a-z]{4})' parent:'(?!root|stsd|wave)\S+ sz: (\d+) ", said)
    inner = [(name[4:], end - start) for name, where in found.named("box ").items() for start, end in where]
    assert len(sizes) > 10
    for kind, size in sizes:
        assert (kind, int(size)) in inner
    assert found.formats == ["MP4"]


def test_long_boxes_and_boxes_that_lie(look: Callable[..., Found]) -> None:
    first = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
    long = struct.pack(">I4sQ", 1, b"mdat", 26) + b"0123456789"
    inner = struct.pack(">I4s", 5000, b"mvhd")
    found = look(
        first + long + struct.pack(">I4s", 16, b"moov") + inner + struct.pack(">I4s", 0, b"free") + b"rest"
    )
    assert found.bytes_of("box mdat") == long
    assert found.bytes_of("box mvhd") == inner
    assert found.bytes_of("box free").endswith(b"rest")
    assert "reaches out" in found.formats[0]
    assert "no box at" in look(first + long + b"\0\1\2\3\4\5\6\7 junk").formats[0]


def pages(found: Found) -> dict[int, str]:
    uses: dict[int, str] = {}
    for name in found.named("page"):
        first, last, use = re.fullmatch(r"pages? (\d+)(?:-(\d+))?: (.*)", name).groups()
        uses |= dict.fromkeys(range(int(first), int(last or first) + 1), use)
    return uses


TABLES = """create table t(a, b); create index i on t(b); create table w(x primary key, y) without rowid;
with recursive c(n) as (select 1 union all select n + 1 from c where n < 1500) insert into t select n, hex(zeroblob(n % 300)) || n from c;
insert into t values(0, hex(zeroblob(20000))); insert into w select a, b from t; create view v as select 1;"""


@pytest.mark.parametrize(
    "settings",
    ["page_size=1024", "page_size=512", "page_size=65536", "page_size=1024; pragma auto_vacuum=full"],
)
def test_pages_are_those_of_dbstat(
    settings: str, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool("sqlite3", "d.db", f"pragma {settings}; {TABLES}")
    found = look(tmp_path / "d.db")
    uses, kinds = pages(found), {"internal": "interior"}
    listed = [
        line.split("|")
        for line in tool("sqlite3", "d.db", "select pageno, name, pagetype from dbstat").split()
    ]
    assert len(listed) > 8
    for number, name, kind in listed:
        own, what, shown = uses[int(number)].partition(" of ")
        assert (own, shown.split()[-1]) == (kinds.get(kind, kind), name), what
    rest = uses.keys() - {int(number) for number, _, _ in listed}
    assert {uses[number] for number in rest} <= {"pointer map"}
    assert found.formats == ["SQLite"]


def test_free_pages_and_lost_ones(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool("sqlite3", "d.db", f"pragma page_size=1024; {TABLES} drop table t;")
    uses = pages(look(tmp_path / "d.db"))
    free = int(tool("sqlite3", "d.db", "pragma freelist_count"))
    assert sum(use.startswith("free") for use in uses.values()) == free > 100
    content = bytearray((tmp_path / "d.db").read_bytes())
    content[32:36] = bytes(4)
    assert sum(use == "unreferenced" for use in pages(look(bytes(content))).values()) == free
    assert "stated" in look(bytes(content[:5000])).formats[0]


@pytest.mark.parametrize("count", [1, 40])
def test_streams_of_a_compound_file(
    count: int, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    noise = random.Random(1)  # noqa: S311 - content, no secret
    names = [f"s{number}" for number in range(count)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(noise.randbytes(100 + number * 700))
    (tmp_path / "large").write_bytes(noise.randbytes(30_000))
    tool("gsf", "createole", "o.ole", *names, "large")
    found = look(tmp_path / "o.ole")
    for name in (*names, "large"):
        pieces = found.named(f"stream {name}")[f"stream {name}"]
        joined = b"".join(found.content[start:end] for start, end in pieces)
        assert joined == (tmp_path / name).read_bytes()
    assert "Type = Compound" in tool("7z", "l", "-slt", "o.ole")
    assert found.formats == ["OLE2"]


def test_free_sectors_of_a_compound_file(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * 100)
    tool("gsf", "createole", "o.ole", "large")
    whole = look(tmp_path / "o.ole")
    assert whole.named("free sectors") == {}
    found = look(
        whole.content + bytes(1024)
    )  # the table has room for more, and says of these that they are free
    assert found.named("free sectors") == {"free sectors": [(len(whole.content), len(whole.content) + 1024)]}
    assert found.formats == ["OLE2"]


def test_a_compound_file_whose_chains_loop(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * 100)
    tool("gsf", "createole", "o.ole", "large")
    whole = look(tmp_path / "o.ole")
    content = bytearray(whole.content)
    table = whole.span("FAT")[0]
    content[table + 12 : table + 16] = (1).to_bytes(4, "little")  # sector 3 goes on in sector 1
    found = look(bytes(content))
    assert "the chain of sectors from 0 makes no sense" in found.formats[0]
    assert found.named("directory")


def capture(order: str, magic: int, sizes: list[int]) -> bytes:
    content = struct.pack(f"{order}I2H4I", magic, 2, 4, 0, 0, 65_535, 1)
    for number, size in enumerate(sizes):
        frame = b"\xff" * 12 + b"\x08\x06" + bytes(size - 14)
        content += struct.pack(f"{order}4I", number, 0, size, size) + frame
    return content


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_packets_are_those_of_tcpdump(
    order: str, magic: int, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    sizes = [60, 61, 1500, 64]
    (tmp_path / "c.pcap").write_bytes(capture(order, magic, sizes))
    found = look(tmp_path / "c.pcap")
    said = re.findall(r"length (\d+)", tool("tcpdump", "-enr", "c.pcap", check=False))
    assert [end - start for start, end in found.named("data")["data"]] == sizes
    assert [int(size) for size in said[::2] or said] == sizes
    assert found.formats == ["pcap"]
    assert found.frame["end"].max() == len(found.content)


def test_pcapng_blocks(look: Callable[..., Found]) -> None:
    def block(order: str, kind: int, body: bytes) -> bytes:
        length = len(body) + 12
        return struct.pack(f"{order}2I", kind, length) + body + struct.pack(f"{order}I", length)

    parts = []
    for order in "<>":
        parts += [
            block(order, 0x0A0D0D0A, struct.pack(f"{order}I2Hq", 0x1A2B3C4D, 1, 0, -1)),
            block(order, 1, struct.pack(f"{order}2HI", 1, 0, 0)),
            block(order, 6, struct.pack(f"{order}5I", 0, 0, 0, 4, 4) + b"data"),
        ]
    found = look(b"".join(parts))
    assert {name: len(where) for name, where in found.named("block ").items()} == {
        "block section header": 2,
        "block interface description": 2,
        "block enhanced packet": 2,
    }
    assert found.frame["end"].max() == len(found.content)
    assert found.formats == ["pcapng"]
