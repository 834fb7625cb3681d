"""Words of a magic's line: quoted as in a shell, with `{python}`, `$name` and `~` replaced.

IPython would replace `{python}` and `$name` in the line before a magic sees it, so that a blank or a quotation mark in a value ends up
between the words of the line. The magics ask it not to, and a value replaced here stays within its word, whatever is in it.

`{expression}` is Python's wherever it stands; one that cannot be evaluated stays as it was typed. `$NAME` and `${NAME}` are a variable of
Python's or of the environment, not between single quotes. `~` is the home directory at the beginning of a word.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from fmrw.errors import SessionError
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMED = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_PLACE = re.compile("\0([0-9]+)\0")
_SPECIAL = re.compile(r"([\s\\'\"$`{}*?&|;<>()#!~])")


def words(line: str, names: Mapping[str, object]) -> list[str]:
    """Split a line.

    Parameters
    ----------
    line
        As it was typed.
    names
        What Python expressions may use.

    Raises
    ------
    SessionError
        A quotation is not closed.

    Examples
    --------
    >>> words("mount '{where}' --reports off", {"where": "it's here"})
    ['mount', "it's here", '--reports', 'off']
    """
    values: list[str] = []
    try:
        split = shlex.split(_with_places(line.replace("\0", ""), names, values))
    except ValueError as error:
        raise SessionError(f"{visible(line)}: {error}; close the quotation.") from error
    return [
        _PLACE.sub(lambda found: values[int(found[1])], os.path.expanduser(word))  # noqa: PTH111 - text, perhaps no path
        for word in split
    ]


def _with_places(line: str, names: Mapping[str, object], values: list[str]) -> str:
    """Put a mark where a value belongs, so that splitting does not see it."""
    parts: list[str] = []
    at, quote = 0, ""
    while at < len(line):
        found = _value(line, at, quote, names)
        if found is not None:
            parts.append(f"\0{len(values)}\0")
            values.append(found[0])
            at = found[1]
            continue
        step, quote = _step(line, at, quote)
        parts.append(line[at : at + step])
        at += step
    return "".join(parts)


def _step(line: str, at: int, quote: str) -> tuple[int, str]:
    """Give how many characters belong together here, and the quotation that is open after them."""
    if line[at] == "\\" and quote != "'":
        return 2, quote
    if line[at] in "'\"" and quote in ("", line[at]):
        return 1, "" if quote else line[at]
    return 1, quote


def _value(line: str, at: int, quote: str, names: Mapping[str, object]) -> tuple[str, int] | None:
    """Give the value that stands here, and where it ends."""
    if line[at] == "{":
        return _evaluated(line, at, names)
    named = _NAMED.match(line, at) if quote != "'" else None
    if named is None:
        return None
    name = named[1] or named[2]
    value = names[name] if name in names else os.environ.get(name)
    return None if value is None else (str(value), named.end())


def _evaluated(line: str, at: int, names: Mapping[str, object]) -> tuple[str, int] | None:
    """Evaluate the shortest expression in braces that is one."""
    for brace in re.finditer("}", line[at:]):
        end = at + brace.end()
        source = line[at + 1 : end - 1].strip()
        if source.isidentifier() and source not in names:  # awk's '{print}' is not Python's function
            return None
        try:
            code = compile(source, "<magic>", "eval")
        except (SyntaxError, ValueError):
            continue
        try:
            return str(eval(code, dict(names))), end  # noqa: S307 - the user's own line, as IPython has it
        except Exception:  # noqa: BLE001 - then it was not meant for Python, and stays
            return None
    return None


# The other way round, for completion


def last_word(text: str) -> tuple[str, str]:
    """Cut a line that is being typed: what stands before its last word, and that word, raw."""
    at, start, quote = 0, 0, ""
    while at < len(text):
        if text[at].isspace() and not quote:
            start = at + 1
        step, quote = _step(text, at, quote)
        at += step
    return text[:start], text[start:]


def unquoted(raw: str) -> str:
    """Give what a word that is being typed means so far; a quotation may be open, a backslash be last."""
    for closing in ("", "'", '"'):
        try:
            return "".join(shlex.split(raw.removesuffix("\\") + closing)[:1])
        except ValueError:
            continue
    return raw


def quoted(word: str, raw: str) -> str:
    """Write a completed word in the way in which its beginning, `raw`, was typed."""
    if raw[:1] in ("'", '"') and raw[:1] not in word:
        return f"{raw[0]}{word}"
    head = "~" if word.startswith("~") and raw.startswith("~") else ""
    return head + _SPECIAL.sub(r"\\\1", word.removeprefix(head))
