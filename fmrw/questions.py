"""Commands that ask a recording: what was never read, who read what, and is it as it must be."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.text import Text

from fmrw.commands import DIRECTORY, Outcome, example, grammar, json_option, recording
from fmrw.errors import UnknownPath
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from fmrw.analysis.compare import Run
    from fmrw.figures.look import Look
    from fmrw.session import Trace


# report


def _split(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _look(preset: str, options: dict[str, Any]) -> Look:
    """Make a look of a preset and the options that were given."""
    from fmrw.figures import look  # noqa: PLC0415 - heavy imports only where needed

    given = {
        name: options[name] for name in ("width", "height", "font", "title") if options[name] is not None
    }
    return look.preset(preset, caption=not options["no_caption"], **given)


@grammar.command(
    epilog=example(
        "fmrw report out -o figures",
        "fmrw report out polyglot.pdf --chart strip,lanes --format svg,html --preset slide-16x9",
        "fmrw report out polyglot.pdf --annotate 0x4444-0xadfd=ZIP",
    )
)
@click.argument("session", type=click.Path())
@click.argument("paths", nargs=-1)
@click.option("-o", "--output", type=DIRECTORY, default=Path(), help="Folder to write into  [default: here]")
@click.option(
    "--format",
    "formats",
    default="csv,pdf",
    show_default=True,
    metavar="LIST",
    callback=_split,
    help="csv, json, parquet, perfetto; pdf, svg, png, html, gif",
)
@click.option(
    "--chart",
    "charts",
    default="heatmap",
    show_default=True,
    metavar="LIST",
    callback=_split,
    help="heatmap, strip, timeline, lanes, access-order, entropy, crosstab, playback",
)
@click.option(
    "--preset",
    default="page",
    show_default=True,
    metavar="NAME",
    help="page, slide-16x9, slide-4x3, paper-column, paper-page, poster, dark",
)
@click.option("--width", type=float, help="In points, 1/72 inch.")
@click.option("--height", type=float, help="In points.")
@click.option("--scale", type=float, default=2, show_default=True, help="Pixels per point, for png.")
@click.option("--font", help="Family, or several separated by commas.")
@click.option("--title", help="Instead of the file's name.")
@click.option(
    "--annotate",
    multiple=True,
    metavar="RANGE=NAME",
    help="Mark a range, such as 0x1c0-0x2000=cavity; may be repeated.",
)
@click.option("--no-caption", is_flag=True, help="Leave the provenance in the metadata only.")
@json_option
def report(session: str, paths: tuple[str, ...], output: Path, **options: Any) -> Outcome:  # noqa: ANN401 - the options above
    """Write data and figures for PATHS of SESSION, or for every file it touched.

    SESSION is whatever `fmrw.load` takes: a session folder, a directory that is monitored now, a CSV, a strace log.
    """
    from fmrw import writing  # noqa: PLC0415 - heavy
    from fmrw.offsets import parse_annotation  # noqa: PLC0415

    trace = recording(session)
    notes: list[str] = []
    style = writing.Style(
        options["charts"],
        _look(options["preset"], options),
        [parse_annotation(text) for text in options["annotate"]],
        options["scale"],
    )
    chosen = [trace.resolve(path) for path in paths] or None
    written = writing.write(trace, output, options["formats"], paths=chosen, style=style, notes=notes)
    return Outcome(
        [Text(visible(str(path))) for path in written],
        [str(path) for path in written],
        value=written,
        notes=notes,
    )


# view, coverage, gaps


@grammar.command(epilog=example("fmrw view out debian.iso", "%fmrw view samples debian.iso"))
@click.argument("session", type=click.Path())
@click.argument("path", required=False)
def view(session: str, path: str | None) -> Outcome:
    """Explore PATH of SESSION, or choose among its files. In a notebook a widget, elsewhere a strip of text."""
    from fmrw.notebook.browse import browse  # noqa: PLC0415 - heavy
    from fmrw.notebook.explorer import explore  # noqa: PLC0415

    trace = recording(session)
    found = browse(trace) if path is None else explore(trace, path)
    return Outcome([cast("Any", found)], value=found)


# coverage


@grammar.command(epilog=example("fmrw coverage out debian.iso --json"))
@click.argument("session", type=click.Path())
@click.argument("path")
@json_option
def coverage(session: str, path: str) -> Outcome:
    """Say which ranges of PATH were read, written, and never read."""
    from fmrw.show import coverage_table  # noqa: PLC0415 - heavy

    found = coverage_of(recording(session), path)
    return Outcome([coverage_table(found)], found, value=found)


def coverage_of(trace: Trace, path: str) -> dict[str, Any]:
    """Give the ranges of one file that were read and written, and its gaps, as lists of [start, end)."""
    import polars as pl  # noqa: PLC0415 - heavy

    from fmrw.analysis import ranges, summary  # noqa: PLC0415

    events = trace.of(path)
    row = summary.files(events).row(0, named=True)
    read, written = (ranges.merge(events.filter(pl.col("op") == op)) for op in ("read", "write"))
    return {
        "path": row["path"],
        "size": row["size"],
        "read": [list(pair) for pair in read.rows()],
        "written": [list(pair) for pair in written.rows()],
        "gaps": [list(pair) for pair in ranges.complement(read, row["size"]).rows()],
        "read_bytes": row["bytes_read"],
        "events": events.height,
        "fidelity": row["fidelity"],
    }


@contextlib.contextmanager
def content_of(trace: Trace, path: str) -> Iterator[str | None]:
    """Give a path to a file's content that no mount covers, as long as it is open; None when it is not at hand."""
    from fmrw.capture.process import descriptor_path  # noqa: PLC0415 - heavy imports only where needed

    fd = trace.content(path)
    try:
        yield None if fd is None else descriptor_path(fd)
    finally:
        if fd is not None:
            os.close(fd)


