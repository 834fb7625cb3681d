"""Gaps: a report on what was never read. For each gap what is in it, and the sentence an investigator would say.

Two kinds of columns. Places (`start` to `after_last_read`) need only the session. The others describe the content and
need the file as it was: if it is missing, or its size or time is not the one recorded, they are null and `note` says
why; nothing is guessed. Content is read in blocks, and no more than `most` bytes of it for the whole report, largest gaps
first; a gap of which only the first bytes were examined says so in `note`.

The file is read from its own place, not through the mount: this reading is nobody's behaviour.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import bytestats, ranges, signatures
from fmrw.analysis.content import Content
from fmrw.analysis.structure import structure_of
from fmrw.analysis.structure.parts import SCHEMA, Source
from fmrw.analysis.verdicts import Known, ascii_text, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = pl.Schema(
    {
        "rank": pl.Int64(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "length": pl.Int64(),
        "share": pl.Float64(),
        "alignment": pl.Int64(),
        "after_last_read": pl.Boolean(),
        "entropy": pl.Float64(),
        "byte_class": pl.String(),
        "padding": pl.String(),
        "head_hex": pl.String(),
        "head_ascii": pl.String(),
        "magics": pl.List(pl.String()),
        "magic_offsets": pl.List(pl.Int64()),
        "verdict": pl.String(),
        "note": pl.String(),
    }
)
"""Columns of `report`, in order."""

MOST = 256 << 20
"""Bytes of content examined for one report unless told otherwise: about two seconds, in about 100 MiB of memory."""

_HEAD = 32
_BLOCK = 1 << 20
_OWN_WITHIN = 512  # a tar names itself at 257
_SMALLEST_PADDING_UNIT = 4
_LEAST_COST = 4096  # a gap counts as this much at least, so that a million tiny ones end too


def unread(events: pl.DataFrame, size: int) -> pl.DataFrame:
    """Give the ranges of [0, size) that no read touched, as a frame of `start` and `end`."""
    return ranges.complement(events.filter(pl.col("op") == "read"), size)


def report(
    gaps: pl.DataFrame,
    size: int,
    content: str | os.PathLike[str] | None = None,
    *,
    recorded_mtime_ns: int | None = None,
    most: int = MOST,
) -> pl.DataFrame:
    """Describe each range that nothing read, the most remarkable first.

    Parameters
    ----------
    gaps
        Frame of `start` and `end`; or events (a frame with `op`), of which the unread ranges are taken. All others count as read.
    size
        Bytes in the file, as recorded with the session.
    content
        The file itself; None if it is not at hand.
    recorded_mtime_ns
        When it was last changed, as recorded, in ns since 1970; None if not known.
    most
        Bytes of content to examine in all; a gap counts as 4 KiB at least.

    Returns
    -------
    frame
        Columns of `REPORT`. `share` is of the file; `alignment` the largest power of two that divides `start` (at most 1 MiB);
        `entropy` in bits per byte; `padding` what fills the gap if it is one value up to an aligned end or to the end of
        the file; `magics` and `magic_offsets` the formats that begin inside and where in the file. Ranked: gaps with
        a format inside, then those with any content, then fillers of one value; longer ones first.
    """
    found = (
        unread(gaps, size) if "op" in gaps.columns else ranges.complement(ranges.complement(gaps, size), size)
    )
    bounds = found.select("start", "end").rows()
    contents, notes, known = _contents(bounds, size, content, recorded_mtime_ns, most)
    order = sorted(range(len(bounds)), key=lambda at: _remarkable(bounds[at], contents.get(at)))
    rows = [
        _row((rank, *bounds[at]), size, contents.get(at), notes[at], known)
        for rank, at in enumerate(order, 1)
    ]
    return pl.DataFrame(rows, schema=REPORT, orient="row")


def examine(source: Source, start: int, end: int, own: str | None) -> Content:
    """Look at the bytes [start, end) of a file of the format `own`: two passes in blocks, whatever their number."""
    blocks = (source.at(at, min(_BLOCK, end - at)) for at in range(start, end, _BLOCK))
    counts = bytestats.histogram(blocks)
    value = bytestats.only_value(counts)
    inside, complete = ([], True) if value is not None else signatures.scan(source, start, end)
    head = source.at(start, min(_HEAD, end - start))
    bits = bytestats.entropy(counts)
    shown = bits, bytestats.byte_class(counts, bits)
    return Content(int(counts.sum()), *shown, value, head, inside, complete, own)


def _own(source: Source) -> str | None:
    first = signatures.scan(source, 0, min(source.size, _OWN_WITHIN))[0]
    return first[0].name if first and first[0].offset == 0 else None


def changed(path: Path, size: int, mtime_ns: int | None) -> str | None:
    """Say how a file differs from what was recorded, or None if it does not."""
    try:
        now = path.stat()
    except OSError as error:
        return f"content not read: {error.strerror}"
    if now.st_size != size:
        return f"content not read: the file changed since the session, {size:,} bytes then and {now.st_size:,} now"
    if mtime_ns is not None and now.st_mtime_ns != mtime_ns:
        return "content not read: the file changed since the session, its time of change is another"
    return None


Bounds = list[tuple[int, int]]


def _contents(
    bounds: Bounds, size: int, path: str | os.PathLike[str] | None, mtime_ns: int | None, most: int
) -> tuple[dict[int, Content], list[str | None], Known]:
    """Examine the gaps; give the content by number of the gap, a note for each, and what the formats of the file say."""
    known = Known(pl.DataFrame(schema=SCHEMA), _frame([]))
    if path is None:
        return {}, ["content not at hand"] * len(bounds), known
    place = Path(path)
    reason = changed(place, size, mtime_ns)
    if reason is None:
        try:
            with place.open("rb") as file:
                before = os.fstat(file.fileno()).st_mtime_ns
                source = Source(file)
                known = Known(structure_of(source), ranges.complement(_frame(bounds), size))
                contents = dict(_largest_first(source, bounds, most))
        except OSError as error:
            return {}, [f"content not read: {error.strerror}"] * len(bounds), known
        # a file written to while it was examined is described by a mixture of both
        reason = changed(place, size, before)
    if reason is not None:
        return {}, [reason] * len(bounds), known
    return contents, [_note(bounds[at], contents.get(at)) for at in range(len(bounds))], known


def _frame(bounds: Bounds) -> pl.DataFrame:
    return pl.DataFrame(bounds, schema={"start": pl.Int64(), "end": pl.Int64()}, orient="row")


def _largest_first(source: Source, bounds: Bounds, most: int) -> Iterator[tuple[int, Content]]:
    own = _own(source)
    for at in sorted(range(len(bounds)), key=lambda at: bounds[at][0] - bounds[at][1]):
        start, end = bounds[at]
        if most <= 0:
            return
        yield at, examine(source, start, min(end, start + most), own)
        most -= max(end - start, _LEAST_COST)


def _note(bounds: tuple[int, int], content: Content | None) -> str | None:
    if content is None:
        return "content not examined: the limit of the report is used up by larger gaps"
    if content.examined < bounds[1] - bounds[0]:
        return f"only the first {content.examined:,} bytes examined"
    return None if content.complete else "more formats than listed: the search stopped"


def _remarkable(bounds: tuple[int, int], content: Content | None) -> tuple[bool, bool, int, int]:
    start, end = bounds
    if content is None:
        return True, False, start - end, start
    return not content.magics, content.value is not None, start - end, start


def _row(
    ranked: tuple[int, int, int], size: int, content: Content | None, note: str | None, known: Known
) -> tuple[object, ...]:
    rank, start, end = ranked
    bounds = start, end
    places = (rank, start, end, end - start, (end - start) / size, bytestats.alignment(start), end == size)
    if content is None:
        return (*places, *[None] * 7, verdict(bounds, size, None, None, known), note)
    names = [magic.name for magic in content.magics]
    offsets = [magic.offset for magic in content.magics]
    padding = _padding(start, end, size, content)
    head = content.head.hex(" "), ascii_text(content.head)
    said = verdict((start, end), size, content, padding, known)
    return (*places, content.entropy, content.byte_class, padding, *head, names, offsets, said, note)


def _padding(start: int, end: int, size: int, content: Content) -> str | None:
    """Say what fills a gap if that is one value, and the gap ends where padding would."""
    if content.value is None or content.examined < end - start:
        return None
    unit = bytestats.alignment(end)
    if unit > end - start:
        return f"0x{content.value:02x} up to a multiple of {unit}" if unit >= _SMALLEST_PADDING_UNIT else None
    return f"0x{content.value:02x} up to the end of the file" if end == size else None
