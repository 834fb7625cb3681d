"""A trial of the kernel: what it does with a file that is opened for direct I/O, found out by a program of its own.

Run as `python -m fmrw.capture.system.trial FILE` on a file of a mount in `exact`; prints one line of JSON for `fmrw doctor`.
"""

from __future__ import annotations

import json
import mmap
import os
import sys

from fmrw.capture.system.ring import Ring

CONTENT = bytes(range(256)) * 64
"""What the file holds."""
_PIECE = 1000


def maps(fd: int) -> bool:
    """Tell whether it can be mapped shared."""
    try:
        with mmap.mmap(fd, len(CONTENT), mmap.MAP_SHARED, mmap.PROT_READ) as view:
            return view[:] == CONTENT
    except OSError:
        return False


def position(fd: int) -> bool | None:
    """Tell whether io_uring reads on at the file's own position; None where there is no io_uring for this process."""
    try:
        ring = Ring()
    except OSError:
        return None
    with ring:
        return b"".join(ring.read(fd, _PIECE) for _ in range(2)) == CONTENT[: 2 * _PIECE]


if __name__ == "__main__":
    opened = os.open(sys.argv[1], os.O_RDONLY)  # before there is a ring, or it would not be for direct I/O
    print(json.dumps({"maps": maps(opened), "position": position(opened)}))  # noqa: T201 - its answer
