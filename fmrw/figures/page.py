r"""What all figures share: a page with title, explanations and provenance around one layered chart.

Nothing is left to automatic layout: the page is exactly as large as its `Look`, so that a figure fills a slide or a
column, and its parts stand where arithmetic put them. Texts and swatches are two layers that carry positions in points
and touch no scale, so the chart's own axes can zoom below them.

Every text that enters here is `visible`; what is long is cut in the middle. The facts of `About` also travel in the
chart's `usermeta`, from where `render` writes them into the file's metadata.
"""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

import fmrw
from fmrw.figures.marks import inline
from fmrw.offsets import human_size
from fmrw.text import visible
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fmrw.figures.look import Look

_EM = 0.53  # mean width of a character of running text and hexadecimal, in ems
_SHOWN_PROCESSES = 6
_FOOT_LINES = 4


@dataclass(frozen=True)
class About:
    """Whose bytes a figure shows, and where they were seen.

    Parameters
    ----------
    name, size
        The file, relative to the mounted directory, and its bytes.
    processes
        As shown: "7z [4711]". None: taken from the events, where there are some.
    page
        Whether an extent is only exact to the page. None: taken from the events.
    capture
        "exact", "paged" or "cached".
    command
        What was run, as typed.
    sha256
        Of the content, in hexadecimal, when it is at hand.
    date
        When the session ended. Never the time of drawing: same inputs, same bytes.
    """

    name: str
    size: int
    processes: tuple[str, ...] | None = None
    page: bool | None = None
    capture: str | None = None
    command: str | None = None
    sha256: str | None = None
    date: datetime | None = None

    def seen_in(self, events: object) -> About:
        """Fill in processes and fidelity from a frame of events; anything else than a frame tells nothing."""
        if not isinstance(events, pl.DataFrame):
            return self
        moved = transfers(events)
        page = self.page
        if page is None and "fidelity" in moved.columns:
            page = bool((moved["fidelity"] == "page").any())
        return replace(self, page=page, processes=self.processes or processes(moved))

    def metadata(self) -> dict[str, str]:
        """Give what is known as texts by key, for the metadata of a file."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        known["size"] = str(self.size)
        if self.date is not None:
            known["date"] = self.date.isoformat()
        if self.processes is not None:
            known["processes"] = ", ".join(self.processes)
        if self.page is not None:
            known["fidelity"] = "page" if known.pop("page") else "byte"
        return {key: visible(str(value)) for key, value in (known | {"fmrw": fmrw.__version__}).items()}


def processes(events: pl.DataFrame) -> tuple[str, ...]:
    """Name the processes of a frame, in order of their first event: "7z [4711]"."""
    if not {"pid", "process"} <= set(events.columns):
        return ()
    pairs = events.select("process", "pid").unique(maintain_order=True)
    return tuple(f"{name} [{pid}]" for name, pid in pairs.iter_rows())


@dataclass(frozen=True)
class Box:
    """Where the chart itself stands on the page, in points from the top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def below(self, y: float) -> Box:
        """Give the part of the box from `y` down."""
        return Box(self.left, y, self.width, self.bottom - y)


