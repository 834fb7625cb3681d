"""Commands that compare: two runs with each other, and a recording with what is expected of it."""

from __future__ import annotations

import math
from pathlib import Path

import click

from fmrw.commands.grammar import example, grammar, json_option, needing
from fmrw.commands.outcome import Outcome, door, line, recording
from fmrw.errors import BadRange, UnknownPath
from fmrw.text import visible


@grammar.command(
    short_help="Compare what two recordings requested of one file.",
    epilog=example(
        "fmrw diff out-unzip out-7z --file polyglot.pdf", "fmrw diff out:unzip out:pdftotext --chart diff.pdf"
    ),
)
@click.argument("a")
@click.argument("b")
@click.option(
    "--file", "path", metavar="PATH", help="The file to compare  [default: the only one that was read]"
)
@click.option(
    "--chart",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it too: a figure, in the format its name ends with (pdf, svg, png, html).",
)
@click.option(
    "--preset",
    default="page",
    show_default=True,
    metavar="NAME",
    help="Look of the figure, as in `fmrw report`.",
)
@json_option
def diff(a: str, b: str, path: str | None, chart: Path | None, preset: str) -> Outcome:
    """Compare what A and B requested of one file: which ranges only one of them read, and in what order.

    A and B are recordings, or RECORDING:PROCESS for one program of a recording. If they are not about one file, the first line says so.
    """
    needing("preset", "chart")
    from fmrw.commands.file_tables import differential_tables  # noqa: PLC0415 - heavy
    from fmrw.session import verbs  # noqa: PLC0415 - the same

    found = verbs.compare(a, b, path, at_hand=door().traces())
    data = {"a": a, "b": b, **found._asdict(), "ranges": found.ranges.to_dicts()}
    notes = [] if chart is None else [_drawn(a, b, path, chart, preset)]
    return Outcome(differential_tables(found, a, b), data, value=found.ranges, notes=notes)


def _drawn(a: str, b: str, path: str | None, file: Path, preset: str) -> str:
    from fmrw.figures import export, theme  # noqa: PLC0415 - heavy
    from fmrw.session import verbs  # noqa: PLC0415 - the same

    look = theme.preset(preset)
    figure = verbs.compare_chart(a, b, path, at_hand=door().traces(), look=look)
    there = file.exists()
    return f"figure: {visible(str(export.save(figure, file)))}{', in place of the file that was there' if there else ''}"


def _percent(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what no share is less or more than."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no share; write a number from 0 to 100.")
    return value


@grammar.command(
    "assert",
    short_help="Check what was requested of a file against expectations.",
    epilog=example("fmrw assert out a.zip --reads 0x0-0x20 --never 0x400-0x800 --fail-under 90"),
)
@click.argument("session")
@click.argument("path")
@click.option(
    "--reads",
    multiple=True,
    metavar="RANGE",
    help="Every byte of it must have been requested; may be repeated.",
)
@click.option(
    "--never",
    multiple=True,
    metavar="RANGE",
    help="No byte of it may have been requested; may be repeated.",
)
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    callback=_percent,
    help="Least share of the file that must have been requested.",
)
@json_option
def assert_(
    session: str,
    path: str,
    reads: tuple[str, ...],
    never: tuple[str, ...],
    fail_under: float | None,
) -> Outcome:
    """Check what was requested of PATH; when it is not as expected, the offending ranges are printed and the exit status is 1.

    Ranges are START-END (the end is not part of it) or START+LENGTH, in hex or decimal, with KiB, MiB, as a share of the
    file (0-50%) or to its end (0x400-end). A range that is none, or a PATH that is not recorded, is wrong usage: exit status 2.
    """
    from fmrw.commands.file_tables import exactness_of, file_facts  # noqa: PLC0415 - heavy
    from fmrw.offsets import parse_range, range_text  # noqa: PLC0415 - the same

    if not reads and not never and fail_under is None:
        raise click.UsageError("nothing is expected; give --reads, --never or --fail-under.")
    trace = recording(session)
    try:
        path = trace.resolve(path)
        size = trace.size(path)
        expected = {
            "reads": [parse_range(text, size) for text in reads],
            "never": [parse_range(text, size) for text in never],
        }
    except (UnknownPath, BadRange) as error:
        raise click.UsageError(str(error)) from error
    found = trace.violations(path, fail_under=fail_under, **expected)
    lines = [
        line(f"{each.expectation}: {each.reason}: {', '.join(range_text(*pair) for pair in each.offending)}")
        for each in found
    ]
    report = trace.coverage_report(path)
    data = {
        **file_facts(report),
        "ok": not found,
        "violations": [vars(each) for each in found],
    }
    shown = [*(lines or [line("as expected")]), line(exactness_of(report))]
    beyond = [span for spans in expected.values() for span in spans if span[1] > size]
    notes = [
        f"{range_text(*span)} goes beyond the end of {visible(path)}, which has {size:,} bytes."
        for span in beyond
    ]
    return Outcome(shown, data, int(bool(found)), found, notes)
