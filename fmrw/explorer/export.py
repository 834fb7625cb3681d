"""Export: what a view writes to files; a picture, a page that zooms, the rows of a CSV, and the names of files.

A file that exists is kept: what is written gets the next free name, "x-2.pdf".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.filter import Filter
from fmrw.errors import FigureError
from fmrw.explorer.levels import levels
from fmrw.offsets import range_text
from fmrw.text import unwritten

if TYPE_CHECKING:
    import altair as alt

    from fmrw.explorer.filters import Choice
    from fmrw.explorer.recorded_file import RecordedFile
    from fmrw.explorer.scene import Scene

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
            raise FigureError(f"{unwritten(place, error)}; choose a folder you may write") from error
        else:
            return place


def picture(chart: alt.TopLevelMixin, scene: Scene, kind: str, scale: float) -> bytes:
    """Draw a scene's chart in a format; HTML zooms, fills the window, and shows finer bins."""
    from fmrw.figures import export  # noqa: PLC0415 - altair takes a second

    return html(chart, scene) if kind == "html" else export.export(chart, kind, scale=scale)


def html(chart: alt.TopLevelMixin, scene: Scene) -> bytes:
    """Make one HTML file that needs no network: the picture, which fills the window and zooms as a map does, and a strip with finer bins below."""
    from fmrw.figures import render  # noqa: PLC0415 - vl-convert takes its time

    spec = render.specification(chart)
    given = {"SPEC": spec, "LEVELS": levels(scene)}
    lines = [f"const {name} = {render.embedded(value)};" for name, value in given.items()]
    script = "\n".join([*lines, Path(__file__).with_name("page.js").read_text()])
    ink = scene.canvas.colours["ink"]
    return render.page(script, spec, _CONTROLS.replace("INK", ink))


_CONTROLS = (
    "<style>html,body{height:100%}#figure{display:block;width:100%;height:calc(100% - 150px);overflow:hidden}"
    "#figure svg{display:block;width:100%;height:100%;touch-action:none;cursor:grab}"
    "#strip{display:block;width:100%;height:96px;touch-action:none;cursor:grab}"
    ".help{font:12px/26px sans-serif;color:INK;text-align:center;height:26px;overflow:hidden}</style>"
    "<div class='help'>wheel: zoom · drag: move · double click: all of it · in the picture also +, - and 0</div>"
    "<canvas id='strip'></canvas><div class='help' id='told'></div>"
)
