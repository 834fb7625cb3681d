"""tar, gzip and 7z against Python's `tarfile` and `gzip`, GNU tar and bsdtar, and `7z l -slt`."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from found import Found

END = bytes(1024)


def header(name: bytes, size: int, kind: bytes) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:148] = b"%011o\0%011o\0" % (size, 0)
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    content = b"".join(records)
    return header(b"p", len(content), kind) + padded(content)


def members(found: Found) -> list[tuple[int, str]]:
    named = {**found.named("entry "), **found.named("directory ")}
    return sorted((start, name.split(" ", 1)[1]) for name, where in named.items() for start, _ in where)


def by_tarfile(content: bytes) -> list[tuple[int, str]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [(each.offset_data - 512, each.name.replace("\n", "\\x0a")) for each in archive]


def blank(block: bytes, field: slice) -> bytes:
    """Fill a field of a header with spaces, as some writers do."""
    made = bytearray(block)
    made[field] = b" " * len(made[field])
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


FILE = header(b"b.txt", 2, b"0") + padded(b"hi")
TARS = {
    "a directory with a size": header(b"d/", 1, b"5") + header(b"d/b.txt", 6, b"0") + padded(b"secret"),
    "an old directory": header(b"d/", 0, b"\0") + FILE,
    "a link with a size": header(b"l", 9, b"2") + FILE,
    "a pax value like a record": pax(record(b"SCHILY.xattr.user.note", b"\n11 size=0\n")) + header(b"a", 600, b"0") + padded(b"A" * 600) + FILE,
    "a pax size across a long name": pax(record(b"size", b"600")) + header(b"././@LongLink", 6, b"L") + padded(b"a.txt\0") + header(b"a", 0, b"0") + padded(b"A" * 600) + FILE,
    "a pax size across a long link": pax(record(b"size", b"600")) + header(b"././@LongLink", 6, b"K") + padded(b"a.txt\0") + header(b"a", 0, b"0") + padded(b"A" * 600) + FILE,
    "a pax path with a newline": pax(record(b"path", b"new\nline")) + FILE,
    "a pax path for every entry": pax(record(b"comment", b"x"), kind=b"g") + FILE + FILE,
    "a pax path and a long name": pax(record(b"path", b"pax")) + header(b"././@LongLink", 5, b"L") + padded(b"long\0") + FILE,
    "an unknown type with data": header(b"v", 3, b"Z") + padded(b"abc") + FILE,
    "a size of spaces": blank(header(b"empty", 0, b"0"), slice(124, 136)) + FILE,
    "no blocks at the end": FILE,
}  # fmt: skip


@pytest.mark.parametrize("name", TARS)
def test_members_are_those_of_tarfile(name: str, look: Callable[..., Found]) -> None:
    content = TARS[name] + (b"" if "no blocks" in name else END)
    found = look(content)
    assert members(found) == by_tarfile(content)
    assert len(members(found)) >= 1
    assert found.formats == ["tar"]


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7", "oldgnu"])
def test_archives_of_gnu_tar(
    form: str, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    deep = tmp_path / "top" / ("d" * 60)
    deep.mkdir(parents=True)
    (deep / "short").write_text("x" * 700)
    if form != "v7":
        (deep / ("n" * 80)).write_text("long")
    (tmp_path / "top" / "link").symlink_to("short")
    tool("tar", f"--format={form}", "-cf", "made.tar", "top")
    found = look(tmp_path / "made.tar")
    assert members(found) == sorted(by_tarfile(found.content))
    said = tool(
        "tar", "-tvRf", "made.tar"
    )  # GNU tar counts from the first of the blocks that belong to an entry
    blocks = {int(block) * 512 for block in re.findall(r"^block (\d+): (?!\*)", said, re.MULTILINE)}
    kinds = ("entry ", "directory ", "pax header of ", "long name ", "long link ")
    assert blocks <= {
        start for kind in kinds for where in found.named(kind, 1).values() for start, _ in where
    }
    assert found.formats == ["tar"]


def test_sparse_archives(tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    with (tmp_path / "holes").open("wb") as file:
        for number in range(40):
            file.seek(number * 100_000)
            file.write(b"data")
        file.truncate(10_000_000)
    (tmp_path / "after").write_text("after")
    for form in ("--format=oldgnu", "--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0"):
        tool("tar", *form.split(), "-Scf", "made.tar", "holes", "after")
        found = look(tmp_path / "made.tar")
        assert [name for _, name in members(found)] == ["holes", "after"]
        assert found.bytes_of("entry after")[512:517] == b"after"
        assert found.formats == ["tar"]


@pytest.mark.parametrize(("pieces", "blocks"), [(4, 0), (5, 1), (25, 1), (26, 2), (46, 2), (47, 3)])
def test_blocks_that_list_the_pieces_of_a_sparse_file(
    pieces: int, blocks: int, look: Callable[..., Found]
) -> None:
    """A header of old GNU tar has room for 4 pieces, a block that extends it for 21; each says whether another follows."""
    entries = [b"%011o\0%011o\0" % (10 * number, 1) for number in range(pieces)]
    block = bytearray(header(b"holes", pieces, b"S"))
    block[257:265] = b"ustar  \0"
    block[386:482] = b"".join(entries[:4]).ljust(96, b"\0")
    block[482:483] = b"\1" if pieces > 4 else b"\0"
    block[483:495] = b"%011o\0" % (10 * pieces)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    content = bytes(block)
    for first in range(4, pieces, 21):
        listed = b"".join(entries[first : first + 21]).ljust(504, b"\0")
        content += listed + (b"\1" if first + 21 < pieces else b"\0") + bytes(7)
    assert len(content) == 512 * (1 + blocks)
    found = look(content + padded(b"x" * pieces) + FILE + END)
    assert found.named("header", 2)["header"][0] == (0, len(content))
    assert found.named("data", 2)["data"][0] == (len(content), len(content) + pieces)
    with tarfile.open(fileobj=io.BytesIO(found.content)) as archive:
        assert [member.offset_data for member in archive] == [len(content), len(content) + 1024]
    assert [name for _, name in members(found)] == ["holes", "b.txt"]


def test_a_broken_header_is_skipped(look: Callable[..., Found]) -> None:
    content = header(b"a", 2, b"0") + padded(b"aa") + b"j" * 1024 + FILE + END
    found = look(content)
    assert members(found) == [(0, "a"), (2048, "b.txt")]
    assert found.formats == ["tar (damaged: no header of an entry at 0x400; skipped to the next one)"]


def test_a_cut_tar_says_so(look: Callable[..., Found]) -> None:
    found = look((header(b"a", 5000, b"0") + b"x" * 5000)[:2000])
    assert found.named("entry a (cut off)")
    assert "damaged" in found.formats[0]


def test_gzip_members_and_padding(look: Callable[..., Found]) -> None:
    one, two = gzip.compress(b"one" * 1000), gzip.compress(b"")
    found = look(one + two + bytes(10_000))
    assert found.named("CRC and length")["CRC and length"] == [
        (len(one) - 8, len(one)),
        (len(one + two) - 8, len(one + two)),
    ]
    assert found.span("padding") == (len(one + two), len(one + two) + 10_000)
    assert found.formats == ["gzip"]
    assert gzip.decompress(found.content) == b"one" * 1000


def test_what_stands_behind_a_gzip_is_not_its_trailer(look: Callable[..., Found]) -> None:
    packed = gzip.compress(b"data" * 100)
    found = look(packed + b"something else")
    assert found.span("CRC and length") == (len(packed) - 8, len(packed))
    assert found.frame["end"].max() == len(packed)


@pytest.mark.parametrize(
    "change", [lambda c: c[:-20], lambda c: c[:30] + b"\xff" * 20 + c[50:]], ids=["cut", "wrong"]
)
def test_damaged_gzip(change: Callable[[bytes], bytes], look: Callable[..., Found]) -> None:
    content = change(gzip.compress(bytes(range(256)) * 50))
    found = look(content)
    assert "damaged: deflate data at 0xa" in found.formats[0]
    assert found.span("deflate data") == (10, len(content))


@pytest.mark.parametrize(
    "options", [["-mhc=on"], ["-mhc=off"], ["-mx=0", "-mhc=off"], ["-pword", "-mhe=on"]], ids=" ".join
)
def test_7z(options: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name * 100)
    tool("7z", "a", "-bd", *options, "made.7z", "one.txt", "two.txt")
    found = look(tmp_path / "made.7z")
    said = tool("7z", "l", "-slt", "-pword", "made.7z")
    headers = int(re.search(r"^Headers Size = (\d+)$", said, re.MULTILINE)[1])
    own = [found.span("signature header")] + [
        where[0]
        for name, where in found.named("").items()
        if name.endswith("header") and name != "signature header"
    ]
    assert sum(end - start for start, end in own) == headers
    assert found.frame["end"].max() == int(re.search(r"^Physical Size = (\d+)$", said, re.MULTILINE)[1])
    assert found.formats == ["7z"]
    if "-mx=0" in options:
        assert found.bytes_of("packed stream 0") == b"one.txt" * 100


def test_a_7z_whose_header_is_lost(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    (tmp_path / "one.txt").write_text("one" * 100)
    tool("7z", "a", "-bd", "made.7z", "one.txt")
    content = (tmp_path / "made.7z").read_bytes()
    assert "damaged" in look(content[:-5]).formats[0]
    assert "CRC" in look(content[:12] + b"\1" + content[13:]).formats[0]
