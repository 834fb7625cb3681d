"""Offline charts: altair's `JupyterChart` with its JavaScript at hand, so that a notebook needs no network.

Altair bundles Vega for this on first use in every kernel, which takes about a second of the interpreter; the bundle is kept in the
user's cache, by the versions it was made of. It runs in the user's browser, so only a file that nobody else could have written is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import stat
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt

from fmrw.trace.facts import replacing

_LONGEST = 32 << 20


@cache
def chart_class() -> Any:  # noqa: ANN401 - a class made at run time
    """Give a `JupyterChart` that loads nothing."""
    place = _place()
    script = _read(place)
    if script is None:
        alt.JupyterChart.enable_offline()
        script = str(alt.JupyterChart._esm)  # noqa: SLF001 - what `enable_offline` sets
        _write(place, script)
    return type("JupyterChart", (alt.JupyterChart,), {"_esm": script})


def _place() -> Path:
    versions = "-".join(importlib.metadata.version(name) for name in ("altair", "vl-convert-python"))
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "fmrw" / f"vega-{versions}.js"


def _read(place: Path) -> str | None:
    """Read a bundle that is ours and whole."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return None
        with open(fd, "rb", closefd=False) as file:
            digest, _, script = file.read(_LONGEST).partition(b"\n")
    finally:
        os.close(fd)
    whole = hashlib.sha256(script).hexdigest().encode() == digest.removeprefix(b"// ")
    return script.decode() if whole else None


def _write(place: Path, script: str) -> None:
    """Keep a bundle; a cache that cannot be written is no error."""
    content = script.encode()
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(place) as temporary:
            temporary.write_bytes(b"// " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
