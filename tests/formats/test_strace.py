from __future__ import annotations

import datetime as dt
import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import fmrw
from fmrw.commands.file_tables import exactness_of
from fmrw.commands.query import told_of
from fmrw.commands.tables import trace_tables
from fmrw.errors import BadInput
from fmrw.formats.strace import log as stracelog
from fmrw.formats.strace.line import number
from fmrw.formats.strace.log import beneath, read_log, read_strace
from fmrw.session import charts, reports
from fmrw.session.verbs import compare
from fmrw.text import path_text
from fmrw.trace import schema, store
from fmrw.trace.exactness import MAPPED
from fmrw.trace.foreign import DamagedWarning

DATA = Path(__file__).parents[2] / "data"
SIZE = 100_000
Move = tuple[str, str, int, int]  # process, op, start, end


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(SIZE))
    return folder


def trace(
    folder: Path, *command: str | Path, options: tuple[str, ...] = ("-f", "-y"), stderr: bool = False
) -> Path:
    """Run a command in the folder under strace; the log goes to a file, or to standard error as without `-o`."""
    log = folder.parent / "log"
    to = () if stderr else ("-o", log)
    done = subprocess.run(["strace", *options, *to, *command], cwd=folder, capture_output=True, check=True)
    if stderr:
        log.write_bytes(done.stderr)
    return log


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", "import os\n" + textwrap.dedent(code))


def moves(events: pl.DataFrame, path: str = "data") -> list[Move]:
    wanted = events.filter(pl.col("op").is_in(["read", "write"]), path=path)
    return wanted.select("process", "op", "start", "end").rows()


def ranges(events: pl.DataFrame, path: str = "data") -> list[tuple[str, int, int]]:
    return [(op, start, end) for _, op, start, end in moves(events, path)]


# Real programs


def test_every_way_to_read(folder: Path) -> None:
    code = """
        fd = os.open("data", os.O_RDONLY)
        os.read(fd, 100); os.pread(fd, 7, 5000); os.read(fd, 50)
        os.readv(fd, [bytearray(10), bytearray(20)]); os.preadv(fd, [bytearray(3), bytearray(4)], 9)
        os.lseek(fd, -10, os.SEEK_END); os.read(fd, 100); os.read(fd, 100)
        os.lseek(fd, 40, os.SEEK_SET); os.lseek(fd, 2, os.SEEK_CUR); os.read(fd, 1)
    """
    got = read_strace(trace(folder, *python(code)), folder)
    assert ranges(got) == [
        ("read", 0, 100), ("read", 5000, 5007), ("read", 100, 150), ("read", 150, 180), ("read", 9, 16),
        ("read", SIZE - 10, SIZE), ("read", SIZE, SIZE), ("read", 42, 43),
    ]  # fmt: skip
    reads = got.filter(op="read")
    assert reads["requested"].to_list() == [100, 7, 50, 30, 7, 100, 100, 1]
    assert set(reads["size"]) == {SIZE}
    assert reads["handle"].n_unique() == 1
    assert got.filter(path="data")["op"].to_list() == ["open", *["read"] * 8, "close"]
    assert got.schema == schema.EVENTS


def test_every_way_to_write(folder: Path) -> None:
    code = """
        fd = os.open("out", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.write(fd, b"x" * 10); os.pwrite(fd, b"y" * 5, 100); os.writev(fd, [b"a", b"bc"]); os.pwritev(fd, [b"d"], 3)
        os.ftruncate(fd, 20); os.write(fd, b"z"); os.truncate("out", 5)
        again = os.open("out", os.O_WRONLY | os.O_APPEND)
        os.write(again, b"12"); os.write(fd, b"w"); os.write(again, b"3"); os.pwrite(again, b"end", 0)
    """
    got = read_strace(trace(folder, *python(code)), folder)
    assert ranges(got, "out") == [
        ("write", 0, 10), ("write", 100, 105), ("write", 10, 13), ("write", 3, 4), ("write", 13, 14),
        ("write", 5, 7), ("write", 14, 15), ("write", 15, 16), ("write", 16, 19),
    ]  # fmt: skip
    assert got.filter(op="truncate")["end"].to_list() == [0, 20, 5]
    assert got.filter(path="out", op="write")["size"].to_list() == [10, 105, 105, 105, 20, 7, 15, 16, 19]
    assert (folder / "out").stat().st_size == 19


def test_files_that_are_mapped_are_named(folder: Path) -> None:
    code = """
        import mmap
        fd = os.open("data", os.O_RDONLY); mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        mmap.mmap(-1, 4096); os.read(os.open("other", os.O_RDONLY), 1)
    """
    (folder / "other").write_bytes(b"12345")
    log = trace(folder, *python(code))
    assert read_log(log, folder).mapped == ["data"]
    assert {str(folder / "data")} == {each for each in read_log(log).mapped if each.startswith(str(folder))}
    trace_ = fmrw.load(log, root=folder)
    assert ["mapped" in trace_.coverage_report(name) for name in ("data", "other")] == [True, False]
    assert "by no call, but mapped" in exactness_of(trace_.coverage_report("data"))
    assert "also mapped" not in exactness_of(trace_.coverage_report("other"))
    (row,) = trace_.gap_report("data").iter_rows(named=True)
    assert row["note"].endswith("but it was mapped, and may have been read so")
    assert "mapped" not in str(trace_.gap_report("other")["note"].to_list())
    assert fmrw.load(trace_.save(folder / "kept")).coverage_report("data")["mapped"]
    shown = charts.about(trace_, "data")
    assert (shown.capture, shown.mapped, charts.about(trace_, "other").mapped) == ("strace", True, False)
    assert shown.metadata()["mapped"] == MAPPED
    assert shown.date is None  # a log without times
    data = json.loads(json.dumps(told_of(trace_), default=str))
    assert data["mapped"] == ["data"]
    page = io.StringIO()
    Console(file=page, width=200).print(*trace_tables(trace_), sep="\n")
    said = [line.strip() for line in page.getvalue().splitlines()]
    assert [line for line in said if "(mapped)" in line and line.startswith("other")] == []
    assert len([line for line in said if "(mapped)" in line and line.startswith("data")]) == 1
    assert f"(mapped) {MAPPED}: data" in said
    (written,) = reports.write(trace_, folder / "reports", ["perfetto"])
    rows = json.loads(written.read_text())
    assert MAPPED in rows["otherData"]["exactness"]
    assert [r["args"]["name"] for r in rows["traceEvents"] if r["name"] == "thread_name"][:2] == [
        "data (mapped)",
        "other",
    ]


