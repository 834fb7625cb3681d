"""Programs against `readelf`, `llvm-readobj`, `llvm-objdump` and `wasm-objdump`: ELF, PE, Mach-O, WebAssembly."""

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


WINDOWS = """.globl main
main:
  movl $1, %eax
  ret
.section .a_long_section_name,"dr"
  .asciz "long"
.data
  .quad main
.bss
  .zero 4000
"""
APPLE = """.globl _main
_main:
  movl $1, %eax
  ret
.data
_x: .quad _main
.zerofill __DATA,__bss,_b,64,3
"""


def assembled(tmp_path: Path, tool: Callable[..., str], source: str, target: str) -> Path:
    (tmp_path / "p.s").write_text(source)
    tool("llvm-mc", "-triple", target, "-filetype=obj", "-o", "p.o", "p.s")
    return tmp_path / "p.o"


def test_windows_sections_are_those_of_llvm(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    assembled(tmp_path, tool, WINDOWS, "x86_64-windows-msvc")
    tool("lld-link", "/entry:main", "/subsystem:console", "/debug", "/out:p.exe", "p.o")
    found = look(tmp_path / "p.exe")
    said = tool("llvm-readobj", "--sections", "p.exe")
    pattern = r"Name: (\S+) .*?RawDataSize: (\d+)\n\s+PointerToRawData: (\S+)"
    listed = [(name, int(at, 16), int(size)) for name, size, at in re.findall(pattern, said, re.DOTALL)]
    assert len(listed) >= 4
    sections = {name: where for name, where in found.named("section ").items() if name != "section table"}
    assert sections == {f"section {name}": [(at, at + size)] for name, at, size in listed if at and size}
    assert found.bytes_of("PE signature") == b"PE\0\0"
    assert found.bytes_of("debug data of type 2").startswith(b"RSDS")
    assert found.span("base relocations")[0] == found.span("section .reloc")[0]
    assert found.formats == ["PE"]


def test_a_signed_program_and_one_with_symbols(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    assembled(tmp_path, tool, WINDOWS, "x86_64-windows-msvc")
    tool("lld-link", "/entry:main", "/subsystem:console", "/out:p.exe", "p.o")
    content = bytearray((tmp_path / "p.exe").read_bytes())
    header = int.from_bytes(content[60:64], "little")
    end = len(content)
    struct.pack_into(
        "<2I", content, header + 24 + 112 + 8 * 4, end + 40, 16
    )  # certificates: an offset, no address
    struct.pack_into("<2I", content, header + 12, end, 1)  # one symbol of 18 bytes, then the strings
    content += bytes(18) + struct.pack("<I", 12) + b"strings\0" + bytes(10) + b"c" * 16
    found = look(bytes(content))
    assert found.bytes_of("certificates") == b"c" * 16
    assert found.span("COFF symbol table") == (end, end + 18)
    assert found.bytes_of("COFF string table") == struct.pack("<I", 12) + b"strings\0"


def apple_says(said: str, *keys: str) -> set[int]:
    return {
        int(value, 0) for key in keys for value in re.findall(rf"^ *{key} (\d+)$", said, re.MULTILINE)
    } - {0}


@pytest.mark.parametrize("linked", [False, True], ids=["object", "library"])
def test_apple_programs_are_those_of_llvm(
    *, linked: bool, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    path = assembled(tmp_path, tool, APPLE, "x86_64-apple-macos11")
    if linked:
        tool("lld", "-flavor", "darwin", "-arch", "x86_64", "-platform_version", "macos", "11", "11", "-dylib", "-o", "p.dylib", "p.o")  # fmt: skip
        path = tmp_path / "p.dylib"
    found = look(path)
    said = tool("llvm-objdump", "--macho", "--private-headers", path)
    keys = ["symoff", "stroff", "reloff", "export_off", "rebase_off", "fileoff"]
    starts = {start for start, _, _, depth in found.frame.rows() if depth}
    assert apple_says(said, *keys) <= starts
    assert len(apple_says(said, *keys)) >= 3
    sections = re.findall(r"sectname (\S+)\n +segname (\S+)\n +addr .*\n +size (\S+)\n +offset (\d+)", said)
    for name, segment, size, offset in sections:
        if name != "__bss":
            assert found.span(f"section {segment},{name}") == (int(offset), int(offset) + int(size, 16))
    assert len(found.named("section ")) == len(sections) - 1
    assert found.formats == ["Mach-O"]


LINKED = {
    0x1D: "code signature", 0x1E: "segment split info", 0x26: "function starts", 0x29: "data in code",
    0x2B: "code signing requirements of libraries", 0x2E: "linker optimisation hints", 0x80000033: "exports trie",
    0x80000034: "chained fixups", 0x36: "atom info",
}  # fmt: skip


def test_what_the_commands_of_an_apple_program_point_to(look: Callable[..., Found]) -> None:
    """All of <mach-o/loader.h> that are a linkedit_data_command, and the tables of LC_SYMTAB and LC_DYLD_INFO."""
    count, data = len(LINKED) + 2, 32 + 16 * len(LINKED) + 24 + 48
    commands, at, expected = b"", data, {}
    for kind, name in LINKED.items():
        commands += struct.pack("<4I", kind, 16, at, 10)
        expected[name] = (at, at + 10)
        at += 10
    commands += struct.pack("<6I", 2, 24, at, 3, at + 48, 20)
    expected |= {"symbol table": (at, at + 48), "string table": (at + 48, at + 68)}
    at += 68
    commands += struct.pack("<2I", 0x80000022, 48)
    for name in ("rebase info", "binding info", "weak binding info", "lazy binding info", "export info"):
        commands += struct.pack("<2I", at, 7)
        expected[name] = (at, at + 7)
        at += 7
    head = struct.pack("<8I", 0xFEEDFACF, 0x01000007, 3, 2, count, len(commands), 0, 0)
    found = look(head + commands + bytes(at - data))
    parts = {name: (start, end) for start, end, name, depth in found.frame.rows() if depth == 2}
    assert parts == expected
    assert found.formats == ["Mach-O"]


def test_programs_in_one_file(tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]) -> None:
    one = assembled(tmp_path, tool, APPLE, "x86_64-apple-macos11").read_bytes()
    start = 4096
    content = struct.pack(">7I", 0xCAFEBABE, 1, 0x01000007, 3, start, len(one), 12).ljust(start, b"\0") + one
    found = look(content)
    alone = look(one)
    assert found.span("program 0") == (start, start + len(one))
    assert found.named("section ") == {
        name: [(a + start, b + start) for a, b in where] for name, where in alone.named("section ").items()
    }
    assert look(b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(400)).formats == []  # a Java class of version 52


def test_webassembly_is_that_of_wasm_objdump(
    tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    functions = "".join(f'(func (export "f{n}") (result i32) i32.const {n})' for n in range(200))
    (tmp_path / "m.wat").write_text(f'(module {functions} (memory 1) (data (i32.const 0) "hello"))')
    tool("wat2wasm", "--debug-names", "m.wat", "-o", "m.wasm")
    found = look(tmp_path / "m.wasm")
    said = tool("wasm-objdump", "-h", "m.wasm")
    listed = {(int(a, 16), int(b, 16)) for a, b in re.findall(r"start=(\S+) end=(\S+)", said)}
    assert len(listed) >= 7
    assert set(found.named("data")["data"]) == listed
    assert found.bytes_of("section custom name")[0] == 0
    details = re.findall(r"- func\[(\d+)\] size=(\d+)", tool("wasm-objdump", "-x", "-j", "Code", "m.wasm"))
    assert len(details) == 200
    for number, size in details:
        start, end = found.span(f"function body {number}")
        assert end - start == int(size) + 1
    assert found.formats == ["WebAssembly"]
