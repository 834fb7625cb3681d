"""Command that runs many files by many parsers, and reports what came of it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from fmrw.commands.grammar import DIRECTORY, Conflict, example, grammar, is_given, json_option, needing
from fmrw.commands.outcome import Outcome
from fmrw.text import name_text, typed, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fmrw.experiments.survey.driver import Progress
    from fmrw.experiments.survey.results import Survey

_REPORT = "report"
_REPORTING = ("html", "most")  # options of it
_LINE_S = 30  # between lines of progress where there is no terminal
_ALL = 1 << 40  # rows


@grammar.command(
    short_help="Run every file of a corpus by every parser.",
    epilog=example(
        "fmrw survey corpus -o out-survey -p unzip='unzip -l {}' -p bsdtar='bsdtar tf {}' --files '*.zip'",
        "fmrw survey report out-survey",
        "fmrw survey corpus -o out-effects -p unzip='unzip -l {}' --grain 1 --sample 20 --probe",
        "fmrw survey corpus -o out-cluster -p unzip='unzip -l {}' --scheduler tcp://10.0.0.1:8786",
    ),
)
@click.argument("corpus", type=DIRECTORY)
@click.argument("survey", type=DIRECTORY, required=False)
@click.option(
    "-o", "--output", type=DIRECTORY, help="Folder to write into; the same command again goes on there."
)
@click.option(
    "-p",
    "--parser",
    "parsers",
    multiple=True,
    metavar="NAME='CMD {}'",
    help="A parser: its name and command, with {} for the file's path; may be repeated.",
)
@click.option(
    "--files",
    default="",
    metavar="GLOB",
    help="Only files of these names, or of these paths below CORPUS where it has a slash.",
)
@click.option(
    "--sample",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Only N files, chosen at random, the same ones each time.",
)
@click.option("--jobs", type=click.IntRange(0), default=0, metavar="N", help="Processes; one for each CPU.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For a run; who needs more is killed, and has hung.",
)
@click.option(
    "--grain",
    type=click.IntRange(0, 1 << 30),
    default=0,
    metavar="BYTES",
    help="Block size to report, as in `fmrw run`.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Also find what each byte does to each parser, as `fmrw probe` does. Costs up to --probe-runs runs for each file and parser: take a --sample.",
)
@click.option(
    "--probe-runs",
    type=click.IntRange(16),
    default=1000,
    show_default=True,
    metavar="N",
    help="Most runs of --probe for each file and parser; what they do not suffice for is left unsettled.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Let the workers of this Dask scheduler do it. Needs `pip install 'fmrw[cluster]'`.",
)
@click.option("--html", type=DIRECTORY, help="Where `report` writes its page  [default: SURVEY/report.html]")
@click.option(
    "--most",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="N",
    help="Rows of each table of `report`.",
)
@json_option
def survey(corpus: Path, survey: Path | None, **options: Any) -> Outcome:  # noqa: ANN401 - the options above
    """Run every file of CORPUS by every parser, and keep what each did and which bytes it read.

    The result is Parquet, which polars, DuckDB, Spark and Dask read. `fmrw survey report SURVEY` shows it: what each parser accepts, the files on
    which parsers disagree, groups of files, and a page with all that. Nothing in CORPUS is changed.
    """
    if str(corpus) == _REPORT and survey is not None:
        running = [name for name in options if name not in _REPORTING and is_given(name)]
        if running:
            raise Conflict(
                f"`survey report` runs nothing, and takes --html and --most alone; leave --{running[0].replace('_', '-')} out."
            )
        return _report(survey, options["html"], options["most"])
    if survey is not None:
        raise click.UsageError("a survey has one CORPUS; `fmrw survey report SURVEY` reports.")
    if options["output"] is None:
        raise click.UsageError("Missing option '-o' / '--output': the folder to write into.")
    for name in _REPORTING:
        if is_given(name):
            raise Conflict(f"--{name} is for `fmrw survey report`; leave it out.")
    needing("probe_runs", "probe")
    return _run(corpus, options)


def _run(corpus: Path, options: dict[str, Any]) -> Outcome:
    from fmrw.experiments.survey import driver, parsers  # noqa: PLC0415 - heavy

    out: Path = options["output"]
    named = parsers.named(options["parsers"])
    chosen = {name: options[name] for name in ("files", "sample", "jobs", "timeout", "grain", "scheduler")}
    chosen["probe"] = options["probe_runs"] if options["probe"] else 0
    try:
        with _watching() as watch:
            found = driver.survey(corpus, out, named, watch=_saying(watch), **chosen)
    except KeyboardInterrupt:
        click.echo(f"fmrw: interrupted; the same command goes on with {visible(str(out))}.", err=True)
        raise
    return Outcome([_parsers_table(found)], _parsers_data(found), value=found, notes=[*_notes(found), f"`fmrw survey report {typed(out)}` tells where they disagree."])  # fmt: skip


def _notes(found: Survey) -> list[str]:
    skipped = ", ".join(f"{count:,} {visible(why)}" for why, count in found.plan.skipped.items())
    return [f"left out of the corpus: {skipped}."] if skipped else []


def _saying(watch: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Also say on standard error, once, what there is to be said, such as which workers take no part."""
    said: set[str] = set()

    def told(progress: Progress) -> None:
        for note in progress.notes:
            if note not in said:
                said.add(note)
                click.echo(f"fmrw: {visible(note)}", err=True)
        watch(progress)

    return told


