"""Paths: the name under which a file stands in a recording, for what somebody calls it."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from fmrw.capture.mounts import registry
from fmrw.errors import UnknownPath
from fmrw.session.sources import is_recorded, merged_ranges
from fmrw.text import path_bytes, path_text, visible

if TYPE_CHECKING:
    from pathlib import Path

    from fmrw.session.sources import Source

_COMPARED = 2_000


def resolve(source: Source, root: Path | None, path: str | os.PathLike[str]) -> str:
    """Give the name under which a file stands in the events; see `Trace.resolve`."""
    text = os.fspath(path)
    called = path_text(os.fsencode(text))
    for candidate in dict.fromkeys((text, relative(text, root), called, relative(called, root))):
        if is_recorded(source, candidate):
            return candidate
    if size_now(source, name := relative(called, root)) is not None:
        return name
    known = merged_ranges(source)["path"].unique().sort().to_list()
    shown = ", ".join(visible(name) for name in _nearest(text, known)) or "nothing"
    raise UnknownPath(f"{visible(text)} is not in this session; recorded near it: {shown}.")


def _nearest(text: str, known: list[str]) -> list[str]:
    """Choose the names that look most like one; among very many, those with its last part in them, since each takes 0.1 ms to compare."""
    last = text.rpartition("/")[2].casefold()
    alike = [name for name in known if last in name.casefold()] if len(known) > _COMPARED else known
    return difflib.get_close_matches(text, (alike or known)[:_COMPARED], n=3, cutoff=0.3) or known[:3]


def relative(text: str, root: Path | None) -> str:
    """Give a name as it is below the directory that was monitored."""
    normal = os.path.normpath(text)
    if root is not None and os.path.isabs(normal):  # noqa: PTH117 - text, with escapes
        return os.path.relpath(registry.resolved(normal), root)
    return normal


def size_now(source: Source, name: str) -> int | None:
    """Look at a file of a live recording, which adds no event; None where there is none."""
    fd = source.open(path_bytes(name)) if source.active else None
    if fd is None:
        return None
    try:
        return os.fstat(fd).st_size
    finally:
        os.close(fd)
