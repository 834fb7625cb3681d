"""WebAssembly modules (core specification 5.5): sections, and the functions of the code section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag")  # fmt: skip
_CODE = 10
_MOST_VERSIONS = 255
_LONGEST_NAME = 256


def is_wasm(source: Source) -> bool:
    """Say whether the file begins with the magic of a module."""
    return source.at(0, 4) == b"\0asm"


def wasm_parts(source: Source) -> Iterator[Part]:
    """Yield magic, version, and the sections."""
    yield Part(0, 8, "magic and version")
    (version,) = source.fields("<H", 4, "the version")
    if version > _MOST_VERSIONS:
        raise Damaged(f"version {version:,} of the format")
    at = 8
    while at < source.size:
        kind = source.at(at, 1)[0]
        if kind >= len(_NAMES):
            raise Damaged(f"no section at {at:#x}")
        length, data = _number(source, at + 1)
        name = f"section {_NAMES[kind]}"
        if kind == 0:
            size, text = _number(source, data)
            name = f"{name} {source.at(text, min(size, length, _LONGEST_NAME)).decode('utf-8', 'replace')}"
        yield Part(at, data + length, name)
        yield Part(at, data, "id and size", 2)
        yield Part(data, data + length, "data", 2)
        if kind == _CODE:
            yield from _functions(source, data, data + length)
        at = data + length


def _functions(source: Source, at: int, end: int) -> Iterator[Part]:
    count, at = _number(source, at)
    for number in range(count):
        length, body = _number(source, at)
        if body + length > end:
            raise Damaged(f"the body of function {number} reaches out of the code section")
        yield Part(at, body + length, f"function body {number}", 3)
        at = body + length


def _number(source: Source, at: int) -> tuple[int, int]:
    """Read an unsigned LEB128 of 32 bits; give it and where it ends."""
    content, value = source.at(at, 5), 0
    for place, byte in enumerate(content):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            return value, at + place + 1
    raise Damaged(f"no number at {at:#x}")