@grammar.command(epilog=example("fmrw gaps out polyglot.pdf", "fmrw gaps out polyglot.pdf --structure"))
@click.argument("session", type=click.Path())
@click.argument("path")
@click.option(
    "--structure",
    "described",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Set what the format describes against what was read; FILE: a CSV or JSON with ranges of your own.",
)
@json_option
def gaps(session: str, path: str, described: str | None) -> Outcome:
    """Report every range of PATH that was never read, the most remarkable first: what is in it, and what that means."""
    from fmrw.show import crosstab_table, gaps_table  # noqa: PLC0415 - heavy

    trace = recording(session)
    report = gap_report(trace, path)
    data: Any = {"path": trace.resolve(path), "gaps": report.to_dicts()}
    shown: list[Any] = [gaps_table(report)]
    if described is not None:
        table = structure_crosstab(trace, path, described or None)
        data["structure"] = table.to_dicts()
        shown += ["", crosstab_table(table)]
    return Outcome(shown, data, value=report)


def gap_report(trace: Trace, path: str) -> pl.DataFrame:
    """Describe each never-read range of a file; see `fmrw.analysis.gaps.report`."""
    from fmrw.analysis import gaps as analysis  # noqa: PLC0415 - heavy

    name = trace.resolve(path)
    known = trace.facts.get("files", {}).get(name, {})
    with content_of(trace, name) as content:
        return analysis.report(
            trace.gaps(name), trace.size(name), content, recorded_mtime_ns=known.get("mtime_ns")
        )


def structure_crosstab(trace: Trace, path: str, described: str | None) -> pl.DataFrame:
    """Set the ranges a format (or the user's own file) describes against what was read.

    Raises
    ------
    BadInput
        There is neither a file of ranges nor the content they could be taken from.
    """
    from fmrw.analysis.structure import crosstab, structure, structure_from  # noqa: PLC0415 - heavy
    from fmrw.errors import BadInput  # noqa: PLC0415

    if described is not None:
        parts = structure_from(described)
    else:
        with content_of(trace, path) as content:
            if content is None:
                raise BadInput(
                    f"the content of {visible(path)} is not at hand; give its ranges with --structure FILE."
                )
            parts = structure(content)
    return crosstab(parts, trace.coverage(path), trace.size(path))


# diff, assert


