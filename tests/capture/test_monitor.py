"""Who did what to which file: processes, threads, names that change, files that move and vanish, options."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from namespaces import apart
from watching import one, python, shell, watch

import fmrw
from fmrw.capture.recorder.process import IGNORED, UNKNOWN, WRITEBACK, Identity, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[str], "Sleeper"]

pytestmark = pytest.mark.mount

FILE = "polyglot.pdf"


# Who


def test_a_shell_opens_and_its_child_reads(directory: Path) -> None:
    events = watch(directory, shell(f"exec 3< {FILE}; head -c 100 <&3; cat <&3")).events
    opened, first, second = (
        one(events, op="open"),
        one(events, process="head"),
        one(events, process="cat", start=100),
    )
    assert opened["process"] == "sh"
    assert len({opened["pid"], first["pid"], second["pid"]}) == 3
    assert {row["handle"] for row in (opened, first, second)} == {opened["handle"]}
    assert (first["start"], first["end"]) == (0, 100)
    assert set(events["errno"]) == {0}


def test_exec_changes_the_name_and_not_the_process(directory: Path) -> None:
    program = f"""
        f = os.open({FILE!r}, os.O_RDONLY); os.read(f, 10); os.set_inheritable(f, True); os.dup2(f, 0)
        os.execvp("cat", ["cat"])
        """
    trace = watch(directory, python(program))
    read = trace.events.filter(pl.col("op") == "read")
    assert read["process"][0].startswith("python")
    assert set(read["process"][1:]) == {"cat"}
    assert read["pid"].n_unique() == 1
    assert set(read["process"]) <= set(trace.processes["name"])


def test_a_thread_is_not_a_process(directory: Path) -> None:
    program = f"""
        import threading
        thread = threading.Thread(target=lambda: os.read(os.open({FILE!r}, os.O_RDONLY), 7)); thread.start(); thread.join()
        open("ids", "w").write(f"{{os.getpid()}} {{thread.native_id}}")
        """
    trace = watch(directory, python(program))
    process, thread = map(int, (directory / "ids").read_text().split())
    row = one(trace.events, op="read", path=FILE)
    assert process != thread
    assert (row["pid"], row["tid"]) == (process, thread)
    assert set(trace.processes["pid"]) == {process}
    assert one(trace.processes, tid=thread)["cmdline"].startswith(sys.executable)


def test_parents_and_programs_are_kept(directory: Path) -> None:
    processes = watch(directory, shell(f"cat {FILE} | cat > copy; true")).processes
    cat = processes.filter(pl.col("name") == "cat")
    assert (
        set(cat["ppid"]) == set(processes.filter(pl.col("name") == "sh")["pid"])
        or cat["ppid"].n_unique() == 1
    )
    assert {Path(exe).name for exe in cat["exe"]} == {Path(shutil.which("cat") or "").resolve().name}


class Notes:
    """Takes what `Processes` notes."""

    def __init__(self, ignored: tuple[int, ...] = (), own: int = 0) -> None:
        self.seen: dict[int, Identity] = {}
        self.processes = Processes(self.seen.__setitem__, ignored, own)

    def of(self, tid: int) -> Identity:
        return self.seen[self.processes.identify(tid)]


class Sleeper:
    """A process that is no child of ours, which would be taken for one of fmrw's own."""

    def __init__(self, program: str) -> None:
        script = f"{program} <&3 >/dev/null & echo $!; wait"
        self._parent = subprocess.Popen(
            ["sh", "-c", f"exec 3<&0; {script}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._parent.stdout is not None
        self.pid = int(self._parent.stdout.readline())
        while Path(f"/proc/{self.pid}/comm").read_text() != f"{program.split(maxsplit=1)[0]}\n":
            os.sched_yield()  # not yet executed

    def end(self) -> None:
        if self._parent.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._parent.communicate()


@pytest.fixture
def sleepers() -> Iterator[Callable[[str], Sleeper]]:
    started: list[Sleeper] = []

    def start(program: str) -> Sleeper:
        started.append(Sleeper(program))
        return started[-1]

    yield start
    for process in started:
        process.end()


def test_a_vanished_process_is_recorded_by_its_id(sleepers: Start) -> None:
    notes, process = Notes(), sleepers("sleep 1000")
    assert notes.of(process.pid).name == "sleep"
    process.end()
    assert notes.of(process.pid) == Identity(process.pid, process.pid, 0, "[gone]", "", "", "[gone]")


def test_an_id_that_is_used_again_is_not_the_old_process(sleepers: Start) -> None:
    notes, old, new = Notes(), sleepers("sleep 1000"), sleepers("cat")
    first = notes.processes.identify(old.pid)
    old.end()
    known = (
        notes.processes._known
    )  # what is known of the old process stands under the new one's id from here on
    known[new.pid] = known.pop(old.pid)
    second = notes.processes.identify(new.pid)
    assert second != first
    assert (notes.seen[second].name, notes.seen[second].pid) == ("cat", new.pid)
    assert notes.processes.identify(new.pid) == second, "one number for one thread under one name"


def test_what_is_told_to_be_ignored_and_we_ourselves_have_no_number(sleepers: Start) -> None:
    process = sleepers("sleep 1000")
    assert Notes((process.pid,)).processes.identify(process.pid) == IGNORED
    assert Notes(own=os.getpid()).processes.identify(os.getpid()) == IGNORED
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert Notes(own=os.getpid()).processes.identify(child.pid) == IGNORED
        assert Notes((os.getpid(),)).of(child.pid).pid == child.pid, "what `fmrw run` starts is not fmrw"
        child.communicate()
    assert Notes().of(os.getpid()).pid == os.getpid(), "with a loop in a thread"


def test_who_has_no_number_here_is_not_the_kernel() -> None:
    notes = Notes()
    assert notes.of(0).name == "unknown"
    assert notes.seen[WRITEBACK].name == "[writeback]"
    assert notes.processes.glimpse(0) == UNKNOWN


def test_what_is_not_looked_at_during_a_page_fault_is_looked_at_later(sleepers: Start) -> None:
    notes, process = Notes(), sleepers("sleep 1000")
    number = notes.processes.glimpse(process.pid)
    first = notes.seen[number]
    assert (first.pid, first.name, first.exe, first.cmdline) == (process.pid, "sleep", "", "")
    assert notes.processes.glimpse(process.pid) == number
    assert notes.seen[number] == first, "still not"
    assert notes.processes.identify(process.pid) == number
    assert notes.seen[number] == first._replace(exe=notes.seen[number].exe, cmdline="sleep 1000")
    assert Path(notes.seen[number].exe).name.startswith(("sleep", "coreutils"))


def test_a_thread_belongs_to_its_process_under_whatever_name(directory: Path) -> None:
    program = f"""
        import ctypes, threading
        name = lambda text: ctypes.CDLL(None).prctl(15, text, 0, 0, 0)
        f = os.open({FILE!r}, os.O_RDONLY); os.pread(f, 1, 0)
        turns = [threading.Event() for _ in range(3)]
        def work():
            name(b"parser-worker"); os.pread(f, 2, 0); turns[0].set(); turns[1].wait(); os.pread(f, 3, 0)
        thread = threading.Thread(target=work); thread.start(); turns[0].wait()
        name(b"renamed"); turns[1].set(); thread.join(); os.pread(f, 4, 0)
        """
    trace = watch(directory, python(program))
    read = trace.events.filter(pl.col("op") == "read")
    before = Path(sys.executable).name[:15]
    assert read.select("end", "process", "thread").rows() == [
        (1, before, before),
        (2, before, "parser-worker"),
        (3, "renamed", "parser-worker"),
        (4, "renamed", "renamed"),
    ]
    assert set(trace.processes["name"]) == {before, "renamed"}
    assert set(trace.processes["thread"]) == {before, "renamed", "parser-worker"}
    assert [run.name for run in (trace[before], trace["renamed"])] == [before, "renamed"]


@pytest.mark.root("a PID namespace is needed")
def test_a_reader_outside_of_the_pid_namespace_is_unknown(directory: Path, tmp_path: Path) -> None:
    program = """
        import sys, fmrw
        with fmrw.mount(sys.argv[1], output=sys.argv[2]):
            print("mounted", flush=True); sys.stdin.readline()
        """
    worker = subprocess.Popen(
        [*apart("-pf", "--mount-proc"), sys.executable, "-c", textwrap.dedent(program), directory, tmp_path / "out"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"mounted\n"
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    within = Path(f"/proc/{children[0]}/root")
    file = within / directory.relative_to("/") / FILE
    fd = os.open(file, os.O_RDWR)
    os.pread(fd, 100, 50)
    os.pwrite(fd, b"x", 3)
    os.close(fd)
    worker.communicate(b"\n")
    events = fmrw.load(tmp_path / "out").events
    assert set(events["op"]) == {"open", "read", "write", "close"}
    assert set(events["process"]) == {"unknown"}
    assert set(events["tid"]) == {0}


def test_descriptors_on_processes_are_bounded(monkeypatch: pytest.MonkeyPatch, sleepers: Start) -> None:
    monkeypatch.setattr("fmrw.capture.recorder.process._CACHED", 4)
    notes = Notes()
    alive = [sleepers("sleep 1000") for _ in range(7)]
    for process in alive * 2:
        assert notes.of(process.pid).pid == process.pid
        assert len(notes.processes._known) <= 4
    for tid in list(notes.processes._known):
        notes.processes._forget(tid)


def test_threads_that_are_gone_make_room_before_those_that_live(
    monkeypatch: pytest.MonkeyPatch, sleepers: Start
) -> None:
    monkeypatch.setattr("fmrw.capture.recorder.process._CACHED", 4)
    notes = Notes()
    alive = [sleepers("sleep 1000") for _ in range(2)]
    numbers = [notes.processes.identify(process.pid) for process in alive]
    for _ in range(9):
        short = sleepers("cat")
        notes.processes.identify(short.pid)
        short.end()
    assert [notes.processes.identify(process.pid) for process in alive] == numbers
    assert len(notes.processes._known) <= 4


def test_a_thread_that_takes_another_name_leaves_no_descriptor() -> None:
    def told() -> int:
        links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - names
        return sum(str(link.readlink()).endswith("/comm") for link in links if link.is_symlink())

    notes, counts, names = Notes(), [], []

    def work() -> None:
        for number in range(5):
            ctypes.CDLL(None).prctl(15, b"name %d" % number, 0, 0, 0)  # PR_SET_NAME
            names.append(notes.of(threading.get_native_id()).thread)
            counts.append(told())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert names == [f"name {number}" for number in range(5)]
    assert counts == [counts[0]] * 5, "one on the thread's name and one on its process's"


def test_fmrw_itself_never_appears(directory: Path) -> None:
    with fmrw.mount(directory) as mount:
        subprocess.run(["head", "-c", "10", FILE], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        assert (directory / f"{FILE}-heatmap.pdf").read_bytes().startswith(b"%PDF")
        assert (directory / f"{FILE}.csv").read_bytes().count(b"\n") == 2
        content = mount.trace.content(FILE)
        assert content is not None
        os.close(content)
        assert fmrw.load(directory).coverage(FILE).rows() == [(0, 10)]
    assert set(mount.trace.events["process"]) == {"head"}
    assert set(mount.trace.events["path"]) == {FILE}


# Which file


def test_a_file_that_was_only_renamed_keeps_its_size(directory: Path) -> None:
    size = (directory / FILE).stat().st_size
    (directory / "folder").mkdir()
    trace = watch(directory, python(f'os.rename({FILE!r}, "new"); os.rename("folder", "other")'))
    assert trace.size(FILE) == size
    assert trace.size("folder") == 0
    assert [trace.events.filter(op="rename")[name].to_list() for name in ("start", "end", "size")] == [
        [0, 0], [0, 0], [size, 0],
    ]  # fmt: skip


def test_an_open_file_keeps_its_path_when_it_is_renamed(directory: Path) -> None:
    program = f"""
        f = os.open({FILE!r}, os.O_RDWR); os.read(f, 1); os.rename({FILE!r}, "new"); os.read(f, 2)
        os.mkdir("d"); os.rename("new", "d/deep"); os.read(f, 4); os.rename("d", "e"); os.write(f, b"12345678")
        """
    trace = watch(directory, python(program))
    moved = trace.events.filter(pl.col("op").is_in(["read", "write"]))
    assert moved["path"].to_list() == [FILE, "new", "d/deep", "e/deep"]
    assert moved["end"].to_list() == [1, 3, 7, 15]
    renamed = [(entry["old"], entry["new"]) for entry in trace.facts["renames"]]
    assert renamed == [(FILE, "new"), ("new", "d/deep"), ("d", "e")]
    assert one(trace.events, op="close")["path"] == "e/deep"


def test_a_removed_file_that_is_open_keeps_its_path(directory: Path) -> None:
    program = f"""
        f = os.open({FILE!r}, os.O_RDWR); os.unlink({FILE!r}); os.pread(f, 10, 5); os.pwrite(f, b"x" * 100, 0)
        os.ftruncate(f, 7); assert os.fstat(f).st_nlink == 0 and os.fstat(f).st_size == 7
        g = os.open({FILE!r}, os.O_RDWR | os.O_CREAT | os.O_EXCL); os.write(g, b"new")
        """
    events = watch(directory, python(program)).events
    assert set(events["path"]) == {FILE}
    assert [op for op in events["op"] if op != "close"] == [
        "open",
        "unlink",
        "read",
        "write",
        "truncate",
        "open",
        "write",
    ]
    assert one(events, op="truncate")["end"] == 7
    assert events["handle"].n_unique() == 3, "two files and the name"
    assert (directory / FILE).read_bytes() == b"new"
    assert not list(directory.glob(".fuse_hidden*"))


def test_replacing_an_open_file(directory: Path) -> None:
    program = f"""
        f = os.open({FILE!r}, os.O_RDONLY); os.read(f, 3)
        g = os.open("next", os.O_RDWR | os.O_CREAT); os.write(g, b"next"); os.rename("next", {FILE!r})
        assert os.pread(f, 4, 0) == b"%PDF" and os.pread(g, 4, 0) == b"next"
        """
    events = watch(directory, python(program)).events
    assert not events["path"].str.contains("fuse_hidden").any()
    assert one(events, op="rename")["path"] == "next"
    assert one(events, op="read", handle=events["handle"].max())["path"] == FILE


def test_names_that_are_no_text(directory: Path) -> None:
    names = [b"caf\xe9.bin", "\U0001f4a9 \u202e\n.bin".encode(), b"a" * 255]
    for name in names:
        Path(os.fsdecode(os.fsencode(directory) + b"/" + name)).write_bytes(b"0123456789")
    trace = watch(directory, python(f"[os.read(os.open(name, os.O_RDONLY), 5) for name in {names!r}]"))
    assert trace.events["path"].unique(maintain_order=True).to_list() == [
        "caf\\xe9.bin",
        "\U0001f4a9 \\xe2\\x80\\xae\\x0a.bin",
        "a" * 255,
    ]
    for called in (
        "caf\\xe9.bin",
        os.fsdecode(names[0]),
        names[1].decode(),
    ):  # as shown, or as the file is called
        content = trace.content(called)
        assert content is not None
        assert os.read(content, 3) == b"012"
        os.close(content)


def test_a_sparse_file_beyond_4_gib(directory: Path) -> None:
    at = (1 << 33) + 12345
    program = f'f = os.open("sparse", os.O_RDWR | os.O_CREAT); os.pwrite(f, b"end", {at}); assert os.pread(f, 9, {at}) == b"end"'
    events = watch(directory, python(program)).events
    assert one(events, op="write")["start"] == at
    assert events["size"].max() == at + 3
    assert (directory / "sparse").stat().st_blocks < 100


def test_failures_have_an_errno(directory: Path) -> None:
    shutil.copy(shutil.which("sleep") or "", directory / "program")
    running = subprocess.Popen([str(directory / "program"), "1000"])
    try:
        program = """
            import errno
            try:
                os.open("program", os.O_WRONLY)
            except OSError as error:
                assert error.errno == errno.ETXTBSY
            """
        events = watch(directory, python(program)).events
    finally:
        running.kill()
        running.wait()
    row = one(events, op="open")
    assert (row["path"], row["errno"], row["handle"]) == ("program", errno.ETXTBSY, 0)


def test_columns_agree_with_each_other(directory: Path) -> None:
    with fmrw.mount(directory) as mount:
        subprocess.run(
            ["sh", "-c", f"cat {FILE} {FILE} > both; 7z l both; head -c 5 both"],
            cwd=directory,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    events = mount.trace.events
    assert events["seq"].is_sorted()
    assert events["seq"].is_unique().all()
    assert events["call"].is_unique().all()
    assert events.filter(pl.col("end") < pl.col("start")).is_empty()
    assert events.filter(pl.col("op") == "open")["handle"].is_unique().all()
    assert set(events.filter(pl.col("op") == "open")["handle"]) == set(
        events.filter(pl.col("op") == "close")["handle"]
    )
    assert events.filter(pl.col("op") == "read", pl.col("end") > pl.col("size")).is_empty()


# Options


def test_grain_sizes_the_buffers_of_programs(directory: Path) -> None:
    program = f'assert os.stat({FILE!r}).st_blksize == 512; open({FILE!r}, "rb").read(1)'
    events = watch(directory, python(program), grain=512).events
    assert one(events, op="read")["requested"] == 512
    events = watch(directory, python(f'open({FILE!r}, "rb").read(1)')).events
    assert one(events, op="read")["requested"] == (directory / FILE).stat().st_blksize


CHANGES = {
    "open": 'os.open("polyglot.pdf", os.O_WRONLY)',
    "create": 'os.open("new", os.O_CREAT | os.O_RDWR)',
    "truncate": 'os.truncate("polyglot.pdf", 0)',
    "unlink": 'os.unlink("polyglot.pdf")',
    "rename": 'os.rename("polyglot.pdf", "new")',
    "mkdir": 'os.mkdir("new")',
    "link": 'os.link("polyglot.pdf", "new")',
    "symlink": 'os.symlink("polyglot.pdf", "new")',
    "mkfifo": 'os.mkfifo("new")',
    "chmod": 'os.chmod("polyglot.pdf", 0)',
    "chown": 'os.chown("polyglot.pdf", 1, 1)',
    "utime": 'os.utime("polyglot.pdf")',
    "setxattr": 'os.setxattr("polyglot.pdf", "user.a", b"b")',
}


def test_read_only_refuses_every_change(directory: Path) -> None:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    tries = "".join(
        f"""
try:
    {change}
    print("{name} was let through")
except OSError as error:
    print("{name}", error.errno) if error.errno != {errno.EROFS} else None
"""
        for name, change in CHANGES.items()
    )
    with fmrw.mount(directory, read_only=True) as mount:
        done = subprocess.run(
            [sys.executable, "-c", f"import os\n{tries}\nopen('{FILE}', 'rb').read(9)"],
            cwd=directory,
            capture_output=True,
            check=True,
        )
    assert done.stdout == b""
    assert mount.trace.coverage(FILE).height == 1
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.parametrize(("capture", "fidelity"), [("exact", "byte"), ("paged", "page"), ("cached", "page")])
def test_fidelity(capture: str, fidelity: str, directory: Path) -> None:
    (directory / "big").write_bytes(bytes(1 << 20))
    program = 'f = os.open("big", os.O_RDONLY); os.pread(f, 300, 0); os.pread(f, 300, 0)'
    trace = watch(directory, python(program), capture=capture)
    read = trace.events.filter(pl.col("op") == "read")
    assert set(read["fidelity"]) == {fidelity}
    seen = {"exact": [(0, 300), (0, 300)], "paged": [(0, 4096)]}
    if capture in seen:
        assert read.select("start", "end").rows() == seen[capture]
    else:
        assert read["end"].max() > 4096, "the kernel reads ahead"
    assert trace.files["fidelity"].to_list() == [fidelity]
    assert trace.facts["guessed_calls"] == 0