@dataclass
class Furniture:
    """Texts and swatches around a chart; `x` and `y` are points from the page's top left."""

    look: Look
    texts: list[dict[str, Any]] = field(default_factory=list)
    swatches: list[dict[str, Any]] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float | None = None,
        bold: bool = False,
        colour: str = "",
        align: str = "left",
    ) -> None:
        """Write one line whose baseline is `y`."""
        self.texts.append(
            {
                "px": round(x, 2),
                "py": round(y, 2),
                "text": visible(text),
                "size": size or self.look.text,
                "weight": "bold" if bold else "normal",
                "colour": colour or self.look.palette.ink,
                "align": align,
            }
        )

    def paragraph(self, x: float, y: float, width: float, text: str, **style: Any) -> float:  # noqa: ANN401 - as for `text`
        """Write lines that fit into `width`, the first one below `y`; give the lower edge of the last."""
        size = style.get("size") or self.look.text
        for line in wrap(text, width, size):
            y += size * 1.32
            self.text(x, y, line, **style)
        return y

    def swatch(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Paint a rectangle."""
        box = {"px": x, "py": y, "px2": x + width, "py2": y + height}
        self.swatches.append({key: round(value, 2) for key, value in box.items()} | {"fill": fill})

    def layers(self, box: Box) -> list[alt.Chart]:
        """Draw it all, relative to the chart's `box`."""
        texts = [_moved(text, box) for text in self.texts]
        swatches = [_moved(swatch, box) for swatch in self.swatches]
        marks = []
        if swatches:
            fill = alt.expr("datum.fill")
            marks.append(
                alt.Chart(inline(swatches)).mark_rect(
                    **_places("px", "py", "px2", "py2"), fill=fill, clip=False, tooltip=None
                )
            )
        if texts:
            style: dict[str, Any] = {
                "text": alt.expr("datum.text"),
                "fontSize": alt.expr("datum.size"),
                "fontWeight": alt.expr("datum.weight"),
                "fill": alt.expr("datum.colour"),
                "align": alt.expr("datum.align"),
            }
            marks.append(
                alt.Chart(inline(texts)).mark_text(
                    **_places("px", "py"), baseline="alphabetic", clip=False, tooltip=None, **style
                )
            )
        return marks


def _moved(row: dict[str, Any], box: Box) -> dict[str, Any]:
    shift = {"px": box.left, "px2": box.left, "py": box.top, "py2": box.top}
    return {key: round(value - shift[key], 2) if key in shift else value for key, value in row.items()}


def _places(*columns: str) -> dict[str, Any]:
    return {column[1:]: alt.expr(f"datum.{column}") for column in columns}


def wrap(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines of about `width` points."""
    return textwrap.wrap(visible(text), max(8, int(width / (size * _EM)))) or [""]


def shorten(text: str, width: float, size: float) -> str:
    """Cut the middle out of a text that is wider than `width` points."""
    text, most = visible(text), max(8, int(width / (size * _EM)))
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3 - 1]}…{text[len(text) - most // 3 :]}"


def title(furniture: Furniture, about: About, what: str) -> float:
    """Write the file's name and what is shown of it at the top of the page; give the lower edge."""
    look = furniture.look
    size, room = round(look.text * 1.65, 1), look.width - 2 * look.margin
    y = look.margin + size * 0.8
    furniture.text(look.margin, y, shorten(look.title or about.name, room * 0.94, size), size=size, bold=True)
    y += look.text * 1.45
    furniture.text(look.margin, y, shorten(what, room, look.text), colour=look.palette.faint)
    if about.page:
        _badge(furniture, "page-granular")
    return y


def _badge(furniture: Furniture, text: str) -> None:
    """Put a warning on the figure's face, top right."""
    look = furniture.look
    width = len(text) * look.text * 0.58 + look.text
    right, top = look.width - look.margin, look.margin * 0.35
    furniture.swatch(right - width, top, width, look.text * 1.5, look.palette.accent)
    furniture.text(
        right - width / 2, top + look.text * 1.1, text, bold=True, colour=look.palette.paper, align="center"
    )


def provenance(about: About) -> str:
    """Say in one sentence where a figure comes from."""
    parts = [
        visible(about.name),
        size_text(about.size),
        f"SHA-256 {about.sha256}" if about.sha256 else "",
        f"command: {visible(about.command)}" if about.command else "",
        f"capture: {about.capture}" if about.capture else "",
        about.date.strftime("%Y-%m-%d %H:%M:%S UTC") if about.date else "",
        f"fmrw {fmrw.__version__}",
    ]
    return " · ".join(part for part in parts if part)


def size_text(size: int) -> str:
    """Write a file's size exactly, and shortly where that is exact as well."""
    exact = f"{size:,} byte{'' if size == 1 else 's'}"
    short = human_size(size)
    return exact if short == exact or "," in short else f"{exact} ({short})"


def process_text(about: About) -> str:
    """List the processes, the first few by name."""
    names = about.processes or ()
    more = len(names) - _SHOWN_PROCESSES
    return ", ".join(names[:_SHOWN_PROCESSES]) + (f" and {more} more" if more > 0 else "")


Section = tuple[str, list[str]]
"""A heading and paragraphs."""

_SIZES = (1, 0.93, 0.86, 0.8, 0.74)


def sections(furniture: Furniture, place: Box, told: Sequence[Section]) -> None:
    """Write sections below each other, in the largest type that fits; what does not fit even in small type is left out."""
    text = furniture.look.text
    for size in (text * step for step in _SIZES):
        draft = Furniture(furniture.look)
        if _written(draft, place, told, size) <= place.bottom:
            furniture.texts += draft.texts
            return
    if told:
        sections(furniture, place, told[:-1])


def _written(furniture: Furniture, place: Box, told: Sequence[Section], size: float) -> float:
    y = place.top
    for heading, paragraphs in told:
        y = furniture.paragraph(
            place.left, y + size * 0.6, place.width, heading, bold=True, size=round(size, 1)
        )
        for each in paragraphs:
            y = furniture.paragraph(place.left, y, place.width, each, size=round(size * 0.9, 1))
    return y


def capture_text(about: About) -> str:
    """Say how the events were seen, and how exactly."""
    exactly = {True: "page-granular: ranges are whole pages", False: "every byte exact"}
    parts = (about.capture, exactly[about.page] if about.page is not None else None)
    return ", ".join(part for part in parts if part) or "unknown"


def footer(furniture: Furniture, about: About) -> float:
    """Write the provenance at the bottom of the page; give the upper edge of it."""
    look = furniture.look
    if not look.caption:
        return look.height - look.margin * 0.6
    room = look.width - 2 * look.margin
    lines = wrap(_cut(provenance(about)), room, look.small)[:_FOOT_LINES]
    top = look.height - look.margin * 0.6 - len(lines) * look.small * 1.3
    for number, line in enumerate(lines, 1):
        y = top + number * look.small * 1.3
        furniture.text(look.margin, y, line, size=look.small, colour=look.palette.faint)
    return top


def _cut(text: str, most: int = 420) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def assemble(
    layers: Sequence[alt.Chart | alt.LayerChart],
    furniture: Furniture,
    box: Box,
    about: About,
    description: str,
) -> alt.LayerChart:
    """Put the layers and the furniture on a page of exactly the look's size."""
    look = furniture.look
    left, top, width, height = (round(each, 2) for each in (box.left, box.top, box.width, box.height))
    padding = {
        "left": left,
        "top": top,
        "right": look.width - left - width,
        "bottom": look.height - top - height,
    }
    chart = alt.layer(*layers, *furniture.layers(box)).properties(
        width=width,
        height=height,
        padding={side: round(room, 2) for side, room in padding.items()},
        autosize={"type": "none"},
        description=visible(description),
        usermeta={"fmrw": about.metadata()},
    )
    finished: alt.LayerChart = chart.configure(**config(look))
    return finished


def config(look: Look) -> dict[str, Any]:
    """Give fonts and colours of everything Vega draws by itself."""
    palette = look.palette
    labels = {"labelFontSize": look.text * 0.9, "titleFontSize": look.text, "labelColor": palette.ink}
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
