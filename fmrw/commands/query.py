"""Commands that ask a recording: what was read, what never, and figures of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from fmrw.commands.grammar import DIRECTORY, example, grammar, json_option
from fmrw.commands.outcome import Outcome, door, line, located, recording
from fmrw.errors import UnknownPath
from fmrw.text import name_text, visible

if TYPE_CHECKING:
    from fmrw.figures.theme import Look
    from fmrw.offsets import Annotation
    from fmrw.session.overview import Overview
    from fmrw.session.trace import Trace


def told_of(trace: Trace, overview: Overview | None = None) -> dict[str, Any]:
    """Give what the tables of a recording show, for programs; `overview` is that of the recording, for who has it already."""
    from fmrw.session.overview import Overview  # noqa: PLC0415 - polars, once a mount has started

    overview = overview or Overview.of(trace)
    return {
        "files": overview.files.to_dicts(),
        **({"mapped": overview.mapped} if overview.mapped else {}),
        "programs": overview.programs.to_dicts(),
        "processes": overview.processes.to_dicts(),
    }


# report


def _split(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _look(preset: str, options: dict[str, Any]) -> Look:
    """Make a look of a preset and the options that were given."""
    from fmrw.figures import theme  # noqa: PLC0415 - heavy imports only where needed

    given = {
        name: options[name] for name in ("width", "height", "font", "title") if options[name] is not None
    }
    if options["caption"] is not None:
        given["caption"] = options["caption"]
    return theme.preset(preset, **given)


@grammar.command(
    short_help="Write data and figures of a recording.",
    epilog=example(
        "fmrw report out -o figures",
        "fmrw report out polyglot.pdf --chart strip,lanes --format svg,html --preset slide-16x9",
        "fmrw report out polyglot.pdf --annotate 0x4444-0xadfd=ZIP",
    ),
)
@click.argument("session")
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
    help="heatmap, strip, timeline, lanes, access-order, entropy, crosstab, differential, effects, playback",
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
    help="Mark a range, such as 0x1c0-0x2000=cavity, or a part of the format by its name, such as 'ZIP end record'; may be repeated.",
)
@click.option("--borders", is_flag=True, help="Also mark in a strip where calls begin and end.")
@click.option(
    "--functions", is_flag=True, help="Colour timelines, access orders and lanes by the functions that asked."
)
@click.option(
    "--structure",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Show the parts of the format too; FILE: ranges of your own, as for `fmrw gaps`.",
)
@click.option(
    "--caption/--no-caption",
    default=None,
    help="Provenance below the chart, which is in the metadata in any case  [default: not on slides]",
)
@json_option
def report(session: str, paths: tuple[str, ...], output: Path, **options: Any) -> Outcome:  # noqa: ANN401 - the options above
    """Write data and figures for PATHS of SESSION, or for every file it touched.

    SESSION is whatever `fmrw.load` takes: a session folder, a directory that is monitored now, a CSV, a strace log. The exit status is 1
    where a chart could be drawn of none of the files.
    """
    from fmrw.session import reports  # noqa: PLC0415 - heavy

    trace = recording(session)
    notes: list[str] = []
    chosen = [trace.resolve(path) for path in paths] or None
    style = reports.Style(
        options["charts"],
        _look(options["preset"], options),
        _marked(trace, chosen, options["annotate"]),
        options["scale"],
        options["borders"],
        False if options["structure"] is None else options["structure"] or True,
        options["functions"],
    )
    undrawn: set[str] = set()
    written = reports.write(
        trace, output, options["formats"], paths=chosen, style=style, notes=notes, undrawn=undrawn
    )
    return Outcome(
        [line(visible(str(path))) for path in written],
        [name_text(path) for path in written],
        int(bool(undrawn)),
        value=written,
        notes=notes,
    )


def _marked(trace: Trace, chosen: list[str] | None, texts: tuple[str, ...]) -> list[Annotation]:
    """Read what is to be marked: of one file also shares of it, and names of its parts."""
    from fmrw.offsets import parse_annotation  # noqa: PLC0415 - few reports mark something

    if not texts:
        return []
    with contextlib.suppress(UnknownPath):  # of several files, ranges alone mean something
        one = trace.only_file() if chosen is None else chosen[0] if len(chosen) == 1 else None
        if one is not None:
            return trace.named(one, *texts)
    return [parse_annotation(text) for text in texts]


# view, coverage, gaps


@grammar.command(
    short_help="Explore a file of a recording.",
    epilog=example(
        "fmrw view out debian.iso",
        "%fmrw view samples/debian.iso",
        "%fmrw view out debian.iso --against other",
    ),
)
@click.argument("session")
@click.argument("path", required=False)
@click.option(
    "--against",
    multiple=True,
    metavar="RECORDING",
    help="Colour bytes by which recording alone requested them; may be repeated. In a shell: `fmrw diff`.",
)
def view(session: str, path: str | None, against: tuple[str, ...]) -> Outcome:
    """Explore PATH of SESSION, or choose among its files. In a notebook a widget, elsewhere a strip of text.

    A file in a directory that is monitored needs no SESSION.
    """
    from fmrw.session import verbs  # noqa: PLC0415 - heavy

    found = verbs.view(*located(session, path), against=against, at_hand=door().traces())
    return Outcome([cast("Any", found)], value=found)


# files, coverage


@grammar.command(
    short_help="List the files of a recording, and who read what of them.",
    epilog=example("fmrw files out", "%fmrw files samples"),
)
@click.argument("session")
@json_option
def files(session: str) -> Outcome:
    """Say which files SESSION holds, what each program read and wrote of them, and what is remarkable in what nobody read.

    It is the table that `fmrw run` ends with. SESSION is whatever `fmrw.load` takes.
    """
    from fmrw.commands.tables import trace_tables  # noqa: PLC0415 - heavy
    from fmrw.session.overview import Overview  # noqa: PLC0415 - the same

    trace = recording(session)
    overview = Overview.of(trace)
    return Outcome(trace_tables(trace, overview), told_of(trace, overview), value=overview.programs)


@grammar.command(
    short_help="Say which ranges of a file were read, written, never read.",
    epilog=example("fmrw coverage out debian.iso --json"),
)
@click.argument("session")
@click.argument("path", required=False)
@json_option
def coverage(session: str, path: str | None) -> Outcome:
    """Say which ranges of PATH were read, written, and never read, and how much of it each program read.

    A file in a directory that is monitored needs no SESSION, a SESSION that read one file no PATH.
    """
    from fmrw.commands.file_tables import coverage_tables  # noqa: PLC0415 - heavy

    trace, chosen = _one_file(session, path)
    found = trace.coverage_report(chosen)
    programs = trace.by_program(chosen)
    return Outcome(coverage_tables(found, programs, trace.programs), found, value=found)


def _one_file(session: str, path: str | None) -> tuple[Trace, str]:
    trace, chosen = located(session, path)
    return trace, chosen if chosen is not None else trace.only_file()


@grammar.command(
    short_help="Report what was never read of a file, and what is in it.",
    epilog=example("fmrw gaps out polyglot.pdf", "fmrw gaps out polyglot.pdf --structure"),
)
@click.argument("session")
@click.argument("path", required=False)
@click.option(
    "--structure",
    "described",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Set what the format describes against what was read; FILE: ranges of your own as CSV or JSON, or those of ImHex or Kaitai.",
)
@json_option
def gaps(session: str, path: str | None, described: str | None) -> Outcome:
    """Report every range of PATH that was never read, the most remarkable first: what is in it, and what that means.

    A file in a directory that is monitored needs no SESSION, a SESSION that read one file no PATH.
    """
    from fmrw.commands.file_tables import crosstab_tables, file_facts, gaps_table  # noqa: PLC0415 - heavy

    trace, chosen = _one_file(session, path)
    report = trace.gap_report(chosen)
    found = trace.coverage_report(chosen)
    data: Any = {**file_facts(found), "gaps": report.to_dicts()}
    shown: list[Any] = [gaps_table(report, found)]
    if described is not None:
        table = trace.crosstab(chosen, described or None)
        data |= {"format": table["format"][0], "structure": table.to_dicts()}
        shown += ["", *crosstab_tables(table, found)]
    return Outcome(shown, data, value=report)
