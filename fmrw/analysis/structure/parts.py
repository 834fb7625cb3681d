"""What every parser of a format is given and what it gives back.

A parser is a generator: it reads bytes from a `Source`, yields `Part`s as it finds them, and stops with an exception where
the file stops making sense. `collect` keeps what came before, so that a damaged file has the structure it has left, and says
the reason in the name of the format. Parsers read headers and never decompress; they hold no more than a few blocks,
besides what the library behind them holds.
"""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from fmrw.errors import BadInput, FmrwError
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 1_000_000
"""Parts kept of one format; a hostile file must not fill the memory with ranges."""

_BLOCK = 1 << 20
_LONGEST_REASON = 160


class Part(NamedTuple):
    """A named range [start, end) of the file; depth 0 is the format, 1 its parts, 2 the parts of these."""

    start: int
    end: int
    name: str
    depth: int = 1


class Damaged(BadInput):
    """The file stops making sense here; the parts found so far stand."""


class Source:
    """The bytes of a file, read where asked.

    Not an mmap, the obvious way: a file cut while it is mapped kills the process, and a file on a byte-exact mount
    cannot be mapped shared at all.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, 2)

    def at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes from `offset`; fewer at the end of the file, none outside of it."""
        if not 0 <= offset < self.size or length <= 0:
            return b""
        self.file.seek(offset)
        return self.file.read(min(length, self.size - offset))

    def need(self, offset: int, length: int, what: str) -> bytes:
        """Read exactly `length` bytes, or say what is cut off."""
        content = self.at(offset, length)
        if len(content) < length:
            raise Damaged(f"{what} at {offset:#x} is cut off")
        return content

    def find(self, needle: bytes, start: int, stop: int) -> int:
        """Give the offset of the first `needle` that lies whole within [start, stop), or -1."""
        stop = min(stop, self.size)
        for at in range(start, stop, _BLOCK):
            block = self.at(at, min(_BLOCK + len(needle) - 1, stop - at))
            found = block.find(needle)
            if found >= 0:
                return at + found
        return -1


def collect(name: str, parse: Callable[[Source], Iterator[Part]], source: Source) -> list[Part]:
    """Gather the parts of one format, the row that brackets them first; none if there are none."""
    parts: list[Part] = []
    reason = ""
    try:
        for part in itertools.islice(parse(source), LIMIT + 1):
            parts += _within(part, source.size)
    except Damaged as error:
        reason = str(error)
    except FmrwError:
        raise
    except Exception as error:  # noqa: BLE001 - parsers of other people raise anything at all on hostile bytes
        reason = f"{type(error).__name__}: {error}"
    if len(parts) > LIMIT:
        parts, reason = parts[:LIMIT], f"only the first {LIMIT:,} parts are listed"
    return _bracketed(name, reason, parts)


def library(module: str, format_name: str) -> Any:  # noqa: ANN401 - a module of somebody else
    """Import the parser of a format, or say what to install."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".", maxsplit=1)[0]
        raise FmrwError(
            f"the file holds {format_name}, and its parser {package!r} is not installed: "
            'pip install "fmrw[structure]"'
        ) from None


def _within(part: Part, size: int) -> Iterator[Part]:
    start, end = max(part.start, 0), min(part.end, size)
    if start < end:
        cut = " (cut off)" if part.end > size else ""
        yield Part(start, end, visible(part.name) + cut, part.depth)


def _bracketed(name: str, reason: str, parts: list[Part]) -> list[Part]:
    if not parts:
        return []
    if reason:
        name = f"{name} (damaged: {visible(reason)[:_LONGEST_REASON]})"
    parts.sort(key=lambda part: (part.start, part.depth, part.end))
    return [Part(parts[0].start, max(part.end for part in parts), name, 0), *parts]
