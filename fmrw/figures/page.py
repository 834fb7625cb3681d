r"""Page: title, explanations and provenance around one layered chart; all figures share it.

Nothing is left to automatic layout. The page is exactly as large as its `Look`, so that a figure fills a slide or a
column, and its parts stand where arithmetic put them.

Every text that enters here is `visible`; what is long is cut in the middle. The facts of `About` also travel in the
chart's `usermeta`, from where `render` writes them into the file's metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmrw.figures.about import About, capture_text, cut, process_text, processes, provenance, size_text
from fmrw.figures.captions import Box, Captions
from fmrw.figures.measure import shorten, text_width, wrap
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    from fmrw.figures.marks import Layer
    from fmrw.figures.theme import Look

__all__ = [
    "About",
    "Box",
    "Captions",
    "Section",
    "Sheet",
    "assemble",
    "axis_room",
    "capture_text",
    "config",
    "footer",
    "process_text",
    "processes",
    "provenance",
    "sections",
    "shorten",
    "size_text",
    "title",
]

_FOOT_LINES = 4


def title(captions: Captions, about: About, what: str) -> float:
    """Write the file's name, what is shown of it and how exact that is at the top of the page; give the lower edge.

    A long name takes two lines, then smaller type; it is never cut.
    """
    look = captions.look
    room = look.width - 2 * look.margin
    y = look.margin + (look.text * 0.4 if about.badge else 0)
    size, lines = _fitted(look.title or about.name, room, look)
    y -= size * 0.4
    for line in lines:
        y += size * 1.2
        captions.text(look.margin, y, line, size=size, bold=True)
    for line in _subtitle(what, about.exactness, room, look):
        y += look.text * 1.45
        captions.text(look.margin, y, line, colour=look.palette.faint)
    if about.badge:
        _badge(captions, about.badge)
    return y


_TITLES = ((1.65, 1), (1.45, 1), (1.25, 2), (1.05, 2), (0.9, 3), (0.75, 4), (0.6, 6), (0.5, 9), (0.4, 40))
"""Sizes of a title, in sizes of text, and how many lines it may take in each."""


def _fitted(text: str, room: float, look: Look) -> tuple[float, list[str]]:
    """Choose the largest type in which a title takes few lines."""
    for step, most in _TITLES:
        size = round(look.text * step, 1)
        lines = wrap(text, room, size, bold=True, font=look.font)
        if len(lines) <= most:
            break
    return size, lines


def _subtitle(what: str, exactly: str, room: float, look: Look) -> list[str]:
    """Say what is shown and how exact it is, in one line where that fits, since neither may be cut."""
    both = " · ".join(part for part in (what, exactly) if part)
    return (
        [both]
        if len(wrap(both, room, look.text, font=look.font)) == 1
        else [
            line for part in (what, exactly) if part for line in wrap(part, room, look.text, font=look.font)
        ]
    )


def _badge(captions: Captions, text: str) -> None:
    """Put a warning on the figure's face, top right."""
    look = captions.look
    width = text_width(text, look.text, bold=True, font=look.font) + look.text
    right, top = look.width - look.margin, look.margin * 0.35
    captions.swatch(right - width, top, width, look.text * 1.5, look.palette.accent)
    captions.text(
        right - width / 2, top + look.text * 1.1, text, bold=True, colour=look.palette.paper, align="center"
    )


Section = tuple[str, list[str]]
"""A heading and paragraphs."""

_SIZES = (1, 0.93, 0.86, 0.8, 0.74)
_BODY = 0.9  # size of a paragraph against that of its heading


def sections(captions: Captions, place: Box, told: Sequence[Section]) -> None:
    """Write sections below each other, in the largest type that fits; what does not fit even in small type is left out."""
    text = captions.look.text
    sizes = [text * step for step in _SIZES if text * step * _BODY >= captions.look.least]
    for size in sizes or [text]:
        draft = Captions(captions.look)
        if _written(draft, place, told, size) <= place.bottom:
            captions.texts += draft.texts
            return
    if told:
        sections(captions, place, told[:-1])


