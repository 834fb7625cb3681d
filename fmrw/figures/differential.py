"""Differential: several programs or recordings against each other; what only one of them requested, what several, what nobody.

The file is cut where who reads it changes (`analysis.compare.differential`), and each piece belongs to one class: one program alone, several of them,
all of them, or nobody. The bar on top shows all classes, the tracks below each by itself, with its share of the file.

Limits. Few classes have a track each; where many combinations of programs occur, "some of them" stands for those of more than one and not all. Of very
many pieces the bar shows columns, each in the colour of the class that has most of its bytes, and the tracks say up to which distance pieces were joined.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from fmrw.analysis import compare
from fmrw.analysis.index.tiles import window_edges
from fmrw.errors import FigureError
from fmrw.figures import page, tracks, wide
from fmrw.figures.runs import run_colours, run_labels
from fmrw.figures.theme import SCREEN, Look
from fmrw.figures.tracks import Span, Track
from fmrw.text import percent
from fmrw.trace.exactness import nobody_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

    from fmrw.figures.page import About
    from fmrw.offsets import Annotation

MOST_RUNS = 24
_MOST_SINGLE = 12  # runs up to which each has a track of what it alone requested
_PAIR = 2
_MOST_MIXED = 4  # combinations that have a track each
_EXACT = 2_000  # pieces the bar shows as they are
_NOBODY, _ONE, _SOME, _ALL = "nobody at all", "one of them", "some of them", "all of them"  # kinds, not names


class _Class(NamedTuple):
    kind: str
    name: str
    colour: str
    pieces: pl.DataFrame
    idle: bool = False  # whether it has no track where it is empty


def differential(
    runs: Mapping[str, pl.DataFrame] | pl.DataFrame,
    about: About,
    *,
    commands: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw what only one of several programs or recordings requested, what several, and what nobody.

    Parameters
    ----------
    runs
        Events of the same file by name of the run; or one frame, for a run per program.
    commands
        Command lines by name of the run, which then stand before the tracks instead of it.
    colours
        Colours by name of the run. None: by the names of the programs.
    structure
        Named ranges of the format, `start, end, name, depth`, to show above.

    Raises
    ------
    FigureError
        More runs than can be told apart, or none.
    """
    named = programs(runs) if isinstance(runs, pl.DataFrame) else dict(runs)
    if not 0 < len(named) <= MOST_RUNS:
        raise FigureError(
            f"{len(named)} programs cannot be compared in one figure; choose 1 to {MOST_RUNS} of them."
        )
    about = about.seen_in(*named.values())
    sets = {name: compare.Run.of(events, name, about.size) for name, events in named.items()}
    pieces = compare.differential(sets)
    classes = _classes(
        pieces, list(sets), run_labels(sets, commands or {}), colours or run_colours(sets, about, look), look
    )
    nobody = nobody_text(mapped=about.mapped)
    unread = _Class(_NOBODY, nobody, look.palette.unread, pieces.filter(pl.col("count") == 0))
    classes.append(unread)
    most = wide.MOST_MARKS // (2 * len(classes) + 1)
    rows, joined = [Track("", _bar(classes, about.size, look), 1.5, thinnest=0)], 0
    shown = [each for each in classes if each.pieces.height or not each.idle]
    for each in shown:
        spans, width = wide.thinned(each.pieces, about.size, most)
        joined = max(joined, width)
        found = [Span(start, end, each.kind) for start, end in spans.select("start", "end").iter_rows()]
        rows.append(Track(each.name, found, share=_share(each.pieces, about.size)))
    return tracks.draw(
        rows,
        {},
        about,
        look,
        what=f"who alone requested which bytes, and what {nobody} did"
        if len(sets) > 1
        else "what was requested",
        notes=[_left_out(classes), page.capture_text(about), wide.joined_note(joined)],
        hidden={each.kind: each.colour for each in classes},
        structure=structure,
        annotations=annotations,
    )


def _left_out(classes: Sequence[_Class]) -> str:
    empty = sum(each.idle and each.pieces.is_empty() for each in classes)
    return f"{empty} of the programs requested nothing alone" if empty else ""


