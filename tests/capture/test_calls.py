"""Which call it was: 32-bit programs, requests of libaio and io_uring, names made by them, calls that nobody may look at."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import polars as pl
import pytest
from compiler import WIDTHS

import fmrw
from fmrw.capture.recorder import calls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Built = Callable[[str, int], str]

pytestmark = pytest.mark.mount

MiB = 1 << 20
WAYS = ("aio", "ring", "worker")


@pytest.fixture(autouse=True)
def big(directory: Path) -> Path:
    (directory / "big").write_bytes(bytes(range(256)) * (10 * MiB // 256))
    return directory / "big"


def watched(command: list[str], directory: Path) -> fmrw.Trace:
    with fmrw.mount(directory, reports="beside") as mount:
        subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    assert mount.trace.facts["faults"] == 0
    return mount.trace


def moved(trace: fmrw.Trace) -> list[tuple[str, int, int, int]]:
    events = trace.events.filter(pl.col("op").is_in(["read", "write"]))
    return events.select("op", "start", "end", "requested").rows()


@pytest.mark.parametrize("bits", WIDTHS)
def test_calls_of_a_program(bits: int, built: Built, directory: Path) -> None:
    trace = watched([built("calls", bits), "big"], directory)
    expected = [(n * MiB, MiB) for n in range(4)] + [(n * 300_000, 300_000) for n in range(3)]
    expected += [(5_000_000, 2_000_000), (7_000_000, 100), (13, 1_500_011), (1_500_024, 10)]
    assert moved(trace)[:-1] == [("read", start, start + size, size) for start, size in expected]
    assert moved(trace)[-1] == ("write", 0, 4, 4)
    assert trace.facts["guessed_calls"] == 0
    assert (directory / "big.csv").read_bytes() == b"mine", "a report does not stand in its way"


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("operation", ["read", "readv", "write", "writev"])
@pytest.mark.parametrize("way", WAYS)
def test_requests_that_are_submitted_are_rows_of_their_own(
    way: str, operation: str, bits: int, built: Built, directory: Path
) -> None:
    program = built("asynchronous", bits)
    op = operation.removesuffix("v")
    for size, count in ((1000, 4), (MiB, 4), (2_500_000, 3)):
        trace = watched([program, f"{way}-{operation}", "big", str(size), str(count)], directory)
        assert moved(trace) == [(op, n * size, (n + 1) * size, size) for n in range(count)]
        assert trace.facts["guessed_calls"] == 0


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_worker_of_io_uring_makes_a_file_where_a_report_would_be(
    bits: int, built: Built, directory: Path
) -> None:
    with fmrw.mount(directory, reports="beside"):
        assert (directory / "big.csv").read_bytes(), "the report"
        said = subprocess.run(
            [built("asynchronous", bits), "worker-create", "big.csv"],
            cwd=directory, check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert int(said.stdout) > 0, "a descriptor"
        assert (directory / "big.csv").read_bytes() == b""
    assert (directory / "big.csv").exists()


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_width_of_a_program(bits: int, built: Built) -> None:
    with subprocess.Popen(
        [built("calls", bits), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.read(1) == b"r", "it runs"
        assert calls.is_narrow(program.pid) is (bits == 32)
        program.communicate(b"\n")


# Where nobody may look


ALIGNED = """
    import mmap, os
    f = os.open("big", os.O_RDONLY)
    page = memoryview(mmap.mmap(-1, 8 << 20)); odd = page[16:]
    """
GUESSES = {
    "a_large_call": ("os.preadv(f, [odd[:2_000_000]], 0)", [(0, 2_000_000)]),
    "and_small_ones_behind_it": (
        "os.preadv(f, [odd[:2_000_000]], 0); os.pread(f, 100, 2_000_000); os.pread(f, 100, 2_000_100)",
        [(0, 2_000_000), (2_000_000, 2_000_100), (2_000_100, 2_000_200)],
    ),
    "small_ones_behind_a_whole_page": (
        "os.preadv(f, [page[:1 << 20]], 0); os.pread(f, 100, 1 << 20); os.pread(f, 4096, (1 << 20) + 100)",
        [(0, MiB), (MiB, MiB + 100), (MiB + 100, MiB + 4196)],
    ),
    "the_small_rest_of_one_that_was_cut": ("os.preadv(f, [odd[:1 << 20]], 0)", [(0, MiB)]),
    "elsewhere": (
        "os.preadv(f, [odd[:1 << 20]], 0); os.preadv(f, [odd[:1 << 20]], 3 << 20)",
        [(0, MiB), (3 * MiB, 4 * MiB)],
    ),
}


@pytest.mark.parametrize("name", GUESSES)
def test_pieces_are_joined_where_nobody_may_look(
    name: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls.Calls, "_line", lambda _self, _tid: b"")
    program, expected = GUESSES[name]
    with fmrw.mount(directory, worker="thread") as mount:
        subprocess.run([sys.executable, "-c", textwrap.dedent(ALIGNED) + program], cwd=directory, check=True)
    assert [(start, end) for _op, start, end, _requested in moved(mount.trace)] == expected
    assert mount.trace.facts["guessed_calls"] > 0


@pytest.mark.parametrize(("size", "guesses"), [(MiB - 8192, 0), (MiB - 4096, 1), (MiB, 1)])
def test_a_piece_is_full_but_for_a_page_where_nobody_may_look(
    size: int, guesses: int, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buffer that does not begin with a page loses up to one; what lacks more is whole, and no guess."""
    monkeypatch.setattr(calls.Calls, "_line", lambda _self, _tid: b"")
    program = f"os.preadv(f, [page[:{size}]], 0); os.preadv(f, [page[:300_000]], {size})"
    with fmrw.mount(directory, worker="thread") as mount:
        subprocess.run([sys.executable, "-c", textwrap.dedent(ALIGNED) + program], cwd=directory, check=True)
    assert mount.trace.facts["guessed_calls"] == guesses
    joined = [(0, size + 300_000)] if guesses else [(0, size), (size, size + 300_000)]
    assert [(start, end) for _op, start, end, _requested in moved(mount.trace)] == joined


