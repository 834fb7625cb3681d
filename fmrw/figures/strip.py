"""Strips: the file as one line (`strip`), and several lines to compare (`lanes`, `crosstab`).

Limits. Ranges are exact as long as there are few enough to draw. Else neighbours are joined, and the figure says up to which distance.
Columns are about a point wide; a column's number is
the greatest number of times any one byte of it was read.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.tiles import repeats, window_edges
from fmrw.analysis.structure.crosstab import SAID
from fmrw.errors import FigureError
from fmrw.figures import effects, page, tracks, wide
from fmrw.figures.classes import Classes, Scale, times_text
from fmrw.figures.runs import run_colours, run_labels
from fmrw.figures.theme import SCREEN, Look
from fmrw.figures.tracks import Span, Track
from fmrw.offsets import human_size, range_text
from fmrw.text import percent, visible
from fmrw.trace import exactness
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt
    from numpy.typing import NDArray

    from fmrw.figures.functions import Functions
    from fmrw.figures.page import About
    from fmrw.offsets import Annotation

_MOST_LANES = 24
_PARTS = 2_000  # call borders drawn each by itself


def strip(
    events: pl.DataFrame,
    about: About,
    *,
    structure: pl.DataFrame | None = None,
    matters: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    scale: Scale = "log",
    borders: bool = False,
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw a file as a line: how often the bytes of each place were read and written, and what nobody read.

    Parameters
    ----------
    events
        Events of ONE file.
    about
        The file and the session.
    structure
        Named ranges `start, end, name, depth` to show above, as `analysis.structure` gives them.
    matters
        What a probe found of the file (`fmrw.trace.effects.EFFECTS`), for a row of its own.
    annotations
        Named ranges to mark.
    scale
        Classes of numbers: "log" or "linear".
    borders
        Also mark where calls begin and end.
    """
    about = about.seen_in(events)
    moved = transfers(events.select("op", "start", "end"))
    read, kinds, written, more = (
        *_lane(moved, "read", about, scale, look),
        *_lane(moved, "write", about, scale, look),
    )
    gaps, width = wide.thinned(ranges.complement(moved.filter(op="read"), about.size), about.size, 3_000)
    unread = exactness.unread_text(mapped=about.mapped)
    never = [Span(start, end, unread, _gap_label(start, end)) for start, end in gaps.iter_rows()]
    rows = [Track("reads", read, 1.6, thinnest=0)]
    rows += [Track("writes", written, 1.0, thinnest=0)] if written else []
    rows += [Track(unread, never, 0.8), _scale_bar(about.size)]
    shown = kinds | more
    hidden = {"scale": look.palette.ink, unread: look.palette.unread}
    times = times_text(op for op, found in (("read", read), ("write", written)) if found) or "requested"
    notes = [
        page.capture_text(about),
        f"colour: the most times any one byte of the column was {times}",
        page.process_text(about),
        wide.joined_note(width),
    ]
    if matters is not None and matters.height:
        row, said = effects.one_row(matters, about.size)
        rows.insert(-1, row)
        notes.append(said)
        found = {span.kind for span in row.spans}
        shown |= {name: colour for name, colour in effects.class_colours(look).items() if name in found}
    if borders:
        places = _places(moved, about.size)
        rows.insert(-2, Track("call borders", _borders(places, about.size, int(look.width)), 0.5))
        hidden |= {"call border": look.palette.ink}
        notes.insert(2, f"calls begin or end at {len(places):,} places")
    return tracks.draw(
        rows,
        shown,
        about,
        look,
        what=f"how often a byte was {times}, along the file",
        notes=notes,
        hidden=hidden,
        annotations=annotations,
        structure=structure,
    )


