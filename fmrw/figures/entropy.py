"""Entropy chart: Shannon's entropy and the class of bytes along a file, below what was read.

Limits. The content is read in columns one to two points wide, a power of two of bytes each, at most 64 KiB of each, so that a file of any size takes seconds; the
figure says when columns were sampled. Coverage is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from fmrw.analysis import bytestats, ranges
from fmrw.figures import page, tracks, wide
from fmrw.figures.theme import SCREEN, Look
from fmrw.figures.tracks import Span, Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import altair as alt
    import polars as pl

    from fmrw.figures.page import About
    from fmrw.offsets import Annotation

SAMPLE = 64 * 1024
"""Bytes read of each column."""

_NARROWEST = 64  # bytes a column holds at least: of fewer the entropy says nothing
_TELLING = 512  # bytes by which noise can be told from other data
_BITS = 8
_TICKS = tuple((bits / _BITS, str(bits)) for bits in (0, 2, 4, 6, 8))


def entropy(
    content: BinaryIO,
    events: pl.DataFrame,
    about: About,
    *,
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw entropy and byte class along a file, above what was read and what was not.

    Parameters
    ----------
    content
        The file, open for reading bytes and seeking.
    events
        Events of this file.
    about
        The file and the session.
    structure
        Named ranges of the format, `start, end, name, depth`, to show above.
    """
    about = about.seen_in(events)
    columns = max(1, min(int(look.width), about.size // _NARROWEST))
    width = (
        1 << (-(-max(about.size, 1) // columns) - 1).bit_length()
    )  # a power of two, so that columns begin at offsets that can be read
    found = list(_columns(content, about.size, width))
    bits = [Span(start, end, "entropy", high=value / _BITS) for start, end, value, _ in found]
    kinds = dict(zip(bytestats.CLASSES, _class_colours(look), strict=True))
    read, joined = wide.thinned(ranges.merge(events.filter(op="read")), about.size, 3_000)
    rows = [
        Track("entropy 0 to 8 bits", bits, 2.6, thinnest=0, ticks=_TICKS),
        Track("byte class", _merged((start, end, kind) for start, end, _, kind in found), 0.7, thinnest=0),
        Track("requested", [Span(start, end, "requested") for start, end in read.iter_rows()], 0.9),
    ]
    present = {kind: colour for kind, colour in kinds.items() if any(kind == row[3] for row in found)}
    sampled = (
        f"entropy and class of the first {SAMPLE:,} of every {width:,} bytes"
        if width > SAMPLE
        else f"columns of {width:,} byte{'' if width == 1 else 's'}"
    )
    return tracks.draw(
        rows,
        present | {"requested": look.palette.reads[2]},
        about,
        look,
        what="entropy, class of bytes, and what was requested",
        notes=[sampled, page.capture_text(about), wide.joined_note(joined)],
        hidden={"entropy": look.palette.faint},
        annotations=annotations,
        structure=structure,
    )


def _columns(content: BinaryIO, size: int, width: int) -> Iterator[tuple[int, int, float, str]]:
    for start in range(0, size, max(width, 1)):
        content.seek(start)
        counts = bytestats.histogram([content.read(min(width, SAMPLE, size - start))])
        kind = bytestats.byte_class(counts)
        if (
            kind == "mixed" and width < _TELLING
        ):  # too few bytes to tell noise by; a gap of many is told by all of them
            content.seek(max(min(start + width // 2 - _TELLING // 2, size - _TELLING), 0))
            kind = bytestats.byte_class(bytestats.histogram([content.read(_TELLING)]))
            kind = kind if kind == "random-like" else "mixed"
        yield start, min(start + width, size), bytestats.entropy(counts), kind


def _merged(columns: Iterator[tuple[int, int, str]]) -> list[Span]:
    spans: list[Span] = []
    for start, end, kind in columns:
        if spans and spans[-1].kind == kind:
            start = spans.pop().start  # noqa: PLW2901 - the neighbour's beginning
        spans.append(Span(start, end, kind))
    return spans


def _class_colours(look: Look) -> tuple[str, ...]:
    """Give a colour to each of `bytestats.CLASSES`: zero, 0xFF, text, random-like, mixed."""
    _, yellow, ink, sky, red, green, _ = look.palette.classes
    return ink, sky, green, red, yellow