def _run_of(name: str, path: str | None) -> Run:
    """Make a run of what a user names: a recording, or `RECORDING:PROCESS`."""
    from fmrw.analysis.compare import Run  # noqa: PLC0415 - heavy

    place, _, process = name.rpartition(":") if not Path(name).exists() else (name, "", "")
    trace = recording(place or name)
    chosen = trace.resolve(path) if path is not None else _only_file(trace, name)
    events = trace.of(chosen)
    if process:
        events = events.filter(process=process)
        if not events.height:
            raise UnknownPath(
                f"{visible(process)} did nothing to {visible(chosen)} in {visible(place)}; `fmrw run` shows who did."
            )
    return Run.of(events, visible(name), trace.size(chosen))


def _only_file(trace: Trace, name: str) -> str:
    read = [row["path"] for row in trace.files.iter_rows(named=True) if row["reads"]]
    if len(read) != 1:
        raise UnknownPath(f"{visible(name)} read {len(read)} files; choose one with --file PATH.")
    return str(read[0])


@grammar.command(
    epilog=example("fmrw diff out-unzip out-7z --file polyglot.pdf", "fmrw diff out:unzip out:pdftotext")
)
@click.argument("a")
@click.argument("b")
@click.option(
    "--file", "path", metavar="PATH", help="The file to compare  [default: the only one that was read]"
)
@json_option
def diff(a: str, b: str, path: str | None) -> Outcome:
    """Compare what A and B read of one file: which ranges only one of them looked at, and in what order.

    A and B are recordings, or RECORDING:PROCESS for one process of a recording.
    """
    from fmrw.analysis import compare  # noqa: PLC0415 - heavy
    from fmrw.show import differential_table  # noqa: PLC0415

    runs = {"A": _run_of(a, path), "B": _run_of(b, path)}
    table = compare.differential(runs)
    agreed = compare.agreement(runs).row(0, named=True)
    order = compare.order_differences(runs["A"], runs["B"]).row(0, named=True)
    data = {"a": a, "b": b, "ranges": table.to_dicts(), "agreement": agreed, "order": order}
    return Outcome([differential_table(table, a, b, agreed, order)], data, value=table)


def _ranges(
    _context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]
) -> list[tuple[int, int]]:
    from fmrw.offsets import parse_range  # noqa: PLC0415 - beside its use

    return [parse_range(text) for text in value]


@grammar.command(
    "assert", epilog=example("fmrw assert out a.zip --reads 0x0-0x20 --never 0x400-0x800 --fail-under 90")
)
@click.argument("session", type=click.Path())
@click.argument("path")
@click.option(
    "--reads",
    multiple=True,
    metavar="RANGE",
    callback=_ranges,
    help="Every byte of it must have been read; may be repeated.",
)
@click.option(
    "--never",
    multiple=True,
    metavar="RANGE",
    callback=_ranges,
    help="No byte of it may have been read; may be repeated.",
)
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Least share of the file that must have been read.",
)
@json_option
def assert_(
    session: str,
    path: str,
    reads: list[tuple[int, int]],
    never: list[tuple[int, int]],
    fail_under: float | None,
) -> Outcome:
    """Check what was read of PATH; the exit status is 1 and the offending ranges are printed when it is not as expected.

    Ranges are START-END (the end is not part of it) or START+LENGTH, in hex or decimal, with KiB, MiB.
    """
    from fmrw.analysis.checks import check  # noqa: PLC0415 - heavy
    from fmrw.offsets import range_text  # noqa: PLC0415

    if not reads and not never and fail_under is None:
        raise click.UsageError("nothing is expected; give --reads, --never or --fail-under.")
    trace = recording(session)
    found = check(trace.coverage(path), trace.size(path), reads=reads, never=never, fail_under=fail_under)
    lines = [
        Text(f"{each.expectation}: {each.reason}: {', '.join(range_text(*pair) for pair in each.offending)}")
        for each in found
    ]
    data = {"path": trace.resolve(path), "ok": not found, "violations": [vars(each) for each in found]}
    return Outcome(lines or [Text("as expected")], data, int(bool(found)), found)
