"""The process that cases run in: one thread, so that it may fork; root, so that it may become somebody else.

Reads lines `["case", "directory"]`, answers each with a line of JSON: `{"log", "tree"}`, `{"skip"}` or `{"error"}`.
"""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH123
from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

import cases_data
import cases_links
import cases_maps
import cases_meta
import cases_names
import cases_open
import cases_users
from probe import CASES, NeedsRoot, Probe

MODULES = (cases_data, cases_links, cases_maps, cases_meta, cases_names, cases_open, cases_users)
PATIENCE_S = 1800


def perform(name: str, root: bytes) -> dict[str, Any]:
    probe = Probe(root)
    try:
        CASES[name](probe)
        return {"log": probe.log, "tree": probe.tree()}
    except NeedsRoot:
        return {"skip": "needs root: it changes user"}
    except Exception:  # noqa: BLE001 - told to the test
        return {"error": traceback.format_exc(), "log": probe.log}


def answer(name: str, root: bytes) -> bytes:
    """Run a case in a forked process, since it may change user, limits and directory for good."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE_S)
        os.close(reading)
        with open(writing, "wb") as out:
            out.write(json.dumps(perform(name, root)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as result:
        said = result.read()
    status = os.waitpid(child, 0)[1]
    return said or json.dumps({"error": f"{name} ended with status {status}"}).encode()


def main() -> None:
    os.umask(0o022)
    for line in sys.stdin.buffer:
        name, root = json.loads(line)
        sys.stdout.buffer.write(answer(name, os.fsencode(root)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
