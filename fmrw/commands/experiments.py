"""Commands that experiment: what matters of the bytes that a program reads."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from fmrw.commands.grammar import DIRECTORY, example, grammar, json_option
from fmrw.commands.outcome import Outcome
from fmrw.text import typed, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fmrw.experiments.probe import Probe

_BETWEEN = "---"


class _Budget(click.types.StringParamType):
    """A number of runs, or a time: 2000, 30s, 5m, 1h."""

    name = "RUNS|TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        from fmrw.errors import BadInput  # noqa: PLC0415 - with it
        from fmrw.experiments.bench import budget_of  # noqa: PLC0415 - heavy

        try:
            return budget_of(value)
        except BadInput as error:
            self.fail(str(error), param, ctx)


def probe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of everything that probes."""
    options = [
        click.option("--budget", type=_Budget(), metavar="RUNS|TIME", help="Stop after so many runs, or 30s, 5m, 1h, with what is known."),
        click.option("--slots", type=click.IntRange(0, 256), default=0, metavar="N", help="Runs at the same time  [default: one per CPU]"),
        click.option("--grain", type=click.IntRange(0, 1 << 30), default=1, show_default=True, metavar="BYTES", help="Block size to report, so that programs ask in small pieces; 16 for Python, 0 for the true one."),
        click.option("--any-status", is_flag=True, help="Go on where COMMAND fails on the unaltered file."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@grammar.command(
    short_help="Find which bytes of a file matter to a command.",
    epilog=example(
        "fmrw probe a.zip -- unzip -l {}",
        "fmrw probe a.png -o out --budget 5m -- pngcheck {}",
        "fmrw probe a.zip -- unzip -l {} --- bsdtar tf {}",
    ),
)
@click.argument("path", metavar="FILE", type=DIRECTORY)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-o",
    "--output",
    type=DIRECTORY,
    help="Keep a recording, the map and what each run gave in this new folder.",
)
@click.option("--resume", is_flag=True, help="Go on with the probe in the output folder.")
@click.option("--exact", is_flag=True, help="Alter each byte alone that seems to be ignored; more runs.")
@probe_options
@json_option
def probe(path: Path, command: tuple[str, ...], output: Path | None, resume: bool, **options: Any) -> Outcome:  # noqa: ANN401
    """Find which of the bytes of FILE that COMMAND reads matter to it, by altering them as they are read.

    Write COMMAND after `--`, with {} for FILE, which is never changed. COMMAND is run some thousand times. Two commands with `---`
    between them are compared. Ctrl-C shows what is known.
    """
    if resume and output is None:
        raise click.UsageError("--resume needs the folder of the probe: -o FOLDER.")
    if options["budget"] is None:
        del options["budget"]
    with _showing() as progress:
        options |= {"resume": resume, "progress": progress}
        if _BETWEEN in command:
            return _both(path, command, output, options)
        return _one(path, command, output, options)


def _one(path: Path, command: Sequence[str], output: Path | None, options: dict[str, Any]) -> Outcome:
    from fmrw.commands.effects import probe_tables  # noqa: PLC0415 - heavy
    from fmrw.experiments import probe as probing  # noqa: PLC0415 - heavy

    found = probing.probe(path, command, output=output, **options)
    return Outcome(probe_tables(found), found.json(), value=found, notes=_notes(found, output))


def _both(path: Path, command: Sequence[str], output: Path | None, options: dict[str, Any]) -> Outcome:
    from fmrw.commands.effects import versus_tables  # noqa: PLC0415 - heavy
    from fmrw.experiments import versus  # noqa: PLC0415 - heavy

    at = list(command).index(_BETWEEN)
    a, b = list(command[:at]), list(command[at + 1 :])
    if not a or not b or _BETWEEN in b:
        raise click.UsageError("write two commands: -- A {} --- B {}.")
    found = versus.probe_both(path, a, b, output=output, **options)
    notes = [f"{each.command[0]}: {note}" for each in (found.a, found.b) for note in _notes(each, None)]
    return Outcome(versus_tables(found), found.json(), value=found, notes=notes)


def _notes(found: Probe, output: Path | None) -> list[str]:
    notes = [visible(note) for note in found.notes]
    if not found.complete:
        more = (
            f"`-o {typed(output)} --resume` goes on." if output else "with -o FOLDER it can be gone on with."
        )
        notes.append(f"stopped before all was known; {more}")
    if output is not None:
        notes.append(f"kept in {visible(str(output))}; `fmrw.load` opens it.")
    return notes


@contextlib.contextmanager
def _showing() -> Iterator[Callable[[Probe, str], None]]:
    """Show on a terminal how far it is."""
    from rich.console import Console  # noqa: PLC0415 - what every other command imports only when it shows something

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _found, _stage: None
        return
    from rich.live import Live  # noqa: PLC0415 - most output goes elsewhere
    from rich.text import Text  # noqa: PLC0415 - the same

    begun = time.monotonic()
    with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as live:

        def show(found: Probe, stage: str) -> None:
            from fmrw.commands.effects import counts_text  # noqa: PLC0415 - heavy

            rate = found.runs / max(time.monotonic() - begun, 0.001)
            live.update(
                Text(
                    f"fmrw: {stage}: {found.runs:,} runs, {rate:,.0f} a second; {counts_text(found)}", "dim"
                ),
                refresh=True,
            )

        yield show


# reduce


@grammar.command(
    short_help="Write a file with zeros where a command does not care.",
    epilog=example(
        "fmrw reduce a.zip -o small.zip -- unzip -l {}",
        "fmrw reduce a.zip -o small.zip --keep status --cut -- unzip -tq {}",
    ),
)
@click.argument("path", metavar="FILE", type=DIRECTORY)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-o", "--output", type=DIRECTORY, required=True, help="Where to write; nothing may be there.")
@click.option(
    "--keep",
    type=click.Choice(["accesses", "output", "status"]),
    default="accesses",
    show_default=True,
    help="What must stay the same: all, the output and the status, or the status alone.",
)
@click.option("--cut", is_flag=True, help="Also drop the tail, where that changes nothing.")
@probe_options
@json_option
def reduce(path: Path, command: tuple[str, ...], output: Path, **options: Any) -> Outcome:  # noqa: ANN401
    """Write FILE with zeros in the place of all that COMMAND does not need to do the same.

    Write COMMAND after `--`, with {} for FILE, which is never changed. Offsets are kept. What is written is proved by runs.
    """
    from fmrw.commands.effects import reduction_tables  # noqa: PLC0415 - heavy
    from fmrw.experiments import reduce as reducing  # noqa: PLC0415 - heavy

    if options["budget"] is None:
        del options["budget"]
    try:
        found = reducing.reduce(path, command, output, **options)
    except KeyboardInterrupt:
        click.echo(
            "fmrw: interrupted, and nothing is written; `--budget 30s` writes what is proved by then.",
            err=True,
        )
        raise
    notes = [visible(note) for note in found.notes]
    if not found.complete:
        notes.append("the budget ended before all was tried; what was written is proved.")
    return Outcome(reduction_tables(found), found.json(), value=found, notes=notes)
