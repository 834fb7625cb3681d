"""Command line: parse, run the command, print its outcome, give its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

import click

from fmrw.capture.reports.helper import import_quickly
from fmrw.commands.families import grammar
from fmrw.commands.grammar import wants_json
from fmrw.commands.outcome import line
from fmrw.errors import FmrwError
from fmrw.text import NO_FOLDER, unwritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from fmrw.commands.outcome import Outcome

OWN_FAILURE = 1
INTERRUPTED = 130
_WIDE = 4096  # columns where output goes to a file, so that nothing is cut or folded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        The command's own status for `run`; 0; 2 where what was typed means nothing, 1 where it could not be done, each with one line
        on standard error.
    """
    _fill_standard_streams()
    _terminate_politely()
    try:
        import_quickly()
        typed = list(sys.argv[1:] if arguments is None else arguments)
        with _warnings_in_lines(), grammar.make_context("fmrw", typed) as context:
            outcome = grammar.invoke(context)
            return _show(outcome, as_json=wants_json(context))
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone
        _drop_output()
        return OWN_FAILURE
    except (FmrwError, OSError) as error:
        click.echo(f"fmrw: {_told(error)}", err=True)
        return error.status if isinstance(error, FmrwError) else OWN_FAILURE


def _told(error: FmrwError | OSError) -> str:
    """Say in a line what failed; an error of the system that names no file is a defect of ours, and is raised."""
    if isinstance(error, FmrwError):
        return str(error)
    if error.filename is None:
        raise error
    cure = (
        "name another place" if error.errno in NO_FOLDER else "see that it is there, and that you may use it"
    )
    return f"{unwritten(error.filename, error)}; {cure}."


def ancestor() -> int:
    """Run `fuse-monitor-read-write DIR`: `fmrw mount DIR` under its ancestor's name."""
    return main(["mount", *sys.argv[1:]])


def _show(outcome: Outcome | None, *, as_json: bool) -> int:
    if outcome is None:
        return 0
    try:
        _print(outcome, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_output()
        raise FmrwError(f"standard output: {error.strerror}; write to another place.") from error
    finally:  # the recording is there all the same
        for note in outcome.notes:
            click.echo(f"fmrw: {note}", err=True)
    return outcome.status


def _drop_output() -> None:
    """Let what nobody can take any more go nowhere, also what Python still has to write when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.data, indent=1, default=str))  # noqa: T201 - this is where output happens
    else:
        from rich.console import Console  # noqa: PLC0415 - when there is something to show

        console = Console() if sys.stdout.isatty() else Console(width=_WIDE, no_color=True)
        for part in outcome.shown:
            console.print(_printable(part), soft_wrap=not sys.stdout.isatty())


def _fill_standard_streams() -> None:
    """Let /dev/null stand in for standard streams that are closed; a program that is run still finds them closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


@contextlib.contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Let what is wrong with a recording, a warning in Python, be a line like all others."""
    with warnings.catch_warnings():
        python = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:  # noqa: ANN401 - as Python has it
            if category.__module__.startswith("fmrw."):
                click.echo(f"fmrw: {message}", err=True)
            else:
                python(message, category, *rest, **more)

        warnings.showwarning = show
        yield


def _printable(part: Any) -> Any:  # noqa: ANN401 - whatever rich takes
    """Give the text of a widget, and everything else as it is."""
    return line(part.text()) if hasattr(type(part), "widget") and hasattr(part, "text") else part


def _terminate_politely() -> None:
    """Let SIGTERM and SIGHUP unwind the stack, so that every `with` ends what it holds."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)
