"""The magics: `%fmrw SUBCOMMAND …`, `%%fmrw run DIR`, `%%fmrw capture DIR`, `%mount`, `%unmount`.

The grammar is the command line's own (`fmrw.commands`). What differs is the door (`fmrw.magics.door`): a mount belongs to the kernel and
gives a live `Mount`, a command's output goes into the cell. Errors are one line, never a traceback. Lines are split in `words`,
completed in `completion`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any

import click
from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.display import display
from rich.console import Console

from fmrw.capture.mounts import registry
from fmrw.capture.mounts.registry import resolved
from fmrw.commands.families import grammar
from fmrw.commands.grammar import wants_json
from fmrw.commands.outcome import Outcome
from fmrw.commands.tables import trace_tables
from fmrw.errors import FmrwError
from fmrw.magics.completion import offers
from fmrw.magics.door import CellDoor
from fmrw.magics.words import words
from fmrw.recording import kernel, run
from fmrw.recording.mounted import live
from fmrw.text import typed, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import CodeType

    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from fmrw.session.trace import Trace


SHORT = {"mount": "mount", "unmount": "unmount", "fmrw_view": "view"}
_ASSIGNED = re.compile(r"^\s*[\w.,\s\[\]'\"]+=\s*$")
_CELLS = "%%fmrw knows `run DIR` (a cell of shell lines) and `capture DIR` (a cell of Python)."
_CAPTURE_HELP = """\
Usage: %%fmrw capture DIRECTORY [the options of `%fmrw mount`]

  Monitor DIRECTORY while the Python of this cell runs, then say what was read and written.

  The mount ends with the cell, also on error and interrupt.
"""


# Running a line


class _Session:
    """What this module knows of the shell it is loaded into."""

    shell: Any = None
    door = CellDoor()
    own: dict[str, object]
    cell, number = "", 0

    @classmethod
    def begin(cls, info: Any) -> None:  # noqa: ANN401 - IPython's ExecutionInfo
        """Keep the text of the cell that is run, since a magic is told its own line only."""
        cls.cell, cls.number = info.raw_cell or "", cls.shell.execution_count


def invoke(arguments: Sequence[str], *, quiet: bool = False) -> Any:  # noqa: ANN401 - whatever the command's value is
    """Run one command through the grammar, show its outcome (`quiet`: only its notes), give its value."""
    __tracebackhide__ = True
    door = _Session.door
    door.interrupted = False
    try:
        with grammar.make_context("fmrw", list(arguments), obj=door) as context:
            outcome = grammar.invoke(context)
            shown = dataclasses.replace(outcome, shown=()) if quiet else outcome
            value = _show(shown, as_json=wants_json(context))
            asked = context.invoked_subcommand
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        raise UsageError(_with_help(error)) from None
    except FmrwError as error:
        raise UsageError(_magical(str(error))) from None
    if door.interrupted:
        raise KeyboardInterrupt
    if outcome.status and asked == "assert":
        raise UsageError("not as expected.")
    return value


def _with_help(error: click.ClickException) -> str:
    """Give a message that ends with a cure: the nearest name where click found one, or where the help is."""
    said = error.format_message()
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else "fmrw"
    cured = re.search(r"Did you mean|name one|lists them", said)
    return _magical(said) if cured else f"{said} `%{path} --help` tells."


def _magical(text: str) -> str:
    """Write the commands in a message as they are typed in a notebook."""
    return text.replace("`fmrw ", "`%fmrw ")


def _show(outcome: Outcome, *, as_json: bool) -> Any:  # noqa: ANN401 - the value
    if as_json:
        return outcome.data
    console = Console()
    for part in outcome.shown:
        if part == "":  # what parts tables in a terminal
            continue
        if _displays_itself(part):
            display(part)  # type: ignore[no-untyped-call]
        else:
            console.print(part)
    for note in [*outcome.notes, *_notes(outcome)]:
        console.print(f"fmrw: {_magical(note)}", style="dim", markup=False, highlight=False)
    return outcome.value


def _notes(outcome: Outcome) -> list[str]:
    """Say what a shell would show otherwise, or what a notebook can do more."""
    if not isinstance(outcome.value, run.Run):
        return []
    failed = [f"the command's exit status is {outcome.status}."] if outcome.status else []
    return failed + _where(outcome.value.trace)


def _where(trace: Trace) -> list[str]:
    if trace.root is None or not trace.lazy.head(1).collect().height:
        return []
    return [f"`fmrw view {typed(trace.root)}` shows where."]


def _displays_itself(part: object) -> bool:
    """Tell widgets, charts and tables from what rich renders."""
    return hasattr(part, "_repr_mimebundle_")


# Magics


@no_var_expand
@needs_local_scope
def fmrw_magic(line: str, local_ns: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - the command's value
    """`%fmrw SUBCOMMAND …`: the fmrw command line in a notebook; `%fmrw --help` lists the commands."""
    __tracebackhide__ = True
    return _line(_words(line, local_ns) or ["--help"], "fmrw", line)


def _words(line: str, local_ns: Mapping[str, object] | None) -> list[str]:
    try:
        return words(line, {**_Session.shell.user_ns, **(local_ns or {})})
    except FmrwError as error:
        raise UsageError(str(error)) from None


def _line(arguments: list[str], name: str, line: str) -> Any:  # noqa: ANN401 - the command's value
    __tracebackhide__ = True
    value = invoke(arguments)
    return value if "--json" in arguments or _is_assigned(name, line) else None


def _is_assigned(name: str, line: str) -> bool:
    """Tell whether the cell keeps the magic's result; without that, the outcome that was shown is enough."""
    magic = f"%{name} {line}".strip()
    before = [
        text.rstrip().removesuffix(magic)
        for text in _Session.cell.splitlines()
        if text.rstrip().endswith(magic)
    ]
    return not before or any(_ASSIGNED.match(text) for text in before)


