"""The same command under strace without a mount, and under fmrw: both must tell the same calls.

`read_strace` follows descriptors and offsets through the log by itself and shares nothing with the mount but the frame. What the
kernel does not pass on as the program asked — `sendfile`, `copy_file_range` — is measured and stated at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from witness import MOVED, told, under_fmrw, under_strace

import fmrw
from fmrw.analysis import ranges
from fmrw.formats.strace.log import read_strace

pytestmark = pytest.mark.mount

MiB = 1 << 20


@pytest.fixture
def twin(directory: Path, tmp_path: Path) -> Path:
    """The same directory once more, for the plain run."""
    return Path(shutil.copytree(directory, tmp_path / "twin", copy_function=shutil.copy2))


def per_thread(events: pl.DataFrame) -> Counter[tuple[str, tuple[Any, ...]]]:
    """Give what each thread did to each file, without saying which thread it was or who came first."""
    moved = events.filter(pl.col("op").is_in(MOVED))
    return Counter(
        (str(path), tuple(frame.select("process", "op", "start", "end").rows()))
        for (path, _tid), frame in moved.group_by("path", "tid", maintain_order=True)
    )


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"import os\nA = os.O_RDWR\n{program}", *arguments]


# Calls that parsers seldom make

PROGRAMS = {
    "a_million_bytes_are_one_call": """
        f = os.open("big", A)
        os.read(f, 1_000_000); os.read(f, 1_000_000); os.pread(f, 1_000_000, 13); os.read(f, 4_000_000)
        os.pwrite(f, bytes(1_000_000), 5); os.lseek(f, 77, 0); os.write(f, bytes(1_000_000)); os.read(f, 131072)
        os.pwrite(f, bytes(131073), 4095); os.pread(f, 126976, 1); os.pread(f, 126975, 1)
        """,
    "reading_over_the_end": """
        f = os.open("lines", A)
        size = os.fstat(f).st_size
        os.pread(f, 1000, size - 10); os.pread(f, 1000, size); os.pread(f, 1_000_000, size - 10)
        os.pread(f, 1_000_000, 0); os.pread(f, 10, size + 5000)
        """,
    "vectors": """
        f = os.open("big", A)
        os.readv(f, [bytearray(3), bytearray(5000)]); os.preadv(f, [bytearray(9)] * 20, 99)
        os.writev(f, [b"ab", b"cd"]); os.pwritev(f, [b"x" * 100, b"y"], 4000)
        """,
    "vectors_larger_than_a_request": """
        f = os.open("big", A)
        os.preadv(f, [bytearray(10), bytearray(20), bytearray(200_000)], 7)
        os.preadv(f, [bytearray(1000)] * 300, 7)
        os.preadv(f, [bytearray(5)] * 3, 7); os.preadv(f, [bytearray(1)] * 1000, 7); os.preadv(f, [bytearray(100)] * 9, 1)
        os.readv(f, [bytearray(300), bytearray(1_000_000)]); os.readv(f, [bytearray(10)] * 500)
        os.pwritev(f, [b"a" * 10, b"b" * 300_000], 77); os.pwritev(f, [b"c" * 100] * 1000, 5)
        os.writev(f, [b"x" * 500, b"y" * 300_000])
        """,
    "appending": """
        a = os.open("lines", os.O_WRONLY | os.O_APPEND); b = os.open("lines", os.O_RDWR | os.O_APPEND)
        os.write(a, b"one"); os.write(b, b"two"); os.lseek(a, 0, 0); os.write(a, b"three" * 100_000)
        os.read(b, 10); os.write(b, b"end")
        """,
    "a_child_goes_on_where_its_parent_stopped": """
        f = os.open("big", A); os.read(f, 100)
        if not os.fork():
            os.read(f, 300_000); os._exit(0)
        os.wait(); os.read(f, 50)
        """,
    "a_duplicate_shares_the_offset": """
        f = os.open("big", A); g = os.dup(f); os.read(f, 10); os.read(g, 20); os.lseek(g, 5000, 1); os.read(f, 30)
        os.read(os.open("big", A), 40)
        """,
    "truncating": """
        f = os.open("lines", A | os.O_TRUNC); os.write(f, b"new"); os.ftruncate(f, 100_000); os.pread(f, 70_000, 0)
        os.truncate("big", 1000); g = os.open("big", A); os.read(g, 5000); os.read(g, 5000)
        """,
    "a_thread_with_a_name": """
        import ctypes, threading; f = os.open("big", A); os.read(f, 1)
        def work():
            os.read(f, 2); ctypes.CDLL(None).prctl(15, b"parser-worker", 0, 0, 0); os.read(f, 3)
        thread = threading.Thread(target=work); thread.start(); thread.join(); os.read(f, 4)
        """,
    "the_name_of_a_thread": """
        import ctypes; f = os.open("big", A); os.read(f, 1)
        ctypes.CDLL(None).prctl(15, b"another name", 0, 0, 0); os.read(f, 2)
        """,
}


def program(name: str) -> list[str]:
    return python(textwrap.dedent(PROGRAMS[name]))


@pytest.fixture
def material(directory: Path) -> Path:
    (directory / "big").write_bytes(bytes(range(256)) * 12_000)
    (directory / "lines").write_text("".join(f"line {number}\n" for number in range(3000)))
    return directory


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str, directory: Path, twin: Path) -> None:
    plain = under_strace(program(name), twin)
    watched = under_fmrw(program(name), directory)
    assert told(plain), "the program touched nothing; it cannot witness"
    assert told(watched, "requested", "thread") == told(plain, "requested", "thread")
    for path in told(plain):
        assert (directory / path).read_bytes() == (twin / path).read_bytes()


@pytest.mark.usefixtures("material")
@pytest.mark.parametrize("name", ["a_million_bytes_are_one_call", "vectors_larger_than_a_request"])
def test_where_the_kernel_puts_32_pages_into_a_request(
    name: str, directory: Path, twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kernels before 4.20 do; the others put 256."""
    monkeypatch.setattr("fmrw.capture.fuse.loop.most_fuse_pages", lambda: 32)
    plain = under_strace(program(name), twin)
    with fmrw.mount(directory, worker="thread") as mount:
        subprocess.run(program(name), cwd=directory, check=True)
    assert told(mount.trace.events, "requested") == told(plain, "requested")