def test_a_set_of_recordings_knows_of_the_maps_of_each(folder: Path) -> None:
    log = trace(
        folder, *python('import mmap; mmap.mmap(os.open("data", os.O_RDONLY), 0, prot=mmap.PROT_READ)')
    )
    fmrw.load(log, root=folder).save(folder / "sessions" / "one")
    code = 'os.read(os.open("data", os.O_RDONLY), 9)'
    fmrw.load(trace(folder, *python(code)), root=folder).save(folder / "sessions" / "two")
    both = fmrw.load(folder / "sessions")
    assert both.coverage_report("data")["mapped"]
    assert "also mapped" in fmrw.browse(both).text()
    found = compare(str(folder / "sessions" / "one"), str(folder / "sessions" / "two"), "data")
    assert found.mapped
    assert not compare(str(folder / "sessions" / "two"), str(folder / "sessions" / "two"), "data").mapped


@pytest.mark.parametrize("mapped", [5, "data", ["data", 5], {"data": 1}, None])
def test_a_strangers_list_of_maps_is_a_list_of_names_or_none(tmp_path: Path, mapped: object) -> None:
    folder = tmp_path / "session"
    store.create(folder, {"root": "/", "mapped": mapped})
    assert "mapped" not in store.read_facts(folder)


def test_gaps_of_a_log_without_a_root_are_described_by_the_files_content(folder: Path) -> None:
    shutil.copy(DATA / "hidden-png.zip", folder)
    log = trace(
        folder, *python('fd = os.open("hidden-png.zip", os.O_RDONLY); os.fstat(fd); os.read(fd, 100)')
    )
    path = folder / "hidden-png.zip"
    report = fmrw.load(log).gap_report(path)
    assert report.rows() == fmrw.load(log, root=folder).gap_report("hidden-png.zip").rows()
    assert report["start"].to_list() == [100]
    assert report["entropy"].null_count() == 0
    path.unlink()
    assert fmrw.load(log).gap_report(path)["entropy"].null_count() == 1


def test_relative_names_in_a_directory_that_is_not_told_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        'openat(AT_FDCWD, "a", O_RDONLY) = 3\nread(3, "x", 9) = 1\nopenat(AT_FDCWD, "/b", O_RDONLY) = 4\nread(4, "x", 9) = 1\n'
    )
    with pytest.warns(DamagedWarning, match="1 file opened by a relative name left out.*strace -f -y"):
        assert read_strace(log)["path"].unique().to_list() == ["/b"]
    log.write_text('chdir("/there") = 0\nopenat(AT_FDCWD, "a", O_RDONLY) = 3\nread(3, "x", 9) = 1\n')
    assert read_strace(log)["path"].unique().to_list() == ["/there/a"]


def test_an_append_is_placed_by_a_stat_by_absence_or_by_a_given_size(folder: Path) -> None:
    code = """
        for name in ("data", "new"):
            try: os.stat(name)
            except FileNotFoundError: pass
            os.write(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"abc")
        os.write(os.open("other", os.O_WRONLY | os.O_APPEND), b"abc")
    """
    (folder / "other").write_bytes(b"12345")
    log = trace(folder, *python(code))
    with pytest.warns(DamagedWarning, match="other was appended to before its size was known"):
        read_strace(log, folder)
    got = read_strace(log, folder, sizes={str(folder / "other"): 5})
    assert ranges(got) == [("write", SIZE, SIZE + 3)]
    assert ranges(got, "new") == [("write", 0, 3)]
    assert ranges(got, "other") == [("write", 5, 8)]


def test_copies_inside_the_kernel(folder: Path) -> None:
    code = """
        source, target = os.open("data", os.O_RDONLY), os.open("out", os.O_RDWR | os.O_CREAT)
        os.sendfile(target, source, 5, 1000); os.sendfile(target, source, None, 10)
        os.copy_file_range(source, target, 100, 200, 50); os.copy_file_range(source, target, 30)
        one, other = os.pipe()
        os.splice(source, other, 64, offset_src=7); os.splice(one, target, 64)
    """
    got = read_strace(trace(folder, *python(code)), folder)
    assert ranges(got) == [
        ("read", 5, 1005),
        ("read", 0, 10),
        ("read", 200, 300),
        ("read", 10, 40),
        ("read", 7, 71),
    ]
    assert ranges(got, "out") == [
        ("write", 0, 1000), ("write", 1000, 1010), ("write", 50, 150), ("write", 1010, 1040), ("write", 1040, 1104),
    ]  # fmt: skip


