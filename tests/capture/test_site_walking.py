"""The compiled code walks stacks as Python does: the same frames, and the same words looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.native.pairs import Native
from fmrw.capture.sites.compiled import walked
from fmrw.capture.sites.modules import Modules
from fmrw.capture.sites.space import Space
from fmrw.capture.sites.unwind import unwind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.capture.native.stacks import Stacks

COMMANDS = {
    "cat": ["cat"],
    "grep": ["grep", "-c", "x"],
    "perl": ["perl", "-ne", "1"],
    "bash": ["bash"],
    "python3": [sys.executable, "-c", "import os; os.read(0, 1)"],
    "sqlite3": ["sqlite3"],
    "sort": ["sort"],
    "bsdtar": ["bsdtar", "tf", "-"],
    "sha256sum": ["sha256sum"],
    "sed": ["sed", "-n", "p"],
}


@pytest.fixture
def stacks() -> Stacks:
    """Give the compiled code."""
    native = Native.load()
    assert native is not None, "there is no compiled code: `python -m fmrw.capture.native.build`"
    return native.know_stacks()


@pytest.fixture
def waiting(name: str) -> Iterator[tuple[int, int, int]]:
    """Start a program that reads its standard input; give it, its stack pointer and its place once it waits there."""
    command = COMMANDS[name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:  # fmt: skip
        line = Path(f"/proc/{program.pid}/syscall")
        while (told := line.read_text().split())[:2] != ["0", "0x0"]:
            assert program.poll() is None
            os.sched_yield()
        yield program.pid, int(told[7], 16), int(told[8], 16)


@pytest.mark.parametrize("name", COMMANDS)
def test_frames_and_words_are_those_of_python(
    waiting: tuple[int, int, int], name: str, stacks: Stacks
) -> None:
    tid, top, place = waiting
    known = Modules(lambda _module: None, native=stacks.unwinding)
    spaces = [Space(tid, known) for _side in range(2)]
    try:
        slow = unwind(spaces[0], top, place)
        for _again in range(2):  # the second time all rules are known
            fast = walked(stacks.walker, spaces[1], top, place, (0, 0))
            assert fast is not None, name
            assert fast.frames == slow.frames
            assert fast.stack.words == slow.stack.words
            assert fast.whole
            assert slow.whole
    finally:
        for space in spaces:
            space.close()
        known.close()
