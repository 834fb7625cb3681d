from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.recorder import journal as log
from fmrw.capture.recorder.journal import Head, Journal
from fmrw.capture.recorder.process import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def record(start: int = 0, *, tid: int = 1, **other: int) -> tuple[int, ...]:
    values = {
        "time_ns": 10,
        "start": start,
        "size": 100,
        "call": 1,
        "length": 4,
        "requested": 4,
        "tid": tid,
        **other,
    }
    return tuple(values.get(name, 0) for name, _code in log.FIELDS[:-2])


def stored(folder: int) -> list[tuple[int, ...]]:
    found = []
    for name in log.segments(folder):
        fd = os.open(name, os.O_RDONLY, dir_fd=folder)
        data = os.read(fd, log.SEGMENT_BYTES)
        os.close(fd)
        found += [each for each in log.RECORD.iter_unpack(data) if each[-1] == log.MARK]
    return found


def head(folder: int) -> Head:
    fd = os.open("head", os.O_RDWR, dir_fd=folder)
    try:
        return Head(fd)
    finally:
        os.close(fd)


def test_an_event_is_in_the_file_the_moment_it_is_recorded(folder: int) -> None:
    journal = Journal(folder)
    journal.append(*record(7))
    assert [each[1] for each in stored(folder)] == [7]  # nothing was flushed or closed
    journal.close()


def test_events_of_many_threads_are_each_there_once_over_several_segments(folder: int) -> None:
    journal = Journal(folder)
    each, threads = 25_000, 8

    def work(number: int) -> None:
        for place in range(each):
            journal.append(*record(place, tid=number))

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    journal.close()
    found = [(one[9], one[1]) for one in stored(folder)]
    assert len(found) == each * threads
    for number in range(threads):  # all of them, once, and in the thread's own order
        assert [start for tid, start in found if tid == number] == list(range(each))
    assert head(folder).counter("records") == each * threads


def test_closing_cuts_the_last_segment_to_what_it_holds(folder: int) -> None:
    journal = Journal(folder)
    journal.append(*record())
    journal.append(*record())
    journal.close()
    assert os.stat("000000.events", dir_fd=folder).st_size == 2 * log.RECORD.size
    assert head(folder).counter("closed") == 1


def test_an_event_that_does_not_fit_is_counted_and_leaves_no_hole(folder: int) -> None:
    journal = Journal(folder)
    journal.append(*record(requested=1 << 40))
    journal.append(*record(5))
    assert [(each[1], each[11]) for each in stored(folder)] == [(0, log.VOID), (5, log.READ)]
    assert head(folder).counter("faults") == 1
    journal.close()


def test_the_bell_rings_once_for_each_time_it_was_armed(folder: int) -> None:
    rung: list[int] = []
    journal = Journal(folder, ring=lambda: rung.append(1))
    journal.append(*record())
    assert not rung
    head(folder).arm()
    journal.append(*record())
    journal.append(*record())
    assert len(rung) == 1
    journal.close()


class Full:
    """A disk with no room, until it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.tried = 0
        self.pwrite, self.allocate = os.pwrite, os.posix_fallocate
        monkeypatch.setattr(os, "posix_fallocate", self._allocate)
        monkeypatch.setattr(os, "pwrite", self._pwrite)

    def _refuse(self) -> None:
        self.tried += 1
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _allocate(self, *arguments: int) -> None:
        self._refuse()
        self.allocate(*arguments)

    def _pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self._refuse()
        return self.pwrite(fd, bytes(data[:300]), offset)  # as a disk does that is nearly full


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Full:
    return Full(monkeypatch)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(log.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_full_disk_loses_events_countably_and_ends_when_there_is_room(
    folder: int, disk: Full, clock: Clock
) -> None:
    journal = Journal(folder)
    for place in range(log.SEGMENT):
        journal.append(*record(place))
    disk.full = True
    for place in range(500):
        journal.append(*record(place))
    assert disk.tried < 20, "it must not try for every event"
    assert head(folder).counter("lost") == 500
    assert sorted(os.listdir(folder)) == ["000000.events", "head", "names.jsonl"]
    disk.full = False
    clock.now += 1
    journal.append(*record())  # finds the room, and is the last that is lost
    for place in range(3):
        journal.append(*record(place))
    journal.close()
    assert head(folder).counter("lost") == 501
    assert [each[1] for each in stored(folder)] == [*range(log.SEGMENT), 0, 1, 2]


def test_a_journal_that_begins_on_a_full_disk_counts(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.fstatvfs(folder)
    free = [1 << 20]

    class Room:
        f_blocks, f_frsize = room.f_blocks, 1

        @property
        def f_bavail(self) -> int:
            return free[0]

    monkeypatch.setattr(os, "fstatvfs", lambda _fd: Room())
    journal = Journal(folder)
    journal.append(*record())
    assert head(folder).counter("lost") == 1
    assert stored(folder) == []
    journal.close()
    assert head(folder).counter("records") == 0


def test_names_wait_for_room_whole_and_in_order(folder: int, disk: Full, clock: Clock) -> None:
    journal = Journal(folder)
    disk.full = True
    for number in range(100):
        journal.note("path", id=number, text=f"file {number}")
    disk.full = False
    clock.now += 1
    for number in range(100, 130):  # each finds room for 300 bytes
        journal.note("path", id=number, text=f"file {number}")
        clock.now += 1
    journal.close()
    fd = os.open("names.jsonl", os.O_RDONLY, dir_fd=folder)
    lines = os.read(fd, 1 << 20).splitlines()
    os.close(fd)
    assert [json.loads(line)["id"] for line in lines] == list(range(130))


def test_names_without_room_are_bounded_and_counted(folder: int, disk: Full, clock: Clock) -> None:
    del clock
    journal = Journal(folder)
    disk.full = True
    for number in range(40_000):
        journal.note("path", id=number, text="x" * 300)
    assert len(journal._pending) <= log._PENDING
    assert disk.tried < 100
    assert head(folder).counter("faults") > 0
    journal.close()


def test_faults_and_guesses_of_many_threads_are_all_counted(folder: int) -> None:
    journal = Journal(folder)

    def work() -> None:
        for _number in range(2000):
            journal.count_fault()
            journal.count_guess()

    running = [threading.Thread(target=work) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert (head(folder).counter("faults"), head(folder).counter("guessed")) == (8000, 8000)
    journal.close()


@pytest.mark.parametrize("text", ["sleep", 'a "b" \\ c', "\n\x1b[31m\0", "caf\u00e9 \U0001f4a9", "\udce9"])
def test_the_line_of_a_process_is_what_json_makes_of_it(text: str, folder: int, tmp_path: Path) -> None:
    journal = Journal(folder)
    who = Identity(7, 6, 5, text, text + "1", text + "2", text + "3")
    journal.note_process(3, 17, who)
    journal.note("process", id=3, first_seen_ns=17, **who._asdict())
    journal.close()
    lines = (tmp_path / "names.jsonl").read_bytes().splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