def test_descriptors_share_an_offset_through_dup_fork_and_threads(folder: Path) -> None:
    code = """
        import fcntl, threading
        fd = os.open("data", os.O_RDONLY)
        os.read(os.dup(fd), 10); os.dup2(fd, 50); os.read(50, 10); os.close(fd)
        fd = fcntl.fcntl(50, fcntl.F_DUPFD, 70); os.read(70, 10)
        for work in (lambda: os.read(50, 5), lambda: os.close(50)):
            thread = threading.Thread(target=work); thread.start(); thread.join()
        if os.fork() == 0:
            os.read(70, 100); os.lseek(70, 1000, 0); os.close(70); os._exit(0)
        os.wait(); os.read(70, 1)
    """
    got = read_strace(trace(folder, *python(code)), folder)
    assert ranges(got) == [
        ("read", 0, 10), ("read", 10, 20), ("read", 20, 30), ("read", 30, 35), ("read", 35, 135), ("read", 1000, 1001),
    ]  # fmt: skip
    assert got.filter(op="open").height == got.filter(op="close").height == 1
    reads = got.filter(op="read")
    assert reads["handle"].n_unique() == 1
    main = reads["pid"][0]
    assert [pid == main for pid in reads["pid"]] == [True, True, True, True, False, True]
    assert [tid == main for tid in reads["tid"]] == [True, True, True, False, False, True]


def test_many_processes_at_once_interleave_without_confusion(folder: Path) -> None:
    code = """
        children = []
        for child in range(8):
            pid = os.fork()
            if pid == 0:
                fd = os.open("data", os.O_RDONLY)
                os.lseek(fd, child * 1000, 0)
                for step in range(50): os.read(fd, child + 1)
                os._exit(0)
            children.append(pid)
        for pid in children: os.waitpid(pid, 0)
    """
    got = read_strace(trace(folder, *python(code)), folder).filter(op="read", path="data")
    for _, of_child in got.group_by("pid"):
        first, step = of_child["start"][0], of_child["end"][0] - of_child["start"][0]
        assert of_child["start"].to_list() == [first + step * at for at in range(50)]
        assert first == (step - 1) * 1000
    assert got["pid"].n_unique() == 8


def test_names_follow_execve_prctl_and_inherited_descriptors(folder: Path) -> None:
    script = folder.parent / "a-script-with-a-long-name"
    script.write_text("#!/bin/sh\nread line < data\nhead -c 7 <&3 >/dev/null\n")
    script.chmod(0o755)
    code = f"""
        import ctypes
        fd = os.open("data", os.O_RDONLY)
        os.read(fd, 10); ctypes.CDLL(None).prctl(15, b"renamed-to-something"); os.read(fd, 10)
        hidden = os.open("data", os.O_RDONLY)
        os.dup2(fd, 3); os.set_inheritable(3, True); os.execv({str(script)!r}, ["x"])
    """
    (folder / "data").write_bytes(b"first line\nsecond line\n" * 100)
    got = moves(read_strace(trace(folder, *python(code)), folder))
    own = os.path.basename(sys.executable)[:15]  # noqa: PTH119 - as the kernel does it
    assert got[:2] == [(own, "read", 0, 10), ("renamed-to-some", "read", 10, 20)]
    assert {process for process, *_ in got[2:-1]} == {"a-script-with-a"}
    assert got[-1] == ("head", "read", 20, 27)


@pytest.mark.parametrize(("first", "line"), [("pause();", ""), ("for (;;);", "<pid changed to ")])
def test_an_execve_beside_the_first_thread(folder: Path, first: str, line: str) -> None:
    source, program = folder.parent / "beside.c", folder.parent / "beside"
    source.write_text(
        """
        #include <fcntl.h>
        #include <pthread.h>
        #include <unistd.h>
        static volatile int created; /* the first thread is in no call of its own any more */
        static void *run(void *fd) {
            char byte[9];
            read(*(int *)fd, byte, 9);
            dup2(*(int *)fd, 0);
            while (!created);
            execl("/bin/head", "head", "-c", "5", (char *)0);
            return fd;
        }
        int main(void) {
            int fd = open("data", O_RDONLY);
            pthread_t thread;
            pthread_create(&thread, 0, run, &fd);
            created = 1;
            FIRST
        }
    """.replace("FIRST", first)
    )
    subprocess.run(["cc", "-w", "-o", program, source, "-pthread"], check=True)
    log = trace(folder, program)
    got = read_strace(log, folder).filter(op="read")
    assert moves(got) == [("beside", "read", 0, 9), ("head", "read", 9, 14)]
    begun = next(text for text in log.read_text().splitlines() if 'execve("/bin/head"' in text)
    assert line in begun  # a loop is in no call; whether the other one pauses yet is a matter of time
    assert got["tid"].to_list() != [got["pid"][0]] * 2
    assert got["tid"][1] == got["pid"][1] == got["pid"][0]


