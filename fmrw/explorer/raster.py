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

_FONTS = {
    "normal": (
        "LiberationSans-Regular.ttf",
        "arial.ttf",
        "DejaVuSans.ttf",
        "NotoSans-Regular.ttf",
        "FreeSans.ttf",
    ),
    "bold": (
        "LiberationSans-Bold.ttf",
        "arialbd.ttf",
        "DejaVuSans-Bold.ttf",
        "NotoSans-Bold.ttf",
        "FreeSansBold.ttf",
    ),
}
_PLAIN = str.maketrans({"×": "x", "–": "-", "·": "-", "…": "...", "›": ">", "←": "<-", "→": "->"})  # noqa: RUF001 - what captions use
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
        pen.text(place, written(row["t"], font), fill=inks[row["k"]], font=font, anchor=_ANCHORS[row["a"]])
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


def written(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Replace what a font has no glyph for, which would be a box, by plain letters, or by "?"."""
    return (
        text if text.isascii() else "".join(each if _has(font, each) else _plain(font, each) for each in text)
    )


def _plain(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, character: str) -> str:
    plain = character.translate(_PLAIN)
    return plain if plain != character or _has(font, plain) else "?"


@cache
def _has(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, character: str) -> bool:
    """Tell whether a font draws a character otherwise than one that cannot be."""
    if character.isascii():
        return True
    return bytes(font.getmask(character)) != bytes(font.getmask(_NOWHERE))


_NOWHERE = "\U000fffff"  # private use: no font draws it


@cache
def _font(weight: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in _FONTS[weight]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
