"""ZIP files of several writers against `zipinfo -v`, `7z l -slt` and Python's `zipfile`."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from fmrw.analysis.structure import structure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from found import Found


class Pipe(io.BytesIO):
    """A stream that cannot go back, so that sizes stand behind the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError

    def tell(self) -> int:
        raise OSError


def entries(found: Found) -> list[tuple[int, str]]:
    return sorted(
        (start, name.removeprefix("entry "))
        for name, where in found.named("entry ").items()
        for start, _ in where
    )


def by_zipinfo(path: Path, tool: Callable[..., str]) -> list[tuple[int, str]]:
    said = tool("zipinfo", "-v", path, check=False)
    names = re.findall(
        r"^Central directory entry #\d+:\n-+\n\n(?:  There are an extra [^\n]*\n)?  (.*)$", said, re.MULTILINE
    )
    places = re.findall(r"offset of local header from start of archive:\s+(\d+)", said)
    return sorted(zip(map(int, places), names, strict=True))


def lone(
    name: bytes,
    data: bytes,
    *,
    flags: int = 0,
    behind: bytes = b"",
    central_flags: int | None = None,
    method: int = 0,
    plain: bytes | None = None,
) -> bytes:
    """Write a ZIP of one entry by hand; `behind` stands where a data descriptor would."""
    plain = data if plain is None else plain
    crc = zlib.crc32(plain)
    sizes = (0, 0, 0) if flags & 8 else (crc, len(data), len(plain))
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, method, 0, 33, *sizes, len(name), 0)
        + name
        + data
        + behind
    )
    central = (
        struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            20,
            20,
            flags if central_flags is None else central_flags,
            method,
            0,
            33,
            crc,
            len(data),
            len(plain),
            len(name),
            0,
            0,
            0,
            0,
            0,
            0,
        )
        + name
    )
    return local + central + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("data", [b"hello", b""], ids=["data", "no data"])
def test_descriptors_of_every_width(
    *, wide: bool, signed: bool, data: bytes, look: Callable[..., Found]
) -> None:
    behind = (b"PK\7\x08" if signed else b"") + struct.pack(
        "<I2Q" if wide else "<3I", zlib.crc32(data), len(data), len(data)
    )
    content = lone(b"a.txt", data, flags=8, behind=behind)
    found = look(content)
    assert found.bytes_of("data descriptor") == behind
    assert found.formats == ["ZIP"]
    assert zipfile.ZipFile(io.BytesIO(content)).read("a.txt") == data


def test_descriptors_that_python_writes_with_64_bits(look: Callable[..., Found]) -> None:
    packed = Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, wide in (("wide", True), ("narrow", False), ("wide and empty", True)):
            with archive.open(name, "w", force_zip64=wide) as entry:
                entry.write(b"" if "empty" in name else b"x" * 100)
    found = look(packed.getvalue())
    lengths = [end - start for start, end in found.named("data descriptor")["data descriptor"]]
    assert lengths == [24, 16, 24]
    parts = sorted(place for where in found.named("entry ").values() for place in where)
    assert [end for _, end in parts] == [
        *(start for start, _ in parts[1:]),
        found.span("central directory")[0],
    ]


def test_the_local_flags_say_what_follows(look: Callable[..., Found]) -> None:
    central_only = look(lone(b"a", b"data", central_flags=8))
    assert not central_only.named("data descriptor")
    assert central_only.span("entry a")[1] == central_only.span("central directory")[0]
    behind = struct.pack("<4s3I", b"PK\7\x08", zlib.crc32(b"data"), 4, 4)
    local_only = look(lone(b"a", b"data", flags=8, behind=behind, central_flags=0))
    assert local_only.bytes_of("data descriptor") == behind


@pytest.mark.parametrize(
    "comment",
    [b"", b"plain", b"PK\5\6 in a comment", b"x" * 40 + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 9) + b"short", b"y" * 65_535],
    ids=["none", "plain", "a signature", "an end record that does not end the file", "the longest"],
)  # fmt: skip
def test_the_end_record_whose_comment_ends_the_file(comment: bytes, look: Callable[..., Found]) -> None:
    content = lone(b"a", b"data")
    content = content[:-2] + struct.pack("<H", len(comment)) + comment
    found = look(content)
    assert found.span("end of central directory") == (len(content) - 22 - len(comment), len(content))
    assert found.span("entry a")[0] == 0
    assert found.formats == ["ZIP"]


