"""The notebook's door: `%fmrw SUBCOMMAND …`, `%%fmrw run DIR`, `%%fmrw capture DIR`, `%mount`, `%unmount`.

The grammar is the command line's own (`fmrw.commands`). What differs is the door: a mount belongs to the kernel and gives a live
`Mount`, a command's output goes into the cell. Errors are one line, never a traceback. IPython has replaced `{python}`
and `$name` before we see the line; `~` and environment variables are replaced here.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from IPython.core.error import UsageError
from IPython.display import display
from rich.console import Console

from fmrw import commands, mounting, running
from fmrw.capture import mount as kernel_mounts
from fmrw.commands import Door, Outcome, wants_json
from fmrw.errors import Busy, FmrwError
from fmrw.grammar import grammar
from fmrw.show import mounted_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from IPython.core.interactiveshell import InteractiveShell

SHORT = {"mount": "mount", "unmount": "unmount", "fmrw_view": "view"}
_ASSIGNED = re.compile(r"^\s*[\w.,\s\[\]'\"]+=\s*%")
_registered: dict[str, object] = {}


class _NotebookDoor(Door):
    """Mounts that belong to this kernel, commands whose output goes into the cell."""

    def mount(self, root: Path, output: Path | None, options: dict[str, Any], *, foreground: bool) -> Outcome:
        if foreground:
            raise FmrwError("-f waits for ever in a notebook; leave it out, `%fmrw unmount` ends the mount.")
        notes = _inside(root)
        mounted = mounting.mount(root, output=output, **options)
        kept = mounted.session if output is not None else Path("memory, `.trace.save(FOLDER)` keeps it")
        shown = mounted_text(mounted.root, kept or Path(), options)
        return Outcome(
            [shown], {"root": str(root), "worker": mounted.worker_pid, **options}, value=mounted, notes=notes
        )

    def run(self, command: Sequence[str], directory: Path, **options: Any) -> running.Run:  # noqa: ANN401
        return running.run(command, directory, watch=_forwarding, stdout=subprocess.PIPE, **options)


def _inside(root: Path) -> list[str]:
    """Say so where the kernel's own working directory would have bypassed the mount."""
    try:
        here = Path.cwd()
    except OSError:
        return []
    if here == root or root in here.parents:
        return [
            "this kernel stands inside the directory; it was led onto the mount, other programs must `cd` again."
        ]
    return []


def _forwarding(_mounted: mounting.Mount, child: subprocess.Popen[bytes]) -> int:
    """Copy a child's output into the cell as it comes."""
    if child.stdout is not None:
        for line in iter(child.stdout.readline, b""):
            sys.stdout.write(line.decode("utf-8", "backslashreplace"))
            sys.stdout.flush()
        child.stdout.close()
    return child.wait()


def invoke(arguments: Sequence[str]) -> Any:  # noqa: ANN401 - whatever the command's value is
    """Run one command through the grammar, show its outcome, give its value."""
    try:
        with grammar.make_context(
            "fmrw", [_expanded(word) for word in arguments], obj=_NotebookDoor()
        ) as context:
            outcome = grammar.invoke(context)
            return _show(outcome, as_json=wants_json(context))
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        raise UsageError(error.format_message()) from None
    except FmrwError as error:
        raise UsageError(str(error)) from None


def _words(line: str) -> list[str]:
    try:
        return commands.words(line)
    except FmrwError as error:
        raise UsageError(str(error)) from None


def _expanded(word: str) -> str:
    return os.path.expandvars(os.path.expanduser(word))  # noqa: PTH111 - text, perhaps no path


def _show(outcome: Outcome, *, as_json: bool) -> Any:  # noqa: ANN401 - the value
    if as_json:
        return outcome.data
    console = Console()
    for part in outcome.shown:
        if _displays_itself(part):
            display(part)  # type: ignore[no-untyped-call]
        else:
            console.print(part)
    for note in outcome.notes:
        console.print(f"fmrw: {note}", style="dim", markup=False, highlight=False)
    return outcome.value


def _displays_itself(part: object) -> bool:
    """Tell widgets and charts from what rich renders."""
    return hasattr(part, "_repr_mimebundle_") and not hasattr(part, "__rich_console__")


# Magics


def fmrw_magic(line: str) -> Any:  # noqa: ANN401 - the command's value
    """`%fmrw SUBCOMMAND …`: the fmrw command line in a notebook; `%fmrw --help` lists the commands."""
    return _line(_words(line) or ["--help"], "fmrw")


def _line(arguments: list[str], name: str) -> Any:  # noqa: ANN401 - the command's value
    value = invoke(arguments)
    return value if _is_assigned(name) or "--json" in arguments else None


