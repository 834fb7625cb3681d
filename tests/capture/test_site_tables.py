"""Unwind tables are read as an independent tool reads them, and a file that lies gives no rule, in bounded work."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.native.pairs import code
from fmrw.capture.native.unwinding import Unwinding
from fmrw.capture.sites import elf
from fmrw.capture.sites.cfi import Pieces, Tables
from fmrw.capture.sites.elf import Damaged
from fmrw.capture.sites.expressions import evaluate, sleb, uleb
from fmrw.capture.sites.modules import Module
from fmrw.capture.sites.rules import OFFSET, RETURN, UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Iterator

_REGISTERS = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
_BLOCK = re.compile(r"FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)\n +LOC +CFA +(.*)\n((?:[0-9a-f]{16} .*\n)*)")


def tables(path: str | Path, native: Unwinding | None = None) -> tuple[Tables, int]:
    fd = os.open(path, os.O_RDONLY)
    return Tables(Pieces(fd), elf.read(fd), native), fd


@pytest.fixture(scope="module")
def compiled() -> Unwinding:
    """Give the compiled code."""
    loaded = code()
    assert loaded is not None, "there is no compiled code: `python -m fmrw.capture.native.build`"
    return Unwinding(loaded)


def told(path: str) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Give each row of the tables as readelf prints it: address, frame's address, registers."""
    said = subprocess.run(
        ["readelf", "--debug-dump=frames-interp", path], capture_output=True, text=True, check=True
    )
    for block in _BLOCK.finditer(said.stdout):
        columns = block[3].split()
        for line in block[4].splitlines():
            place, cfa, *cells = re.sub(r" +\(\w+\)", "", line).split()
            if int(place, 16) < int(block[2], 16):
                yield int(place, 16), cfa, dict(zip(columns, cells, strict=True))


def shown(kind: int, argument: int | bytes) -> str | None:
    if kind == OFFSET and isinstance(argument, int):
        return f"c{argument:+d}"
    return "u" if kind == UNDEFINED else None


@pytest.mark.parametrize("program", ["bash", "unzip", "strace", "perl"])
def test_rules_are_those_that_readelf_tells(program: str) -> None:
    path = os.path.realpath(shutil.which(program) or program)
    known, fd = tables(path)
    rows = 0
    for place, cfa, cells in told(path):
        rule = known.rule(place)
        assert rule is not None, hex(place)
        rows += 1
        assert cfa == ("exp" if rule.register < 0 else f"{_REGISTERS[rule.register]}{rule.offset:+d}")
        for name, cell in cells.items():
            number = RETURN if name == "ra" else _REGISTERS.index(name)
            kind, argument = rule.saved.get(number, (-1, 0))
            assert shown(kind, argument) == cell or cell in ("exp", "vexp") or (kind, cell) == (-1, "u")
    os.close(fd)
    assert rows > 20


@pytest.mark.parametrize("program", ["bash", "unzip", "perl", "strace"])
def test_compiled_rules_are_those_of_python(compiled: Unwinding, program: str) -> None:
    path = os.path.realpath(shutil.which(program) or program)
    (known, fd), (fast, other) = tables(path), tables(path, compiled)
    noise = random.Random(1)  # noqa: S311 - the same every time
    code = [each for each in elf.read(fd).segments if each.executable]
    places = [noise.randrange(each.address, each.address + each.size) for each in code for _ in range(4000)]
    borders = [place + near for place, _cfa, _cells in list(told(path))[::7] for near in (-1, 0)]
    given = 0
    for place in [*places, *borders, 0, 1, (1 << 64) - 1]:
        rule = known.rule(place)
        assert fast.rule(place) == rule, hex(place)
        assert fast.compiled is not None
        plain = compiled.rule(other, fast.compiled, place)
        assert plain is None or rule is not None
        given += plain is not None
    assert given > 0.9 * len(places)
    for each in (fd, other):
        os.close(each)


def test_code_without_a_table_has_no_rule() -> None:
    known, fd = tables("/bin/sh")
    assert known.rule(0) is None
    assert known.rule(1 << 62) is None
    assert known.rule(-1) is None
    os.close(fd)


def test_a_build_id_and_the_libraries_are_those_that_readelf_tells() -> None:
    path = os.path.realpath("/bin/bash")
    said = subprocess.run(["readelf", "-nd", path], capture_output=True, text=True, check=True).stdout
    fd = os.open(path, os.O_RDONLY)
    found = elf.read(fd)
    libraries = elf.libraries(fd, found)
    os.close(fd)
    assert f"Build ID: {found.build_id}\n" in said
    assert set(re.findall(r"\(NEEDED\).*\[(.*)\]", said)) == libraries


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_give_rules_or_none_and_nothing_else(
    compiled: Unwinding, tmp_path: Path, seed: int
) -> None:
    """Bits flip anywhere in headers, index and tables."""
    noise = random.Random(seed)  # noqa: S311 - the same every time
    data = bytearray(Path(os.path.realpath("/bin/ls")).read_bytes())
    fd = os.open(os.path.realpath("/bin/ls"), os.O_RDONLY)
    whole = elf.read(fd)
    os.close(fd)
    offset = whole.unwinding[0]
    for _flip in range(200):
        low, high = noise.choice([(16, 1024), (offset, offset + 4096), (offset, len(data))])
        data[noise.randrange(low, min(high, len(data)))] = noise.randrange(256)
    if seed % 4 == 0:
        del data[noise.randrange(64, len(data)) :]
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    fd = os.open(damaged, os.O_RDONLY)
    try:
        found = elf.read(fd)
    except Damaged:
        return
    else:
        for native in (None, compiled):
            known = Tables(Pieces(fd), found, native)
            for _ask in range(300):
                place = noise.randrange(0, 1 << 18)
                rule = known.rule(place)
                assert rule is None or rule.begin <= place
    finally:
        os.close(fd)