@no_var_expand
@needs_local_scope
def fmrw_cell(line: str, cell: str, local_ns: Mapping[str, object] | None = None) -> None:
    """`%%fmrw run DIR …`: every shell line of the cell is monitored. `%%fmrw capture DIR …`: the cell's Python is."""
    __tracebackhide__ = True
    arguments = _words(line, local_ns)
    if arguments[:1] == ["run"]:
        invoke([*arguments, "--", "bash", "-c", cell])
    elif arguments[:1] == ["capture"]:
        _capture(arguments[1:], cell)
    else:
        raise UsageError(_CELLS)


def _capture(arguments: list[str], cell: str) -> None:
    """Run Python with a directory mounted; the mount ends with the cell, and what was recorded is shown, also on error."""
    __tracebackhide__ = True
    if {"-h", "--help"} & {*arguments}:
        sys.stdout.write(_CAPTURE_HELP)
        return
    if "--json" in arguments:
        raise UsageError("a cell has no --json; `%fmrw coverage DIR PATH --json` asks afterwards.")
    code = _compiled(cell)
    before = live()
    mounted = invoke(["mount", "--reports", "aside", *arguments], quiet=True)
    if mounted in before:
        raise UsageError("it is monitored already; leave %%fmrw capture out, or `%fmrw unmount` it first.")
    try:
        with run.ending(mounted):
            for part in code:
                exec(part, _Session.shell.user_ns)  # noqa: S102 - the user's own cell
    finally:
        trace = mounted.trace
        kept = [] if mounted.settings.ephemeral else [f"session kept in {visible(str(mounted.session))}"]
        _show(Outcome(trace_tables(trace), notes=[*kept, *_where(trace)]), as_json=False)


def _compiled(cell: str) -> list[CodeType]:
    """Compile a cell's Python; the value of a last expression is shown, as in any cell."""
    __tracebackhide__ = True
    shell = _Session.shell
    text = "\n" + shell.transform_cell(cell)  # the magic is the cell's first line, and tracebacks count it
    name = shell.compile.cache(text, _Session.number, raw_code=text)
    tree = ast.parse(text, name)
    shown = tree.body and isinstance(tree.body[-1], ast.Expr) and not cell.rstrip().endswith(";")
    last = ast.Interactive([tree.body.pop()] if shown else [])
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = [compile(tree, name, "exec", flags), compile(last, name, "single", flags)]
    if any(part.co_flags & inspect.CO_COROUTINE for part in code):
        raise UsageError(
            "%%fmrw capture cannot await; write `with fmrw.mount(DIR) as m:` in a cell of Python."
        )
    return code


def _short(command: str, name: str) -> Callable[..., Any]:
    @no_var_expand
    @needs_local_scope
    def magic(line: str, local_ns: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - the command's value
        return _line([command, *_words(line, local_ns)], name, line)

    magic.__doc__ = f"`%fmrw {command} …`, shorter."
    return magic


# Completion


class _Known:
    """What this kernel knows, for completion."""

    def roots(self) -> list[Path]:
        return [point.root for point in registry.mounts()]

    def recorded(self, name: str) -> list[str]:
        traces = _Session.door.traces()
        chosen = traces.get(resolved(name)) if name else None
        asked = list(traces.values()) if chosen is None else [chosen]
        return sorted({visible(path) for trace in asked for path in trace.files["path"]})


@context_matcher(identifier="fmrw")  # type: ignore[untyped-decorator]
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """Complete a line of ours, and keep Python's names out of it."""
    text = context.line_with_cursor[: len(context.text_until_cursor.rpartition("\n")[2])]
    offer = offers(text, grammar.commands, SHORT, _Known())
    if offer is None:
        return {"completions": [], "suppress": False}
    found = [SimpleCompletion(each, type="fmrw") for each in offer.texts]
    return {"completions": found, "matched_fragment": offer.typed, "suppress": True, "ordered": True}


# Registration


def register(shell: InteractiveShell) -> None:
    """Register the magics; a second time changes nothing, and a name somebody else took stays theirs."""
    if _Session.shell is shell:
        return
    _Session.shell, _Session.door, _Session.own = shell, CellDoor(), {}
    kernel.begin()
    add: Any = shell.register_magic_function  # its decorator hides its type
    add(fmrw_magic, "line", "fmrw")
    add(fmrw_cell, "cell", "fmrw")
    for name, command in SHORT.items():
        if name not in shell.magics_manager.magics["line"]:
            _Session.own[name] = _short(command, name)
            add(_Session.own[name], "line", name)
    completer: Any = shell.Completer
    completer.custom_matchers.append(complete)
    shell.events.register("pre_run_cell", _Session.begin)


def unregister(shell: InteractiveShell) -> None:
    """Take the magics back and end the mounts of this kernel, no others."""
    kernel.end()
    for mounted in live():
        mounted.unmount(force=True)
    magics = shell.magics_manager.magics
    for name, own in {"fmrw": fmrw_magic, **_Session.own}.items():
        if magics["line"].get(name) is own:
            del magics["line"][name]
    magics["cell"].pop("fmrw", None)
    completer: Any = shell.Completer
    completer.custom_matchers[:] = [each for each in completer.custom_matchers if each is not complete]
    if _Session.shell is shell:
        shell.events.unregister("pre_run_cell", _Session.begin)
    _Session.shell, _Session.door, _Session.own = None, CellDoor(), {}
