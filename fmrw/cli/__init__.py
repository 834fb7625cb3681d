"""Command line: the shell's way in. It parses, runs the command, prints its outcome and gives the exit status.

Threads: none; SIGTERM and SIGHUP unwind, so that mounts end.
Limits: 0, 1 for a failure of ours, 2 for usage, the command's own status for `run`.
"""

from __future__ import annotations

import gc

_INTERRUPTED = 130
_OBJECTS = 50_000  # made between two looks for garbage; importing makes more than that, and all of them stay


def fmrw() -> int:
    """Run the command line; an interrupt while its modules are imported ends it as one later does, without a traceback.

    For a process of its own: garbage is looked for rarely, and at the interpreter's end not at all, which takes as long as a quarter of polars' import.
    """
    gc.set_threshold(_OBJECTS)
    try:
        from fmrw.cli.main import main  # noqa: PLC0415 - see above

        return main()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        gc.freeze()
