"""The compiled transfers do exactly what Python does: the same answers, the same records, and nothing that is not plain."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import fmrw
from fmrw.capture.fuse.gate import Gate
from fmrw.capture.fuse.transfers import DATA_AT, READ, WRITE, Limits, Rooms, Transfers
from fmrw.capture.native.build import compiled, library
from fmrw.capture.native.metadata import Metadata
from fmrw.capture.native.pairs import ANSWERED, DECLINED, Native
from fmrw.capture.native.receiving import Receiver, aligned
from fmrw.capture.recorder.calls import DENIED
from fmrw.capture.recorder.journal import SEGMENT, Head, Journal
from fmrw.capture.recorder.monitor import Monitor
from fmrw.trace.follow import Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMITS = Limits(1 << 20, 1 << 18)
COMPARED = (
    "op",
    "path",
    "start",
    "end",
    "requested",
    "size",
    "fidelity",
    "handle",
    "pid",
    "tid",
    "process",
    "errno",
)
CONTENT = bytes(range(256)) * 64


def test_it_was_compiled() -> None:
    assert shutil.which("cc"), "the tests' set-up installs a compiler"
    assert library().exists(), "python -m fmrw.capture.native.build"
    assert Native.load() is not None


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMRW_NATIVE", "0")
    assert Native.load() is None


def test_other_code_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "transfers.c"
    source.write_text("int fmrw_nothing;")
    monkeypatch.setattr("fmrw.capture.native.build.HERE", tmp_path)
    monkeypatch.setattr("fmrw.capture.native.build.SOURCE", source)
    assert Native.load() is None
    made = compiled()
    assert made is not None
    assert made.exists()
    assert Native.load() is None  # it has not the functions
    source.write_text("int fmrw_nothing_else;")
    assert not library().exists()
    assert compiled() != made
    assert not made.exists()


def test_without_a_compiler_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmrw.capture.native.build.HERE", tmp_path)
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    assert compiled() is None
    assert list(tmp_path.iterdir()) == []


# One mount's transfers without a mount: requests are written into memory, answers go to a file


@dataclass
class Bench:
    monitor: Monitor
    transfers: Transfers
    request: memoryview
    answers: int
    journal: Journal
    folder: Path
    root: Path
    connection: int  # a file that holds a request, and ends behind it as if the mount were gone
    receive: Callable[[], int] | None  # the compiled code's
    said: dict[int, list[int]] = field(default_factory=lambda: {READ: [], WRITE: []})
    closed: bool = False

    def close(self) -> None:
        for fh in list(self.monitor.handles):
            self.monitor.release(fh)
        if not self.closed:
            self.journal.close()
        self.closed = True

    def ask(
        self,
        opcode: int,
        fh: int,
        offset: int,
        size: int,
        *,
        tid: int,
        owner: int = 7,
        uid: int = 0,
        data: bytes = b"",
    ) -> tuple[int, bytes]:
        """Give errno and data of the answer to a request."""
        length = DATA_AT + len(data)
        struct.pack_into(
            "=IIQQIIIIQQIIQ",
            self.request,
            0,
            length,
            opcode,
            99,
            1,
            uid,
            uid,
            tid,
            0,
            fh,
            offset,
            size,
            0,
            owner,
        )
        self.request[DATA_AT:length] = data
        if not self._answers_itself(opcode, length):
            self.transfers.answers[opcode]()
        answer = os.pread(self.answers, 2 << 20, 0)
        os.ftruncate(self.answers, 0)
        length, error, unique = struct.unpack_from("=IiQ", answer)
        assert (length, unique) == (len(answer), 99)
        return -error, answer[16:]

    def _answers_itself(self, opcode: int, length: int) -> bool:
        """Let the compiled code answer a request, and take note of what it says; tell whether it did."""
        if self.receive is None:
            return False
        os.pwrite(self.connection, self.request[:length], 0)
        os.ftruncate(self.connection, length)
        os.lseek(self.connection, 0, os.SEEK_SET)
        code = self.receive()
        assert code in (0, length) or code < 0
        self.said[opcode].append(DECLINED if code > 0 else -code or ANSWERED)
        if code < 0:
            self.transfers.finish(-code)
        return code <= 0

    def rows(self) -> list[dict[str, Any]]:
        """Close the journal and give what was recorded."""
        self.close()
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        follower = Follower(fd)
        try:
            frames = [*follower.batches(), *follower.flush()]
            return [row for frame in frames for row in frame.select(COMPARED).to_dicts()]
        finally:
            follower.close()
            os.close(fd)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Bench]]:
    """Make benches, with the compiled code or without."""
    opened: list[int] = []
    made: list[Bench] = []

    def make(name: str) -> Bench:
        monkeypatch.setenv("FMRW_NATIVE", "1" if name == "native" else "0")
        root, folder = tmp_path / name / "root", tmp_path / name / "journal"
        root.mkdir(parents=True)
        folder.mkdir()
        (root / "file").write_bytes(CONTENT)
        (root / "other").write_bytes(b"other")
        opened.extend(os.open(place, os.O_RDONLY | os.O_DIRECTORY) for place in (root, folder))
        journal = Journal(opened[-1])
        monitor = Monitor(opened[-2], journal)
        monitor.limits = LIMITS
        # Nobody here waits for us in a call of its own that could be looked up.
        monkeypatch.setattr(monitor._callers, "wanted", lambda *_place, **_how: DENIED)
        monitor.caller = SimpleNamespace(context=SimpleNamespace(uid=0, gid=0, pid=os.getpid(), umask=0))  # type: ignore[assignment]
        answers = os.open(tmp_path / f"{name}-answers", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        connection = os.open(tmp_path / f"{name}-connection", os.O_RDWR | os.O_CREAT, 0o600)
        opened.extend((answers, connection))
        gate = Gate()
        gate.free = [None] * 4
        request = aligned(DATA_AT + LIMITS.write, DATA_AT)
        transfers = Transfers(monitor, gate, request, answers, Rooms(LIMITS.read))
        receive = None
        metadata = Metadata.load(opened[-4], grain=0, switches=False, suffixes=())
        if monitor.native is not None and metadata is not None:
            where = Receiver(connection, request, 0, 0, 0)
            receive = metadata.receiver(where, LIMITS.read, monitor.native)
            monitor.native.answer_on(answers)
        made.append(Bench(monitor, transfers, request, answers, journal, folder, root, connection, receive))
        return made[-1]

    yield make
    for each in made:
        each.close()
    for fd in opened:
        os.close(fd)


def script(bench: Bench) -> list[Any]:
    """Do everything that is plain, and much that is not; give all answers."""
    me, told = os.getpid(), []
    file = bench.monitor.open(b"/file", os.O_RDWR)[0]
    for offset, size in (
        (0, 100),
        (100, 100),
        (16_000, 4_096),
        (16_384, 10),
        (99_999, 5),
        (0, 0),
        (0, 131_072),
        (0, 131_073),
        (7, 1),
    ):
        told.append(bench.ask(READ, file, offset, size, tid=me))
    told.append(bench.ask(READ, file, 4_096, 4_096, tid=me, owner=0))  # the page cache
    for offset, data in ((0, b"first"), (16_384, b"longer"), (20_000, b"hole"), (3, b"")):
        told.append(bench.ask(WRITE, file, offset, len(data), tid=me, data=data))
        told.append(bench.ask(READ, file, 0, 32_768, tid=me))
    bench.monitor.ftruncate(file, 50)
    told.append(bench.ask(READ, file, 40, 100, tid=me))
    append = bench.monitor.open(b"/other", os.O_WRONLY | os.O_APPEND)[0]
    told.extend(bench.ask(WRITE, append, 0, 4, tid=me, data=b"tail") for _ in range(3))
    only_read = bench.monitor.open(b"/other", os.O_RDONLY)[0]
    for _ in range(3):
        told.append(bench.ask(READ, only_read, 0, 64, tid=me))
        told.append(bench.ask(WRITE, only_read, 0, 4, tid=me, data=b"nope"))
    bench.monitor.rename(b"/file", b"/renamed")
    told.append(bench.ask(READ, file, 0, 10, tid=me))
    told.append(bench.ask(READ, file, 0, 10, tid=me))
    for fh in (file, append, only_read):
        bench.monitor.flush(fh)
        bench.monitor.release(fh)
    told.append((bench.root / "renamed").read_bytes())
    told.append((bench.root / "other").read_bytes())
    return told


def test_answers_and_records_are_those_of_python(bench: Callable[[str], Bench]) -> None:
    with_code, without = bench("native"), bench("python")
    reads, writes = with_code.said[READ], with_code.said[WRITE]
    assert script(with_code) == script(without)
    assert sum(code != 0 for code in reads) > len(reads) // 2
    assert any(code != 0 for code in writes)
    assert without.monitor.native is None
    assert with_code.rows() == without.rows()


@pytest.mark.parametrize("others", [False, True])
def test_set_id_bits_go_when_somebody_else_writes(bench: Callable[[str], Bench], *, others: bool) -> None:
    told = []
    for name in ("native", "python"):
        one = bench(name)
        one.monitor._serves_others = others
        said = one.said[WRITE]
        file = one.monitor.open(b"/file", os.O_RDWR)[0]
        for uid in (0, 0, 1234, 1234, 1234):
            if uid:
                (one.root / "file").chmod(0o6755)
            told.append(one.ask(WRITE, file, 5, 3, tid=os.getpid(), uid=uid, data=b"new"))
            told.append((one.root / "file").stat().st_mode)
        told.append((one.root / "file").read_bytes()[:10])
        assert not said or [code & 3 for code in said] == [0, 1, *([3] * 3 if others else [1] * 3)]
        told.append(one.rows())
    assert told[: len(told) // 2] == told[len(told) // 2 :]
    assert (told[-3] & 0o6000 == 0) is others


def test_a_bell_that_fails_is_a_fault_and_no_end(bench: Callable[[str], Bench]) -> None:
    one = bench("native")
    said = one.said[READ]
    file = one.monitor.open(b"/file", os.O_RDONLY)[0]
    assert one.ask(READ, file, 0, 4, tid=os.getpid())[0] == 0

    def broken() -> None:
        raise BrokenPipeError

    one.journal._ring = broken
    head = os.open(b"head", os.O_RDWR | os.O_CLOEXEC, dir_fd=one.journal._directory)
    Head(head).arm()
    os.close(head)
    assert one.ask(READ, file, 0, 4, tid=os.getpid()) == (0, CONTENT[:4])
    assert one.ask(READ, file, 4, 4, tid=os.getpid()) == (0, CONTENT[4:8])
    assert said == [0, 2, 1]
    one.journal._ring = lambda: None
    assert one.journal._head[4] == 1  # faults
    assert len(one.rows()) == 5


def test_a_thread_that_takes_another_name_is_recorded_under_it(bench: Callable[[str], Bench]) -> None:
    one = bench("native")
    said = one.said[READ]
    program = """if True:
        import os, select
        while select.select([0], [], []) and (name := os.read(0, 64)):
            open("/proc/self/comm", "wb").write(name.strip())
            print(flush=True)
        """
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        file = one.monitor.open(b"/file", os.O_RDONLY)[0]
        for name in ("first", "second"):
            child.stdin.write(f"{name}\n")
            child.stdin.flush()
            child.stdout.readline()
            for _ in range(3):
                one.monitor.caller.context.pid = child.pid
                assert one.ask(READ, file, 0, 8, tid=child.pid) == (0, CONTENT[:8])
        child.stdin.close()
    one.ask(READ, file, 0, 8, tid=child.pid)  # gone: its descriptors give nothing any more
    assert [bool(code) for code in said] == [False, True, True, False, True, True, False]
    assert [row["process"] for row in one.rows() if row["op"] == "read"] == ["first"] * 3 + ["second"] * 3 + [
        "[gone]"
    ]


def test_a_descriptor_number_that_is_used_again_is_another_file(bench: Callable[[str], Bench]) -> None:
    one = bench("native")
    said = one.said[READ]
    me = os.getpid()
    for name in (b"/file", b"/other") * 3:
        file = one.monitor.open(name, os.O_RDONLY)[0]
        expected = (one.root / name[1:].decode()).read_bytes()[:5]
        assert [one.ask(READ, file, 0, 5, tid=me) for _ in range(2)] == [(0, expected)] * 2
        one.monitor.flush(file)
        one.monitor.release(file)
    assert [bool(code) for code in said] == [False, True] * 6
    assert [row["path"] for row in one.rows() if row["op"] == "read"] == (["file"] * 2 + ["other"] * 2) * 3


def test_a_segment_that_is_full_is_left_to_python(bench: Callable[[str], Bench]) -> None:
    one = bench("native")
    said = one.said[READ]
    me = os.getpid()
    file = one.monitor.open(b"/file", os.O_RDONLY)[0]
    count = SEGMENT + 100
    for number in range(count):
        assert one.ask(READ, file, number % 1_000, 4, tid=me)[0] == 0
    assert [number for number, code in enumerate(said) if not code] == [0, SEGMENT - 1]
    starts = [row["start"] for row in one.rows() if row["op"] == "read"]
    assert starts == [number % 1_000 for number in range(count)]


def test_a_call_of_several_requests_is_joined_by_python(bench: Callable[[str], Bench]) -> None:
    one = bench("native")
    said = one.said[READ]
    me = os.getpid()
    (one.root / "large").write_bytes(b"x" * (3 << 20))
    file = one.monitor.open(b"/large", os.O_RDONLY)[0]
    assert one.ask(READ, file, 0, 10, tid=me)[0] == 0
    assert one.ask(READ, file, 0, 10, tid=me)[0] == 0
    for number in range(2):
        assert one.ask(READ, file, number << 20, 1 << 20, tid=me)[0] == 0
    assert one.ask(READ, file, 2 << 20, 4_096, tid=me)[0] == 0  # the rest of a call, as far as anybody knows
    assert [bool(code) for code in said] == [False, True, False, False, False]


@pytest.mark.mount
@pytest.mark.parametrize("switch", ["0", "1"])
def test_a_real_program_under_a_mount(directory: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    monkeypatch.setenv("FMRW_NATIVE", switch)
    (directory / "data").write_bytes(CONTENT * 16)
    program = """
        import os, sys, threading
        fd = os.open(sys.argv[1], os.O_RDWR)
        def work(first):
            for number in range(200):
                at = (first + number * 7919) % 200_000
                block = os.pread(fd, 512, at)
                os.pwrite(fd, block, at)
        threads = [threading.Thread(target=work, args=(each,)) for each in (0, 11, 222)]
        for each in threads: each.start()
        for each in threads: each.join()
        """
    run = fmrw.run(
        [sys.executable, "-c", textwrap.dedent(program), str(directory / "data")], directory, reports="off"
    )
    assert run.status == 0
    assert (directory / "data").read_bytes() == CONTENT * 16
    events = run.trace.of("data")
    moved = events.filter(events["op"].is_in(["read", "write"]))
    wanted = sorted(
        (op, (first + number * 7919) % 200_000)
        for first in (0, 11, 222)
        for number in range(200)
        for op in ("read", "write")
    )
    assert sorted(moved.select("op", "start").rows()) == wanted
    assert set((moved["end"] - moved["start"]).to_list()) == {512}
    assert moved["call"].n_unique() == moved.height
