"""The commands: one grammar and one function each, for the shell and for the notebook.

Every command of the group `grammar` is a function; its docstring is its help. It gives an `Outcome`, which a door shows in
its own way: `fmrw.cli.main` prints it, the magics display it (`fmrw.commands.outcome`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

import fmrw
from fmrw.commands.outcome import Outcome, door
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from fmrw.session.trace import Trace

_NAMED = 3  # files a remark names
CAPTURES = click.Choice(["exact", "paged", "cached"])
REPORTS = click.Choice(["beside", "hidden", "aside", "off"])


class _Untouched(click.Path):
    """A path that is only named: click's own looks at it, and below a mount whose worker is stopped that never ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401
        del param, ctx
        return Path(os.fsdecode(value))


DIRECTORY = _Untouched()


def example(*lines: str) -> str:
    """Make the epilog of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


class _Group(click.Group):
    """A group whose misspelt commands name the nearest."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: ANN401 - as click has it
        import difflib  # noqa: PLC0415 - only on this path

        if args and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]}?" if near else " `fmrw --help` lists them."
            ctx.fail(f"No such command {visible(args[0])!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fmrw.__version__, prog_name="fmrw")
def grammar() -> None:
    """Show which bytes of a file a program really reads and writes.

    Lay a FUSE mount over a directory, run any unmodified program, and see every access, byte-exactly.
    """


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`; the door that shows the outcome looks at it."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_want_json,
        help="Print JSON for programs.",
    )(function)


def _want_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["fmrw.json"] = True


def wants_json(context: click.Context) -> bool:
    """Tell whether `--json` was given."""
    return bool(context.meta.get("fmrw.json"))


def capture_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a directory is monitored."""
    options = [
        click.option("--capture", type=CAPTURES, default="exact", show_default=True, help="exact: every call to the byte (shared mmap gets ENODEV); paged: first touch of each page, shared mmap works; cached: what the page cache asks for."),
        click.option("--grain", type=click.IntRange(0, 1 << 30), default=0, metavar="BYTES", help="Block size to report, which sizes the buffers of stdio and Python; 0 keeps the true one."),
        click.option("--read-only", is_flag=True, help="Refuse every change with EROFS."),
        click.option("--allow-other", is_flag=True, help="Let other users in, with the permissions of the files."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


# run


@grammar.command(epilog=example("fmrw run samples -o out -- 7z l samples/debian.iso"))
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

    Write COMMAND after `--`. The exit status is the command's.
    """
    from fmrw.analysis import summary  # noqa: PLC0415
    from fmrw.commands.tables import trace_tables  # noqa: PLC0415
    from fmrw.session import reports  # noqa: PLC0415 - heavy

    done = door().run(command, directory, output=output, **options)
    notes = _notes(done.trace, done.status, command)
    written: list[str] = []
    if done.session is not None:
        notes.append(f"session kept in {visible(str(done.session))}")
        if not no_reports:
            written = [str(path) for path in reports.write(done.trace, done.session, notes=notes)]
    data = {
        "command": list(command),
        "status": done.status,
        "session": _text(done.session),
        "files": done.trace.files.to_dicts(),
        "processes": summary.processes(done.trace.lazy, done.trace.processes).to_dicts(),
        "reports": written,
    }
    return Outcome(trace_tables(done.trace), data, done.status, done, notes)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _notes(trace: Trace, status: int, command: Sequence[str]) -> list[str]:
    """Say what a user must know about a recording."""
    from fmrw.recording.run import NOT_EXECUTABLE, NOT_FOUND  # noqa: PLC0415 - heavy

    notes = []
    if status in (NOT_FOUND, NOT_EXECUTABLE) and not trace.events.height:
        reason = (
            "not found; check its name and PATH"
            if status == NOT_FOUND
            else "cannot be started; check that it is executable"
        )
        notes.append(f"{visible(command[0])}: {reason}.")
    facts = trace.facts
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
    notes.extend(_suspects(trace))
    return notes


def _suspects(trace: Trace) -> list[str]:
    """Name the files a program opened and closed without a read in `exact`: perhaps it wanted to map them."""
    import polars as pl  # noqa: PLC0415 - heavy

    if (trace.facts.get("options") or {}).get("capture") != "exact":
        return []
    by_handle = trace.lazy.filter(pl.col("handle") > 0, pl.col("errno") == 0).group_by("handle", "path")
    idle = by_handle.agg(
        pl.col("op").is_in(["read", "write", "truncate"]).any().alias("used"),
        (pl.col("op") == "close").any().alias("closed"),
        pl.col("size").last(),
    )
    paths = (
        idle.filter(~pl.col("used"), pl.col("closed"), pl.col("size") > 0)
        .select(pl.col("path").unique().sort())
        .collect()["path"]
        .to_list()
    )
    if not paths:
        return []
    shown = ", ".join(visible(path) for path in paths[:_NAMED]) + (
        f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    )
    return [
        f"opened but never read: {shown}. A program that maps files shared (mmap) gets ENODEV in exact; if it failed, try --capture paged."
    ]


# mount, unmount, status


@grammar.command(
    epilog=example(
        "fmrw mount samples",
        "7z l samples/debian.iso",
        "cp samples/debian.iso-heatmap.pdf .",
        "fmrw unmount samples",
    )
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
    from fmrw.capture.mounts.registry import resolved  # noqa: PLC0415 - heavy

    return door().mount(resolved(directory), output, options, foreground=foreground)


@grammar.command(epilog=example("fmrw unmount samples"))
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
    from fmrw.capture.mounts.registry import resolved  # noqa: PLC0415 - heavy

    root = door().only_root() if directory is None else resolved(directory)
    return door().unmount(root, force=force, abort=abort)


@grammar.command(epilog=example("fmrw status", "fmrw status --json"))
@json_option
def status() -> Outcome:
    """List what is monitored now, with counts, modes and what to know about each."""
    from fmrw.commands.tables import status_table  # noqa: PLC0415
    from fmrw.recording import mounts  # noqa: PLC0415 - heavy

    rows = mounts.status()
    notes = list(dict.fromkeys(note for row in rows for note in row["notes"]))
    shown: list[RenderableType] = (
        [status_table(rows)] if rows else [Text("nothing is monitored; `fmrw mount DIR` begins")]
    )
    return Outcome(shown, rows, value=rows, notes=notes)


# demo, doctor


@grammar.command(epilog=example("fmrw demo"))
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


@grammar.command(epilog=example("fmrw doctor", "fmrw doctor --fix"))
@click.option("--fix", is_flag=True, help="Take away mounts whose worker is gone.")
@json_option
def doctor(fix: bool) -> Outcome:
    """Check what this machine needs, and print the command that cures what is missing."""
    from fmrw.recording import doctor as clinic  # noqa: PLC0415 - heavy

    healed = clinic.fix() if fix else []
    findings = clinic.examine()
    table = Table("", "", "", "cure", box=None, show_header=False, padding=(0, 1))
    for finding in findings:
        mark = Text("ok", "green") if finding.well else Text("--", "red" if finding.fatal else "yellow")
        table.add_row(mark, finding.what, finding.found, Text(finding.cure, "bold"))
    data = [{"what": f.what, "found": f.found, "cure": f.cure, "ok": f.well} for f in findings]
    ill = any(not finding.well and finding.fatal for finding in findings)
    return Outcome([table], data, int(ill), findings, [f"took away {what}" for what in healed])
