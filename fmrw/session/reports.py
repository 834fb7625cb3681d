"""Reports written to a folder: data and figures of the files of a trace, one file each.

`write` knows every format: data of one file (`csv`, `json`, `parquet`), figures of one file (`pdf`, `svg`, `png`, `html`, `gif`), and
`perfetto`, the whole trace at once. Names come from the recording and are hostile; `report_name` keeps them inside the folder.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import polars as pl

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import BadChoice, BadInput, FigureError
from fmrw.figures.export import FORMATS as FIGURES
from fmrw.figures.export import export, font_note
from fmrw.figures.theme import SCREEN, Look
from fmrw.formats.csv.log import write_csv
from fmrw.formats.perfetto import export_perfetto
from fmrw.session import charts as drawing
from fmrw.session import sites
from fmrw.text import path_bytes, unwritten, visible
from fmrw.trace import folder as session_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fmrw.figures.render import Chart
    from fmrw.offsets import Annotation
    from fmrw.session.trace import Trace

_NAME_MAX = 255
_TAKEN = {*session_folder.FILES, session_folder.JOURNAL, session_folder.PROBE}
MOST_FILES = 200
_FEW = 4  # jobs that need no bar
DATA: dict[str, Callable[[pl.DataFrame, IO[bytes]], None]] = {
    "csv": write_csv,
    "json": lambda events, file: events.write_ndjson(file),
    "parquet": lambda events, file: events.write_parquet(file, compression="zstd"),
}
"""Format → writes the events of one file; into an open one, since polars takes no names that are not UTF-8."""

FILMS = ("html", "gif")
WHOLE = ("perfetto",)
KNOWN = (*DATA, *WHOLE, *FIGURES, "gif")
CHARTS = (*drawing.CHARTS, "playback")
STRUCTURED = ("heatmap", "strip", "lanes", "timeline", "access-order", "entropy", "differential")
"""Charts that can show the parts of a format."""

FUNCTIONAL = ("timeline", "access-order", "lanes")
"""Charts that can be coloured by function."""


@dataclass(frozen=True)
class Style:
    """How figures are made: which charts, in which look, with which annotations, how many pixels per point.

    `borders` adds the places where calls begin and end to a strip, which is the chart that can show them. `structure` adds
    the parts of the format to the charts of `STRUCTURED`: True, or a file of one's own with named ranges. `functions` colours the charts of `FUNCTIONAL`
    by the code that asked.
    """

    charts: Sequence[str] = ("heatmap",)
    look: Look = SCREEN
    annotations: Sequence[Annotation] = ()
    scale: float = 2
    borders: bool = False
    structure: str | bool = False
    functions: bool = False


@dataclass(frozen=True)
class _Job:
    """One report to be written."""

    path: str
    suffix: str
    make: Callable[[Path], None] = field(repr=False)
    chart: str = ""


class Artist(Protocol):
    """Who draws PDF files, perhaps while the next one is got ready here."""

    def draw(self, chart: Chart, target: Path) -> None:
        """Begin to draw a chart into a file, once the one before is there.

        Raises
        ------
        FigureError
            The one before could not be drawn or written.
        """

    def wait(self) -> None:
        """Wait until the last one is there; raises as `draw`."""


class _Here:
    """Draws in this process."""

    def draw(self, chart: Chart, target: Path) -> None:
        target.write_bytes(export(chart, "pdf"))

    def wait(self) -> None:
        """Return: everything is there."""


def write(
    trace: Trace,
    folder: Path,
    formats: Sequence[str] = ("csv", "pdf"),
    *,
    paths: Sequence[str] | None = None,
    style: Style | None = None,
    notes: list[str] | None = None,
    undrawn: set[str] | None = None,
) -> list[Path]:
    """Write reports below a folder, one after the other, with a progress bar on a terminal.

    Parameters
    ----------
    folder
        Each report is `folder / NAME + suffix`, such as `a/b.iso.csv`, `a/b.iso-heatmap.pdf`; `trace.perfetto.json` is there once.
    formats
        Some of `KNOWN`.
    paths
        As in the events; None for every file that was read or written, the most read first, at most `MOST_FILES`.
    style
        How figures are made.
    notes
        Remarks are appended: files left out, charts that could not be drawn, a font that is missing.
    undrawn
        Charts are added that could be drawn of none of the files.

    Raises
    ------
    FigureError
        Unknown format or chart, or the folder cannot be written.
    MountError
        The folder lies in a mount that does not answer.
    """
    return begin(trace, folder, formats, paths=paths, style=style, notes=notes, undrawn=undrawn)()


def begin(
    trace: Trace,
    folder: Path,
    formats: Sequence[str] = ("csv", "pdf"),
    *,
    paths: Sequence[str] | None = None,
    style: Style | None = None,
    notes: list[str] | None = None,
    undrawn: set[str] | None = None,
    artist: Artist | None = None,
) -> Callable[[], list[Path]]:
    """Write reports as `write`, but for the PDF file that `artist` draws last; give a function that waits for it, and does as `write` from there."""
    unmounting.require_answer(registry.resolved(folder))
    style, remarks, artist = style or Style(), notes if notes is not None else [], artist or _Here()
    _check(formats, style)
    chosen = list(paths) if paths is not None else _touched(trace, remarks)
    jobs = [job for path in chosen for job in _jobs(trace, path, formats, style, artist)]
    if "perfetto" in formats:
        jobs.append(
            _Job(
                "trace",
                ".perfetto.json",
                lambda target: export_perfetto(
                    trace.events,
                    trace.processes,
                    target,
                    sites.stack_frames(trace),
                    trace.facts.get("mapped") or (),
                ),
            )
        )
    targets = [(job, _write(folder, job, remarks)) for job in _tracked(jobs)]
    written = [target for _, target in targets if target is not None]
    if undrawn is not None:
        drawn = {job.chart for job, target in targets if target is not None}
        undrawn.update({job.chart for job in jobs} - drawn)

    def finish() -> list[Path]:
        artist.wait()
        if set(formats) & {*FIGURES, "gif"}:
            remarks.extend(filter(None, [_font_note(style.look, written)]))
        return written

    return finish


def _font_note(look: Look, written: Sequence[Path]) -> str:
    """Say which font is missing, as a PDF that was just drawn shows it; drawing one more takes as long."""
    drawn = next((target for target in written if target.suffix == ".pdf"), None)
    try:
        return font_note(look, None if drawn is None else drawn.read_bytes())
    except OSError:  # somebody has removed it
        return ""


def _check(formats: Sequence[str], style: Style) -> None:
    for name in formats:
        if name not in KNOWN:
            raise BadChoice(f"{visible(name)!r} is not a format; take some of {', '.join(KNOWN)}.")
    if style.borders and "strip" not in style.charts:
        raise BadChoice("only a strip shows where calls begin and end; add `--chart strip`.")
    if style.functions and not set(FUNCTIONAL) & set(style.charts):
        raise BadChoice(
            f"none of these charts is coloured by function; add `--chart` with some of {', '.join(FUNCTIONAL)}."
        )
    if style.structure is not False and not set(STRUCTURED) & set(style.charts):
        raise BadChoice(
            f"none of these charts shows the parts of a format; add `--chart` with some of {', '.join(STRUCTURED)}."
        )
    for name in style.charts:
        if name not in CHARTS:
            raise BadChoice(f"{visible(name)!r} is not a chart; take some of {', '.join(CHARTS)}.")
    _match(style.charts, [kind for kind in formats if kind not in DATA and kind not in WHOLE])


def _match(charts: Sequence[str], kinds: Sequence[str]) -> None:
    """Refuse charts that none of the formats of figures shows, and such formats that show none of the charts."""
    for name, kind in itertools.product(charts, kinds):
        if any(_shows(kind, each) for each in charts) and any(_shows(each, name) for each in kinds):
            continue
        if name == "playback":
            raise BadChoice(f"a playback moves, a {kind} does not; take html or gif.")
        cure = "take png for it" if "playback" in charts else "add `--chart playback`, or take png"
        raise BadChoice(f"a GIF shows a playback, not a {name}; {cure}.")


def _shows(kind: str, name: str) -> bool:
    """Tell whether a format of figures shows a chart."""
    return kind in FILMS if name == "playback" else kind != "gif"


def _touched(trace: Trace, notes: list[str]) -> list[str]:
    files = trace.files.filter(pl.col("reads") + pl.col("writes") > 0).sort(
        "reads", "writes", "path", descending=[True, True, False]
    )
    if files.height > MOST_FILES:
        notes.append(
            f"reports of the {MOST_FILES} most read of {files.height:,} files; `fmrw report SESSION PATH` makes others"
        )
    return files["path"].head(MOST_FILES).to_list()


def _jobs(trace: Trace, path: str, formats: Sequence[str], style: Style, artist: Artist) -> Iterator[_Job]:
    for kind in formats:
        if kind in DATA:
            yield _Job(path, f".{kind}", functools.partial(_write_data, trace, path, kind))
        elif kind not in WHOLE:
            for name in style.charts:
                if _shows(kind, name):
                    yield _Job(
                        path,
                        f"-{name}.{kind}",
                        functools.partial(_write_figure, trace, path, kind, name, style, artist),
                        name,
                    )


def _write_data(trace: Trace, path: str, kind: str, target: Path) -> None:
    events = trace.of(path)
    with target.open("wb") as file:
        DATA[kind](events, file)


def _write_figure(  # noqa: PLR0917 - a partial
    trace: Trace, path: str, kind: str, name: str, style: Style, artist: Artist, target: Path
) -> None:
    if name == "playback":
        from fmrw.figures import playback  # noqa: PLC0415 - few reports move

        draw = {"html": playback.playback_html, "gif": playback.playback_gif}[kind]
        target.write_bytes(draw(trace.of(path), drawing.about(trace, path), look=style.look))
        return
    own: dict[str, Any] = {"borders": True} if style.borders and name == "strip" else {}
    if style.structure is not False and name in STRUCTURED:
        own["structure"] = style.structure
    if style.functions and name in FUNCTIONAL:
        own["functions"] = True
    chart = drawing.drawn(trace, path, name, look=style.look, annotations=style.annotations, **own)
    if kind == "pdf":
        artist.draw(chart, target)
    else:
        target.write_bytes(export(chart, kind, scale=style.scale))


def _tracked(jobs: Sequence[_Job]) -> Iterator[_Job]:
    if not sys.stderr.isatty() or len(jobs) <= _FEW:
        yield from jobs
        return
    from rich.console import Console  # noqa: PLC0415 - takes longer to import than most reports to write
    from rich.progress import track  # noqa: PLC0415 - the same

    yield from track(jobs, "reports", console=Console(stderr=True), transient=True)


def _write(folder: Path, job: _Job, notes: list[str]) -> Path | None:
    target = folder / report_name(job.path, job.suffix)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        job.make(target)
    except BadInput as error:  # a chart that needs what is not there; the others are made
        notes.append(str(error))
        return None
    except OSError as error:
        raise unwritable(target, error) from error
    return target


def unwritable(target: Path, error: OSError) -> FigureError:
    """Say which report could not be written."""
    return FigureError(f"{unwritten(target, error)}; choose a folder you may write.")


def report_name(path: str, suffix: str) -> Path:
    """Give the relative name of a report: the file's own path, made safe.

    `..`, an absolute path, a NUL (in a stranger's session) and names of the session's own files are changed, names that
    would be too long are cut and get a hash, so that different files keep different reports inside the folder.
    """
    parts = [
        part for part in path_bytes(path).replace(b"\0", b"\\x00").split(b"/") if part not in (b"", b".")
    ]
    safe = [b"_.." if part == b".." else part for part in parts] or [b"_"]
    whole = safe[0] + suffix.encode() if len(safe) == 1 else b""
    if _TAKEN & {os.fsdecode(safe[0]), os.fsdecode(whole)}:
        safe[0] = b"_" + safe[0]
    safe = [*(_cut(part, _NAME_MAX) for part in safe[:-1]), _cut(safe[-1], _NAME_MAX - len(suffix))]
    return Path(os.fsdecode(b"/".join(safe) + suffix.encode()))


def _cut(name: bytes, room: int) -> bytes:
    """Cut a name that would be too long; a hash keeps it apart from others."""
    if len(name) <= room:
        return name
    return name[: room - 13] + b"~" + hashlib.sha256(name).hexdigest()[:12].encode()
