"""Lookup: the recording, the file and the process that a user names.

`at_hand` are the traces a caller holds already, by the directory they are of: a kernel's own mounts, and what it recorded before.
They come before what lies on disk.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.mounts.registry import mounted_at, mounts, resolved
from fmrw.errors import BadInput, UnknownPath
from fmrw.session.loading import load, splits
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fmrw.session.trace import Trace

NOTHING: Mapping[Path, Trace] = {}


def recording(name: str | os.PathLike[str], at_hand: Mapping[Path, Trace] = NOTHING) -> Trace:
    """Open what a user names: a directory of a trace at hand, or whatever `load` takes; `NAME:PROCESS` for one process of it.

    Raises
    ------
    SessionError, BadInput
        There is no such recording.
    UnknownPath
        It has no such process.
    """
    held = at_hand.get(resolved(name))
    for place, process in splits(os.fspath(name)) if held is None else ():
        if (whole := at_hand.get(resolved(place))) is not None:
            return whole.only(process)
    return held or load(name)


def located(name: str, path: str | None, at_hand: Mapping[Path, Trace] = NOTHING) -> tuple[Trace, str | None]:
    """Find what a user asks about: a recording and its file, a recording alone, or one file of what is monitored.

    Raises
    ------
    SessionError, BadInput, UnknownPath
        There is no such recording, or no such file in it.
    """
    if not name:
        raise BadInput("an empty name is no recording; if a shell's variable was meant, is it set?")
    place = resolved(name)
    if path is not None or mounted_at(place) is not None:
        return recording(name, at_hand), path
    around = [*at_hand.values(), *_around(place)]
    if not around and Path(name).is_dir():
        return recording(name, at_hand), None
    for trace in around:
        for candidate in (name, os.path.abspath(name)):  # noqa: PTH100 - links are the trace's affair
            with contextlib.suppress(UnknownPath):
                return trace, trace.resolve(candidate)
    return recording(name, at_hand), None


def _around(file: Path) -> Iterator[Trace]:
    """Give the recording of the mount in which a file lies, whoever mounted it."""
    yield from (load(point.root) for point in mounts() if point.root in file.parents)


def file_named(name: str, path: str | None, at_hand: Mapping[Path, Trace] = NOTHING) -> tuple[Trace, str]:
    """Open the recording that a user names, and find a file in it.

    Parameters
    ----------
    path
        The file; None means the only one that was read.

    Raises
    ------
    SessionError, BadInput, UnknownPath
        There is no such recording, file or process.
    """
    trace = recording(name, at_hand)
    try:
        return trace, trace.resolve(path) if path is not None else trace.only_file()
    except UnknownPath as error:  # who names two recordings must be told of which
        told, whose = str(error), visible(name)
        raise UnknownPath(told if path is None and whose in told else f"{whose}: {told}") from None