def programs(events: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Give the reads of each program, in the order of their first; a program of one process is called by that, "7z [4711]"."""
    reads = events.filter(op="read")
    found = {}
    for (name,), part in reads.partition_by("process", as_dict=True, maintain_order=True).items():
        pids = part["pid"].unique().to_list()
        found[f"{name} [{pids[0]}]" if len(pids) == 1 else str(name)] = part
    return found or {"no request yet": reads}


def _classes(
    pieces: pl.DataFrame,
    names: Sequence[str],
    labels: Mapping[str, str],
    colours: Mapping[str, str],
    look: Look,
) -> list[_Class]:
    """Divide what was requested: by one program alone, several, all; in this order, those of several only where there are such."""
    count = pieces["count"]
    held = pieces.select(
        pl.nth(range(5, 5 + len(names)))
    )  # a Boolean column per run, behind the five common ones
    held.columns = list(names)
    classes = []
    if len(names) <= _MOST_SINGLE:
        for name in names:
            own = pieces.filter((count == 1) & held[name])
            label = f"only {labels[name]}" if len(names) > 1 else labels[name]
            classes.append(_Class(name, label, colours[name], own, idle=len(names) > _PAIR))
    else:
        classes.append(_Class(_ONE, "only one of them", look.palette.accent, pieces.filter(count == 1)))
    if len(names) > 1:
        classes += _mixed(pieces, held, labels, look)
        all_of_them = "both" if len(names) == _PAIR else "all of them"
        classes.append(_Class(_ALL, all_of_them, look.palette.faint, pieces.filter(count == len(names))))
    return classes


def _mixed(pieces: pl.DataFrame, held: pl.DataFrame, labels: Mapping[str, str], look: Look) -> list[_Class]:
    """Give what more than one and not all requested: by combination where these are few."""
    some = (pieces["count"] > 1) & (pieces["count"] < held.width)
    found = held.filter(some).unique(maintain_order=True)
    if found.height > _MOST_MIXED:
        return [_Class(_SOME, "some of them", look.palette.several, pieces.filter(some))]
    made = []
    for row in found.iter_rows(named=True):
        same = pl.Series([True] * held.height)
        for name, reads in row.items():
            same &= held[name] == reads
        who = ", ".join(_program(labels[name]) for name, reads in row.items() if reads)
        made.append(_Class(f"{_SOME}: {who}", who, look.palette.several, pieces.filter(same)))
    return made


def _program(label: str) -> str:
    """Leave the arguments out of a command line."""
    return label.partition(" ")[0] or label


def _bar(classes: Sequence[_Class], size: int, look: Look) -> list[Span]:
    """Show all classes in one bar: as they are, or in columns."""
    if sum(each.pieces.height for each in classes) <= _EXACT:
        return sorted(
            Span(start, end, each.kind)
            for each in classes
            for start, end in each.pieces.select("start", "end").iter_rows()
        )
    edges = window_edges(0, size, int(look.width))
    most = np.argmax([np.diff(_covered(each.pieces, edges)) for each in classes], axis=0)
    cuts = np.r_[0, np.flatnonzero(np.diff(most)) + 1, len(most)].tolist()
    return [Span(int(edges[a]), int(edges[b]), classes[int(most[a])].kind) for a, b in pairwise(cuts)]


def _covered(
    pieces: pl.DataFrame, edges: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Count the bytes of pieces that lie before each edge."""
    start, end = pieces["start"].to_numpy(), pieces["end"].to_numpy()
    before = np.r_[0, np.cumsum(end - start)]
    begun = np.searchsorted(start, edges, "right")
    last = np.maximum(begun - 1, 0)
    over = np.maximum(end[last] - edges, 0) if len(end) else np.zeros(len(edges), np.int64)
    return np.where(begun > 0, before[begun] - over, 0)


def _share(pieces: pl.DataFrame, size: int) -> str:
    return percent(int(pieces["length"].sum()) / size if size else 0)
