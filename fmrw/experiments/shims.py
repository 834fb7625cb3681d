"""Shims: shell scripts of pyenv and its kin (rbenv, nodenv, asdf) that look for a program and then become it; the program is run at once.

A shim costs some 60 ms, many times what most programs take. Nothing else is resolved: by the path under which it is called, a Python knows its
virtual environment.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXEC = re.compile(rb'^exec "?(/[^"\n]*/(?:\w+env|asdf))"? exec ', re.MULTILINE)
_LARGEST = 4096  # bytes of a shim
_PATIENCE_S = 30


def without_shim(command: Sequence[str]) -> list[str]:
    """Give a command with the program in the place of its shim, as the shim would run it here; the same command where there is none."""
    name = command[0]
    path = Path(shutil.which(name) or name)
    manager = _manager(path)
    if manager is None:
        return list(command)
    try:
        told = subprocess.run(
            [manager, "which", path.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PATIENCE_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):  # the shim itself will say why
        return list(command)
    program = told.decode(errors="surrogateescape").removesuffix("\n")
    return [program, *command[1:]] if shutil.which(program) and Path(program).is_absolute() else list(command)


def _manager(path: Path) -> bytes | None:
    """Give the program that a shim asks; None where it is no shim."""
    try:
        if path.parent.name != "shims" or path.stat().st_size > _LARGEST:
            return None
        found = _EXEC.search(path.read_bytes())
    except OSError:
        return None
    return found[1] if found else None
