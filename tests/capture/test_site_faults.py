"""Where a page is touched is known before the touching program goes on, and nobody is waited for that waits for the answer."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.sites import faults
from fmrw.capture.sites.faults import Faults
from fmrw.capture.sites.modules import Modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.capture.sites.space import Space

PLACE = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0


class Noted(list[tuple[int, tuple[int, int, str]]]):
    """What was noted: numbers, and where they lie."""

    def site(self, number: int, frame: tuple[int, int, str]) -> None:
        self.append((number, frame))


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def places(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Faults of this process, which seems to wait for a page in getpid(2)."""
    monkeypatch.setattr(faults, "read_entry", lambda *_entry: b"-1 0x7ffc0000 %#x" % PLACE)
    modules = Modules(lambda _module: None)
    found = Faults(itertools.count(1).__next__, noted.site, modules, threading.Lock())
    yield found
    found.close()
    modules.close()


def test_a_place_is_known_before_the_answer(
    places: Faults, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_PATIENCE_S", 600)
    assert places.of(os.getpid(), os.getpid()) == 1
    ((number, (module, distance, quality)),) = noted
    assert (number, quality) == (1, "fault")
    assert module >= 0
    assert 0 < distance < PLACE
    assert places.of(os.getpid(), os.getpid()) == 1
    assert len(noted) == 1, "once for each place"


def test_a_look_that_waits_for_the_answer_is_not_waited_for(
    places: Faults, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def waits(_space: Space, _place: int) -> None:
        assert answered.wait(600)

    monkeypatch.setattr(faults.Space, "mapping", waits)
    monkeypatch.setattr(faults, "_PATIENCE_S", 0.01)
    assert places.of(os.getpid(), os.getpid()) == 1
    assert noted == []
    answered.set()
    places.close()
    assert noted == [(1, (-1, PLACE, "fault"))]


def mapped_code(pid: int) -> tuple[int, str]:
    """Give a place in the code of the program that a process runs, and its name."""
    program = str(Path(f"/proc/{pid}/exe").readlink())
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith(program) and "r-xp" in line:
            return int(line.partition("-")[0], 16) + 1, program
    raise AssertionError(f"{program} has no code")


def test_a_process_that_runs_another_program_is_looked_at_anew(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = [0]
    monkeypatch.setattr(faults, "read_entry", lambda *_entry: b"-1 0x7ffc0000 %#x" % touched[0])
    monkeypatch.setattr(faults, "_PATIENCE_S", 600)
    names: dict[int, bytes] = {}
    modules = Modules(lambda module: names.update({module.number: module.path}))
    found = Faults(itertools.count(1).__next__, noted.site, modules, threading.Lock())
    program = "import os; print(flush=True); input(); os.execlp('sh', 'sh', '-c', 'echo; read _line')"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        expected = []
        for _program in range(2):
            assert child.stdout.readline() == b"\n"
            touched[0], name = mapped_code(child.pid)
            expected.append(os.fsencode(name))
            assert found.of(child.pid, child.pid) == len(expected)
            child.stdin.write(b"\n")
            child.stdin.flush()
    found.close()
    assert [names.get(module) for _number, (module, _distance, _quality) in noted] == expected
    modules.close()


def test_one_place_of_two_programs_is_two(places: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_PATIENCE_S", 600)
    monkeypatch.setattr(faults, "program_of", lambda _tid: "/bin/one")
    assert places.of(os.getpid(), os.getpid()) == 1
    monkeypatch.setattr(faults, "program_of", lambda _tid: "/bin/two")
    assert places.of(os.getpid(), os.getpid()) == 2


def test_a_place_that_many_touch_at_once_is_looked_up_once(
    places: Faults, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8)
    read = faults.read_entry

    def entry(*arguments: object) -> bytes:
        together.wait()
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(faults, "read_entry", entry)
    pid, found = os.getpid(), list[int]()
    threads = [threading.Thread(target=lambda: found.append(places.of(pid, pid))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    places.close()
    assert [number for number, _frame in noted] == [1]
