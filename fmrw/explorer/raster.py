"""Raster: a canvas as PNG by Pillow, for saved notebooks.

Every view that is shown has such a picture, and vl-convert would take most of a second for it. The marks are plain enough: rectangles,
lines, texts, in one order. Whoever wants a figure exports one.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from fmrw.explorer.canvas import Canvas

_FONTS = {"normal": "LiberationSans-Regular.ttf", "bold": "LiberationSans-Bold.ttf"}
_ANCHORS = {"left": "ls", "center": "ms", "right": "rs"}


def png(canvas: Canvas, scale: float = 2) -> bytes:
    """Draw a canvas with `scale` pixels per point."""
    look = canvas.look
    picture = Image.new("RGB", (round(look.width * scale), round(look.height * scale)), look.palette.paper)
    pen = ImageDraw.Draw(picture, "RGBA")
    inks = {key: _ink(colour) for key, colour in canvas.colours.items()}
    for row in canvas.rects:
        left, right = sorted((round(row["x"] * scale), round(row["X"] * scale)))
        top, bottom = sorted((round(row["y"] * scale), round(row["Y"] * scale)))
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), fill=inks[row["k"]])
    for row in canvas.lines:
        ends = tuple(row[edge] * scale for edge in ("x", "y", "X", "Y"))
        pen.line(ends, fill=inks[row["k"]], width=max(1, round(row["w"] * scale)))
    for row in canvas.texts:
        place, font = (row["x"] * scale, row["y"] * scale), _font(row["b"], round(row["s"] * scale))
        pen.text(place, row["t"], fill=inks[row["k"]], font=font, anchor=_ANCHORS[row["a"]])
    out = io.BytesIO()
    picture.quantize(128).save(out, "PNG", optimize=True)
    return out.getvalue()


def _ink(colour: str) -> tuple[int, int, int, int]:
    """Read `#rrggbb` or `rgba(r,g,b,a)`."""
    if colour.startswith("#"):
        red, green, blue = bytes.fromhex(colour[1:])
        return red, green, blue, 255
    *channels, opacity = colour.removeprefix("rgba(").removesuffix(")").split(",")
    red, green, blue = (int(channel) for channel in channels)
    return red, green, blue, round(float(opacity) * 255)


@cache
def _font(weight: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype(_FONTS[weight], size)
    except OSError:
        return ImageFont.load_default(size)
