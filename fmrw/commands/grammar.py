"""Grammar: the group of all commands, and the options they share. Which commands there are stands in `fmrw.commands.families`.

Every command is a function; its docstring is its help. It gives an `Outcome`, which a door shows in its own way: `fmrw.cli` prints it,
the magics display it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fmrw.text import visible
from fmrw.trace.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURES = click.Choice(["exact", "paged", "cached"])
REPORTS = click.Choice(["beside", "hidden", "aside", "off"])


class _Untouched(click.Path):
    """A path that is only named: click's own looks at it, and below a mount whose worker is stopped that never ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401
        if (
            not value
        ):  # which pathlib takes for the directory at hand, and a shell makes of a variable that is not set
            self.fail("an empty name is no path; if a shell's variable was meant, is it set?", param, ctx)
        return Path(os.fsdecode(value))


class _Grain(click.IntRange):
    """A number of bytes, or `auto`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        return value if value == "auto" else super().convert(value, param, ctx)


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
@click.version_option(VERSION, prog_name="fmrw")
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


class Conflict(click.ClickException):
    """Options that do not go together: wrong usage, told in one line."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line as every error of ours."""
        click.echo(f"fmrw: {self.format_message()}", file=file, err=True)


def exclusive(*names: str) -> None:
    """Refuse more than one of some options of the present command, by the names of their parameters.

    Raises
    ------
    Conflict
        Several were given.
    """
    given = [flag for name, flag in _flags().items() if name in names and is_given(name)]
    if len(given) > 1:
        raise Conflict(f"{' and '.join(given[:2])} exclude each other; give one of them.")


def needing(name: str, *others: str) -> None:
    """Refuse an option of the present command that says nothing without one of some others.

    Raises
    ------
    Conflict
        It was given, and none of the others.
    """
    if is_given(name) and not any(map(is_given, others)):
        flags = _flags()
        wanted = " or ".join(flags[other] for other in others)
        raise Conflict(f"{flags[name]} says nothing without {wanted}; add it, or leave {flags[name]} out.")


def is_given(name: str) -> bool:
    """Tell whether somebody typed a parameter of the present command."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in {None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP}


def _flags() -> dict[str, str]:
    """Give the options of the present command as they are typed, by the names of their parameters."""
    options = click.get_current_context().command.params
    return {
        each.name: max(each.opts, key=len) for each in options if isinstance(each, click.Option) and each.name
    }


def capture_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a directory is monitored."""
    options = [
        click.option("--capture", type=CAPTURES, default="exact", show_default=True, help="exact: every call to the byte, mapped files by the page; paged: the first touch of each page; cached: what the page cache asks for."),
        click.option("--grain", type=_Grain(0, 1 << 30), default=0, metavar="BYTES|auto", help="Block size to report, which sizes the buffers of stdio and Python, so that they ask for little more than they look at: 1 for programs in C (pngcheck, xxd), 16 for Python (1 makes it ask for 8 KiB); gzip, unzip, 7z have buffers of their own. auto: 16 where `fmrw run` starts Python or a script for it, else 1. 0 keeps the true one."),
        click.option("--read-only", is_flag=True, help="Refuse every change with EROFS."),
        click.option("--sites", is_flag=True, help="Record which code asks: the stack of the thread that waits, read from outside (x86-64)."),
        click.option("--allow-other", is_flag=True, help="Let other users in, with the permissions of the files."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function