def test_threads(directory: Path, material: Path, twin: Path) -> None:
    reader = """
        import threading
        def read(first):
            f = os.open("big", os.O_RDONLY)
            for at in range(first, 2_000_000, 400_000):
                os.pread(f, 150_000 + first, at)
        threads = [threading.Thread(target=read, args=(n,)) for n in range(6)]
        [t.start() for t in threads]; [t.join() for t in threads]
        """
    shutil.copy(material / "big", twin)
    command = python(textwrap.dedent(reader))
    plain, watched = under_strace(command, twin), under_fmrw(command, directory)
    assert per_thread(watched) == per_thread(plain)
    assert watched["pid"].n_unique() == 1
    assert watched.filter(pl.col("op") == "read")["tid"].n_unique() == 6


@pytest.mark.usefixtures("material")
def test_processes_at_the_same_time(directory: Path, twin: Path) -> None:
    writers = """
        for n in range(4):
            if not os.fork():
                f = os.open(f"own{n}", A | os.O_CREAT); b = os.open("lines", os.O_RDONLY)
                for k in range(20):
                    os.write(f, bytes(1000 + n)); os.pread(b, 77 + n, 100 * k)
                os._exit(0)
        [os.wait() for n in range(4)]
        """
    command = python(textwrap.dedent(writers))
    shutil.copy(directory / "lines", twin)
    plain, watched = under_strace(command, twin), under_fmrw(command, directory)
    assert per_thread(watched) == per_thread(plain)
    assert watched.filter(pl.col("op") == "write")["pid"].n_unique() == 4