def test_renamed_and_removed_files_keep_their_story(folder: Path) -> None:
    code = """
        fd = os.open("data", os.O_RDONLY)
        os.mkdir("sub"); os.rename("data", "sub/moved"); os.read(fd, 4)
        os.rename("sub", "dir"); os.read(fd, 4)
        os.unlink("dir/moved"); os.read(fd, 4)
    """
    got = read_strace(trace(folder, *python(code)), folder)
    assert got.filter(op="read").select("path", "start", "end").rows() == [
        ("sub/moved", 0, 4), ("dir/moved", 4, 8), ("dir/moved", 8, 12),
    ]  # fmt: skip
    assert got.filter(pl.col("op").is_in(["rename", "unlink"])).select("op", "path").rows() == [
        ("rename", "data"), ("rename", "sub"), ("unlink", "dir/moved"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["a b", "x) = 5, <unfinished ...>", 'q"u\\o', "new\nline", b"\xff\xfe", "é", "3<x>", "a->b"]
)
def test_hostile_file_names(folder: Path, name: str | bytes) -> None:
    path = os.path.join(os.fsencode(folder), os.fsencode(name))  # noqa: PTH118 - bytes
    with open(path, "wb") as stream:  # noqa: PTH123 - bytes
        stream.write(b"0123456789")
    code = f"""
        fd = os.open({os.fsencode(name)!r}, os.O_RDWR); os.read(fd, 4); os.write(fd, b') = 5 <unfinished ...>"'); os.unlink({os.fsencode(name)!r})
    """
    got = read_strace(trace(folder, *python(code)), folder)
    text = path_text(os.fsencode(name))
    assert ranges(got, text) == [("read", 0, 4), ("write", 4, 27)]
    assert set(got["path"]) == {text}


@pytest.mark.parametrize(
    "options",
    [("-f", "-y"), ("-f",), ("-f", "-yy"), ("-f", "-y", "-T", "-t"), ("-f", "-y", "-tt"), ("-f", "-y", "-ttt", "-T"), ("-f", "-y", "-r"), ("-f", "-y", "-r", "-tt"), ("-f", "-yy", "-Y", "-ttt"), ("-f", "-y", "-xx"), ("-y",)],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("stderr", [False, True], ids=["file", "stderr"])
def test_the_same_under_all_options(folder: Path, options: tuple[str, ...], *, stderr: bool) -> None:
    follow = (
        "" if options == ("-y",) else "if os.fork() == 0: os.read(fd, 20); os._exit(0)\n        os.wait()"
    )
    code = f"""
        fd = os.open({str(folder / "data")!r}, os.O_RDONLY); os.read(fd, 10)
        {follow}
        os.lseek(fd, -5, os.SEEK_END); os.read(fd, 20)
    """
    events = read_strace(trace(folder, *python(code), options=options, stderr=stderr), folder)
    expected = [("read", 0, 10), ("read", SIZE - 5, SIZE)]
    if follow:
        expected.insert(1, ("read", 10, 30))
    assert ranges(events) == expected
    times = events["time"].to_list()
    assert times == sorted(times)
    if any(option.startswith("-tt") for option in options):
        assert abs(times[0] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    reads = events.filter(op="read")
    assert not follow or reads["pid"][0] == reads["pid"][2] != reads["pid"][1]
    assert 0 not in reads["pid"].to_list() or options == ("-y",)


_READ = re.compile(
    r'\d+ +(?:read|pread64)\(\d+<(?P<path>[^>]*)>, "(?P<data>(?:\\x[0-9a-f]{2})*)", \d+(?:, \d+)?\) += (?P<moved>\d+)'
)


def data_read(log: Path, path: Path) -> list[bytes]:
    """Give what each read of a file brought, as strace shows it: an independent witness of where it was read."""
    shown = "".join(f"\\x{byte:02x}" for byte in os.fsencode(path))
    found = [_READ.match(line) for line in log.read_text().splitlines()]
    return [
        bytes.fromhex(one["data"].replace("\\x", ""))
        for one in found
        if one and one["path"] in (str(path), shown)
    ]


@pytest.fixture
def archive(folder: Path) -> Path:
    path = folder / "sample.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(40):
            made.writestr(f"{number}.bin", os.urandom(3000))
    return path


@pytest.mark.parametrize(
    "command",
    [("7z", "l"), ("7z", "t"), ("unzip", "-l"), ("unzip", "-t"), ("python3", "-m", "zipfile", "-l"), ("cat",), ("tail", "-c", "99"), ("dd", "bs=1000", "skip=3", "count=5", "iflag=fullblock", "status=none", "of=/dev/null")],
    ids=" ".join,
)  # fmt: skip
def test_real_parsers_read_what_the_file_holds_there(
    folder: Path, archive: Path, command: tuple[str, ...]
) -> None:
    name = f"if={archive.name}" if command[0] == "dd" else archive.name
    log = trace(folder, *command, name, options=("-f", "-y", "-xx", "-s", "200000"))
    content = archive.read_bytes()
    got = read_strace(log, folder).filter(path=archive.name, op="read")
    seen = data_read(log, archive)
    assert len(seen) == got.height > 0
    for data, start, end in zip(seen, got["start"], got["end"], strict=True):
        assert content[start:end] == data


def test_dd_by_the_byte(folder: Path) -> None:
    got = read_strace(
        trace(folder, "dd", "if=data", "of=copy", "bs=7", "count=4", "skip=2", "seek=1", "status=none"),
        folder,
    )
    assert moves(got) == [("dd", "read", at, at + 7) for at in range(14, 42, 7)]
    assert moves(got, "copy") == [("dd", "write", at, at + 7) for at in range(7, 35, 7)]


def test_shells_redirections_and_pipes(folder: Path) -> None:
    log = trace(
        folder,
        "sh",
        "-c",
        "head -c 5 < data > one; (head -c 3; head -c 4) < data | cat > two; echo hi >> one",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = read_strace(log, folder)
    assert moves(got) == [("head", "read", 0, 5), ("head", "read", 0, 3), ("head", "read", 3, 7)]
    assert moves(got, "one") == [("head", "write", 0, 5), ("sh", "write", 5, 8)]
    assert sum(end - start for _, _, start, end in moves(got, "two")) == 7


# Logs as text


def log(folder: Path, *lines: str, end: str = "\n") -> Path:
    path = folder / "log"
    path.write_text("\n".join(lines) + end)
    return path


def test_the_first_process_gets_its_number_when_it_is_known(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        'execve("/bin/sh", ["sh"], 0x7 /* 9 vars */) = 0',
        'openat(AT_FDCWD, "/w/f", O_RDONLY) = 3</w/f>',
        'read(3</w/f>, "ab", 2) = 2',
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD <unfinished ...>",
        "strace: Process 21 attached",
        "[pid    21] read(3</w/f>,  <unfinished ...>",
        "[pid    20] <... clone resumed>, child_tidptr=0x7) = 21",
        '[pid    21] <... read resumed>"cd", 2) = 2',
        "[pid    21] +++ exited with 0 +++",
        'read(3</w/f>, "e", 2) = 1',
        "+++ exited with 0 +++",
    )
    got = read_strace(path, "/w")
    assert got.select("op", "start", "end", "pid", "process").rows() == [
        ("open", 0, 0, 20, "sh"), ("read", 0, 2, 20, "sh"), ("read", 2, 4, 21, "sh"), ("read", 4, 5, 20, "sh"), ("close", 0, 0, 20, "sh"),
    ]  # fmt: skip
    assert set(got["size"]) == {5}


def test_messages_of_strace_in_the_middle_of_a_clone(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        'openat(AT_FDCWD, "/w/f", O_RDONLY) = 3</w/f>',
        'read(3</w/f>, "ab", 2) = 2',
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLDstrace: Process 21 attached",
        " <unfinished ...>",
        '[pid    21] read(3</w/f>, "cd", 2) = 2',
        "[pid    21] clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLDstrace: Process 22 attached",
        ", child_tidptr=0x7) = 22",
        "[pid    20] <... clone resumed>, child_tidptr=0x7) = 21",
        "[pid    20] clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, stack_size=0x7ffe80}strace: Process 23 attached",
        "strace: Process 24 attached",
        " => {parent_tid=[23]}, 88) = 23",
        '[pid    22] read(3</w/f>, "e", 1strace: Process 25 attached',
        ") = 1",
        '[pid    23] read(3</w/f>, "f", 2) = 1',
    )
    reads = read_strace(path, "/w").filter(op="read")
    assert reads.select("start", "end", "pid", "tid").rows() == [
        (0, 2, 20, 20), (2, 4, 21, 21), (4, 5, 22, 22), (5, 6, 20, 23),
    ]  # fmt: skip


def test_a_log_of_an_attached_process_begins_in_the_middle(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        '7 <... read resumed>"xy", 2) = 2',
        '7 read(3</w/f>, "ab", 2) = 2',
        '7 read(9, "", 1) = 0',
        "7 close(3</w/f>) = 0",
    )
    assert ranges(read_strace(path, "/w"), "f") == [("read", 0, 2)]


def test_only_a_seek_from_the_end_tells_a_size(tmp_path: Path) -> None:
    """What is appended is placed by a size that is known, and by none that was guessed."""
    opened = '7 openat(AT_FDCWD, "/w/f", O_WRONLY|O_APPEND) = 3</w/f>'
    write = '7 write(3</w/f>, "x", 1) = 1'
    from_end = log(tmp_path, opened, "7 lseek(3</w/f>, -10, SEEK_END) = 90", write)
    assert ranges(read_strace(from_end, "/w"), "f") == [("write", 100, 101)]
    from_start = log(tmp_path, opened, "7 lseek(3</w/f>, 90, SEEK_SET) = 90", write)
    with pytest.warns(DamagedWarning, match="appended to before its size was known"):
        read_strace(from_start, "/w")


def test_calls_that_failed_or_never_came_back_leave_no_row(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        '7 openat(AT_FDCWD, "/w/f", O_RDONLY) = 3</w/f>',
        "7 read(3</w/f>, 0x7ff, 5) = -1 EFAULT (Bad address)",
        "7 read(3</w/f>, 0x7ff, 5) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
        "7 read(3</w/f>,  <unfinished ...>) = ?",
        "7 +++ killed by SIGKILL +++",
    )
    assert read_strace(path, "/w")["op"].to_list() == ["open", "close"]


def test_times_cross_midnight_and_end_on_the_day_of_the_log(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        *(
            f'7 {time} read(3</w/f>, "a", 1) = 1 <0.250000>'
            for time in ("23:59:59.500000", "00:00:01.000001")
        ),
    )
    os.utime(path, (dt.datetime(2024, 3, 2, 12).timestamp(),) * 2)  # noqa: DTZ001 - this machine's day, as strace prints it
    local = [time.astimezone().replace(tzinfo=None) for time in read_strace(path, "/w")["time"]]
    assert local == [dt.datetime(2024, 3, 1, 23, 59, 59, 750000), dt.datetime(2024, 3, 2, 0, 0, 1, 250001)]  # noqa: DTZ001


def test_a_step_back_of_some_milliseconds_is_no_new_day(tmp_path: Path) -> None:
    """Lines of several threads stand in the order in which they were finished, or a clock was set; a day is twelve hours back."""
    clocks = ("12:00:00.500000", "12:00:00.495000", "12:00:00.510000")
    path = log(tmp_path, *(f'7 {time} read(3</w/f>, "a", 1) = 1' for time in clocks))
    os.utime(path, (dt.datetime(2024, 3, 2, 13).timestamp(),) * 2)  # noqa: DTZ001 - this machine's day
    times = read_strace(path, "/w")["time"]
    assert times.diff().drop_nulls().to_list() == [dt.timedelta(0), dt.timedelta(milliseconds=10)]


def test_the_time_a_resumed_call_took_is_not_added_to_its_end(tmp_path: Path) -> None:
    """The line of an unbroken call has the time of its begin, that of a resumed one the time of its end."""
    path = log(
        tmp_path,
        "7 100000000.000000 read(3</w/f>,  <unfinished ...>",
        '8 100000000.200000 read(4</w/g>, "a", 1) = 1 <0.100000>',
        '7 100000002.000000 <... read resumed>"a", 1) = 1 <2.000000>',
    )
    got = read_strace(path, "/w").filter(op="read").select("path", pl.col("time").dt.epoch("ms"))
    assert got.rows() == [("g", 100000000300), ("f", 100000002000)]


def test_allocating_beyond_the_end_grows_a_file_unless_its_size_is_kept(tmp_path: Path) -> None:
    made = '7 openat(AT_FDCWD, "/w/{}", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</w/{}>'
    path = log(
        tmp_path,
        made.format("kept", "kept"),
        "7 fallocate(3</w/kept>, FALLOC_FL_KEEP_SIZE, 0, 1000) = 0",
        '7 pwrite64(3</w/kept>, "ab", 2, 0) = 2',
        "7 close(3</w/kept>) = 0",
        made.format("grown", "grown"),
        "7 fallocate(3</w/grown>, 0, 24, 1000) = 0",
        '7 pwrite64(3</w/grown>, "ab", 2, 0) = 2',
    )
    written = read_strace(path, "/w").filter(op="write")
    assert written.select("path", "size").rows() == [("kept", 2), ("grown", 1024)]


@pytest.mark.parametrize(
    ("flags", "still"),
    [("0", []), ("CLOSE_RANGE_UNSHARE", ["f", "g"]), ("CLOSE_RANGE_CLOEXEC", ["f", "g"])],
)
def test_closing_a_range_closes_it_for_whoever_shares_it(
    tmp_path: Path, flags: str, still: list[str]
) -> None:
    """Thread 8 closes what it shares with thread 7; 7 reads on, without notes of what it reads."""
    path = log(
        tmp_path,
        '7 openat(AT_FDCWD, "/w/f", O_RDONLY) = 3',
        '7 openat(AT_FDCWD, "/w/g", O_RDONLY) = 4',
        "7 clone(child_stack=0x7, flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 8",
        f"8 close_range(3, 4294967295, {flags}) = 0",
        '7 read(3, "a", 1) = 1',
        '7 read(4, "a", 1) = 1',
    )
    got = read_strace(path, "/w")
    assert got.filter(op="read")["path"].to_list() == still
    assert got.filter(op="close", tid=8).height == (2 if flags == "0" else 0)


@pytest.mark.parametrize(("flags", "still"), [("FD_CLOEXEC", []), ("0", ["f"])])
def test_a_descriptor_marked_later_ends_with_the_program(
    tmp_path: Path, flags: str, still: list[str]
) -> None:
    path = log(
        tmp_path,
        '7 openat(AT_FDCWD, "/w/f", O_RDONLY) = 3',
        f"7 fcntl(3, F_SETFD, {flags}) = 0",
        '7 execve("/bin/cat", ["cat"], 0x7 /* 9 vars */) = 0',
        '7 read(3, "a", 1) = 1',
    )
    got = read_strace(path, "/w")
    assert got.filter(op="read")["path"].to_list() == still
    assert got.filter(op="close").height == (0 if still else 1)


def test_a_long_vector_asks_for_what_is_shown_or_for_what_came(tmp_path: Path) -> None:
    """strace shows the first buffers, and dots for the others."""
    shown = '[{iov_base="a", iov_len=10}, {iov_base="b", iov_len=20}'
    path = log(
        tmp_path,
        f"7 readv(3</w/f>, {shown}, ...], 40) = 100",
        f"7 readv(3</w/f>, {shown}], 2) = 15",
        f"7 pwritev(3</w/f>, {shown}], 2, 5) = 30",
    )
    got = read_strace(path, "/w")
    assert got.select("op", "start", "end", "requested").rows() == [
        ("read", 0, 100, 100), ("read", 100, 115, 30), ("write", 5, 35, 30),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("7", 7), ("0x1f", 31), ("[7] => [9]", 7), ("-5", -5), ("18446744073709551615", 2**63 - 1), ("-99999999999999999999", 1 - 2**63), ("NULL", 3)],
)  # fmt: skip
def test_numbers_fit_into_64_bits(argument: str, expected: int) -> None:
    assert number(argument, 3) == expected


def test_a_line_without_an_id_among_several_is_nobodys_of_them(tmp_path: Path) -> None:
    lines = ('1 read(3</w/f>, "a", 1) = 1', '5 read(3</w/f>, "a", 1) = 1', 'read(3</w/f>, "a", 1) = 1')
    assert read_strace(log(tmp_path, *lines), "/w")["pid"].to_list() == [1, 5, 0]


def test_a_line_without_an_id_is_the_firsts_once_that_has_one(tmp_path: Path) -> None:
    """strace leaves the id out where it believes that one thread is left; the end of the other may be told later."""
    lines = (
        'openat(AT_FDCWD, "/w/f", O_RDONLY) = 3</w/f>',
        "clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>",
        '[pid    21] read(3</w/f>, "ab", 2) = 2',
        "[pid    20] <... clone resumed>) = 21",
        'read(3</w/f>, "c", 1) = 1',
    )
    reads = read_strace(log(tmp_path, *lines), "/w").filter(op="read")
    assert reads.select("pid", "start", "end").rows() == [(21, 0, 2), (20, 2, 3)]


def test_relative_times_are_added_up_from_nothing(tmp_path: Path) -> None:
    path = log(
        tmp_path, *(f'7 {since} read(3</w/f>, "a", 1) = 1' for since in ("0.000000", "0.000100", "1.000001"))
    )
    assert read_strace(path)["time"].dt.epoch("us").to_list() == [0, 100, 1_000_101]


def test_unix_times_are_exact(tmp_path: Path) -> None:
    path = log(tmp_path, '7 1700000000.123456 read(3</w/f>, "a", 1) = 1')
    assert read_strace(path)["time"].item() == dt.datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=dt.UTC)


def test_without_times_the_order_is_kept_and_1970_claims_nothing(tmp_path: Path) -> None:
    path = log(tmp_path, *['7 read(3</w/f>, "a", 1) = 1'] * 3)
    times = read_strace(path)["time"]
    assert times.is_sorted()
    assert set(times.dt.year()) == {1970}


def test_beneath_takes_the_root_as_called_and_as_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    paths = [f"{tmp_path}/real/a", f"{tmp_path}/link/b/c", f"{tmp_path}/realm/d", f"{tmp_path}/real"]
    events = pl.DataFrame({"path": paths})
    assert beneath(events, tmp_path / "link")["path"].to_list() == ["a", "b/c"]
    assert beneath(events, f"{tmp_path}/real/")["path"].to_list() == ["a"]
    assert beneath(events, "/")["path"].to_list() == [path[1:] for path in paths]


@pytest.mark.parametrize("content", ["", "hello\nworld\n", "\0" * 5000, "1,2,3\n" * 100])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "log").write_text(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedWarning)
        with pytest.raises(BadInput, match="holds no system calls"):
            read_strace(tmp_path / "log")


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stracelog, "LONGEST_LINE", 1000)
    with pytest.raises(BadInput, match="line longer than 1000 bytes"):
        read_strace(log(tmp_path, "x" * 5000))