def lanes(
    runs: Mapping[str, pl.DataFrame] | pl.DataFrame,
    about: About,
    *,
    commands: Mapping[str, str] | None = None,
    functions: Functions | None = None,
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Compare what several runs, or the processes of one, read: a lane each, what only one read, what nobody read.

    Parameters
    ----------
    runs
        Events of the same file by name of the run; or one frame, for a lane per process, named "7z [4711]".
    commands
        Command lines by name of the run, which then stand before the lanes instead of it.
    functions
        A lane for each of these, of one frame, and no longer for each process; the pointer says their chains.
    structure
        Named ranges of the format, `start, end, name, depth`, to show above.

    Raises
    ------
    FigureError
        More lanes than can be told apart.
    """
    named = _named(runs, functions, look)
    if not 0 < len(named) <= _MOST_LANES:
        raise FigureError(
            f"{len(named)} lanes cannot be compared in one figure; choose 1 to {_MOST_LANES} runs or processes"
        )
    sets = {name: ranges.merge(events.filter(op="read")) for name, events in named.items()}
    about = about.seen_in(*named.values())
    nobody = ranges.complement(pl.concat(list(sets.values())), about.size)
    alone = {
        name: ranges.subtract(own, pl.concat([_NONE, *(s for n, s in sets.items() if n != name)]))
        for name, own in sets.items()
    }
    most = wide.MOST_MARKS // (2 * len(sets) + 1)
    called = run_labels(sets, commands or {})
    said = functions.told(look.palette) if functions else {}
    colours = run_colours(sets, about, look) | (functions.colours(look.palette) if functions else {})
    rows, widest = [], 0
    for name, own in sets.items():
        spans, width = _spans(own, name, about.size, most, said.get(name, ""))
        rows.append(Track(called[name], spans, share=_share(own, about.size)))
        widest = max(widest, width)
    only = [
        span
        for name, own in alone.items()
        for span in _spans(own, name, about.size, most, said.get(name, ""))[0]
    ]
    single = pl.concat(list(alone.values()))
    if len(sets) > 1:
        rows.append(Track("only one of them", sorted(only), share=_share(single, about.size)))
    nobody_said = exactness.nobody_text(mapped=about.mapped)
    rows.append(
        Track(nobody_said, _spans(nobody, _NOBODY, about.size, most)[0], share=_share(nobody, about.size))
    )
    who = "function" if functions else "program"
    explained = f"“only one of them”: requested by a single {who}, in its colour" if len(sets) > 1 else ""
    notes = [explained, page.capture_text(about), wide.joined_note(widest)]
    return tracks.draw(
        rows,
        {},
        about,
        look,
        what="who requested which bytes",
        notes=notes,
        hidden=colours | {_NOBODY: look.palette.unread},
        structure=structure,
        annotations=annotations,
    )


_NOBODY = "nobody at all"  # a kind no program can be called


def crosstab(table: pl.DataFrame, about: About, *, look: Look = SCREEN) -> alt.LayerChart:
    """Draw what a format describes against what a program read.

    Parameters
    ----------
    table
        The four rows of `analysis.structure.crosstab`.
    """
    colours = dict(
        zip(
            SAID.values(),
            (*look.palette.classes[:2], look.palette.classes[4], look.palette.faint),
            strict=True,
        )
    )
    rows, shares, start = [], [], 0
    widest = 0
    for name, count, share, starts, ends, named in table.select(
        "class", "bytes", "share", "starts", "ends", "names"
    ).iter_rows():
        found, width = wide.thinned(
            pl.DataFrame({"start": starts, "end": ends}, schema=_SET), about.size, 2_000
        )
        widest = max(widest, width)
        parts = dict(
            zip(starts, named, strict=True)
        )  # of joined ranges, the name of the first would not be true
        said = SAID[name]
        told = (Span(a, b, said, parts.get(a, "") if not width else "") for a, b in found.iter_rows())
        rows.append(Track(said, list(told)))
        if count:
            told_bytes = f"{count:,} byte{'' if count == 1 else 's'}"
            shares.append(Span(start, start + count, said, f"{percent(share or 0)} · {told_bytes}"))
        start += count
    rows = [Track("share of the file", shares, 1.3, ground=False), *rows]
    notes = [
        f"format: {visible(table['format'][0])}",
        "the first bar shows shares, not places",
        page.capture_text(about),
        wide.joined_note(widest),
    ]
    return tracks.draw(
        rows, colours, about, look, what="described by the format and requested by the program", notes=notes
    )


_SET = {"start": pl.Int64(), "end": pl.Int64()}
_NONE = pl.DataFrame(schema=_SET)


def _lane(
    moved: pl.DataFrame, op: str, about: About, scale: Scale, look: Look
) -> tuple[list[Span], dict[str, str]]:
    """Join columns of one class; give the spans and the colours of their classes."""
    columns = max(1, min(int(look.width), about.size))
    edges = window_edges(0, about.size, columns)
    counts = repeats(moved.filter(op=op), edges)
    if not counts.any():
        return [], {}
    classes = Classes.of(int(counts.max()), scale)
    number = classes.number(counts)
    colours = classes.colours(look.palette.ramp(op))
    kinds = {f"{op} {classes.label(n + 1)}": colour for n, colour in enumerate(colours)}
    cuts = np.r_[0, np.flatnonzero(np.diff(number)) + 1, len(number)]
    spans = [
        Span(int(edges[a]), int(edges[b]), f"{op} {classes.label(int(number[a]))}")
        for a, b in pairwise(cuts.tolist())
        if number[a]
    ]
    return spans, kinds


def _places(moved: pl.DataFrame, size: int) -> NDArray[np.int64]:
    """Give the offsets at which a call begins or ends, in order, as far as they lie in the file."""
    places = np.unique(np.concatenate([moved["start"].to_numpy(), moved["end"].to_numpy()]))
    return places[places <= size]


def _borders(places: NDArray[np.int64], size: int, columns: int) -> list[Span]:
    """Mark offsets: each where they are few, else the columns that hold some."""
    if len(places) <= _PARTS:
        return [Span(place, place, "call border") for place in places.tolist()]
    edges = window_edges(0, size, columns)
    held = np.zeros(columns + 1, bool)
    held[np.minimum(np.searchsorted(edges, places, "right") - 1, columns - 1)] = True
    cuts = np.flatnonzero(np.diff(held, prepend=False))
    return [Span(int(edges[a]), int(edges[b]), "call border") for a, b in cuts.reshape(-1, 2).tolist()]


def _gap_label(start: int, end: int) -> str:
    return f"{range_text(start, end)} ({human_size(end - start)})"


def _scale_bar(size: int) -> Track:
    """Show how long a round number of bytes is."""
    length = 1 << max(0, (max(size, 1) // 6).bit_length() - 1)
    bar = Span(0, min(length, size), "scale", low=0.42, high=0.58)
    return Track(f"scale: {human_size(min(length, size))}", [bar], 0.45, ground=False)


def _processes(events: pl.DataFrame) -> dict[str, pl.DataFrame]:
    moved = events.filter(op="read")
    parts = moved.partition_by("process", "pid", as_dict=True, maintain_order=True)
    return {f"{name} [{pid}]": part for (name, pid), part in parts.items()} or {"no request yet": moved}


def _named(
    runs: Mapping[str, pl.DataFrame] | pl.DataFrame, functions: Functions | None, look: Look
) -> dict[str, pl.DataFrame]:
    if not isinstance(runs, pl.DataFrame):
        return dict(runs)
    if functions is None:
        return _processes(runs)
    return functions.parted(runs.filter(op="read"), look.palette) or _processes(runs.clear())


def _spans(own: pl.DataFrame, kind: str, size: int, most: int, said: str = "") -> tuple[list[Span], int]:
    found, width = wide.thinned(own, size, most)
    return [Span(start, end, kind, said=said) for start, end in found.iter_rows()], width


def _share(own: pl.DataFrame, size: int) -> str:
    inside = int(ranges.coverage(own, size)["covered"].item())
    return percent(inside / size if size else 0)
