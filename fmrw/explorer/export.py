"""Export: what a view writes to files; a picture, a page that zooms, the rows of a CSV, and the names of files.

A file that exists is kept: what is written gets the next free name, "x-2.pdf".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.filter import Filter
from fmrw.errors import FigureError
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    import altair as alt

    from fmrw.explorer.filters import Choice
    from fmrw.explorer.recorded_file import RecordedFile

_LONGEST = 80


def events(recorded: RecordedFile, window: tuple[int, int], choice: Choice) -> pl.DataFrame:
    """Give the reads and writes of a window and a choice, all columns of a trace."""
    own = recorded.trace.lazy.filter(pl.col("path") == recorded.path).collect()
    rows = ranges.select(own.sort("seq"), *window)
    mask = Filter.of(op=None if choice.ops == "both" else choice.ops, **choice.who()).mask(rows)
    return rows if mask is None else rows.filter(pl.Series(mask))


def name(path: str, window: tuple[int, int], kind: str) -> str:
    """Make the name of a file in one folder, whatever the path."""
    stem = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in path)
    return f"{stem[-_LONGEST:].lstrip('._') or 'file'}-{range_text(*window)}.{kind}"


def write(content: bytes, target: Path, *, overwrite: bool = False) -> Path:
    """Write a file beside those that exist, or over one; give its name.

    Raises
    ------
    FigureError
        It cannot be written.
    """
    number = 1
    while True:
        place = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        try:
            with place.open("wb" if overwrite else "xb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise FigureError(
                f"{visible(str(place))}: {error.strerror}; choose a folder you may write"
            ) from error
        else:
            return place


def picture(chart: alt.TopLevelMixin, kind: str, scale: float) -> bytes:
    """Draw a chart in a format; HTML zooms and fills the window."""
    from fmrw.figures import export  # noqa: PLC0415 - altair takes a second

    return html(chart) if kind == "html" else export.export(chart, kind, scale=scale)


def html(chart: alt.TopLevelMixin) -> bytes:
    """Make one HTML file of a picture in points, which needs no network: it fills the window, and zooms as a map does."""
    from fmrw.figures import render  # noqa: PLC0415 - vl-convert takes its time

    spec = render.specification(chart)
    return render.page(_PAGE.replace("SPEC", render.embedded(spec)), spec, _CONTROLS)


_CONTROLS = (
    "<style>html,body{height:100%}#figure{display:block;width:100%;height:calc(100% - 26px);overflow:hidden}"
    "#figure svg{display:block;width:100%;height:100%;touch-action:none;cursor:grab}"
    ".help{font:12px/26px sans-serif;color:#808890;text-align:center;height:26px;overflow:hidden}</style>"
    "<div class='help'>wheel or + and -: zoom · drag: move · double click or 0: all of it</div>"
)
_PAGE = """
vegaEmbed('#figure', SPEC, {actions: false, renderer: 'svg'}).then(() => {
  const svg = document.querySelector('#figure svg');
  const whole = [0, 0, +svg.getAttribute('width'), +svg.getAttribute('height')];
  let box = [...whole];
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  const show = () => svg.setAttribute('viewBox', box.join(' '));
  const place = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  };
  const zoom = (factor, [x, y]) => {
    const width = Math.min(Math.max(box[2] * factor, whole[2] / 400), whole[2]), by = width / box[2];
    box = [x - (x - box[0]) * by, y - (y - box[1]) * by, width, box[3] * by];
    if (width === whole[2]) box = [...whole];
    show();
  };
  let held = null;
  svg.addEventListener('wheel', (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, place(event)); }, {passive: false});
  svg.addEventListener('pointerdown', (event) => { held = place(event); svg.setPointerCapture(event.pointerId); });
  svg.addEventListener('pointermove', (event) => {
    if (!held) return;
    const [x, y] = place(event);
    box = [box[0] + held[0] - x, box[1] + held[1] - y, box[2], box[3]];
    show();
  });
  svg.addEventListener('pointerup', () => { held = null; });
  svg.addEventListener('dblclick', () => { box = [...whole]; show(); });
  addEventListener('keydown', ({key}) => {
    if (key === '0') { box = [...whole]; show(); }
    if (key === '+' || key === '-') zoom(key === '-' ? 1.25 : 0.8, [box[0] + box[2] / 2, box[1] + box[3] / 2]);
  });
  show();
});
"""
