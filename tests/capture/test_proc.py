"""Facts of processes from /proc, beside what psutil says."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from fmrw.capture.system import proc
from fmrw.capture.system.patience import MOST_STEPS, Patience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = ["a", "two words", "", "tail "]


@contextlib.contextmanager
def answering(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a `cat` that has answered once: its name and its words are set a moment after `Popen` has returned."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.read(1) == b"\n"
        yield child


@pytest.mark.parametrize("words", [WORDS, []])
def test_facts_of_a_process(tmp_path: Path, words: list[str]) -> None:
    program = tmp_path / "a) S 1 (b"
    shutil.copy(shutil.which("cat") or "cat", program)
    with answering([str(program), "-", *words]) as child:
        facts, known = proc.facts_of(child.pid), psutil.Process(child.pid)
        assert facts is not None
        assert facts.ppid == os.getpid() == known.ppid()
        assert facts.exe == str(program) == known.exe()
        assert facts.command == [str(program), "-", *words] == known.cmdline()
        program.unlink()
        renewed = proc.facts_of(child.pid)
        assert renewed is not None
        assert renewed.exe == str(program)
        child.communicate()


def test_a_later_process_started_later() -> None:
    first, second = proc.facts_of(1), proc.facts_of(os.getpid())
    assert first is not None
    assert second is not None
    assert first.started < second.started


def test_nobody_has_no_facts() -> None:
    with subprocess.Popen(["true"]) as child:
        pass
    assert proc.facts_of(child.pid) is None


def test_what_this_process_holds() -> None:
    before = proc.resident()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * (len(held) // 4096)
    assert (48 << 20) < proc.resident() - before < (512 << 20)


def test_a_process_that_rests_is_told_from_one_that_works() -> None:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as spinning:
        assert proc.exertion(spinning.pid).runs, "it runs, or would if it might"
        patience = Patience(spinning.pid)
        assert [patience.lasts() for _ in range(MOST_STEPS)] == [True] * (MOST_STEPS - 1) + [False]
        assert proc.exertion(spinning.pid).used >= 0
        spinning.send_signal(signal.SIGSTOP)
        while proc.exertion(spinning.pid).runs:
            os.sched_yield()  # the signal is on its way
        patience = Patience(spinning.pid)
        assert not patience.lasts()
        spinning.send_signal(signal.SIGCONT)
        used = proc.exertion(spinning.pid).used
        while proc.exertion(spinning.pid).used == used:
            os.sched_yield()
        spinning.send_signal(signal.SIGSTOP)
        while proc.exertion(spinning.pid).runs:
            os.sched_yield()
        assert patience.lasts(), "it has worked since"
        assert not patience.lasts()
        spinning.kill()
    assert proc.exertion(spinning.pid) == (0, False, False)
    assert not Patience(spinning.pid).lasts()


def test_one_thread_that_works_is_enough() -> None:
    program = "import threading, sys; threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start(); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        patience = Patience(child.pid)
        assert patience.lasts()
        child.kill()


def test_processes_are_found_by_name() -> None:
    with answering(["cat"]) as child:
        assert child.pid in proc.named("cat")
        child.communicate()


@pytest.fixture(params=["as this kernel tells", "as older ones do"])
def families(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "as older ones do":
        monkeypatch.setattr(proc, "_PIDFD_GET_INFO", 0)


@pytest.mark.usefixtures("families")
def test_the_family_of_a_thread() -> None:
    told: list[tuple[int, int]] = []
    ids: list[int] = []

    def tell() -> None:
        ids.append(threading.get_native_id())
        told.append(proc.family_of(ids[0]))

    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    assert ids != [os.getpid()]
    assert told == [(os.getpid(), os.getppid())]
    assert proc.family_of(os.getpid()) == (os.getpid(), os.getppid())
    with answering(["cat"]) as child:
        assert proc.family_of(child.pid) == (child.pid, os.getpid())
    assert proc.family_of(child.pid) == (child.pid, 0), "it is gone"


def test_the_program_and_the_words_of_a_process() -> None:
    with answering(["cat", "-", "two words"]) as child:
        assert proc.command_of(child.pid) == "cat - two words"
        assert proc.program_of(child.pid) == os.path.realpath(shutil.which("cat") or "")
    assert (proc.command_of(child.pid), proc.program_of(child.pid)) == ("", "")
