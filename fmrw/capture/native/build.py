"""Build: compiles `transfers.c`, which takes in the others, beside itself when the package is installed, if there is a C compiler.

    python -m fmrw.capture.native.build     # later, once there is a compiler

`hook` calls it (`pyproject.toml`). The library needs no headers of Python: it is loaded by ctypes, and takes the two functions
it calls from the interpreter that loads it. Its name carries a digest of the source, so that a library of other code is never loaded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "transfers.c"
_FLAGS = ("-O2", "-fPIC", "-shared", "-fno-strict-aliasing")


def library() -> Path:
    """Give the path that the compiled code has, or would have."""
    sources = b"".join(source.read_bytes() for source in sorted(HERE.glob("*.c")))
    digest = hashlib.sha256(sources).hexdigest()[:16]
    return HERE / f"transfers-{platform.machine()}-{digest}.so"


def compiled() -> Path | None:
    """Compile the code, unless that is done; None where there is no compiler, or it fails."""
    made = library()
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if made.exists() or compiler is None or sys.platform != "linux":
        return made if made.exists() else None
    for old in HERE.glob("transfers-*.so"):
        old.unlink()
    unfinished = made.with_suffix(f".{os.getpid()}")
    done = subprocess.run([compiler, *_FLAGS, "-o", unfinished, SOURCE], capture_output=True, check=False)
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        return None
    unfinished.rename(made)
    return made


if __name__ == "__main__":
    sys.exit(
        None
        if compiled()
        else "not compiled: no C compiler that works; `sudo apt-get install gcc libc6-dev`, then try again"
    )
