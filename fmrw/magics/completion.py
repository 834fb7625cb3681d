"""Completion: what the tab key offers in a line of a magic: commands, options and their values, directories, live mounts, recorded files.

`offers` is told the line up to the cursor and knows the rest from the grammar and from `Known`; `magics` registers it with IPython.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import click

from fmrw.errors import SessionError
from fmrw.magics.words import last_word, quoted, unquoted, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_RECORDINGS = ("session", "a", "b")  # arguments that name a recording
_FILES = ("path", "paths")  # those that name a file of the recording before them, if there is one

CELLS = ("capture", "run")
_MAGIC = re.compile(r"^\s*(?:[\w.,\s\[\]'\"]+=\s*)?(%{1,2})(\w+)\s+")
_MOST = 200


class Known(Protocol):
    """What a kernel knows that a line does not say."""

    def roots(self) -> Sequence[Path]:
        """Give the directories that are monitored now."""

    def recorded(self, name: str) -> Sequence[str]:
        """Give the files of the recording of a name; of all of this kernel's where that is none."""


class Offer(NamedTuple):
    """What may stand in the place of the word that is being typed."""

    typed: str
    texts: list[str]


class _Line(NamedTuple):
    """A line being typed: the command, the words after it, and what of the last one is there."""

    command: click.Command
    before: list[str]
    part: str


def offers(
    text: str, commands: Mapping[str, click.Command], short: Mapping[str, str], known: Known
) -> Offer | None:
    """Complete a line.

    Parameters
    ----------
    text
        The line up to the cursor.
    commands
        The grammar's.
    short
        Magics of one command: `{"mount": "mount", …}`.

    Returns
    -------
    Offer or None
        None where the line is no line of ours.
    """
    magic = _MAGIC.match(text)
    if magic is None or (magic[2] != "fmrw" and magic[2] not in short):
        return None
    head, typed = last_word(text[magic.end() :])
    try:
        before = [*([short[magic[2]]] if magic[2] in short else []), *words(head, {})]
    except SessionError:
        return None
    part = unquoted(typed)
    names = _names(magic[1], before, part, commands, known)
    return Offer(typed, [quoted(name, typed) for name in names[:_MOST]])


def _names(
    signs: str, before: list[str], part: str, commands: Mapping[str, click.Command], known: Known
) -> list[str]:
    if not before:
        return _beginning(CELLS if signs == "%%" else sorted(commands), part)
    command = commands.get("mount" if before[0] == "capture" else before[0])
    if command is None or "--" in before:
        return []
    line = _Line(command, before[1:], part)
    option = _option(line, line.before[-1] if line.before else "")
    if option is not None:
        return _values(option, part)
    name, equals, value = part.partition("=")
    option = _option(line, name) if equals else None
    if option is not None:
        return [f"{name}={each}" for each in _values(option, value)]
    if part.startswith("-"):
        return _beginning([name for each in command.params for name in each.opts if name[0] == "-"], part)
    return _arguments(line, known)


def _option(line: _Line, word: str) -> click.Option | None:
    """Give the option of a name that takes a value."""
    options = [each for each in line.command.params if isinstance(each, click.Option)]
    return next((each for each in options if word in each.opts and not each.is_flag and each.nargs), None)


def _values(option: click.Option, part: str) -> list[str]:
    if isinstance(option.type, click.Choice):
        return _beginning([str(each) for each in option.type.choices], part)
    return _directories(part) if "--output" in option.opts else []


def _arguments(line: _Line, known: Known) -> list[str]:
    position = _position(line)
    if line.command.name == "unmount":
        return _beginning(_typed(known.roots(), line.part), line.part)
    wanted = [each for each in line.command.params if isinstance(each, click.Argument)]
    if not wanted or (position >= len(wanted) and wanted[-1].nargs == 1):
        return []
    name = wanted[min(position, len(wanted) - 1)].name
    if name in _FILES and wanted[0].name in _RECORDINGS:
        return _beginning(known.recorded(_first(line)), line.part)
    if name not in _RECORDINGS:
        return _directories(line.part) if not position else []
    here = [*_typed(known.roots(), line.part), *known.recorded("")]
    others = [name for name in _directories(line.part) if name.rstrip("/") not in here]
    return [*_beginning(here, line.part), *others]


def _position(line: _Line) -> int:
    """Count the words before that are arguments."""
    valued = {
        name
        for each in line.command.params
        if isinstance(each, click.Option) and not each.is_flag
        for name in each.opts
    }
    pairs = zip(["", *line.before], line.before, strict=False)
    return sum(not word.startswith("-") and previous not in valued for previous, word in pairs)


def _first(line: _Line) -> str:
    return next((word for word in line.before if not word.startswith("-")), "")


def _beginning(names: Iterable[str], part: str) -> list[str]:
    return [name for name in names if name.startswith(part)]


def _typed(roots: Sequence[Path], part: str) -> list[str]:
    """Write directories as they are being typed: below the working directory without what leads there, or in full."""
    here = Path("/dev/null") if part.startswith("/") else Path.cwd()
    return [str(root.relative_to(here)) if root.is_relative_to(here) else str(root) for root in roots]


def _directories(part: str) -> list[str]:
    head, slash, stem = part.rpartition("/")
    folder = Path(os.path.expanduser(head + slash) or ".")  # noqa: PTH111 - "" stays ""
    hidden = stem.startswith(".")
    try:
        names = sorted(
            entry.name
            for entry in os.scandir(folder)
            if entry.name.startswith(stem) and (hidden or not entry.name.startswith(".")) and entry.is_dir()
        )
    except OSError:
        return []
    return [f"{head}{slash}{name}/" for name in names]
