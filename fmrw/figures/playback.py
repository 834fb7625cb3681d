"""Playback: an animation of the accesses in their order; each lights up and fades, and what was touched stays tinted.

`playback` makes the chart, whose parameter `frame` says how far; `playback_html` puts a slider and a play button to it, in one
file that needs no network; `playback_gif` draws every frame. Above the grid stands which program is at it. Time is the order of accesses, not the clock: programs wait much
longer than they read.

Limits. At most 6,000 trail marks and one mark per cell: of long recordings, frames or the grid are halved until that holds. A GIF
takes about 0.1 s per frame.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl
from PIL import Image

from fmrw.errors import FigureError
from fmrw.figures import cells, grid, marks, page, render
from fmrw.figures.captions import Box, Captions
from fmrw.figures.measure import shorten
from fmrw.figures.programs import program_colours
from fmrw.figures.theme import SCREEN, Look
from fmrw.trace import runs
from fmrw.trace.exactness import nothing_text, untouched_text
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.figures.grid import Layout, Square
    from fmrw.figures.page import About

TRAIL = 8
"""Frames after which an access has faded."""

_MOST = 6_000
_FEWEST_FRAMES = 24
_MILLISECONDS = 90
_LAST = 2_000  # milliseconds a GIF rests on its last frame
_LOOKS = ("frame", "op", "row")


def playback(
    events: pl.DataFrame,
    about: About,
    *,
    side: int = 64,
    layout: Layout = "row-major",
    frames: int = 96,
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw the accesses up to the parameter `frame`, which is the last one at first.

    Parameters
    ----------
    events
        Events of ONE file.
    about
        The file and the session.
    side, layout
        The grid, as in `heatmap`.
    frames
        Steps into which the accesses are divided, at least 2.
    """
    if frames < _LEAST:
        raise FigureError(f"{frames} frames make no film; take at least {_LEAST}")
    about = about.seen_in(events)
    film = _film(transfers(events).sort("seq"), grid.Square.rounded(about.size, side, layout), frames)
    return _draw(film, about, look)


_LEAST = 2


def playback_html(events: pl.DataFrame, about: About, **options: Any) -> bytes:  # noqa: ANN401 - as for `playback`
    """Make one HTML file with a slider and a play button."""
    spec = render.specification(playback(events, about, **options))
    last = spec["params"][0]["value"]
    return render.page(
        _PLAYER.replace("SPEC", render.embedded(spec)), spec, _CONTROLS.replace("LAST", str(last))
    )


def playback_gif(
    events: pl.DataFrame,
    about: About,
    *,
    scale: float = 1,
    frames: int = 48,
    **options: Any,  # noqa: ANN401 - as for `playback`
) -> bytes:
    """Make an animated GIF that repeats, with `scale` pixels per point."""
    spec = render.specification(playback(events, about, frames=frames, **options))
    drawn = [_frame(spec, frame, scale) for frame in range(spec["params"][0]["value"] + 1)]
    palette = _palette(drawn)
    pictures = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in drawn]
    times = [_MILLISECONDS] * (len(pictures) - 1) + [_LAST]
    out = io.BytesIO()
    comment = page.provenance(about.seen_in(events)).encode("ascii", "backslashreplace")[:255]
    pictures[0].save(
        out, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0, comment=comment
    )
    return out.getvalue()


def _frame(spec: dict[str, Any], frame: int, scale: float) -> Image.Image:
    return render.picture(spec | {"params": [{"name": "frame", "value": frame}]}, scale)