def test_a_cut_last_line_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = log(tmp_path, '7 read(3</w/f>, "a", 1) = 1', '7 read(3</w/f>, "a", 1) = 1', end="")
    with pytest.warns(DamagedWarning, match="last line is incomplete") as caught:
        assert read_strace(path).height == 1
    assert len(caught) == 1


LINES = [
    '7 openat(AT_FDCWD</w>, "f", O_RDWR|O_CREAT|O_APPEND) = 3</w/f>', "7 dup2(3</w/f>, 4) = 4</w/f>", '7 read(4</w/f>, "ab", 2) = 2',
    "7 clone(flags=CLONE_FILES|SIGCHLD) = 8", '8 pwritev2(3</w/f>, [{iov_base="a", iov_len=1}], 1, -1, RWF_APPEND) = 1',
    "7 close_range(3, ~0U, 0) = 0", "8 +++ superseded by execve in pid 7 +++", '7 statx(3</w/f>, "", AT_EMPTY_PATH, 0, {stx_mode=S_IFREG|0644, stx_size=9}) = 0',
    "7 fcntl(3</w/f>, F_SETFL, O_RDONLY|O_APPEND) = 0", "7 copy_file_range(3</w/f>, [0], 4</w/f>, NULL, 5, 0) = 5", "+++ exited with 0 +++",
    '7 renameat2(AT_FDCWD</w>, "f", AT_FDCWD</w>, "g", RENAME_EXCHANGE) = 0', '7 execve("/bin/x", ["x"], 0x7) = 0', '8 write(1</w/g>, "x" <unfinished ...>', "8 <... write resumed>, 1) = 1",
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(LINES), min_size=1, max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 600), st.sampled_from(["", "(", ")", '"', "<", ">", ",", "]", "7", "\\", "-1"])
        ),
        max_size=4,
    ),
)
def test_damaged_logs_give_events_or_one_clear_error(
    tmp_path: Path, lines: list[str], damage: list[tuple[int, str]]
) -> None:
    text = "\n".join(lines) + "\n"
    for at, replacement in damage:
        text = text[:at] + replacement + text[at + 1 :]
    (tmp_path / "log").write_text(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedWarning)
            got = read_strace(tmp_path / "log")
    except BadInput:
        return
    assert got.schema == schema.EVENTS
    assert got.filter(pl.col("end") < pl.col("start")).is_empty()


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        (["fallocate(3</w/f>, 0, 9223372036854775807, 9223372036854775807) = 0", 'read(3</w/f>, "", 9) = 9'], (0, 9)),
        (["lseek(3</w/f>, 9223372036854775800, SEEK_SET) = 9223372036854775800", *['read(3</w/f>, "", 9) = 9'] * 3], (2**63 - 1, 2**63 - 1)),
        (['read(3</w/f>, "", 9) = 9', "ftruncate(3</w/f>, -5) = 0"], (0, 9)),
        (['read(3</w/f>, "", 9) = 9', "_llseek(3</w/f>, 0, [-7], SEEK_SET) = 0", 'read(3</w/f>, "", 9) = 9'], (0, 9)),
        (['read(3</w/f>, "", 9) = 9', "sendfile(1, 3</w/f>, [-5] => [1], 6) = 6"], (0, 9)),
        (['read(3</w/f>, "", -9) = 9 <99999999999999999999.000000>'], (0, 9)),
    ],
)  # fmt: skip
def test_numbers_that_no_kernel_writes_stay_within_what_a_file_can_have(
    tmp_path: Path, lines: list[str], last: tuple[int, int]
) -> None:
    opened = '7 openat(AT_FDCWD</w>, "f", O_RDWR) = 3</w/f>'
    got = read_strace(log(tmp_path, opened, *(f"7 {line}" for line in lines)), "/w")
    assert got.select("start", "end").row(-1) == last
    assert got.select(pl.min_horizontal("start", "end", "size", "requested").min()).item() >= 0


