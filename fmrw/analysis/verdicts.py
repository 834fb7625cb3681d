"""The sentence an investigator would say of a range that nothing read.

What the file's formats say comes first: a gap in a ZIP is the data of an entry, and whether anybody read the directory that
points to it says more than its bytes. A signature inside a part that a format describes belongs to that part; only one that no format
explains is a second format. That "nothing reads" a format is said if none of the parts was read by which a reader knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.structure.naming import Names, is_bracket
from fmrw.offsets import hex_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.analysis.content import Content
    from fmrw.analysis.signatures import Magic

_KEYS = {  # format → the parts by which a reader knows it; of the others it is what they begin with
    "ZIP": (
        "central directory",
        "end of central directory",
        "ZIP64 end of central directory",
        "local header",
    ),
    "PDF": ("header", "startxref", "cross-reference table", "trailer"),
    "ISO 9660": ("primary volume descriptor", "supplementary volume descriptor"),
}
_SHOWN = 3


class Format(NamedTuple):
    """A format of the file: where it begins, its parts, and which of the parts one knows it by was read, if any."""

    name: str
    start: int
    names: Names
    key: str
    read: bool


class Known:
    """What the formats of a file say of its ranges, and which of them are read.

    Parameters
    ----------
    structure
        As `structure` gives it.
    read
        What was read: `start`, `end`.
    """

    def __init__(self, structure: pl.DataFrame, read: pl.DataFrame) -> None:
        numbered = structure.with_columns(format=is_bracket().cum_sum())
        parts = numbered.partition_by("format", include_key=False, maintain_order=True)
        self.formats = [_format(each, ranges.merge(read)) for each in parts]
        self.names = Names(structure)

    def beginning(self, start: int, end: int) -> Format | None:
        """Give the format that begins in a gap and is not read, or that is a second one of the file."""
        inside = [each for each in self.formats if start <= each.start < end]
        second = [each for each in inside if each.start and len(self.formats) > 1]
        return next((each for each in inside if not each.read), second[0] if second else None)

    def of(self, start: int, end: int) -> tuple[str, Format] | None:
        """Name the parts of a range, and the format they are of: one that is read, if there is."""
        found = [(name, each) for each in self.formats if (name := each.names.of(start, end))]
        return next((each for each in found if each[1].read), found[0] if found else None)

    def explains(self, offset: int) -> bool:
        """Say whether a format describes the byte."""
        return bool(self.names.of(offset, offset + 1))


def _format(parts: pl.DataFrame, read: pl.DataFrame) -> Format:
    bracket, inner = parts.row(0, named=True), parts.filter(~is_bracket())
    name = bracket["name"].split(" (", 1)[0]
    wanted = _KEYS.get(name, ())
    keys = inner.filter(pl.col("name").is_in(wanted))
    if keys.is_empty():
        keys = inner.filter(pl.col("start") == bracket["start"]).sort("end").head(1)
    seen = set(keys.filter(_touched(keys, read))["name"])
    key = next((each for each in wanted if each in seen), keys["name"][0])
    return Format(name, bracket["start"], Names(parts), key, bool(seen))


def _touched(parts: pl.DataFrame, read: pl.DataFrame) -> pl.Series:
    """Say of each part whether it shares a byte with what was read (merged, so sorted by start and end)."""
    behind = read["end"].search_sorted(parts["start"], side="right")
    return behind < read["start"].search_sorted(parts["end"], side="left")


def verdict(
    bounds: tuple[int, int], size: int, content: Content | None, padding: str | None, known: Known
) -> str:
    """Say in one line what a gap is."""
    start, end = bounds
    where = ", after the last byte read" if end == size and start else ""
    count = f"{end - start:,} byte{'s' if end - start > 1 else ''}"
    if content is None:
        return f"{count} that nothing reads{where}"
    second = _second(bounds, content, known)
    if second:
        return second + where
    if padding:
        return f"padding: {count} of {padding}"
    found = known.of(start, end)
    if found and content.value is None:
        return f"{_part(*found)}{where}"
    beside = found[0] if found else known.names.around(end)
    return f"{_bytes_verdict(count, content)}{f' ({beside})' if beside else ''}{where}"


def _part(name: str, of: Format) -> str:
    if of.read:
        return f"{name}, never read; the {of.name}'s {of.key} was"
    return f"{name}, never read; nothing reads the {of.name}"


def _second(bounds: tuple[int, int], content: Content, known: Known) -> str:
    """Name the formats that begin in the gap and that no format around them explains."""
    inside = [magic for magic in content.magics if not known.explains(magic.offset)]
    begins = known.beginning(*bounds)
    if begins is not None:
        return _begins(begins, bounds, known) + _also(
            [magic for magic in inside if magic.offset != begins.start]
        )
    if not inside:
        return ""
    first = next(
        (magic for magic in inside if magic.name not in (content.own, f"end of a {content.own}")), inside[0]
    )
    others = [magic for magic in inside if magic != first]
    if first.offset == 0:
        return f"the file begins as {first.name} and nothing reads that{_also(others)}"
    kind = "a part of the" if first.name == content.own else "a second format,"
    comma = "" if first.name == content.own else ","
    return (
        f"{kind} {first.name}{comma} begins at {hex_offset(first.offset)} and nothing reads it{_also(others)}"
    )


def _begins(begins: Format, bounds: tuple[int, int], known: Known) -> str:
    if begins.start == 0:
        return f"the file begins as {begins.name} and nothing reads that"
    second = f"a second format, {begins.name}," if len(known.formats) > 1 else begins.name
    second = f"{second} begins at {hex_offset(begins.start)}"
    return (
        f"{second}: {_part(begins.names.of(*bounds), begins)}"
        if begins.read
        else f"{second} and nothing reads it"
    )


def _also(others: Sequence[Magic]) -> str:
    """List further formats, each with its offset."""
    if not others:
        return ""
    shown = ", ".join(f"{magic.name} at {hex_offset(magic.offset)}" for magic in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN:,} more" if len(others) > _SHOWN else ""
    return f" (also {shown}{more})"


def _bytes_verdict(count: str, content: Content) -> str:
    if content.value is not None:
        return f"a hole: {count} of 0x{content.value:02x}"
    if content.byte_class == "text":
        return f"{count} of text that nothing reads, beginning {ascii_text(content.head)!r}"
    if content.byte_class == "random-like":
        return f"{count} that look compressed or encrypted ({content.entropy:.2f} bits per byte)"
    return f"{count} of unrecognised data ({content.entropy:.2f} bits per byte)"


_PRINTED = bytes(byte if 0x20 <= byte < 0x7F else ord(".") for byte in range(256))  # noqa: PLR2004 - printable ASCII


def ascii_text(content: bytes) -> str:
    """Show printable bytes as they are, and others as a dot."""
    return content.translate(_PRINTED).decode("ascii")
