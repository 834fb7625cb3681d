"""Command line: the shell's way in. It parses, runs the command, prints its outcome and gives the exit status.

Threads: none; SIGTERM and SIGHUP unwind, so that mounts end.
Limits: 0, 1 for a failure of ours, 2 for usage, the command's own status for `run`.
"""

from __future__ import annotations

_INTERRUPTED = 130


def fmrw() -> int:
    """Run the command line; an interrupt while its modules are imported ends it as one later does, without a traceback."""
    try:
        from fmrw.cli.main import main  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        return _INTERRUPTED
    return main()