def test_lengths_in_the_bytes_of_a_vector_are_no_lengths(tmp_path: Path) -> None:
    piece = r'{iov_base="iov_len=5000\", iov_len=6000", iov_len=22}'
    path = log(
        tmp_path,
        '7 openat(AT_FDCWD</w>, "f", O_RDWR) = 3</w/f>',
        f"7 writev(3</w/f>, [{piece}, {piece}], 2) = 44",
    )
    assert read_strace(path, "/w").filter(op="write")["requested"].to_list() == [44]


# Clones, batches, and what a log cannot tell

CLONE = """\
7 openat(AT_FDCWD</w>, "src", O_RDONLY) = 3</w/src>
7 newfstatat(3</w/src>, "", {st_mode=S_IFREG|0644, st_size=10000, ...}, AT_EMPTY_PATH) = 0
7 openat(AT_FDCWD</w>, "dst", O_WRONLY|O_CREAT|O_EXCL, 0644) = 4</w/dst>
7 ioctl(4</w/dst>, CLONE) = RESULT
7 close(4</w/dst>) = 0
"""


@pytest.mark.parametrize(
    ("call", "read", "written"),
    [
        ("BTRFS_IOC_CLONE or FICLONE, 3", (0, 10000), (0, 10000)),
        ("FICLONE, 3</w/src>", (0, 10000), (0, 10000)),
        ("0x40049409 /* BTRFS_IOC_CLONE or FICLONE */, 3</w/src>", (0, 10000), (0, 10000)),
        ("FICLONERANGE, {src_fd=3</w/src>, src_offset=4096, src_length=4096, dest_offset=8192}", (4096, 8192), (8192, 12288)),
        ("BTRFS_IOC_CLONE_RANGE or FICLONERANGE, {src_fd=3, src_offset=4096, src_length=0, dest_offset=0}", (4096, 10000), (0, 5904)),
    ],
)  # fmt: skip
def test_a_clone_is_a_copy(
    tmp_path: Path, call: str, read: tuple[int, int], written: tuple[int, int]
) -> None:
    (tmp_path / "log").write_text(CLONE.replace("CLONE)", f"{call})").replace("RESULT", "0"))
    got = read_strace(tmp_path / "log", "/w")
    assert ranges(got, "src") == [("read", *read)]
    assert ranges(got, "dst") == [("write", *written)]
    assert got.filter(path="dst")["size"].to_list() == [0, written[1], written[1]]
    failed = CLONE.replace("CLONE)", f"{call})").replace("RESULT", "-1 EOPNOTSUPP (Operation not supported)")
    (tmp_path / "log").write_text(failed)
    assert ranges(read_strace(tmp_path / "log", "/w"), "src") == []


