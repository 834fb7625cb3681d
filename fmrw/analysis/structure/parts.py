"""What every parser of a format is given and what it gives back.

A parser is a generator: it reads bytes from a `Source`, yields `Part`s as it finds them, and stops with an exception where
the file stops making sense. `collect` keeps what came before, so that a damaged file has the structure it has left, and says
the reason in the name of the format.

Limits. A stranger's file may state any size, count or offset. A `Source` reads only so often and so much for one format
(`WORK`), `collect` keeps only so many parts and so much text of names. These are counts, not times: the same file
gives the same answer on every machine. A parser must see to the loops in which it neither reads nor yields.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import polars as pl

from fmrw.errors import BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = pl.Schema({"start": pl.Int64(), "end": pl.Int64(), "name": pl.String(), "depth": pl.Int64()})
"""Columns of a structure, in order."""

LIMIT = 1_000_000
"""Parts kept of one format, and those left out since they hold no byte of the file; a hostile file must not fill the memory with ranges."""
WORK = 5_000_000
"""Reads made for one format, where every 4 KiB read count as one more: a few seconds."""

_WINDOW = 1 << 14
_BLOCK = 1 << 20
_MOST_TEXT = 64 << 20
_LONGEST_NAME = 1024
_LONGEST_REASON = 160


class Part(NamedTuple):
    """A named range [start, end) of the file; depth 0 is the format, 1 its parts, 2 the parts of these."""

    start: int
    end: int
    name: str
    depth: int = 1


class Damaged(BadInput):
    """The file stops making sense here; the parts found so far stand."""

    label = "damaged"


class Rebuilt(Damaged):
    """All was found, but not where the file says: by a search, as programs that repair do."""

    label = "rebuilt"


class Source:
    """The bytes of a file, read where asked.

    Not an mmap, the obvious way: a file cut while it is mapped kills the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, 2)
        self.work: float = float("inf")
        self._window, self._from = b"", 0

    def at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes from `offset`; fewer at the end of the file, none outside of it.

        Raises
        ------
        Damaged
            More was read than `work` allows.
        """
        if not 0 <= offset < self.size or length <= 0:
            return b""
        length = min(length, self.size - offset)
        self.work -= 1 + (length >> 12)
        if self.work < 0:
            raise Damaged("its tables ask for more reads than a sound file needs; the rest is not listed")
        begin = offset - self._from
        if begin < 0 or begin + length > len(self._window):
            self.file.seek(offset)
            if length > _WINDOW:
                return self.file.read(length)
            self._window, self._from, begin = self.file.read(_WINDOW), offset, 0
        return self._window[begin : begin + length]

    def need(self, offset: int, length: int, what: str) -> bytes:
        """Read exactly `length` bytes, or say what is cut off."""
        content = self.at(offset, length)
        if len(content) < length:
            raise Damaged(f"{what} at {offset:#x} is cut off")
        return content

    def fields(self, form: str, offset: int, what: str) -> tuple[int, ...]:
        """Read numbers as `struct.unpack` does, or say what is cut off."""
        return struct.unpack(form, self.need(offset, struct.calcsize(form), what))

    def find(self, needle: bytes, start: int, stop: int) -> int:
        """Give the offset of the first `needle` that lies whole within [start, stop), or -1."""
        stop = min(stop, self.size)
        step = _WINDOW - len(needle)  # small first: what is looked for is mostly near
        at = start
        while at < stop:
            block = self.at(at, min(step + len(needle) - 1, stop - at))
            found = block.find(needle)
            if found >= 0:
                return at + found
            at += step
            step = _BLOCK
        return -1


def collect(
    name: str,
    parse: Callable[[Source], Iterator[Part]],
    source: Source,
    signature: tuple[int, int] | None = None,
) -> pl.DataFrame:
    """Gather the parts of one format by start, the row that brackets them first; no rows if there are none.

    Where the file makes sense nowhere, but has a signature that leaves no doubt, that is the part there is.
    """
    starts, ends, depths, names = array("q"), array("q"), array("q"), list[str]()
    source.work = WORK
    room, reason, cut, nowhere = _MOST_TEXT, "", 0, 0
    try:
        for start, end, said, depth in parse(source):
            begin, stop = max(start, 0), min(end, source.size)
            if begin >= stop:
                nowhere += 1
                if nowhere > LIMIT:
                    raise Damaged("its tables name places without end that hold no byte of the file")  # noqa: TRY301 - one way out
                continue
            cut += end > source.size
            shown = _shown(said, cut=end > source.size)
            room -= len(shown)
            if len(names) >= LIMIT or room < 0:
                raise Damaged(f"only the first {len(names):,} parts are listed")  # noqa: TRY301 - one way out
            starts.append(begin)
            ends.append(stop)
            depths.append(depth)
            names.append(shown)
    except Damaged as error:
        reason = f" ({error.label}: {visible(str(error))[:_LONGEST_REASON]})"
    except Exception as error:  # noqa: BLE001 - what a file can still make a parser raise must not lose the other parts
        reason = f" (damaged: {visible(f'{type(error).__name__}: {error}')[:_LONGEST_REASON]})"
    finally:
        source.work = float("inf")
    if cut and not reason:
        reason = f" (damaged: {cut:,} parts run past the end of the file)"
    if reason and signature is not None and not names:
        starts, ends, names, depths = array("q", signature[:1]), array("q", signature[1:]), ["signature"], array("q", [1])  # fmt: skip
    return _bracketed(f"{name}{reason}", (starts, ends, names, depths))


def _shown(name: str, *, cut: bool) -> str:
    shown = name if name.isascii() and name.isprintable() else visible(name)
    if len(shown) > _LONGEST_NAME:
        shown = f"{shown[: _LONGEST_NAME - 1]}…"
    return f"{shown} (cut off)" if cut else shown


def _bracketed(name: str, columns: tuple[array[int], array[int], list[str], array[int]]) -> pl.DataFrame:
    parts = pl.DataFrame(dict(zip(SCHEMA, columns, strict=True)), schema=SCHEMA)
    if parts.is_empty():
        return parts
    whole = pl.DataFrame([(parts["start"].min(), parts["end"].max(), name, 0)], schema=SCHEMA, orient="row")
    return pl.concat([whole, parts.sort("start", "depth", "end", maintain_order=True)])
