"""What could make the reading of stacks hang, lie or fail a program: none of it does."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from straced import compared

import fmrw
from fmrw.capture.native.pairs import Native
from fmrw.capture.native.stacks import NOTHING, OFTEN
from fmrw.capture.recorder import sites as recorder
from fmrw.capture.sites import elf, numbers
from fmrw.capture.sites.modules import Modules
from fmrw.capture.sites.numbers import Notes, Sites
from fmrw.capture.sites.space import Space
from fmrw.recording import remarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fmrw.capture.sites.modules import Module

HERE = Path(__file__).parent
FAULTY = HERE.parent / "faults" / "faulty.py"
_LIMIT_S = 600


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile a program with options; give its path."""
    folder = tmp_path_factory.mktemp("made")

    def make(name: str, *options: str, source: str = "stackful.c") -> Path:
        if not (folder / name).exists():
            subprocess.run(
                ["cc", "-O2", *options, "-o", folder / name, HERE / source, "-pthread"], check=True
            )
        return folder / name

    return make


def finished(mount: fmrw.Mount, command: Sequence[object]) -> int:
    """Run a program to its end; break the mount, so that nothing hangs on, if it does not come."""
    program = subprocess.Popen([str(word) for word in command])
    try:
        return program.wait(_LIMIT_S)
    except subprocess.TimeoutExpired:
        mount.unmount(abort=True)
        program.kill()
        program.wait()
        raise


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that fails reads beyond 64 KiB, after a moment."""
    source, point = tmp_path / "source", tmp_path / "slow"
    source.mkdir()
    point.mkdir()
    (source / "file").write_bytes(bytes(1 << 20))
    (source / ".fault").write_text("SLOW")
    server = subprocess.Popen([sys.executable, FAULTY, source, point, "threads"], stderr=subprocess.PIPE)
    try:
        while not os.path.ismount(point):
            assert server.poll() is None
            os.sched_yield()
        yield point
    finally:
        subprocess.run(["fusermount3", "-uz", point], check=False)
        server.communicate()


@pytest.mark.mount
def test_a_fault_that_is_tried_again_with_the_lock_of_the_memory_held(
    slow: Path, made: Callable[..., Path]
) -> None:
    """The second try holds the lock until we answer, another thread waits for it, and the memory of a third is to be read."""
    with fmrw.mount(slow, sites=True) as mount:
        assert finished(mount, [made("stackful"), "faults beside", slow / "file"]) == 0
    events = mount.trace.events
    assert events.filter(fidelity="page").height >= 8
    assert events.filter(fidelity="byte", op="read").height
    assert mount.trace.facts["faults"] == 0


@pytest.mark.mount
def test_program_and_libraries_lie_in_the_monitored_directory(
    made: Callable[..., Path], directory: Path, tmp_path: Path
) -> None:
    program = shutil.copy(made("stackful"), directory / "program")
    one = shutil.copy(made("plugin.so", "-shared", "-fPIC", source="plugin.c"), directory / "one.so")
    command = [str(each) for each in (program, "plugins", directory / "polyglot.pdf", one, one)]
    theirs, ours, trace = compared(directory, command, tmp_path / "log")
    reads = [each for each in ours if any(module == str(one) for module, _offset in each.stack)]
    assert len(reads) == 12
    assert [each for each in theirs if any(module == str(one) for module, _offset in each.stack)] == reads
    assert str(program) in set(trace.sites["module"])
    assert [
        each for each in ours if each.stack
    ] == theirs  # the kernel reads the program, too, and nobody's code does


@pytest.mark.mount
def test_a_library_that_takes_the_place_of_another(
    made: Callable[..., Path], directory: Path, tmp_path: Path
) -> None:
    """Two copies of one library are loaded and unloaded in turn: all addresses and words are the same."""
    one = made("plugin.so", "-shared", "-fPIC", source="plugin.c")
    other = Path(shutil.copy(one, one.with_name("other.so")))
    command = [str(each) for each in (made("stackful"), "plugins", directory / "polyglot.pdf", one, other)]
    theirs, ours, _trace = compared(directory, command, tmp_path / "log")
    assert len(ours) == 12
    assert ours == theirs
    used = [next(module for module, _offset in each.stack if module.endswith(".so")) for each in ours]
    assert [Path(each).name for each in used] == ["plugin.so"] * 2 + ["other.so"] * 2 + [
        "plugin.so", "plugin.so", "other.so", "other.so", "plugin.so", "plugin.so", "other.so", "other.so",
    ]  # fmt: skip


def test_stacks_with_code_that_may_be_unloaded_are_known_again_by_the_compiled_code(
    made: Callable[..., Path], tmp_path: Path
) -> None:
    native = Native.load()
    assert native is not None, "there is no compiled code: `python -m fmrw.capture.native.build`"
    library = made("plugin.so", "-shared", "-fPIC", source="plugin.c")
    program = made("plugin", "-DPROGRAM", source="plugin.c")
    os.mkfifo(tmp_path / "pipe")
    known, modules = native.know_stacks(), list[bytes]()
    notes = Notes(lambda module: modules.append(module.path), lambda *_site: None, lambda *_why: None)
    sites = Sites(notes, 100, native=known)
    with subprocess.Popen([program, library, tmp_path / "pipe"]) as waiting:
        end = os.open(tmp_path / "pipe", os.O_WRONLY)  # waits until the program has opened it
        try:
            while not (number := sites.of(waiting.pid)):  # it may be on its way to read
                os.sched_yield()
            assert os.fsencode(library) in modules
            assert known.site(waiting.pid) == number
            (stack,) = (each for each in known._memory.stacks if each.version)
            (space,) = (each for each in known._memory.spaces if each.number)
            assert stack.codes == space.count == 3, "what stays is not asked for at once"
            for code in stack.code[:3]:
                code.inode += 1  # as if another file lay there now
                inode = code.inode
                assert known.site(waiting.pid) == number
                assert code.inode == inode - 1, "it is walked anew"
            stack.code[0].inode += 1
            for code in space.codes[:3]:
                code.mapped.inode += 1
            assert known.site(waiting.pid) == NOTHING
            assert sites.of(waiting.pid) == number
            for code in space.codes[:3]:
                code.mapped.inode -= 1
            while known.site(waiting.pid) != OFTEN:
                assert stack.uses < 1 << 16
            assert sites.of(waiting.pid) == number
            assert stack.codes == 1, "the library alone may be unloaded"
            assert {known.site(waiting.pid) for _often in range(1 << 12)} == {number}
        finally:
            os.close(end)
            sites.close()


@pytest.mark.mount
def test_exec_from_one_program_at_fixed_addresses_to_another(
    made: Callable[..., Path], directory: Path, tmp_path: Path
) -> None:
    one, other = made("fixed", "-no-pie"), made("smaller", "-no-pie", "-Os")
    command = [str(each) for each in (one, "exec", directory / "polyglot.pdf", other)]
    theirs, ours, trace = compared(directory, command, tmp_path / "log")
    assert ours == theirs
    assert {str(one), str(other)} <= set(trace.sites["module"])


@pytest.mark.mount
def test_who_calls_and_from_where_is_known_with_few_descriptors(directory: Path, tmp_path: Path) -> None:
    children = """
        import os
        file = os.open("polyglot.pdf", os.O_RDONLY)
        for _child in range(150):
            if not os.fork():
                os.pread(file, 1, 0)
                os._exit(0)
            os.wait()
    """
    command = [sys.executable, "-m", "fmrw", "run", "--sites", "-o", tmp_path / "out", directory, "--", sys.executable, "-c", textwrap.dedent(children)]  # fmt: skip
    limited = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", *command]
    subprocess.run(limited, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    reads = fmrw.load(tmp_path / "out").events.filter(op="read", fidelity="byte", start=0, end=1)
    assert reads["tid"].n_unique() == reads.height == 150
    assert "[gone]" not in set(reads["process"])
    assert reads["site"].null_count() == 0


@pytest.mark.mount
def test_threads_that_go_on_when_the_first_one_has_ended(
    made: Callable[..., Path], directory: Path, tmp_path: Path
) -> None:
    command = [str(made("stackful")), "first thread ends", str(directory / "polyglot.pdf")]
    theirs, ours, _trace = compared(directory, command, tmp_path / "log")
    assert len(ours) == 21
    assert ours == theirs


@pytest.mark.mount
def test_a_program_that_may_not_be_traced_by_its_like(
    made: Callable[..., Path], directory: Path, tmp_path: Path
) -> None:
    """Root may look at it all the same."""
    command = [str(made("stackful")), "hidden", str(directory / "polyglot.pdf")]
    theirs, ours, _trace = compared(directory, command, tmp_path / "log")
    assert ours == theirs


@pytest.mark.mount
def test_a_stack_of_garbage(made: Callable[..., Path], directory: Path) -> None:
    with fmrw.mount(directory, sites=True) as mount:
        assert finished(mount, [made("stackful"), "garbage", directory / "polyglot.pdf"]) == 0
    reads = mount.trace.events.filter(op="read")
    assert reads.height == 20
    assert reads["site"].null_count() == 0
    assert mount.trace.facts["faults"] == 0
    frames = mount.trace.sites
    assert frames["depth"].max() < 64
    beyond = frames.filter(frames["depth"] > 0)
    assert set(beyond["quality"]) <= {"cfi", "scan"}


@pytest.mark.mount
def test_programs_whose_tables_lie(made: Callable[..., Path], directory: Path, tmp_path: Path) -> None:
    """Bytes of the unwind tables are changed at random; the programs run as before, since nothing of theirs needs the tables."""
    noise = random.Random(7)  # noqa: S311 - the same every time
    whole = made("stackful").read_bytes()
    fd = os.open(made("stackful"), os.O_RDONLY)
    begin = elf.read(fd).unwinding[0]
    os.close(fd)
    programs = []
    for number in range(12):
        data = bytearray(whole)
        for _flip in range(60 * (number + 1)):
            data[noise.randrange(begin, begin + 0x800)] = noise.randrange(256)
        programs.append(tmp_path / f"lying{number}")
        programs[-1].write_bytes(data)
        programs[-1].chmod(0o755)
    with fmrw.mount(directory, sites=True) as mount:
        for program in programs:
            assert finished(mount, [program, "rooms", directory / "polyglot.pdf"]) == 0
    reads = mount.trace.events.filter(op="read")
    assert reads.height == 3 * len(programs)
    assert reads["site"].null_count() == 0
    assert mount.trace.facts["faults"] == 0


def test_who_may_not_be_looked_at_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_tid: int, _entry: str) -> int:
        raise PermissionError

    monkeypatch.setattr(numbers, "open_entry", refused)
    said: list[tuple[int, str]] = []
    modules: list[Module] = []
    sites = Sites(Notes(modules.append, lambda *_: None, lambda pid, why: said.append((pid, why))), 10)
    assert [sites.of(os.getpid()) for _ in range(3)] == [0, 0, 0]
    assert said == [(os.getpid(), "denied")]
    assert modules == []
    sites.close()


def test_a_call_that_is_not_looked_at_since_too_many_are_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "_LOOKING", 0)
    said: list[tuple[int, str]] = []
    sites = Sites(Notes(lambda _module: None, lambda *_: None, lambda pid, why: said.append((pid, why))), 10)
    assert [sites.of(os.getpid()) for _ in range(3)] == [0, 0, 0]
    assert said == [(os.getpid(), "at once")]
    sites.close()
    (line,) = remarks.unsited({"without_sites": [{"pid": 7, "name": "many", "why": "at once"}]})
    assert line.startswith("call sites are missing for some calls of many [7]: more threads asked")


@pytest.mark.mount
def test_programs_of_32_bits_have_no_site_and_it_is_said(made: Callable[..., Path], directory: Path) -> None:
    narrow = made("narrow", "-m32", source="readers.c")
    trace = fmrw.run([narrow, directory / "polyglot.pdf"], directory, sites=True).trace
    reads = trace.events.filter(op="read", path="polyglot.pdf")
    assert reads.height == 4
    assert reads["site"].null_count() == 4
    (said,) = trace.facts["without_sites"]
    assert (said["name"], said["why"]) == ("narrow", "32-bit")
    assert remarks.unsited(trace.facts)[0].endswith(
        "which runs in 32 bits; only programs of 64 bits have some."
    )


@pytest.mark.parametrize(
    ("yama", "user", "owner", "why", "cure"),
    [
        (1, 1000, 1000, "Yama", "record as root, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`."),
        (2, 1000, 1000, "Yama", "record as root, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`."),
        (1, 1000, 0, "denied", "record as root, in a container with `--cap-add SYS_PTRACE`."),
        (1, 0, 0, "denied", "record as root, in a container with `--cap-add SYS_PTRACE`."),
        (0, 1000, 1000, "denied", "record as root, in a container with `--cap-add SYS_PTRACE`."),
        (3, 0, 0, "Yama for all", "in /etc/sysctl.d and restart it."),
    ],
)
def test_the_cure_is_that_of_the_reason(  # noqa: PLR0917 - a table
    monkeypatch: pytest.MonkeyPatch, yama: int, user: int, owner: int, why: str, cure: str
) -> None:
    monkeypatch.setattr(recorder, "ptrace_scope", lambda: yama)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(recorder, "owner_of", lambda _pid: owner)
    assert recorder.reason(7) == why
    (said,) = remarks.unsited({"without_sites": [{"pid": 7, "name": "unz\x1bip", "why": why}]})
    assert said.startswith("call sites are missing for unz\\x1bip [7]")
    assert said.endswith(cure)


def test_a_file_that_was_written_anew_stays_open_for_stacks_that_lead_to_it(tmp_path: Path) -> None:
    path = Path(shutil.copy(os.path.realpath("/bin/true"), tmp_path / "program"))
    known = Modules(lambda _module: None)
    with subprocess.Popen([sys.executable, "-c", f"import mmap; f = open({str(path)!r}, 'rb'); m = mmap.mmap(f.fileno(), 4096, access=1); print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:  # fmt: skip
        assert program.stdout is not None
        program.stdout.readline()
        space = Space(program.pid, known)
        space.know_all()
        (mapped,) = (each for each in space._mappings if each.place.path == os.fsencode(path))
        one = known.of(mapped.place, program.pid, mapped.begin, mapped.end)
        path.write_bytes(path.read_bytes() + b"more")
        other = known.of(mapped.place, program.pid, mapped.begin, mapped.end)
        assert other is not one
        assert other.fd != one.fd
        assert os.fstat(one.fd).st_ino == mapped.place.inode
        for module in (one, other):
            assert module.elf is not None
        space.close()
        program.communicate()
    known.close()
    assert {one.fd, other.fd} == {-1}


def test_who_is_not_there_has_no_site() -> None:
    sites = Sites(Notes(lambda _module: None, lambda *_: None, lambda *_: None), 10)
    assert sites.of(2**22 + 5) == 0
    sites.close()
