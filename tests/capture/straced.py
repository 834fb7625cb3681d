"""Stacks as `strace -k` tells them, in the same run in which fmrw reads them: the truth that call sites are held against."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import fmrw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = "read,pread64,readv,preadv,preadv2,write,pwrite64,writev,pwritev,pwritev2"
_CALL = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>.*\) += (-?\d+)")
_UNFINISHED = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>.*<unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>.*\) += (-?\d+)")
_FRAME = re.compile(r"^ > (.*?)\([^()]*(?:\(.*\))?[^()]*\) \[0x([0-9a-f]+)\]$")
MOST = 64


class Asked(NamedTuple):
    """A call and its stack, the innermost frame first: module and address."""

    tid: int
    op: str
    stack: tuple[tuple[str, int], ...]


def calls(log: Path, root: Path) -> list[Asked]:
    """Read what a log says of the files below a directory, calls that moved bytes or met the end only."""
    return [asked for asked in _calls(log, root) if asked is not None]


def _calls(log: Path, root: Path) -> Iterator[Asked | None]:
    head: tuple[int, str] | None = None
    stack: list[tuple[str, int]] = []
    waiting: dict[int, tuple[str, str]] = {}
    for line in [*log.read_text(errors="replace").splitlines(), "0 end"]:
        if line.startswith(" > "):
            frame = _FRAME.match(line)
            stack.append((frame[1], int(frame[2], 16)) if frame else (line, -1))
            continue
        if head is not None:
            yield Asked(head[0], head[1], tuple(stack[:MOST]))
        head, stack = None, []
        if begun := _UNFINISHED.match(line):
            waiting[int(begun[1])] = begun[2], begun[3]
        elif (done := _CALL.match(line)) and done[3].startswith(f"{root}/"):
            head = int(done[1]), "write" if "write" in done[2] else "read"
        elif (resumed := _RESUMED.match(line)) and int(resumed[1]) in waiting:
            call, path = waiting.pop(int(resumed[1]))
            if path.startswith(f"{root}/"):
                head = int(resumed[1]), "write" if "write" in call else "read"


def compared(directory: Path, command: list[str], log: Path) -> tuple[list[Asked], list[Asked], fmrw.Trace]:
    """Run a command under strace with its sites recorded; give the calls as strace and as fmrw have them, thread by thread."""
    strace = ["strace", "-f", "-y", "-k", "-qq", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(log)]
    trace = fmrw.run([*strace, *command], directory, sites=True).trace
    assert trace.facts["faults"] == 0
    stacks = {
        site[0]: tuple(zip(frames["module"], frames["offset"], strict=True))
        for site, frames in trace.sites.filter(trace.sites["quality"] != "python").group_by("site")
    }
    rows = trace.events.filter(op="read").vstack(trace.events.filter(op="write")).sort("seq")
    ours = [
        Asked(row["tid"], row["op"], stacks.get(row["site"], ()))
        for row in rows.filter(fidelity="byte").iter_rows(named=True)
    ]
    return _by_thread(calls(log, directory)), _by_thread(ours), trace


def _by_thread(asked: list[Asked]) -> list[Asked]:
    return sorted(asked, key=lambda each: each.tid)  # stable: each thread's calls in their order
