"""Export: a figure is written to a file, in the format its name ends with.

    save(heatmap(events, about, look=preset("slide-16x9")), "heatmap.svg")

`render` knows how each format is made. Here are the table of formats, the folder, and the check which font was really used.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.errors import BadChoice, FigureError
from fmrw.figures import render
from fmrw.text import unwritten, visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from fmrw.figures.render import Chart
    from fmrw.figures.theme import Look

FORMATS: dict[str, Callable[[Chart], bytes]] = {
    "pdf": render.pdf,
    "svg": render.svg,
    "png": render.png,
    "html": render.html,
}
"""Format → a chart's bytes."""


def export(chart: Chart, kind: str, *, scale: float = 2) -> bytes:
    """Draw a chart in a format.

    Parameters
    ----------
    kind
        One of `FORMATS`.
    scale
        Pixels per point; only a PNG has pixels.

    Raises
    ------
    FigureError
        Unknown format, or a scale that makes no picture.
    """
    if kind not in FORMATS:
        raise BadChoice(f"'{visible(kind)}' is not a format of figures; take one of {', '.join(FORMATS)}")
    if not 0 < scale <= _LARGEST_SCALE:
        raise BadChoice(f"scale {scale} makes no picture; take one above 0, up to {_LARGEST_SCALE}")
    draw = functools.partial(render.png, scale=scale) if kind == "png" else FORMATS[kind]
    return draw(chart)


_LARGEST_SCALE = 16


def save(chart: Chart, path: str | PathLike[str], *, scale: float = 2) -> Path:
    """Write a chart to a file, in the format its name ends with.

    Raises
    ------
    FigureError
        Unknown format, or the file cannot be written.
    """
    target = Path(path)
    content = export(chart, target.suffix.removeprefix(".").lower(), scale=scale)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise FigureError(f"{unwritten(target, error)}; choose a folder you may write") from error
    return target


def font_note(look: Look, drawn: bytes | None = None) -> str:
    """Say which font is used where one that was asked for is missing; "" if it is there.

    vl-convert falls back in silence, so a PDF is asked which fonts it embeds: `drawn`, if there is one in this look, else one
    with a line of text.
    """
    wanted = look.font.split(",", maxsplit=1)[0].strip().strip("'\"")
    used = _fonts_of(look.fonts) if drawn is None else render.fonts(drawn)
    if any(_plain(name).startswith(_plain(wanted)) for name in used):
        return ""
    return f"font '{visible(wanted)}' is not on this machine; used {', '.join(used) or 'none'} instead"


@functools.cache
def _fonts_of(font: str) -> tuple[str, ...]:
    text = {"data": {"values": [{}]}, "mark": {"type": "text", "text": "Hxg", "font": font}}
    return tuple(render.fonts(render.pdf(text)))


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
