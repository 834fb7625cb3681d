"""The process of a slot, when it ends before a command has begun."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from fmrw.experiments.runner import send


def test_a_driver_that_is_gone_is_told_nothing() -> None:
    ours, theirs = socket.socketpair()
    no_namespace = os.open(os.devnull, os.O_RDONLY)
    with theirs:
        with ours:
            send(ours, {"enter": [no_namespace], "memory": no_namespace})
        done = subprocess.run(
            [sys.executable, "-P", "-m", "fmrw.experiments.runner", str(theirs.fileno())],
            stderr=subprocess.PIPE, pass_fds=[theirs.fileno(), no_namespace], check=False,
        )  # fmt: skip
    os.close(no_namespace)
    assert (done.returncode, done.stderr) == (1, b"")
