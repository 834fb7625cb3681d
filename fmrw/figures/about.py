"""About: whose bytes a figure shows, who read them and how exactly, and the texts that say so on its page and in its metadata."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from string import ascii_uppercase
from typing import TYPE_CHECKING

import polars as pl

from fmrw.offsets import human_size
from fmrw.text import brief, visible
from fmrw.trace import exactness
from fmrw.trace.schema import transfers
from fmrw.trace.version import VERSION

if TYPE_CHECKING:
    from datetime import datetime

_SHOWN_PROCESSES = 6
_COMMAND = 60  # characters of each of several commands
_TOLD = ("op", "start", "end", "requested", "fidelity", "pid", "process")


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
    mapped
        Whether the file was also mapped where reads through maps are not recorded (`fmrw.trace.exactness.is_mapped`).
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
    others
        Other recordings that the figure shows too: their commands, captures and dates count.
    """

    name: str
    size: int
    processes: tuple[str, ...] | None = None
    programs: tuple[str, ...] = ()
    page: bool | None = None
    mapped: bool = False
    requests: int | None = None
    smallest: int | None = None
    capture: str | None = None
    command: str | None = None
    sha256: str | None = None
    date: datetime | None = None
    others: tuple[About, ...] = ()

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
        if self.page is None and self.requests != 0:
            return exactness.MAPPED if self.mapped else ""
        known = None if self.page is None else exactness.PAGE if self.page else exactness.BYTE
        return exactness.exactness_text(known, mapped=self.mapped)

    @property
    def badge(self) -> str:
        """The warning on a figure's face; "" where there is nothing to warn of."""
        return exactness.badge(page=bool(self.page), mapped=self.mapped)

    @property
    def recorded(self) -> list[str]:
        """What was run, how it was seen, and when, in words."""
        return [
            f"command: {visible(self.command)}" if self.command else "",
            f"capture: {self.capture}" if self.capture else "",
            self.date.strftime("%Y-%m-%d %H:%M:%S UTC") if self.date else "",
        ]

    def metadata(self) -> dict[str, str]:
        """Give what is known as texts by key, for the metadata of a file."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        known["size"] = str(self.size)
        if self.date is not None:
            known["date"] = self.date.isoformat()
        if self.processes is not None:
            known["processes"] = ", ".join(self.processes)
        for private in ("requests", "smallest", "programs", "others", "mapped"):
            known.pop(private, None)
        if self.mapped:
            known["mapped"] = exactness.MAPPED
        for number, other in enumerate(self.others, 2):
            told = other.metadata()
            known |= {f"{key}_{number}": told[key] for key in ("command", "capture", "date") if key in told}
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


def provenance(about: About, *, digest: bool = True) -> str:
    """Say in one sentence where a figure comes from; on slides without the content's hash, which stands in the metadata."""
    parts = [
        visible(about.name),
        size_text(about.size),
        f"SHA-256 {about.sha256}" if about.sha256 and digest else "",
        *(map(_lettered, ascii_uppercase, (about, *about.others)) if about.others else about.recorded),
        f"fmrw {VERSION}",
    ]
    return " · ".join(part for part in parts if part)


def _lettered(letter: str, about: About) -> str:
    """Say the same of one of several recordings, shortly."""
    short = replace(about, command=brief(about.command, _COMMAND) if about.command else None)
    return f"{letter}: {', '.join(filter(None, short.recorded))}"


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


def capture_text(about: About) -> str:
    """Say how the events were seen, and how coarse the requests were; how exact they are stands below the title."""
    captures = dict.fromkeys(filter(None, (each.capture for each in (about, *about.others))))
    parts = (f"capture {' and '.join(captures)}" if captures else "", exactness.request_text(about.smallest))
    return ", ".join(part for part in parts if part)


def cut(text: str, most: int = 420) -> str:
    """Leave out the middle of a text that has more characters than `most`."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"