def _is_assigned(name: str) -> bool:
    """Tell whether the cell keeps the magic's result; without that, the outcome that was shown is enough."""
    shell = _registered.get("shell")
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None) or [""]
    lines = [text for text in history[-1].splitlines() if f"%{name}" in text]
    return not lines or any(_ASSIGNED.match(text) for text in lines)


def fmrw_cell(line: str, cell: str) -> Any:  # noqa: ANN401 - the run or the trace
    """`%%fmrw run DIR …`: every shell line of the cell is monitored. `%%fmrw capture DIR …`: the cell's Python is."""
    arguments = _words(line)
    if arguments[:1] == ["run"]:
        return _line([*arguments, "--", "bash", "-c", cell], "fmrw")
    if arguments[:1] == ["capture"]:
        return _capture(arguments[1:], cell)
    raise UsageError("%%fmrw knows `run DIR` (a cell of shell lines) and `capture DIR` (a cell of Python).")


def _capture(arguments: list[str], cell: str) -> Any:  # noqa: ANN401 - the trace
    """Run Python with a directory mounted; the mount ends with the cell, also on error and interrupt."""
    mounted = invoke(["mount", "--reports", "aside", *arguments])
    shell: Any = _registered["shell"]
    try:
        code = compile(shell.transform_cell(cell), "<fmrw capture>", "exec")
        exec(code, shell.user_ns)  # noqa: S102 - the user's own cell
    finally:
        with contextlib.suppress(FmrwError):
            try:
                mounted.unmount()
            except Busy as error:
                sys.stderr.write(f"fmrw: {error}\n")
                mounted.unmount(force=True)
    from fmrw.show import files_table  # noqa: PLC0415 - beside its use

    _show(Outcome([files_table(mounted.trace.files)]), as_json=False)
    return mounted.trace if _is_assigned("fmrw") else None


def _short(command: str) -> Callable[[str], Any]:
    def magic(line: str) -> Any:  # noqa: ANN401 - the command's value
        return _line([command, *_words(line)], command)

    magic.__doc__ = f"`%fmrw {command} …`, shorter."
    return magic


# Completion


def complete(_shell: object, event: Any) -> list[str]:  # noqa: ANN401 - IPython's Bunch
    """Offer subcommands, options, directories, live mounts and recorded files."""
    before = event.line.split()[1:] if event.line.endswith(" ") else event.line.split()[1:-1]
    part = event.symbol
    if not before:
        return [name for name in [*grammar.commands, "capture"] if name.startswith(part)]
    if part.startswith("-"):
        command = grammar.commands.get(before[0])
        options = [option for parameter in command.params for option in parameter.opts] if command else []
        return [option for option in options if option.startswith(part)]
    if before[0] == "unmount":
        return _beginning([str(point.root) for point in kernel_mounts.mounts()], part)
    if before[0] in ("view", "gaps", "coverage", "report"):
        return _beginning(_recorded(), part) + _directories(part)
    return _directories(part)


def _beginning(names: Sequence[str], part: str) -> list[str]:
    return [name for name in names if name.startswith(part)]


def _recorded() -> list[str]:
    return sorted({visible(path) for mounted in mounting.live() for path in mounted.trace.files["path"]})


def _directories(part: str) -> list[str]:
    head, _, stem = part.rpartition("/")
    folder = Path(os.path.expanduser(head + "/" if head or part.startswith("/") else "."))  # noqa: PTH111
    try:
        names = sorted(
            entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name.startswith(stem)
        )
    except OSError:
        return []
    return [f"{head}/{name}/" if head or part.startswith("/") else f"{name}/" for name in names]


# Registration


def register(shell: InteractiveShell) -> None:
    """Register the magics; a second time changes nothing, and a name somebody else took stays theirs."""
    if _registered.get("shell") is shell:
        return
    _registered["shell"] = shell
    add: Any = shell.register_magic_function  # its decorator hides its type
    add(fmrw_magic, "line", "fmrw")
    add(fmrw_cell, "cell", "fmrw")
    for name, command in SHORT.items():
        if name not in shell.magics_manager.magics["line"]:
            add(_short(command), "line", name)
            _registered[name] = shell.magics_manager.magics["line"][name]
    shell.set_hook("complete_command", complete, str_key="%fmrw")  # type: ignore[no-untyped-call]


def unregister(shell: InteractiveShell) -> None:
    """Take the magics back and end the mounts of this kernel, no others."""
    for mounted in mounting.live():
        mounted.unmount(force=True)
    for name in ("fmrw", *SHORT):
        if name == "fmrw" or shell.magics_manager.magics["line"].get(name) is _registered.get(name):
            shell.magics_manager.magics["line"].pop(name, None)
    shell.magics_manager.magics["cell"].pop("fmrw", None)
    _registered.clear()