SUBMIT = """
    import ctypes, platform
    class One(ctypes.Structure):
        _fields_ = [("data", ctypes.c_uint64), ("key", ctypes.c_uint32), ("flags", ctypes.c_int32), ("what", ctypes.c_uint16),
            ("priority", ctypes.c_int16), ("fd", ctypes.c_uint32), ("buffer", ctypes.c_uint64), ("count", ctypes.c_uint64),
            ("place", ctypes.c_int64), ("more", ctypes.c_uint64 * 2)]
    class Part(ctypes.Structure):
        _fields_ = [("base", ctypes.c_uint64), ("length", ctypes.c_uint64)]
    libc = ctypes.CDLL(None)
    setup, submit, events = (206, 209, 208) if platform.machine() == "x86_64" else (0, 2, 4)
    context, buffer = ctypes.c_ulong(), ctypes.create_string_buffer(8192)
    assert libc.syscall(setup, 8, ctypes.byref(context)) == 0
    at = ctypes.addressof(buffer)
    parts = (Part * 2)(Part(at, 100), Part(at + 100, 200))
    size = os.stat("data").st_size
    source, target = os.open("data", os.O_RDONLY), os.open("out, {new}", os.O_RDWR | os.O_CREAT)
    buffer[:20] = b'", aio_offset=1}, {a'
    all = [One(what=0, fd=source, buffer=at, count=4096, place=size - 1000), One(what=7, fd=source, buffer=ctypes.addressof(parts), count=2, place=50),
        One(what=1, fd=target, buffer=at, count=512, place=1024), One(what=2, fd=target)]
    assert libc.syscall(submit, context, 4, (ctypes.c_void_p * 4)(*map(ctypes.addressof, all))) == 4
    assert libc.syscall(events, context, 4, 4, ctypes.create_string_buffer(256), None) == 4
    assert os.fstat(target).st_size == 1536
"""