@pytest.mark.usefixtures("material")
def test_appends_at_the_same_time_are_recorded_where_they_landed(directory: Path) -> None:
    writers = """
        for n in range(4):
            if not os.fork():
                f = os.open("lines", os.O_WRONLY | os.O_APPEND)
                [os.write(f, bytes([65 + n]) * (10 + n)) for k in range(50)]
                os._exit(0)
        [os.wait() for n in range(4)]
        """
    before = (directory / "lines").stat().st_size
    watched = (
        under_fmrw(python(textwrap.dedent(writers)), directory).filter(pl.col("op") == "write").sort("start")
    )
    content = (directory / "lines").read_bytes()
    assert watched.height == 200
    ranges = watched.select("start", "end").rows()
    assert [start for start, _ in ranges] == [before, *(end for _, end in ranges[:-1])]
    assert ranges[-1][1] == len(content)
    assert all(len(set(content[start:end])) == 1 for start, end in ranges)


def test_the_same_run_is_told_alike_with_the_same_thread_ids(directory: Path, tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    watched = under_fmrw(["strace", "-f", "-y", "-o", str(log), "unzip", "-p", "polyglot.pdf"], directory)
    chosen = ("pid", "tid", "process", "op", "start", "end", "requested")
    both = [
        events.filter(pl.col("op") == "read").select(chosen).rows()
        for events in (watched, read_strace(log, root=directory))
    ]
    assert both[0] == both[1]
    assert both[0]


# What the kernel does not pass on as the program asked


def test_reading_nothing_is_not_seen(directory: Path) -> None:
    watched = under_fmrw(
        python('f = os.open("polyglot.pdf", A); os.pread(f, 0, 5); os.preadv(f, [], 5)'), directory
    )
    assert told(watched) == {}


@pytest.mark.usefixtures("material")
def test_sendfile_reads_through_the_page_cache(directory: Path, tmp_path: Path) -> None:
    """What it takes is in the log, page-granular with what was read ahead; what it gives is byte-exact, in pieces."""
    program = """
        import sys
        i = os.open("big", os.O_RDONLY); o = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
        assert os.sendfile(o, i, 100, 300_000) == 300_000
        o = os.open("copy", os.O_WRONLY | os.O_CREAT); assert os.sendfile(o, i, 1_000_000, 300_000) == 300_000
        """
    watched = under_fmrw(python(textwrap.dedent(program), str(tmp_path / "outside")), directory)
    read = watched.filter(pl.col("op") == "read")
    assert set(read["fidelity"]) == {"page"}
    assert set(read["start"] % 4096) == {0}
    assert _covers(read, [(100, 300_100), (1_000_000, 1_300_000)])
    written = told(watched)["copy"]
    assert written[0][2] == 0
    assert [row[2] for row in written[1:]] == [row[3] for row in written[:-1]]
    assert written[-1][3] == 300_000
    assert set(watched.filter(pl.col("op") == "write")["fidelity"]) == {"byte"}


@pytest.mark.usefixtures("material")
def test_copy_file_range_is_seen_as_reads_and_writes(directory: Path) -> None:
    """libfuse 2 has no such operation: the kernel copies through pages, so the read side is page-granular."""
    program = """
        i = os.open("big", os.O_RDONLY); o = os.open("copy", os.O_WRONLY | os.O_CREAT)
        assert os.copy_file_range(i, o, 300_000, 100, 200) == 300_000
        """
    watched = under_fmrw(python(textwrap.dedent(program)), directory)
    read, written = (watched.filter(pl.col("op") == op) for op in ("read", "write"))
    assert set(read["fidelity"]) == {"page"}
    assert _covers(read, [(100, 300_100)])
    assert (written["start"][0], written["end"][-1]) == (200, 300_200)
    assert (directory / "copy").read_bytes()[200:] == (directory / "big").read_bytes()[100:300_100]


def _covers(events: pl.DataFrame, wanted: list[tuple[int, int]]) -> bool:
    covered = ranges.merge(events).rows()
    return all(any(low <= start and end <= high for low, high in covered) for start, end in wanted)


@pytest.mark.usefixtures("material")
def test_what_is_executed_or_mapped_privately_is_page_granular(directory: Path) -> None:
    shutil.copy(shutil.which("true") or "/bin/true", directory / "program")
    done = fmrw.run([str(directory / "program")], directory)
    assert done.status == 0
    read = done.trace.events.filter(pl.col("op") == "read")
    assert {"byte", "page"} == set(read["fidelity"]), "the header is read to the byte, the rest is mapped"
