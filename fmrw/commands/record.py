"""Commands that record: run, mount, unmount, status, demo, doctor."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmrw.commands.grammar import (
    DIRECTORY,
    REPORTS,
    capture_options,
    example,
    exclusive,
    grammar,
    json_option,
)
from fmrw.commands.outcome import Outcome, door, line
from fmrw.session.reporter import Reporter
from fmrw.text import name_text, typed, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from fmrw.recording.run import Run
    from fmrw.session.overview import Overview
    from fmrw.session.trace import Trace

_NAMED = 3  # files a remark names


# run


@grammar.command(
    short_help="Monitor a directory while a command runs.",
    epilog=example("fmrw run samples -o out -- 7z l samples/debian.iso"),
)
@click.argument("directory", type=DIRECTORY)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-o", "--output", type=DIRECTORY, help="Keep the session here, with a CSV and a heatmap per touched file."
)
@click.option(
    "--reports",
    type=REPORTS,
    default="aside",
    show_default=True,
    help="Where NAME.csv and NAME-heatmap.pdf are seen in the mount.",
)
@click.option("--no-reports", is_flag=True, help="Leave only the session in the output folder.")
@click.option(
    "--io-uring", is_flag=True, help="Let COMMAND use io_uring; in exact it is told that there is none."
)
@capture_options
@json_option
def run(
    directory: Path,
    command: tuple[str, ...],
    output: Path | None,
    no_reports: bool,
    **options: Any,  # noqa: ANN401 - those of `mount`
) -> Outcome:
    """Monitor DIRECTORY while COMMAND runs, then say what it read and wrote.

    Write COMMAND after `--`. The exit status is the command's. What it prints comes first, also before the JSON of --json.
    """
    try:
        with _reporter(directory, output, wanted=not no_reports) as (reporter, ignored):
            done = door().run(command, directory, output=output, ignored=ignored, **options)
            with door().summing_up():
                return _told(command, done, reporter)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, or a signal that ends us
        click.echo(f"fmrw: interrupted; {_kept(output)}", err=True)
        raise


def _kept(output: Path | None) -> str:
    """Say what is left of a run that was interrupted."""
    if output is None:
        return "nothing is kept; -o FOLDER keeps the session of such a run."
    from fmrw.errors import SessionError  # noqa: PLC0415 - only on this path
    from fmrw.trace.facts import read_facts  # noqa: PLC0415 - the same

    ours = False
    with contextlib.suppress(SessionError):  # there is none yet
        ours = read_facts(output).get("parent") == os.getpid()
    if not ours:
        return "nothing was recorded."
    return f"session kept in {visible(str(output))}; `fmrw report {typed(output)} -o {typed(output)}` writes reports."


@contextlib.contextmanager
def _reporter(
    directory: Path, output: Path | None, *, wanted: bool
) -> Iterator[tuple[Reporter | None, list[int]]]:
    """Give who writes the reports, getting ready already, and its processes; nobody where none are wanted."""
    if output is None or not wanted:
        yield None, []
        return
    with Reporter() as reporter:
        yield reporter, reporter.prepare(directory)


def _told(command: Sequence[str], done: Run, reporter: Reporter | None) -> Outcome:
    """Say what was recorded; the reporter draws meanwhile."""
    from fmrw.commands.query import told_of  # noqa: PLC0415 - polars, once the mount has started
    from fmrw.commands.tables import trace_tables  # noqa: PLC0415 - the same
    from fmrw.recording.remarks import withheld  # noqa: PLC0415 - the same
    from fmrw.session.overview import Overview  # noqa: PLC0415 - the same

    if reporter is not None and done.session is not None:
        reporter.begin(done.session)
    overview = Overview.of(done.trace)
    shown = trace_tables(done.trace, overview)
    well = done.status == 0 and overview.files.height > 0
    notes = [*_notes(done, overview, command), *withheld(done.io_uring, command, well=well)]
    if done.session is not None:
        notes.append(f"session kept in {visible(str(done.session))}")
    data = {
        "command": [*map(name_text, command)],
        "status": done.status,
        "session": _text(done.session),
        **told_of(done.trace, overview),
        "reports": [],
    }
    if reporter is not None and done.session is not None:
        data["reports"] = [name_text(path) for path in reporter.finish(notes)]
    return Outcome(shown, data, done.status, done, notes)


def _text(path: Path | None) -> str | None:
    return None if path is None else name_text(path)


def _notes(done: Run, overview: Overview, command: Sequence[str]) -> list[str]:
    """Say what a user must know about a recording."""
    from fmrw.recording.remarks import lacking, ringing, unsited, untouched  # noqa: PLC0415 - heavy
    from fmrw.recording.run import NOT_EXECUTABLE, NOT_FOUND  # noqa: PLC0415 - heavy

    notes = []
    trace, facts = done.trace, done.trace.facts
    if done.status in (NOT_FOUND, NOT_EXECUTABLE) and not overview.files.height:
        reason = (
            "not found; check its name and PATH"
            if done.status == NOT_FOUND
            else "cannot be started; check that it is executable"
        )
        notes.append(f"{visible(command[0])}: {reason}.")
    elif trace.root is not None and not overview.files.height and not facts.get("lost"):
        notes.append(untouched(command, trace.root, Path.cwd()))
    if facts.get("lost"):
        notes.append(
            f"{facts['lost']:,} events were lost because the disk was full; make room and run again."
        )
    if facts.get("faults"):
        notes.append(f"{facts['faults']:,} faults inside fmrw; worker.log in the session tells.")
    if facts.get("guessed_calls"):
        notes.append(
            f"{facts['guessed_calls']:,} large calls were joined by contiguity, since system calls may not be looked at here; `fmrw doctor` tells the cure."
        )
    missing = lacking(facts)
    return [*notes, *ringing(facts), *unsited(facts), *missing, *(_suspects(trace) if missing else [])]


def _suspects(trace: Trace) -> list[str]:
    """Name the files a program opened and closed without a read: perhaps it wanted to map them, and could not."""
    from fmrw.session.questions import unused_opens  # noqa: PLC0415 - heavy

    paths = unused_opens(trace.lazy)
    if not paths:
        return []
    shown = ", ".join(visible(path) for path in paths[:_NAMED]) + (
        f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    )
    return [
        f"opened but never read: {shown}. If a program wanted to map that and failed, try --capture paged."
    ]


# mount, unmount, status


@grammar.command(
    short_help="Monitor a directory in the background.",
    epilog=example(
        "fmrw mount samples",
        "7z l samples/debian.iso",
        "cp samples/debian.iso-heatmap.pdf .",
        "fmrw unmount samples",
    ),
)
@click.argument("directory", type=DIRECTORY)
@click.option(
    "-o", "--output", type=DIRECTORY, help="Session folder  [default: a new one in ~/.local/state/fmrw]"
)
@click.option(
    "--reports",
    type=REPORTS,
    default="beside",
    show_default=True,
    help="Where NAME.csv and NAME-heatmap.pdf are seen.",
)
@click.option("-f", "--foreground", is_flag=True, help="Stay until unmounted or interrupted.")
@capture_options
@json_option
def mount(directory: Path, output: Path | None, foreground: bool, **options: Any) -> Outcome:  # noqa: ANN401
    """Monitor DIRECTORY, in the background, until `fmrw unmount DIRECTORY`."""
    if options["grain"] == "auto":
        raise click.UsageError(
            "--grain auto looks at a command's program, and a mount has none; give 1 for C's stdio or 16 for Python."
        )
    from fmrw.capture.mounts.registry import resolved  # noqa: PLC0415 - heavy

    return door().mount(resolved(directory), output, options, foreground=foreground)


@grammar.command(
    short_help="Stop monitoring a directory, and finish its session.", epilog=example("fmrw unmount samples")
)
@click.argument("directory", type=DIRECTORY, required=False)
@click.option("--force", is_flag=True, help="Detach it although it is in use; open files go on working.")
@click.option(
    "--abort",
    is_flag=True,
    help="Break the connection of a worker that does not answer; who waits for it gets an error.",
)
@json_option
def unmount(directory: Path | None, force: bool, abort: bool) -> Outcome:
    """Stop monitoring DIRECTORY and finish its session. A notebook need not name the only one it has."""
    exclusive("force", "abort")
    from fmrw.capture.mounts.registry import resolved  # noqa: PLC0415 - heavy

    root = door().only_root() if directory is None else resolved(directory)
    return door().unmount(root, force=force, abort=abort)


@grammar.command(
    short_help="List what is monitored now.", epilog=example("fmrw status", "fmrw status --json")
)
@json_option
def status() -> Outcome:
    """List what is monitored now, with counts, modes and what to know about each."""
    from fmrw.commands.tables import status_table  # noqa: PLC0415
    from fmrw.recording import mounts  # noqa: PLC0415 - heavy

    rows = mounts.status()
    notes = list(dict.fromkeys(note for row in rows for note in row["notes"]))
    shown: list[RenderableType] = (
        [status_table(rows)] if rows else [line("nothing is monitored; `fmrw mount DIR` begins")]
    )
    return Outcome(shown, rows, value=rows, notes=notes)


# demo, doctor


@grammar.command(
    short_help="Let several parsers read a file that is two formats at once.", epilog=example("fmrw demo")
)
@click.option(
    "-o",
    "--output",
    type=DIRECTORY,
    help="Folder for samples, session and reports  [default: a new fmrw-demo here]",
)
@json_option
def demo(output: Path | None) -> Outcome:
    """Let several parsers read a file that is two formats at once, and show what each one sees."""
    from fmrw.commands.demo import run_demo  # noqa: PLC0415 - heavy

    return run_demo(output)


@grammar.command(
    short_help="Check what this machine needs, and print the cures.",
    epilog=example("fmrw doctor", "fmrw doctor --fix"),
)
@click.option("--fix", is_flag=True, help="Take away mounts whose worker is gone.")
@json_option
def doctor(fix: bool) -> Outcome:
    """Check what this machine needs, and print the command that cures what is missing."""
    from fmrw.commands.tables import doctor_table  # noqa: PLC0415 - with it
    from fmrw.recording import doctor as clinic  # noqa: PLC0415 - heavy

    healed = clinic.fix() if fix else []
    findings = clinic.doctor()
    data = [{"what": f.what, "found": f.found, "cure": f.cure, "ok": f.well} for f in findings]
    ill = any(not finding.well and finding.fatal for finding in findings)
    return Outcome(
        [doctor_table(findings)], data, int(ill), findings, [f"took away {what}" for what in healed]
    )
