"""Offline bundle: a script of ours with all of Vega in it, as `render.bundle` puts them together, so that a notebook needs no network.

That takes vl-convert about a second; the bundle is kept in the user's cache, by what it was made of. It runs in the user's browser, so
only a file that nobody else could have written is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import stat
from functools import cache
from pathlib import Path

from fmrw.trace.facts import replacing

_LONGEST = 32 << 20


@cache
def bundle(script: str) -> str:
    """Give a script together with what it uses of `vegaEmbed`.

    Parameters
    ----------
    script
        A JavaScript module without imports.
    """
    place = _place(script)
    made = _read(place)
    if made is None:
        from fmrw.figures import render  # noqa: PLC0415 - where the bundle is kept it is not needed

        made = render.bundle(script)
        _write(place, made)
    return made


def _place(script: str) -> Path:
    made_of = f"{importlib.metadata.version('vl-convert-python')}\n{script}"
    name = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "fmrw" / f"vega-{name}.js"


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