def test_a_call_that_is_not_known_is_no_guess(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"9999 0x3 0x7f0000000000 0x1 0x0 0x0 0x0 0x7ffe10000000 0x7f0012000000\n"
    monkeypatch.setattr(calls.Calls, "_line", lambda _self, _tid: line)
    program = "os.preadv(f, [page[:1 << 20]], 0); os.preadv(f, [page[:1 << 20]], 1 << 20)"
    with fmrw.mount(directory, worker="thread") as mount:
        subprocess.run([sys.executable, "-c", textwrap.dedent(ALIGNED) + program], cwd=directory, check=True)
    assert [(start, end) for _op, start, end, _requested in moved(mount.trace)] == [(0, MiB), (MiB, 2 * MiB)]
    assert mount.trace.facts["guessed_calls"] == 0


def test_a_thread_that_is_on_its_way_is_looked_at_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = calls.Calls._line, iter(range(1_000_000))

    def line(self: calls.Calls, tid: int) -> bytes:
        return real(self, tid) if next(looks) % 3 == 2 else b"running\n"

    monkeypatch.setattr(calls.Calls, "_line", line)
    program = "[os.preadv(f, [odd[:1 << 20]], n << 20) for n in range(4)]"
    with fmrw.mount(directory, worker="thread") as mount:
        subprocess.run([sys.executable, "-c", textwrap.dedent(ALIGNED) + program], cwd=directory, check=True)
    assert [(start, end) for _op, start, end, _requested in moved(mount.trace)] == [
        (n * MiB, (n + 1) * MiB) for n in range(4)
    ]


def test_descriptors_on_calls_are_bounded_and_go_with_who_kept_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_KEPT", 4)
    kept = calls.Calls()
    children = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(7)]
    for child in children * 2:
        assert kept._line(child.pid)
        assert len(kept._files) <= 4
    children[-1].communicate()
    assert kept._line(children[-1].pid) == b"", "it is gone"
    open_still = list(kept._files.values())
    assert len(open_still) == 3
    del kept
    for fd in open_still:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    for child in children[:-1]:
        child.communicate()
