"""Programs against `readelf` and `objdump`: ELF."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from found import Found

SECTION = re.compile(r"^  \[ *\d+\] (\S+) +(\S+) +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) ", re.MULTILINE)
SEGMENT = re.compile(r"^  ([A-Z_]+) +0x([0-9a-f]+) 0x[0-9a-f]+ 0x[0-9a-f]+ 0x([0-9a-f]+) ", re.MULTILINE)
CODE = "int shared(int x) { return x * 3; } int big[1000]; int main(void) { return shared(big[1]); }"


def built(tmp_path: Path, tool: Callable[..., str], *options: str) -> Path:
    (tmp_path / "p.c").write_text(CODE)
    tool("gcc", *options, "-o", "p", "p.c")
    return tmp_path / "p"


def spans(found: Found, kind: str) -> set[tuple[str, int, int]]:
    named = found.named(f"{kind} ")
    return {
        (name.split()[-1], *place)
        for name, where in named.items()
        if not name.endswith("header table")
        for place in where
    }


@pytest.mark.parametrize("options", [[], ["-g"], ["-static"], ["-c"], ["-shared", "-fPIC"]], ids=" ".join)
def test_sections_and_segments_are_those_of_readelf(
    options: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    path = built(tmp_path, tool, *options)
    found = look(path)
    said = tool("readelf", "-WSl", path)
    sections = {
        (m[1], int(m[3], 16), int(m[3], 16) + int(m[4], 16))
        for m in SECTION.finditer(said)
        if m[2] != "NOBITS"
    }
    segments = {(m[1], int(m[2], 16), int(m[2], 16) + int(m[3], 16)) for m in SEGMENT.finditer(said)}
    assert len(sections) > 5
    assert spans(found, "section") == {each for each in sections if each[1] < each[2]}
    assert spans(found, "segment") == {each for each in segments if each[1] < each[2]}
    assert found.formats == ["ELF"]


def test_a_program_without_section_table_keeps_its_segments(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    content = bytearray(built(tmp_path, tool).read_bytes())
    whole = look(bytes(content))
    content[40:48] = bytes(8)
    content[60:64] = bytes(4)
    found = look(bytes(content))
    assert spans(found, "segment") == spans(whole, "segment")
    assert not spans(found, "section")
    assert found.formats == ["ELF"]


def test_a_wrong_string_table_leaves_numbers_for_names(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    content = bytearray(built(tmp_path, tool).read_bytes())
    whole = look(bytes(content))
    content[62:64] = b"\xfe\xfe"
    found = look(bytes(content))
    assert {each[1:] for each in spans(found, "section")} == {each[1:] for each in spans(whole, "section")}


@pytest.mark.parametrize("order", ["<", ">"])
def test_32_bits_and_both_byte_orders(order: str, look: Callable[..., Found]) -> None:
    head = struct.pack(f"{order}16s2H5I6H", b"\x7fELF\1" + (b"\1" if order == "<" else b"\2") + b"\1", 2, 8, 1, 0, 52, 84, 0, 52, 32, 1, 40, 2, 0)  # fmt: skip
    segment = struct.pack(f"{order}8I", 1, 164, 0, 0, 10, 10, 5, 4096)
    sections = bytes(40) + struct.pack(f"{order}10I", 0, 1, 0, 0, 164, 10, 0, 0, 0, 0)
    found = look(head + segment + sections + b"0123456789")
    assert found.bytes_of("segment 0 LOAD") == b"0123456789"
    assert found.bytes_of("section 1") == b"0123456789"


def test_more_sections_than_a_header_can_count(look: Callable[..., Found]) -> None:
    count = 70_000
    head = struct.pack("<16s2HI3QI6H", b"\x7fELF\2\1\1", 1, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 0, 0xFFFF)
    first = struct.pack("<2I4Q2I2Q", 0, 0, 0, 0, 0, count, count - 1, 0, 0, 0)
    names = struct.pack("<2I4Q2I2Q", 1, 3, 0, 0, 64 + 64 * count, 6, 0, 0, 0, 0)
    found = look(head + first + bytes(64) * (count - 2) + names + b"\0name\0")
    assert found.bytes_of("section name") == b"\0name\0"
    assert found.formats == ["ELF"]


def test_the_running_python(look: Callable[..., Found]) -> None:
    found = look(Path(sys.executable).resolve())
    assert found.formats == ["ELF"]
    assert {"section .text", "section header table"} <= found.named("section ").keys()
