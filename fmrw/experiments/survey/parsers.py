"""Parsers: the commands of a survey, by name."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.errors import BadCommand, BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FILE = "{}"
"""Stands in a command for the file's path."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_NUMBER = re.compile(r"0x[0-9a-f.]+(p[+-]?\d+)?|\d*\.?\d*(e[+-]?\d+)?[dfl]?", re.IGNORECASE)
_DATE = re.compile(r"\d{1,7}-\d{1,2}(-.*)?")
_WORDS = {"nan", "inf", "infinity", "null", "none", "true", "false", "epoch", "now", "today"}


def named(texts: Iterable[str]) -> dict[str, list[str]]:
    """Split what a command line names: `NAME=COMMAND`.

    Raises
    ------
    BadInput
        A text without a name, or two of one name.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, command = text.partition("=")
        if not equals:
            raise BadCommand(f"{visible(text)!r} names no parser; write NAME='COMMAND {{}}'.")
        if name in found:
            raise BadCommand(f"two parsers are called {visible(name)}; give each a name of its own.")
        try:
            found[name] = shlex.split(command)
        except ValueError as error:
            raise BadCommand(f"{visible(text)!r}: {error}; close the quotation.") from None
    return found


def checked(parsers: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Give the words of each parser's command, or say what is wrong with it.

    Parameters
    ----------
    parsers : mapping
        Name → a command, as typed in a shell or as words; `{}` stands for the file's path.

    Raises
    ------
    BadInput
        No parsers; a name that cannot name a folder or that a reader of Parquet would take for a number or a date; a command without `{}`;
        a program that is not installed.
    """
    if not parsers:
        raise BadCommand("a survey needs parsers; name one with -p NAME='COMMAND {}'.")
    words = {
        name: tuple(shlex.split(each) if isinstance(each, str) else each) for name, each in parsers.items()
    }
    folded: dict[str, str] = {}
    for name, command in words.items():
        _check_name(name)
        if folded.setdefault(name.lower(), name) != name:
            raise BadCommand(
                f"{name} and {folded[name.lower()]} differ in case only; give them names that differ more."
            )
        if not any(FILE in word for word in command[1:]):
            raise BadCommand(
                f"the command of {name} does not say where the file's path goes; put {{}} there, as in '{visible(' '.join((*command, FILE)))}'."
            )
    return {name: (located(name, command[0]), *command[1:]) for name, command in words.items()}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadCommand(
            f"{visible(name)!r} cannot name a parser; take up to 64 of the letters a to z, digits, and . _ + -, with a letter or digit first."
        )
    if _NUMBER.fullmatch(name) or _DATE.fullmatch(name) or name.lower() in _WORDS:
        raise BadCommand(
            f"readers of Parquet would take {name} for a number, a date or nothing; call the parser p{name}."
        )


def located(name: str, program: str) -> str:
    """Give a program as every run can start it: by name where it is on PATH, else by its whole path.

    Raises
    ------
    BadInput
        It is not installed.
    """
    found = shutil.which(program)
    if found is None:
        raise BadInput(
            f"the program of {name}, {visible(program)}, is not installed; install it, or name its path."
        )
    return str(Path(found).absolute()) if os.sep in program else program


def command_for(words: Sequence[str], path: str) -> list[str]:
    """Put a file's path into a command."""
    return [word.replace(FILE, path) for word in words]