@contextlib.contextmanager
def _watching() -> Iterator[Callable[[Progress], None]]:
    """Give what shows progress: a line that changes on a terminal, elsewhere one now and then."""
    from rich.console import Console  # noqa: PLC0415 - what every other command imports only when it shows something

    console = Console(stderr=True)
    if console.is_terminal:
        from rich.live import Live  # noqa: PLC0415 - heavy
        from rich.text import Text  # noqa: PLC0415 - the same

        with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as live:
            yield lambda progress: live.update(Text(f"fmrw: {_progress(progress)}", "dim"), refresh=True)
        return
    last = time.monotonic()

    def line(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_S:
            last = time.monotonic()
            click.echo(f"fmrw: {_progress(progress)}", err=True)

    yield line


def _progress(progress: Progress) -> str:
    remaining = progress.remaining_s
    left = "" if remaining is None else f", {_duration(remaining)} left"
    return f"{progress.done:,} of {progress.total:,} runs, {progress.rate:,.0f}/s{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


# Report


def _report(folder: Path, html: Path | None, most: int) -> Outcome:
    from fmrw.experiments.survey.results import Survey  # noqa: PLC0415 - heavy

    found = Survey(folder)
    page = found.report(html, most)
    divided, clusters, tails = found.disagreements(_ALL), found.clusters(_ALL), found.tails(_ALL)
    data = {
        **_parsers_data(found), "matrix": found.matrix.to_dicts(), "disagreements": divided.head(most).to_dicts(), "clusters": clusters.head(most).to_dicts(),
        "tails": tails.head(most).to_dicts(), "effects": found.effects_by_class.to_dicts(), "maps": found.maps.to_dicts(), "page": name_text(page),
    }  # fmt: skip
    from fmrw.commands import survey_tables as tables  # noqa: PLC0415

    shown = [
        _parsers_table(found), "", *([tables.effects(found.effects_by_class, found.maps), ""] if found.plan.probe else []), tables.disagreements(divided, most), "", tables.matrix(found.matrix, found.parsers), "",
        tables.clusters(clusters, most), "", tables.tails(tails, most),
    ]  # fmt: skip
    return Outcome(shown, data, value=found, notes=[f"page written: {visible(str(page))}"])


def _parsers_table(found: Survey) -> Any:  # noqa: ANN401 - a rich renderable
    from fmrw.commands import survey_tables as tables  # noqa: PLC0415

    return tables.parsers(found.summary)


def _parsers_data(found: Survey) -> dict[str, Any]:
    return {
        "survey": name_text(found.folder), "files": found.plan.count, "skipped": dict(found.plan.skipped), "parsers": found.summary.to_dicts(),
    }  # fmt: skip
