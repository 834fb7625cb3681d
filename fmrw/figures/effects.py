"""Effects: what the bytes of a file do to a program, a row for each class (`effects`), and as one coloured row for other figures."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.effects import CLASSES, UNSETTLED
from fmrw.analysis.index.tiles import accesses, window_edges
from fmrw.figures import page, tracks, wide
from fmrw.figures.theme import SCREEN, Look
from fmrw.figures.tracks import Span, Track
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    from fmrw.figures.page import About
    from fmrw.offsets import Annotation

_MATTER = CLASSES[2:]
_MOST = 2_000
_MEANING = (
    "redundant: only with others · conditional: for some values · content: output differs · checked: refused · decides: other accesses · "
    "steers: offsets, lengths, counts"
)


def class_colours(look: Look) -> dict[str, str]:
    """Give the colour of each class: greys for what does not matter, those of programs, which lie far apart, for what does."""
    palette = look.palette
    quiet = {"unread": palette.unread, "ignored": palette.several, UNSETTLED: palette.faint}
    return quiet | dict(zip(_MATTER, palette.programs, strict=False))


def effects(
    found: pl.DataFrame,
    about: About,
    *,
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw which bytes do what to the program: a row for each class, below the parts of the format.

    Parameters
    ----------
    found
        Effects of ONE file by ONE command (`fmrw.trace.effects.EFFECTS`).
    about
        The file and the session.
    structure
        Named ranges of the format, `start, end, name, depth`.
    annotations
        Named ranges to mark.
    """
    known = found.with_columns(pl.col("class").fill_null(UNSETTLED))
    rows, widest = [], 0
    for name in (*CLASSES, UNSETTLED):
        own = known.filter(pl.col("class") == name)
        if own.height:
            track, width = _track(name, own, about.size)
            rows.append(track)
            widest = max(widest, width)
    rows = rows or [Track("nothing was altered", [])]  # an empty file has no bytes to alter
    notes = [_MEANING, page.capture_text(about), wide.joined_note(widest)]
    shown = {track.name for track in rows}
    return tracks.draw(
        rows,
        {},
        about,
        look,
        what=f"what altering each byte does to {visible(_command(found))}",
        notes=notes,
        hidden={name: colour for name, colour in class_colours(look).items() if name in shown},
        structure=structure,
        annotations=annotations,
    )


def one_row(found: pl.DataFrame, size: int) -> tuple[Track, str]:
    """Give all classes in one row, each in its colour (`class_colours`), and what is to be said of it: of very many ranges, columns are shown."""
    known = found.with_columns(pl.col("class").fill_null(UNSETTLED)).filter(pl.col("class") != "unread")
    if known.height > _MOST:
        said = "“what matters”: of each column, the class that matters most"
        return Track("what matters", _columns(known, size), 0.8, thinnest=0), said
    spans = [
        Span(start, min(end, size), name, visible(effect))
        for start, end, name, effect in known.select("start", "end", "class", "effect").iter_rows()
    ]
    return Track("what matters", spans, 0.8), ""


def _columns(known: pl.DataFrame, size: int) -> list[Span]:
    """Join columns whose class that matters most is the same."""
    edges = window_edges(0, size, max(1, min(_MOST, size)))
    names = ("", "ignored", UNSETTLED, *_MATTER)
    most = np.zeros(len(edges) - 1, np.int64)
    for number, name in enumerate(names):
        most[accesses(known.filter(pl.col("class") == name), edges) > 0] = number
    cuts = np.r_[0, np.flatnonzero(np.diff(most)) + 1, len(most)].tolist()
    return [Span(int(edges[a]), int(edges[b]), names[most[a]]) for a, b in pairwise(cuts) if most[a]]


def _track(name: str, own: pl.DataFrame, size: int) -> tuple[Track, int]:
    thinned, width = wide.thinned(ranges.merge(own.select("start", "end")), size, _MOST)
    said = dict(own.select("start", "effect").iter_rows()) if not width else {}
    spans = [Span(start, end, name, visible(said.get(start, ""))) for start, end in thinned.iter_rows()]
    total = int((own["end"] - own["start"]).sum())
    return Track(name, spans, share=f"{total:,}"), width


def _command(found: pl.DataFrame) -> str:
    return str(found["command"][0]) if found.height else "the program"
