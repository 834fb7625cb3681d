"""Identity: whether a file is still what was recorded, and whether two recordings are about one file."""

from __future__ import annotations

import hashlib
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.session.recording import Recording


def unchanged(facts: Mapping[str, Any], path: str, status: os.stat_result) -> bool:
    """Tell whether a file is still what was recorded, by size and time of change."""
    known = facts.get("files", {}).get(path, {})
    return bool(known) and (known.get("size"), known.get("mtime_ns")) == (status.st_size, status.st_mtime_ns)


def sha256(trace: Recording, path: str) -> str | None:
    """Hash a file's content, when it is still what was recorded."""
    fd = trace.content(path)
    if fd is None:
        return None
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        if not unchanged(trace.facts, path, os.fstat(fd)):
            return None
        return hashlib.file_digest(file, "sha256").hexdigest()


def difference(a: tuple[Recording, str], b: tuple[Recording, str]) -> str:
    """Say in what the files of two recordings differ: in content where that is at hand, else in name or size; "" if in nothing."""
    (one, first), (two, second) = a, b
    if first == second and one.facts == two.facts:
        return ""
    sizes = one.size(first), two.size(second)
    told = f"{_told(first, sizes[0])} and {_told(second, sizes[1])}"
    if sizes[0] != sizes[1]:
        return f"the recordings are of different files, or of one that changed: {told}"
    hashes = sha256(one, first), sha256(two, second)
    if None not in hashes:
        return "" if hashes[0] == hashes[1] else f"the recordings are of files with different content: {told}"
    if PurePath(first).name != PurePath(second).name:
        return f"the recordings are of files with different names: {told}"
    return ""


def _told(path: str, size: int) -> str:
    return f"{visible(path)} ({size:,} byte{'' if size == 1 else 's'})"