def test_an_index_that_lies_gives_no_rule_of_another_function(tmp_path: Path) -> None:
    path = os.path.realpath("/bin/ls")
    fd = os.open(path, os.O_RDONLY)
    whole = elf.read(fd)
    os.close(fd)
    data = bytearray(Path(path).read_bytes())
    rows = whole.unwinding[0] + 12
    count = int.from_bytes(data[rows - 4 : rows], "little")
    moved = b"".join(
        data[rows + 8 * n : rows + 8 * n + 4] + data[rows + 8 * (n ^ 1) + 4 : rows + 8 * (n ^ 1) + 8]
        for n in range(count & ~1)
    )
    data[rows : rows + len(moved)] = moved
    swapped = tmp_path / "swapped"
    swapped.write_bytes(data)
    known, fd = tables(swapped)
    places = [place for place, _cfa, _cells in told(path)]
    rules = [known.rule(place) for place in places]
    os.close(fd)
    assert all(rule is None or rule.begin <= place for place, rule in zip(places, rules, strict=True))
    assert sum(rule is None for rule in rules) > len(rules) // 2


# Expressions


def program_with(*segments: tuple[int, ...], sections: tuple[tuple[int, ...], ...] = ()) -> bytes:
    """Make a program of segments (type, offset, size), of sections (name, offset, size), and names for these."""
    names = b"\0.dynsym\0.dynstr\0"
    at = 64 + 56 * len(segments)
    table = [*sections, (0, at, len(names))]
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 64, at + len(names), 0, 64, 56, len(segments), 64, len(table), len(table) - 1
    )  # fmt: skip
    return b"".join(
        [
            head,
            *(struct.pack("<IIQQQQQQ", kind, 5, offset, offset, 0, size, size, 1) for kind, offset, size in segments),
            names,
            *(struct.pack("<IIQQQQIIQQ", name, 0, 0, 0, offset, size, 0, 0, 0, 0) for name, offset, size in table),
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index", program_with((0x6474E550, 257, 4), (1, 0, 4096)) + b"\x01\x01\x01\x3b"),
        ("linked", program_with((1, 0, 4096), (2, 1 << 63, 16))),
        ("python3", program_with((1, 0, 4096), sections=((1, 1 << 63, 24), (9, 1 << 63, 1)))),
    ],
    ids=["an index without numbers", "a dynamic section nowhere", "symbols nowhere"],
)
def test_headers_that_lead_nowhere_make_a_module_without_them(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    module = Module(0, os.fsencode(name), os.open(tmp_path / name, os.O_RDONLY))
    assert module.elf is not None
    assert module.libraries == frozenset()
    assert module.interpreter is None
    assert module.tables is None or module.tables.rule(100) is None
    module.close()


def run(*program: int, registers: dict[int, int] | None = None, first: int | None = None) -> int:
    known = registers or {}
    return evaluate(bytes(program), known.__getitem__, lambda address: address ^ 0xFF, first)


def test_expressions_of_tables() -> None:
    assert (
        run(0x77, 0xA0, 0x01, 0x06, registers={7: 0x1000}) == 0x10A0 ^ 0xFF
    )  # a frame of a signal: breg7 160; deref
    stub = (
        0x77,
        8,
        0x80,
        0,
        0x3F,
        0x1A,
        0x3B,
        0x2A,
        0x33,
        0x24,
        0x22,
    )  # of procedure linkage: (rip & 15 >= 11) * 8 + rsp + 8
    assert run(*stub, registers={7: 0x100, 16: 0x40B}) == 0x110
    assert run(*stub, registers={7: 0x100, 16: 0x40A}) == 0x108
    assert run(0x23, 0x10, first=0x20) == 0x30
    assert run(0x31, 0x32, 0x1C) == (1 << 64) - 1
    assert run(0x11, 0x7F, 0x19) == 1
    assert run(0x35, 0x12, 0x1E, 0x28, 1, 0, 0x30, 0x37) == 7


@pytest.mark.parametrize(
    "program",
    [
        (),
        (0x22,),
        (0x2F, 0xFD, 0xFF),  # jumps to itself
        (0x2F, 0x00, 0x40),
        (0xE0,),
        (0x31, 0x30, 0x1D),
        (0x30,) * 100,
        (0x10, *(0x80,) * 40, 1),
        (0x15, 9),
    ],
)
def test_expressions_that_cannot_be(program: tuple[int, ...]) -> None:
    with pytest.raises(Damaged):
        run(*program)


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 128, 300, 2**32, 2**63 - 1])
def test_numbers_of_leb128(value: int) -> None:
    encoded, rest = bytearray(), value
    while True:
        encoded.append(rest & 0x7F | (0x80 if rest > 0x7F else 0))
        rest >>= 7
        if not rest:
            break
    assert uleb(bytes(encoded), 0) == (value, len(encoded))
    assert sleb(b"\x7f", 0) == (-1, 1)
    assert sleb(b"\x80\x7f", 0) == (-128, 2)
