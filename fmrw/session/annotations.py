"""Annotations of files, kept in the session's folder as `annotations.json`: path → list of start, end, name.

A session may come from a stranger: whatever is not an annotation is left out, and names are text, nothing more.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from fmrw.errors import SessionError
from fmrw.offsets import LARGEST, Annotation, human_size
from fmrw.text import visible
from fmrw.trace import folder as names
from fmrw.trace.facts import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = names.ANNOTATIONS
_LONGEST, _MOST = 4 << 20, 1_000


def read(folder: Path, path: str) -> tuple[Annotation, ...]:
    """Give the annotations of a file; none where there is nothing to read."""
    return _checked(_readable(folder).get(path))


def everything(folder: Path | None) -> dict[str, tuple[Annotation, ...]]:
    """Give the annotations of all files, by path."""
    return {} if folder is None else {path: _checked(found) for path, found in _readable(folder).items()}


def _checked(found: object) -> tuple[Annotation, ...]:
    if not isinstance(found, list):
        return ()
    return tuple(each for each in map(_annotation, found[:_MOST]) if each is not None)


def write(folder: Path, path: str, annotations: Sequence[Annotation]) -> None:
    """Keep the annotations of a file.

    Raises
    ------
    SessionError
        The session's folder is gone, or cannot be written; what is there cannot be read, and would be lost; or there are more than
        would be read again.
    """
    try:
        known = _all(folder)
        known[path] = [list(each) for each in annotations]
        text = json.dumps(known, indent=1) + "\n"
        if len(annotations) > _MOST or len(text) > _LONGEST:
            raise ValueError(f"more than {_MOST:,} annotations of a file, or {human_size(_LONGEST)} in all")  # noqa: TRY301 - one way out
        with replacing(folder / NAME) as temporary:
            temporary.write_text(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or visible(str(error))
        raise SessionError(
            f"{visible(str(folder / NAME))}: {reason}; the annotations are in this view only, "
            "export them or save the session elsewhere."
        ) from error


def _readable(folder: Path) -> dict[str, Any]:
    try:
        return _all(folder)
    except (OSError, ValueError, RecursionError):
        return {}


def _all(folder: Path) -> dict[str, Any]:
    """Read the file; raise OSError, ValueError or RecursionError where it is there and none of ours."""
    try:
        fd = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(_LONGEST + 1)
    known = json.loads(content) if len(content) <= _LONGEST else None
    if not isinstance(known, dict):
        raise ValueError("what is there are no annotations, or too many")  # noqa: TRY004 - whatever is wrong with a file
    return known


def _annotation(value: object) -> Annotation | None:
    if not isinstance(value, list) or len(value) != len(Annotation._fields):
        return None
    start, end, name = value
    if type(start) is not int or type(end) is not int or not isinstance(name, str):
        return None
    return Annotation(start, end, name) if 0 <= start < end <= LARGEST else None
