"""Grain: the block size to report to a program, so that it asks for little more than it looks at.

glibc's stdio takes a block of 1 as it is; CPython takes no buffer of 1 and falls back to 8 KiB, but takes 16.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.errors import BadInput

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

AUTO = "auto"
_STDIO, _PYTHON = 1, 16
_LINE = 256  # bytes of a script's first line that Linux looks at


def chosen(grain: int | str, command: Sequence[str | os.PathLike[str]] | None) -> int:
    """Give the block size for a command: the number itself, or for `auto` what its program needs.

    Raises
    ------
    BadInput
        It is `auto` and there is no command, or no number.
    """
    if isinstance(grain, int):
        return grain
    if grain != AUTO:
        raise BadInput(f"grain {grain!r}: give a number of bytes, or {AUTO!r} where a command is run.")
    if command is None:
        raise BadInput(
            "grain auto looks at a command's program, and a mount has none; give 1 for C's stdio or 16 for Python."
        )
    found = shutil.which(command[0])
    return _PYTHON if found is not None and _is_python(Path(found)) else _STDIO


def _is_python(program: Path) -> bool:
    """Tell whether a program is Python, by name, or a script for it, by its first line."""
    if program.name.startswith("python") or program.resolve().name.startswith("python"):
        return True
    try:
        with program.open("rb") as file:
            line = file.read(_LINE).partition(b"\n")[0]
    except OSError:  # may be run and not be read
        return False
    return line.startswith(b"#!") and any(
        word.rpartition(b"/")[2].startswith(b"python") for word in line[2:].split()
    )