def _written(captions: Captions, place: Box, told: Sequence[Section], size: float) -> float:
    y = place.top
    for heading, paragraphs in told:
        y = captions.paragraph(
            place.left, y + size * 0.6, place.width, heading, bold=True, size=round(size, 1)
        )
        for each in paragraphs:
            y = captions.paragraph(place.left, y, place.width, each, size=round(size * _BODY, 1))
    return y


def axis_room(look: Look) -> float:
    """Give the room an axis below a chart needs: its ticks, labels and title."""
    return look.text * 2.1 + 13


def footer(captions: Captions, about: About) -> float:
    """Write the provenance at the bottom of the page; give the upper edge of it."""
    look = captions.look
    if not look.caption:
        return look.height - look.margin * 0.6
    room = look.width - 2 * look.margin
    said = cut(provenance(about, digest=not look.least))
    lines = wrap(said, room, look.small, font=look.font)[:_FOOT_LINES]
    top = look.height - look.margin * 0.6 - len(lines) * look.small * 1.3
    for number, line in enumerate(lines, 1):
        y = top + number * look.small * 1.3
        captions.text(look.margin, y, line, size=look.small, colour=look.palette.faint)
    return top


def assemble(
    layers: Sequence[Layer | alt.Chart],
    captions: Captions,
    box: Box,
    about: About,
    description: str,
) -> alt.LayerChart:
    """Put the layers and the captions on a page of exactly the look's size."""
    from fmrw.figures.chart import layered  # noqa: PLC0415 - altair takes long, and much of a page needs none

    look = captions.look
    return layered([*layers, *captions.layers(box)], _page(look, box, about, description), config(look))


@dataclass(frozen=True)
class Sheet:
    """A figure of plain layers, as `assemble` puts it on a page; altair is imported when somebody wants its chart, and drawing does not."""

    layers: Sequence[Layer]
    captions: Captions
    box: Box
    about: About
    description: str

    def chart(self) -> alt.LayerChart:
        """Give it as altair's chart."""
        return assemble(self.layers, self.captions, self.box, self.about, self.description)

    def to_dict(self, *, validate: bool = False) -> dict[str, Any]:
        """Give it as Vega-Lite, as altair's charts give it; there is nobody here who could validate it."""
        del validate
        look = self.captions.look
        layers = [*self.layers, *self.captions.layers(self.box)]
        return {
            **_page(look, self.box, self.about, self.description),
            "layer": layers,
            "config": config(look),
        }


def _page(look: Look, box: Box, about: About, description: str) -> dict[str, Any]:
    """Give what Vega-Lite is to know of the whole figure: its size, so that the page is as large as the look, and its facts."""
    left, top, width, height = (round(each, 2) for each in (box.left, box.top, box.width, box.height))
    right, bottom = look.width - left - width, look.height - top - height
    padding = {"left": left, "top": top, "right": round(right, 2), "bottom": round(bottom, 2)}
    return {
        "width": width,
        "height": height,
        "padding": padding,
        "autosize": {"type": "none"},
        "description": visible(description),
        "usermeta": {"fmrw": about.metadata()},
    }


def config(look: Look) -> dict[str, Any]:
    """Give fonts and colours of everything Vega draws by itself."""
    palette = look.palette
    labels = {"labelFontSize": look.label, "titleFontSize": look.text, "labelColor": palette.ink}
    line = {"domainColor": palette.faint, "tickColor": palette.faint, "gridColor": palette.untouched}
    return {
        "background": palette.paper,
        "font": visible(look.fonts),
        "view": {"stroke": None},
        "axis": {
            **labels,
            **line,
            "titleColor": palette.faint,
            "titleFontWeight": "normal",
            "labelFlush": False,
        },
        "legend": {**labels, "titleColor": palette.ink, "symbolType": "square", "symbolStrokeWidth": 0},
    }
