r"""Page: title, explanations and provenance around one layered chart; all figures share it.

Nothing is left to automatic layout. The page is exactly as large as its `Look`, so that a figure fills a slide or a
column, and its parts stand where arithmetic put them.

Every text that enters here is `visible`; what is long is cut in the middle. The facts of `About` also travel in the
chart's `usermeta`, from where `render` writes them into the file's metadata.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.figures.captions import Box, Captions
from fmrw.figures.measure import shorten, text_width, wrap
from fmrw.offsets import human_size
from fmrw.text import visible
from fmrw.trace import exactness
from fmrw.trace.schema import transfers
from fmrw.trace.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

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

_SHOWN_PROCESSES = 6
_TOLD = ("op", "start", "end", "requested", "fidelity", "pid", "process")
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
    programs
        Names of all programs of the recording, whatever is shown of them: these decide their colours (`fmrw.figures.programs`).
    page
        Whether an extent is only exact to the page. None: taken from the events.
    requests
        How many reads and writes moved bytes. None: taken from the events.
    smallest
        Bytes of the smallest request to read. None: taken from the events.
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
    programs: tuple[str, ...] = ()
    page: bool | None = None
    requests: int | None = None
    smallest: int | None = None
    capture: str | None = None
    command: str | None = None
    sha256: str | None = None
    date: datetime | None = None

    def seen_in(self, *sources: object) -> About:
        """Fill in processes, fidelity and requests from frames of events; anything else than a frame tells nothing.

        What one frame has seen by the page is page-granular, whatever the others say.
        """
        frames = [_moved(source) for source in sources if isinstance(source, pl.DataFrame)]
        if not frames:
            return self
        known = None if self.page is None else (exactness.PAGE if self.page else exactness.BYTE)
        seen = exactness.joint([known, *map(exactness.fidelity, frames)])
        smallest = [each for each in map(exactness.smallest_request, frames) if each is not None]
        named = tuple(dict.fromkeys(name for frame in frames for name in processes(frame)))
        return replace(
            self,
            page=None if seen is None else seen == exactness.PAGE,
            processes=self.processes or named,
            requests=sum(frame.height for frame in frames) if self.requests is None else self.requests,
            smallest=min(smallest, default=None) if self.smallest is None else self.smallest,
        )

    @property
    def exactness(self) -> str:
        """How exact the ranges are, in words; "" where nobody has told."""
        if self.page is None:
            return exactness.NOTHING if self.requests == 0 else ""
        return exactness.exactness_text(exactness.PAGE if self.page else exactness.BYTE)

    def metadata(self) -> dict[str, str]:
        """Give what is known as texts by key, for the metadata of a file."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        known["size"] = str(self.size)
        if self.date is not None:
            known["date"] = self.date.isoformat()
        if self.processes is not None:
            known["processes"] = ", ".join(self.processes)
        for private in ("requests", "smallest", "programs"):
            known.pop(private, None)
        if self.page is not None:
            known["fidelity"] = "page" if known.pop("page") else "byte"
        return {key: visible(str(value)) for key, value in (known | {"fmrw": VERSION}).items()}


def _moved(events: pl.DataFrame) -> pl.DataFrame:
    return transfers(events.select(name for name in _TOLD if name in events.columns))


def processes(events: pl.DataFrame) -> tuple[str, ...]:
    """Name the processes of a frame, in order of their first event: "7z [4711]"."""
    if not {"pid", "process"} <= set(events.columns):
        return ()
    one = pl.col("process", "pid")
    pairs = events.select("process", "pid").filter(pl.any_horizontal(one.ne_missing(one.shift())))
    pairs = pairs.unique(maintain_order=True)  # of turns only: several times as fast as of all events
    return tuple(f"{name} [{pid}]" for name, pid in pairs.iter_rows())


def title(captions: Captions, about: About, what: str) -> float:
    """Write the file's name, what is shown of it and how exact that is at the top of the page; give the lower edge.

    A long name takes two lines, then smaller type; it is never cut.
    """
    look = captions.look
    room = look.width - 2 * look.margin
    y = look.margin + (look.text * 0.4 if about.page else 0)
    size, lines = _fitted(look.title or about.name, room, look)
    y -= size * 0.4
    for line in lines:
        y += size * 1.2
        captions.text(look.margin, y, line, size=size, bold=True)
    for line in _subtitle(what, about.exactness, room, look):
        y += look.text * 1.45
        captions.text(look.margin, y, line, colour=look.palette.faint)
    if about.page:
        _badge(captions, exactness.PAGES)
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


def provenance(about: About, *, digest: bool = True) -> str:
    """Say in one sentence where a figure comes from; on slides without the content's hash, which stands in the metadata."""
    parts = [
        visible(about.name),
        size_text(about.size),
        f"SHA-256 {about.sha256}" if about.sha256 and digest else "",
        f"command: {visible(about.command)}" if about.command else "",
        f"capture: {about.capture}" if about.capture else "",
        about.date.strftime("%Y-%m-%d %H:%M:%S UTC") if about.date else "",
        f"fmrw {VERSION}",
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


def capture_text(about: About) -> str:
    """Say how the events were seen, and how coarse the requests were; how exact they are stands below the title."""
    parts = (f"capture {about.capture}" if about.capture else "", exactness.request_text(about.smallest))
    return ", ".join(part for part in parts if part)


def axis_room(look: Look) -> float:
    """Give the room an axis below a chart needs: its ticks, labels and title."""
    return look.text * 2.1 + 13


def footer(captions: Captions, about: About) -> float:
    """Write the provenance at the bottom of the page; give the upper edge of it."""
    look = captions.look
    if not look.caption:
        return look.height - look.margin * 0.6
    room = look.width - 2 * look.margin
    said = _cut(provenance(about, digest=not look.least))
    lines = wrap(said, room, look.small, font=look.font)[:_FOOT_LINES]
    top = look.height - look.margin * 0.6 - len(lines) * look.small * 1.3
    for number, line in enumerate(lines, 1):
        y = top + number * look.small * 1.3
        captions.text(look.margin, y, line, size=look.small, colour=look.palette.faint)
    return top


def _cut(text: str, most: int = 420) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


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