@pytest.mark.parametrize("before", [0, 1000])
@pytest.mark.parametrize("behind", [b"", b"junk", bytes(3000)], ids=["nothing", "junk", "zeros"])
def test_junk_on_both_sides(before: int, behind: bytes, look: Callable[..., Found]) -> None:
    content = lone(b"a", b"data")
    found = look(b"j" * before + content + behind)
    assert found.bytes_of("entry a").endswith(b"data")
    assert found.span("entry a")[0] == before


@pytest.mark.parametrize(
    "options", [["-r"], ["-r", "-0"], ["-r", "-fz"], ["-r", "-z"], ["-r", "-e", "-P", "word"]], ids=" ".join
)
def test_files_that_zip_writes(
    options: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    (tmp_path / "d" / "ü").mkdir(parents=True)
    (tmp_path / "d" / "ü" / "grün.txt").write_text("green" * 50)
    (tmp_path / "d" / "plain.txt").write_text("x" * 1000)
    tool("zip", "-q", *options, "made.zip", "d")
    found = look(tmp_path / "made.zip")
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert entries(found) == sorted((each.header_offset, each.filename) for each in archive.infolist())
    assert [at for at, _ in entries(found)] == [at for at, _ in by_zipinfo(tmp_path / "made.zip", tool)]
    assert found.formats == ["ZIP"]


@pytest.mark.parametrize("writer", [["7z", "a", "-bd"], ["bsdtar", "caf"]], ids=["7z", "bsdtar"])
def test_files_of_other_writers(
    writer: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    for name in ("one.txt", "two.txt", "empty"):
        (tmp_path / name).write_text("" if name == "empty" else name * 100)
    tool(*writer, "made.zip", "one.txt", "two.txt", "empty")
    found = look(tmp_path / "made.zip")
    said = tool("7z", "l", "-slt", "made.zip").split("----------\n", 1)[1]
    expected = dict(zip(re.findall(r"^Path = (.*)$", said, re.MULTILINE), map(int, re.findall(r"^Offset = (\d+)$", said, re.MULTILINE)), strict=True))  # fmt: skip
    assert {name: at for at, name in entries(found)} == expected
    assert found.formats == ["ZIP"]
    covered = sorted(place for part in ("entry ", "central directory", "end of ") for where in found.named(part, 1).values() for place in where)  # fmt: skip
    assert [end for _, end in covered] == [*(start for start, _ in covered[1:]), len(found.content)]


def test_zip64_end_records(tmp_path: Path, look: Callable[..., Found]) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(65_600):
            archive.writestr(f"{number}", b"")
    found = look(path)
    with zipfile.ZipFile(path) as archive:
        assert entries(found) == sorted((each.header_offset, each.filename) for each in archive.infolist())
    size = path.stat().st_size
    assert found.span("ZIP64 locator") == (size - 42, size - 22)
    assert found.span("ZIP64 end of central directory") == (size - 98, size - 42)
    assert found.span("central directory")[1] == size - 98


@pytest.mark.parametrize(
    ("behind", "format_"),
    [
        (65_535, "ZIP"),
        (
            65_536,
            "ZIP (damaged: no end of the central directory; entries are listed as they follow each other; the central directory still lists 1)",
        ),
    ],
)
def test_junk_may_be_as_long_as_a_comment(behind: int, format_: str, look: Callable[..., Found]) -> None:
    content = lone(b"a", bytes(100_000))
    found = look(content + b"j" * behind)
    assert found.formats == [format_]
    assert found.span("entry a") == (0, content.index(b"PK\1\2"))
    assert found.span("end of central directory") == (len(content) - 22, len(content))


def test_numbers_that_do_not_fit_stand_in_their_order(look: Callable[..., Found]) -> None:
    """The ZIP64 field holds only those that are all ones in the record: size, packed, start, disk."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(b"x" * 5000) + packed.flush()
    name, crc, start = b"a", zlib.crc32(b"x" * 5000), 100
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 8, 0, 33, crc, len(data), 5000, 1, 0) + name + data
    for hidden in ("size", "packed", "start", "size packed", "packed start", "size packed start disk"):
        said = {"size": 5000, "packed": len(data), "start": start, "disk": 0}
        wide = b"".join(said[key].to_bytes(4 if key == "disk" else 8, "little") for key in hidden.split())
        shown = {
            key: ((1 << (16 if key == "disk" else 32)) - 1 if key in hidden.split() else value)
            for key, value in said.items()
        }
        extra = struct.pack("<2H", 0x9999, 3) + b"own" + struct.pack("<2H", 1, len(wide)) + wide
        central = struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 8, 0, 33, crc, shown["packed"], shown["size"], 1, len(extra), 0, shown["disk"], 0, 0, shown["start"]) + name + extra  # fmt: skip
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), start + len(local), 0)
        found = look(b"j" * start + local + central + end)
        assert found.span("entry a") == (start, start + len(local)), hidden
        assert found.bytes_of("data") == data
        assert found.formats == ["ZIP"]
        assert zipfile.ZipFile(io.BytesIO(found.content)).read("a") == b"x" * 5000


def test_an_entry_of_more_than_four_gibibytes(tmp_path: Path) -> None:
    size, path = (1 << 32) + 16, tmp_path / "large.zip"
    wide = struct.pack("<2H2Q", 1, 16, size, size)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 8, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, 1, 20) + b"a" + struct.pack("<2H2Q", 1, 16, 0, 0)  # fmt: skip
    behind = struct.pack("<4sI2Q", b"PK\7\x08", 7, size, size)
    central = struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 8, 0, 0, 33, 7, 0xFFFFFFFF, 0xFFFFFFFF, 1, len(wide), 0, 0, 0, 0, 0) + b"a" + wide  # fmt: skip
    at = len(local) + size + len(behind)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(central), at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + len(central), 1)
    with path.open("wb") as file:  # a hole, but for what stands around it
        file.write(local)
        file.seek(len(local) + size)
        file.write(
            behind
            + central
            + end64
            + locator
            + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), 0xFFFFFFFF, 0)
        )
    parts = {name: (start, stop) for start, stop, name, depth in structure(path).rows() if depth}
    assert parts["data"] == (len(local), len(local) + size)
    assert parts["data descriptor"] == (len(local) + size, at)
    assert parts["central directory"] == (at, at + len(central))
    assert [each.file_size for each in zipfile.ZipFile(path).infolist()] == [size]


def test_split_archives_say_so(tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 800)
    (tmp_path / "small").write_text("small")
    tool("zip", "-q", "-0", "-s", "64k", "s.zip", "noise", "small")
    last, first = look(tmp_path / "s.zip"), look(tmp_path / "s.z01")
    assert "damaged: split archive: this is part 4, and 1 entries begin in other parts" in last.formats[0]
    assert last.bytes_of("entry small").endswith(b"small")
    assert len(last.named("record of ")) == 2
    assert "damaged: split archive: this is its first part" in first.formats[0]
    assert list(first.named("entry ")) == ["entry noise (cut off)"]


def test_a_lost_end_leaves_entries_and_records(look: Callable[..., Found]) -> None:
    packed = Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.txt", "b.txt"):
            archive.writestr(name, name * 100)
    whole, cut = look(packed.getvalue()), look(packed.getvalue()[:-10])
    assert cut.named("entry ") == whole.named("entry ")
    assert cut.named("record of ") == whole.named("record of ")
    assert cut.formats[0].startswith("ZIP (damaged: no end of the central directory")


def test_names_in_other_encodings(look: Callable[..., Found]) -> None:
    assert look(lone("grün".encode("cp437"), b"x")).named("entry grün")
    assert look(lone("grün".encode(), b"x", flags=0x800)).named("entry grün")


def test_android_packages_name_their_signing_block(look: Callable[..., Found]) -> None:
    content = lone(b"a", b"data")
    at = content.index(b"PK\1\2")
    length = 24 + 100
    block = struct.pack("<Q", length) + b"s" * 100 + struct.pack("<Q", length) + b"APK Sig Block 42"
    end = content[-22:-6] + struct.pack("<IH", at + len(block), 0)
    found = look(content[:at] + block + content[at:-22] + end)
    assert found.bytes_of("APK signing block") == block


def test_letters_in_a_program_make_no_zip(look: Callable[..., Found]) -> None:
    program = b"\x7fELF" + bytes(500) + b"PK\1\2PK\3\4PK\5\6" + bytes(300)
    assert look(program, formats=["ZIP"]).formats == []
    appended = look(program + lone(b"a", b"data") + b"junk", formats=["ZIP"])
    assert appended.bytes_of("entry a").endswith(b"data")
    empty = look(b"junk" + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0))
    assert empty.span("end of central directory") == (4, 26)