def _palette(drawn: Sequence[Image.Image]) -> Image.Image:
    """Choose one palette for all frames, so that what stands still does not flicker."""
    some = drawn[:: max(1, len(drawn) // 4)]
    width, height = some[0].size
    sheet = Image.new("RGB", (width, height * len(some)))
    for number, each in enumerate(some):
        sheet.paste(each, (0, number * height))
    return sheet.quantize(255)


@dataclass(frozen=True)
class _Film:
    """The grid, marks `frame, op, x, x2, y` of accesses, first touches `frame, x, y`, how many accesses there are, and whose in each frame."""

    square: Square
    frames: int
    trail: pl.DataFrame
    first: pl.DataFrame
    accesses: int
    who: Sequence[Sequence[str]] = ()


def _film(moved: pl.DataFrame, square: Square, frames: int) -> _Film:
    frames = max(1, min(frames, moved.height))
    touched = _touched(moved, square, frames)
    column, row = grid.LAYOUTS[square.layout](touched["cell"].to_numpy(), square.side)
    placed = touched.with_columns(pl.Series("column", column), pl.Series("row", row))
    trail = _runs(placed)
    if trail.height > _MOST and square.size and square.side > 1:
        if frames > _FEWEST_FRAMES:
            return _film(moved, square, frames // 2)
        return _film(moved, square.halved(), frames)
    first = placed.group_by("row", "column").agg(pl.col("frame").min()).sort("row", "column")
    return _Film(square, frames, trail, first, moved.height, _who(moved, frames))


def _who(moved: pl.DataFrame, frames: int) -> list[list[str]]:
    """Name the programs of each frame, in the order of their first access in it."""
    number = pl.int_range(pl.len(), dtype=pl.Int64) * frames // max(moved.height, 1)
    named = moved.select("process", frame=number).drop_nulls().unique(maintain_order=True)
    found: list[list[str]] = [[] for _ in range(frames)]
    for program, frame in named.iter_rows():
        found[frame].append(program)
    return found


def _touched(moved: pl.DataFrame, square: Square, frames: int) -> pl.DataFrame:
    """Give the cells touched in each frame, once each."""
    edges = square.edges[: square.used + 1]
    number = pl.int_range(pl.len(), dtype=pl.Int64) * frames // max(moved.height, 1)
    inside = moved.with_columns(frame=number).filter(pl.col("start") < square.size)
    low = pl.Series(np.searchsorted(edges, inside["start"].to_numpy(), "right") - 1)
    high = pl.Series(np.searchsorted(edges, np.minimum(inside["end"].to_numpy(), square.size), "left"))
    spans = inside.select("frame", pl.col("op").cast(pl.String), start=low, end=high)
    return (  # merged first: many accesses of many cells each would be a row for every pair
        runs.joined(spans, ("frame", "op"))
        .with_columns(cell=pl.int_ranges("start", "end"))
        .explode("cell")
        .select("frame", "op", "cell")
    )


def _runs(placed: pl.DataFrame) -> pl.DataFrame:
    ordered = placed.sort(*_LOOKS, "column")
    step = pl.col("column") - pl.int_range(pl.len(), dtype=pl.Int64).over(*_LOOKS)
    joined = (
        ordered.with_columns(run=step)
        .group_by(*_LOOKS, "run")
        .agg(x=pl.col("column").min(), x2=pl.col("column").max() + 1)
    )
    return joined.sort("frame", "op", "row", "x").select(
        "frame", "op", "x", "x2", y="row", y2=pl.col("row") + 1
    )


def _draw(film: _Film, about: About, look: Look) -> alt.LayerChart:
    captions = Captions(look)
    top, bottom = page.title(captions, about, "accesses in their order"), page.footer(captions, about)
    left = look.margin + look.text * (2.2 + 0.55 * len(hex(about.size)))
    above = top + look.text * 3.2
    square = film.square
    unit = min(
        (bottom - above - page.axis_room(look)) / square.side, (look.width - left - look.margin) / square.side
    )
    box = Box(left, above, unit * square.side, unit * square.side)
    _explain(captions, box, film, about, bottom)
    visited = [{"frame": f, "x": x, "x2": x + 1, "y": y, "y2": y + 1} for y, x, f in film.first.iter_rows()]
    been = marks.rectangles(visited, fill=look.palette.ink, opacity=0.22)
    been["transform"] = [{"filter": "datum.frame <= frame"}]
    layers: list[marks.Layer | alt.Chart] = [
        cells.ground(film.square, look),
        been,
        _trail(film, look),
        cells.lines(film.square, box, look),
        *cells.hatching(film.square, look),
        _progress(film, about, box, look),
    ]
    chart = page.assemble(layers, captions, box, about, "playback of accesses")
    chart.params = [alt.VariableParameter(name="frame", value=film.frames - 1)]
    return chart


def _trail(film: _Film, look: Look) -> alt.Chart:
    x_scale, y_scale = cells.scales(film.square)
    x_axis, y_axis = cells.axes(film.square)
    ops = alt.Scale(domain=["read", "write"], range=[look.palette.reads[3], look.palette.writes[2]])
    rows = film.trail.to_dicts()
    chart: alt.Chart = (
        alt.Chart(marks.inline(rows))
        .mark_rect(clip=True, opacity=alt.expr(f"1 - (frame - datum.frame) / {TRAIL}"))
        .encode(
            x=alt.X("x:Q", scale=x_scale, axis=x_axis), x2=alt.X2("x2:Q"),
            y=alt.Y("y:Q", scale=y_scale, axis=y_axis), y2=alt.Y2("y2:Q"),
            color=alt.Color("op:N", scale=ops, legend=None),
        )
        .transform_filter(f"datum.frame <= frame && datum.frame > frame - {TRAIL}")
    )  # fmt: skip
    return chart


def _progress(film: _Film, about: About, box: Box, look: Look) -> alt.Chart:
    """Say above the grid how many accesses have happened, and who is at it, in the colour of the program."""
    names = [name for some in film.who for name in some]
    colours = program_colours({*about.programs, *names}, look.palette)
    room = look.width - look.margin - box.left
    rows = []
    for frame in range(max(film.frames, 1)):
        who = film.who[frame] if frame < len(film.who) else ()
        done = -(-(frame + 1) * film.accesses // film.frames) if film.accesses else 0
        told = (
            f"{done:,} of {film.accesses:,} accesses" if film.accesses else nothing_text(mapped=about.mapped)
        )
        text = f"{told} · {', '.join(who)}" if who else told
        fill = colours[who[0]] if len(who) == 1 else look.palette.ink
        rows.append(
            {"frame": frame, "said": shorten(text, room * 0.94, look.text, font=look.font), "fill": fill}
        )
    style: dict[str, Any] = {
        "text": alt.expr("datum.said"),
        "fill": alt.expr("datum.fill"),
        "y": -look.text * 0.7,
    }
    chart: alt.Chart = (
        alt.Chart(marks.inline(rows))
        .mark_text(x=0, align="left", fontSize=look.text, fontWeight="bold", clip=False, **style)
        .transform_filter("datum.frame == frame")
    )
    return chart


def _explain(captions: Captions, box: Box, film: _Film, about: About, bottom: float) -> None:
    look = captions.look
    x, text = box.right + look.text * 2.2, look.text
    if look.width - look.margin - x < look.text * 10:  # no room beside the grid
        return
    entries = (
        ("read just now", look.palette.reads[3]),
        ("written just now", look.palette.writes[2]),
        ("accessed before", "#aaaeb3"),
        (untouched_text(mapped=about.mapped), look.palette.untouched),
    )
    for number, (label, fill) in enumerate(entries):
        y = box.top + number * text * 1.5
        captions.swatch(x, y, text, text, fill)
        captions.text(x + text * 1.5, y + text * 0.85, label, size=text * 0.9)
    told = [
        (f"{film.square.side} × {film.square.side} cells", [page.size_text(about.size)]),  # noqa: RUF001 - times
        ("Processes", [page.process_text(about) or "unknown"]),
        ("Capture", [page.capture_text(about) or "unknown"]),
    ]
    page.sections(
        captions, Box(x, box.top + text * 7, look.width - look.margin - x, bottom - box.top - text * 7), told
    )


_CONTROLS = """<div id="player"><button id="play" type="button" aria-label="play">▶</button>
<input id="slider" type="range" min="0" max="LAST" value="LAST" aria-label="frame"></div>
<style>#player { display: flex; gap: 1em; padding: 0.8em 1.4em; } #player input { flex: 1; max-width: 40em; }
#player button { font-size: 1.2em; width: 2.6em; }</style>"""

_PLAYER = """
const slider = document.getElementById("slider"), button = document.getElementById("play");
vegaEmbed("#figure", SPEC, {actions: false, renderer: "canvas"}).then(({view}) => {
  let timer = null;
  const show = (frame) => { slider.value = frame; view.signal("frame", Number(frame)).runAsync(); };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "▶"; };
  const step = () => Number(slider.value) < Number(slider.max) ? show(Number(slider.value) + 1) : stop();
  const play = () => {
    if (timer !== null) return stop();
    if (slider.value === slider.max) show(0);
    timer = setInterval(step, 90);
    button.textContent = "❚❚";
  };
  button.addEventListener("click", play);
  slider.addEventListener("input", () => show(slider.value));
  window.view = view;
});
"""