@pytest.mark.parametrize("options", [(), ("-v",), ("-X", "verbose"), ("-s", "4096")])
def test_what_is_submitted_is_read_and_written(folder: Path, options: tuple[str, ...]) -> None:
    got = read_strace(trace(folder, *python(SUBMIT), options=("-f", "-y", *options)), folder)
    assert ranges(got) == [("read", SIZE - 1000, SIZE), ("read", 50, 350)]
    assert got.filter(path="data", op="read")["requested"].to_list() == [4096, 300]
    assert ranges(got, "out, {new}") == [("write", 1024, 1536)]


def test_a_log_with_numbers_and_names_reads_as_one_with_names(folder: Path) -> None:
    code = """
        fd = os.open("data", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        os.lseek(fd, -10, os.SEEK_END); os.read(fd, 100); os.write(fd, b"0x1 /* O_TRUNC */"); again = os.dup(fd); os.close(fd)
    """
    both = [
        read_strace(trace(folder, *python(code), options=("-f", "-y", "-X", kind)), folder)
        .filter(path="data")
        .drop("seq", "time", "call", "pid", "tid", "handle")
        for kind in ("abbrev", "verbose")
    ]
    assert both[0]["start"].to_list() == [0, SIZE - 10, SIZE, 0]
    grown = both[1].with_columns(
        pl.when(pl.col(name) > 0).then(pl.col(name) - 17).otherwise(0).alias(name)
        for name in ("start", "end", "size")
    )
    assert grown.equals(both[0])


def test_a_log_of_numbers_only_is_refused_in_one_line(folder: Path) -> None:
    log = trace(folder, "cat", "data", options=("-f", "-y", "-X", "raw"))
    with pytest.raises(BadInput, match=r"was written with `-X raw`; record again without it"):
        read_strace(log, folder)


def test_io_uring_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        '7 openat(AT_FDCWD</w>, "src", O_RDONLY) = 3</w/src>\n'
        "7 io_uring_setup(4, {flags=0, sq_entries=4, cq_entries=8, ...}) = 4<anon_inode:[io_uring]>\n"
        "7 io_uring_enter(4<anon_inode:[io_uring]>, 1, 1, IORING_ENTER_GETEVENTS, NULL, 8) = 1\n"
    )
    with pytest.warns(DamagedWarning, match="io_uring was used, and its reads and writes are in no log"):
        assert read_strace(tmp_path / "log").height == 1
