"""First sight of a thread: the compiled look sees what Python's does, whoever is looked at."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.native.callers import gone_threads, sight_of_thread
from fmrw.capture.recorder import sight
from fmrw.capture.recorder.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ECHO = "#include <unistd.h>\nint main(void) { char c; while (read(0, &c, 1) == 1) if (write(1, &c, 1) != 1) return 1; return 0; }"


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that gives back what it gets, until that ends; its name is no text."""
    folder = os.fsencode(tmp_path_factory.mktemp("programs"))
    with open(folder + b"/echo.c", "w", encoding="ascii") as source:  # noqa: PTH123 - bytes
        source.write(ECHO)
    made = folder + b'/na\xefve "name"'
    subprocess.run(["cc", "-o", made, folder + b"/echo.c"], check=True)
    return made


@contextlib.contextmanager
def running(program: bytes, *words: bytes, named: bytes | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start it, and wait until it has answered: its words are set a moment after `Popen` has returned."""
    with subprocess.Popen(
        [named or program, *words], executable=program, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.read(1) == b"\n"
        yield child


def looked(found: Sight) -> Sight:
    """Close the descriptors, and say only whether there were any."""
    file, leader = found.file, found.leader
    for fd in (file, leader):
        if fd >= 0:
            assert not os.get_inheritable(fd)
            os.close(fd)
    return found._replace(file=min(file, 0), leader=min(leader, 0))


def seen(tid: int, own: int = 0) -> Sight:
    """Look at a thread in every way; all must see the same."""
    compiled = sight_of_thread()
    assert compiled is not None
    for whole in (False, True):
        ways = [looked(sight.seen(tid, whole, own))]
        ways += [looked(Sight._make(compiled(tid, whole, own, asks))) for asks in (True, False)]
        ways.append(looked(sight.sights()(tid, whole, own)))
        assert ways == ways[:1] * 4
        if not whole:
            assert ways[0].exe == ways[0].command == b""
    return ways[0]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ((), b""),
        ((b"two words", b"", b"b\xffd\n", b" "), b" two words  b\xffd\n  "),
        ((b"last", b""), b" last "),
        ((b"x" * 100_000,) * 15, b" " + b"x" * 100_000),
    ],
)
def test_a_process(echo: bytes, words: tuple[bytes, ...], command: bytes) -> None:
    with running(echo, *words) as child:
        found = seen(child.pid)
    comm = os.path.basename(echo)[:15] + b"\n"  # noqa: PTH119 - bytes
    assert found == Sight(0, comm, child.pid, os.getpid(), -1, comm, echo, (echo + command)[:4096])
    assert seen(child.pid) == Sight(-1, b"[gone]\n", child.pid, 0, -1, b"[gone]\n", b"", b""), "it is gone"


def test_a_program_that_was_removed_and_says_nothing(echo: bytes, tmp_path: Path) -> None:
    program = os.fsencode(tmp_path / "removed (deleted)")
    os.link(echo, program)
    with running(program, named=b"-") as child:
        os.unlink(program)  # noqa: PTH108 - bytes
        assert (seen(child.pid).exe, seen(child.pid).command) == (program, b"-")


def test_a_thread_has_its_process_s_facts_and_its_own_name() -> None:
    found: list[Sight] = []
    name = b"a\xff\nb"

    def look() -> None:
        ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
        found.append(seen(threading.get_native_id()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    whole = seen(os.getpid())
    assert found == [whole._replace(comm=name + b"\n", leader=0)]
    assert (whole.pid, whole.ppid, whole.exe) == (os.getpid(), os.getppid(), os.readlink(b"/proc/self/exe"))  # noqa: PTH115


def test_our_own_processes_are_not_waited_for(echo: bytes) -> None:
    with running(echo) as child:
        whole = seen(child.pid)
        assert whole.exe == whole.command == echo
        for own in (child.pid, os.getpid()):
            assert seen(child.pid, own) == whole._replace(exe=b"", command=b"")
        assert seen(child.pid, 1 << 22) == whole


@pytest.mark.root("somebody else's process is looked at")
def test_who_may_not_be_looked_at() -> None:
    program = """
        import os, sys
        from fmrw.capture.native.callers import sight_of_thread
        from fmrw.capture.recorder import sight
        os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
        pid = int(sys.argv[1])
        told = sight.seen(pid, True, 0), sight.Sight._make(sight_of_thread()(pid, True, 0, True))
        print(*(each._replace(file=0) for each in told), sep="\\n")
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(os.getpid())], stdout=subprocess.PIPE, check=True, text=True
    )  # fmt: skip
    python, compiled = done.stdout.splitlines()
    assert python == compiled
    assert f"pid={os.getpid()}, ppid={os.getppid()}" in python
    assert "exe=b''" in python


def test_who_is_gone_is_told_by_the_descriptor(echo: bytes) -> None:
    compiled = gone_threads()
    assert compiled is not None
    files, ends = [], [True, False, True, True, False] * 12
    with contextlib.ExitStack() as alive:
        for number, end in enumerate(ends[:5]):
            with contextlib.ExitStack() as until:
                child = (until if end else alive).enter_context(running(echo, b"%d" % number))
                files.append(sight.seen(child.pid, whole=False, own=0).file)
        assert sight.gone(files) == compiled(files) == ends[:5]
        assert sight.endings()(files * 12) == ends
        assert sight.gone([]) == compiled([]) == []
    for file in files:
        os.close(file)
