"""Survey: files by parsers; in each cell what the parser said of the file, and a strip of what it requested of it.

Limits. A strip has 32 parts at most, whose shade is the share of the part that was requested; exact ranges are in the survey's frames.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from fmrw.errors import FigureError
from fmrw.figures import page
from fmrw.figures.captions import Box, Captions
from fmrw.figures.measure import shorten
from fmrw.figures.theme import SCREEN, Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

    from fmrw.figures.page import About

MOST_FILES, MOST_PARSERS = 40, 12
_NAMES = 0.27  # of the width, for the names of files
_SHADES = (0, 1, 1, 1, 2, 2, 2, 3, 3, 4)  # of a level of 0 to 9


class Cell(NamedTuple):
    """What one parser did with one file.

    Attributes
    ----------
    said : str
        Its verdict, in a few words.
    accepted : bool
    strip : str
        A digit for each part of the file: 0 nothing of it was requested, 9 all.
    """

    said: str
    accepted: bool
    strip: str


def survey(
    cells: Mapping[str, Mapping[str, Cell]], parsers: Sequence[str], about: About, *, look: Look = SCREEN
) -> alt.LayerChart:
    """Draw files by parsers.

    Parameters
    ----------
    cells
        By file and parser; who was not run has none.
    parsers
        In the order of the columns.
    about
        The corpus: its name, its bytes.

    Raises
    ------
    FigureError
        No files, or more files or parsers than can be told apart.
    """
    if not 0 < len(cells) <= MOST_FILES or not 0 < len(parsers) <= MOST_PARSERS:
        raise FigureError(
            f"{len(cells)} files by {len(parsers)} parsers make no readable figure; choose 1 to {MOST_FILES} files and 1 to {MOST_PARSERS} parsers."
        )
    captions = Captions(look)
    top = page.title(captions, about, "what each parser says of a file, and which parts of it it requested")
    room = look.width - 2 * look.margin
    head = top + look.text * 2.2
    bottom = page.footer(captions, about) - look.text * 1.6
    box = Box(look.margin + room * _NAMES, head, room * (1 - _NAMES), bottom - head)
    _legend(captions, box)
    width, height = box.width / len(parsers), box.height / len(cells)
    for place, parser in enumerate(parsers):
        captions.text(
            box.left + place * width, head - look.text * 0.6, shorten(parser, width, look.text), bold=True
        )
    for row, (file, found) in enumerate(cells.items()):
        y = box.top + row * height
        captions.text(
            look.margin,
            y + _bar(look, height) / 2 + look.text * 0.35,
            shorten(file, room * _NAMES * 0.94, look.text),
        )
        for place, parser in enumerate(parsers):
            if parser in found:
                _draw(captions, Box(box.left + place * width, y, width * 0.92, height), found[parser])
    return page.assemble([], captions, box, about, f"{len(cells)} files by {len(parsers)} parsers")


def _bar(look: Look, height: float) -> float:
    return min(look.text * 1.7, height * 0.5)


def _draw(captions: Captions, place: Box, cell: Cell) -> None:
    look = captions.look
    height, mark = _bar(look, place.height), look.text * 0.35
    if not cell.accepted:
        captions.swatch(place.left, place.top, mark, height, look.palette.accent)
    place = Box(place.left + mark * 1.6, place.top, place.width - mark * 1.6, place.height)
    captions.swatch(place.left, place.top, place.width, height, look.palette.untouched)
    x, part = place.left, place.width / max(1, len(cell.strip))
    for level, same in groupby(cell.strip):
        length = part * len(list(same))
        if shade := _SHADES[int(level)]:
            captions.swatch(x, place.top, length, height, look.palette.reads[shade - 1])
        x += length
    colour = look.palette.faint if cell.accepted else look.palette.accent
    if place.height > height + look.small:
        said = shorten(cell.said, place.width, look.small)
        captions.text(
            place.left,
            place.top + height + look.small * 1.05,
            said,
            size=look.small,
            colour=colour,
            bold=not cell.accepted,
        )


def _legend(captions: Captions, box: Box) -> None:
    look = captions.look
    x, y, side = look.margin, box.bottom + look.text * 0.6, look.text * 0.8
    words = (
        ("nothing requested", look.palette.untouched),
        ("some", look.palette.reads[1]),
        ("all of a part", look.palette.reads[3]),
        ("not accepted", look.palette.accent),
    )
    for word, colour in words:
        captions.swatch(x, y, side, side, colour)
        captions.text(x + side * 1.4, y + side * 0.9, word, size=look.small)
        x += side * 1.4 + look.small * 0.6 * (len(word) + 2)
    captions.text(
        x,
        y + side * 0.9,
        "each strip is a whole file, in up to 32 parts",
        size=look.small,
        colour=look.palette.faint,
    )
