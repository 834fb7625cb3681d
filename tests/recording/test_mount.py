"""`fmrw.mount` and `fmrw.run`: how they begin, what is seen meanwhile, and every way in which they end."""

from __future__ import annotations

import gc
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import fmrw
from fmrw.capture.mounts import preflight, registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import AlreadyMounted, Busy, FuseMissing, MountError, NotMounted, SessionError, SessionExists
from fmrw.recording import feed
from fmrw.recording import mounted as mounting
from fmrw.session import reports
from fmrw.trace import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.mount

FILE = "polyglot.pdf"
_LIMIT_S = 600


def read(directory: Path, count: int = 100) -> None:
    subprocess.run(["head", "-c", str(count), FILE], cwd=directory, check=True, stdout=subprocess.DEVNULL)


def is_mounted(directory: Path) -> bool:
    return registry.mounted_at(directory) is not None


def python(program: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options of all kinds
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True, text=True, timeout=_LIMIT_S, check=False, **options,
    )  # fmt: skip


def wait_for(pid: int) -> None:
    """Wait for the end of a process that is nobody's child here."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], _LIMIT_S)[0], f"{pid} goes on"
    finally:
        os.close(fd)


@pytest.fixture
def home() -> Iterator[Path]:
    """Bring the working directory back."""
    before = Path.cwd()
    yield before
    os.chdir(before)


# Its life


def test_what_happens_inside_the_with_is_recorded(directory: Path) -> None:
    read(directory)
    with fmrw.mount(directory) as mount:
        assert is_mounted(directory)
        assert mount.active
        read(directory, 7)
        assert mount.trace.coverage(FILE).rows() == [(0, 7)], "live"
        read(directory, 70)
        assert mount.trace.coverage(FILE).rows() == [(0, 70)]
        assert mount.root == directory
        assert psutil.Process(mount.worker_pid).ppid() == os.getpid()
        assert "monitoring" in repr(mount)
    read(directory)
    assert not is_mounted(directory)
    assert not mount.active
    assert mount.trace.coverage(FILE).rows() == [(0, 70)], "it stays"
    assert mount.session is None
    assert "ended" in repr(mount)
    assert "events on 1 files" in repr(mount.trace)


def test_an_exception_unmounts_and_goes_on(directory: Path) -> None:
    with pytest.raises(ZeroDivisionError), fmrw.mount(directory) as mount:  # noqa: PT012 - all of it must be inside
        read(directory)
        raise ZeroDivisionError
    assert not is_mounted(directory)
    assert mount.trace.events.height == 3


def test_unmounting_twice_is_harmless(directory: Path) -> None:
    mount = fmrw.mount(directory)
    read(directory)
    trace = mount.unmount()
    assert mount.unmount() is trace
    assert trace.events["op"].to_list() == ["open", "read", "close"]


def test_two_directories_at_once(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "a,allow_other", "b c\n")]
    for folder in folders:
        folder.mkdir()
        (folder / FILE).write_bytes(b"0123456789")
    mounts = [fmrw.mount(folder) for folder in folders]
    for count, folder in enumerate(folders, 1):
        read(folder, count)
    assert {mount.root for mount in mounting.live()} == set(folders)
    traces = [mount.unmount() for mount in mounts]
    assert [trace.coverage(FILE).rows() for trace in traces] == [[(0, 1)], [(0, 2)], [(0, 3)]]


@pytest.mark.parametrize("where", [".", "sub", ".."])
def test_a_directory_that_is_monitored_is_refused(where: str, directory: Path) -> None:
    (directory / "sub").mkdir()
    with fmrw.mount(directory) as mount:
        with pytest.raises(AlreadyMounted, match=r"monitored already|already monitored") as raised:
            fmrw.mount(directory / where)
        read(directory)
    assert f"`fmrw unmount {directory}`" in str(raised.value)
    assert mount.trace.events.height == 3, "the first goes on"


def test_the_cure_can_be_typed_whatever_the_directory_is_called(tmp_path: Path) -> None:
    directory = tmp_path / "it's mine"
    directory.mkdir()
    with fmrw.mount(directory), pytest.raises(AlreadyMounted) as raised:
        fmrw.mount(directory)
    cure = str(raised.value).split("`")[1]
    assert shlex.split(cure) == ["fmrw", "unmount", str(directory)]


def test_the_message_names_who_monitors_it(directory: Path) -> None:
    with fmrw.mount(directory), pytest.raises(AlreadyMounted, match=rf"process {os.getpid()} \("):
        fmrw.mount(directory)


def test_a_link_to_a_directory_is_the_directory(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    with fmrw.mount(tmp_path / "link") as mount:
        assert mount.root == directory
        read(directory)
    assert mount.trace.events.height == 3


def test_mounting_again_and_again_costs_nothing_that_stays(directory: Path) -> None:
    counts = []
    for _ in range(5):
        with fmrw.mount(directory) as mount:
            read(directory)
        del mount
        gc.collect()
        counts.append(psutil.Process().num_fds())
    assert len(set(counts[1:])) == 1, "the first time polars opens what it keeps"


# The session


def test_a_session_is_kept_where_one_asks_for_it(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory, output=tmp_path / "out", grain=4096) as mount:
        read(directory)
    assert mount.session == tmp_path / "out"
    assert {path.name for path in mount.session.iterdir()} == {
        "session.json",
        "events.parquet",
        "processes.parquet",
    }
    facts = json.loads((mount.session / "session.json").read_text())
    assert facts["root"] == str(directory)
    assert facts["options"]["capture"] == "exact"
    assert facts["options"]["grain"] == 4096
    assert facts["events"] == 3
    assert facts["started"] < facts["ended"]
    assert mount.session.stat().st_mode & 0o777 == 0o700
    loaded = fmrw.load(mount.session)
    assert loaded.events.equals(mount.trace.events)
    assert loaded.processes.height == 1


def test_a_live_session_can_be_loaded(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory, output=tmp_path / "out"):
        read(directory)
        for recording in (tmp_path / "out", directory):
            assert fmrw.load(recording).coverage(FILE).rows() == [(0, 100)]


def test_a_session_inside_the_directory(directory: Path) -> None:
    with fmrw.mount(directory, output=directory / "out") as mount:
        read(directory)
        (directory / f"{FILE}.csv").read_bytes()
    assert set(mount.trace.events["path"]) == {FILE}
    assert fmrw.load(directory / "out").events.height == 3


def test_a_session_is_never_overwritten(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(SessionExists, match="out-2"):
        fmrw.mount(directory, output=tmp_path / "out")
    assert not is_mounted(directory)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_trace_can_be_saved_and_loaded(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory) as mount:
        read(directory)
    saved = fmrw.load(mount.trace.save(tmp_path / "kept"))
    assert saved.events.equals(mount.trace.events)
    assert saved.facts["root"] == str(directory)
    with pytest.raises(SessionExists):
        mount.trace.save(tmp_path / "kept")


# Working directories


def test_the_mounting_process_is_led_inside_and_out_again(directory: Path, home: Path) -> None:
    assert home.is_dir()
    (directory / "sub").mkdir()
    os.chdir(directory / "sub")
    with fmrw.mount(directory) as mount:
        Path("../polyglot.pdf").read_bytes()
        assert Path.cwd() == directory / "sub"
    assert Path.cwd() == directory / "sub"
    assert mount.trace.coverage(FILE).rows() == [(0, (directory / FILE).stat().st_size)]
    Path("made").touch()
    assert (directory / "sub" / "made").exists()


def test_a_command_that_runs_from_inside_is_seen(directory: Path, home: Path) -> None:
    assert home.is_dir()
    os.chdir(directory)
    done = fmrw.run(["head", "-c", "9", FILE], ".", stdout=subprocess.DEVNULL)
    assert done.status == 0
    assert done.trace.coverage(FILE).rows() == [(0, 9)]


def test_a_process_that_stood_inside_before_is_not_seen_until_it_looks_again(directory: Path) -> None:
    script = f"read go; head -c 5 {FILE}; cd .; head -c 6 {FILE}; cd {directory}; head -c 7 {FILE}"
    with subprocess.Popen(
        ["sh", "-c", script], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        with fmrw.mount(directory) as mount:
            process.communicate(b"go\n")
        assert process.returncode == 0
    assert mount.trace.coverage(FILE).rows() in ([(0, 7)], [(0, 6), (0, 7)])
    assert mount.trace.of(FILE)["end"].max() == 7


# Being busy


def test_an_open_file_holds_the_mount(directory: Path) -> None:
    mount = fmrw.mount(directory)
    with (directory / FILE).open("rb") as file:
        with pytest.raises(Busy, match=rf"\({os.getpid()}\).*--force"):
            mount.unmount()
        assert file.read(4) == b"%PDF"
        assert mount.active
        mount.unmount(force=True)
        assert not is_mounted(directory)
        assert len(file.read()) == (directory / FILE).stat().st_size - 4, "what is open goes on"
    mount.unmount()
    assert mount.trace.events["op"][0] == "open"


def test_leaving_the_with_detaches_a_busy_mount(directory: Path) -> None:
    with fmrw.mount(directory) as mount:
        file = (directory / FILE).open("rb")
    assert not is_mounted(directory)
    assert file.read(4) == b"%PDF", "what is open goes on"
    file.close()
    mount.unmount()
    assert mount.trace.coverage(FILE).height == 1


def test_a_working_directory_holds_the_mount(directory: Path) -> None:
    mount = fmrw.mount(directory)
    with subprocess.Popen(["cat"], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        with pytest.raises(Busy, match=rf"cat \({cat.pid}\)"):
            mount.unmount()
        cat.communicate()
    mount.unmount()


# Ends from elsewhere


def test_somebody_else_unmounts(directory: Path, fusermount_u: Callable[[Path], None]) -> None:
    mount = fmrw.mount(directory)
    read(directory)
    fusermount_u(directory)
    assert not mount.active
    trace = mount.unmount()
    assert trace.events["op"].to_list() == ["open", "read", "close"]
    assert mount.session is None


def test_somebody_else_unmounts_at_the_same_moment(
    directory: Path, monkeypatch: pytest.MonkeyPatch, fusermount_u: Callable[[Path], None]
) -> None:
    mount, ours = fmrw.mount(directory), unmounting._fusermount_u

    def second(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            patch.setattr(unmounting, "_fusermount_u", ours)
            fusermount_u(root)  # theirs
        late = ours(root, *flags)
        assert late.returncode != 0, "it is gone"
        return late

    monkeypatch.setattr(unmounting, "_fusermount_u", second)
    read(directory)
    assert mount.unmount().events["op"].to_list() == ["open", "read", "close"]
    assert not mount.active


def test_somebody_else_unmounts_a_kept_session(
    directory: Path, tmp_path: Path, fusermount_u: Callable[[Path], None]
) -> None:
    mount = fmrw.mount(directory, output=tmp_path / "out")
    read(directory)
    fusermount_u(directory)
    mount.unmount()
    assert fmrw.load(tmp_path / "out").events.height == 3
    assert (tmp_path / "out" / "events.parquet").exists()


def test_unmount_by_name_from_another_process(directory: Path) -> None:
    mount = fmrw.mount(directory)
    done = python("import sys, fmrw; print(fmrw.unmount(sys.argv[1]))", directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "None\n", "a temporary session is not kept"
    mount.unmount()


def test_a_long_recording_is_not_held_in_memory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of a mount's own trace: the newest in memory, the rest in files without a name."""
    monkeypatch.setattr(feed, "_KEPT", 100)
    with fmrw.mount(directory) as mount:
        code = f"import os; f = os.open('{FILE}', os.O_RDONLY); [os.pread(f, 1, n) for n in range(1000)]"
        subprocess.run([sys.executable, "-c", code], cwd=directory, check=True)
    assert mount._feed._events._kept < 100
    reads = mount.trace.events.filter(op="read")
    assert reads["start"].to_list() == list(range(1000))
    assert mount.trace.files["reads"].to_list() == [1000]


def test_the_interpreter_ends_without_unmounting(directory: Path) -> None:
    program = "import sys, fmrw; m = fmrw.mount(sys.argv[1]); print(m.worker_pid, m.session)"
    done = python(program, directory)
    assert done.returncode == 0, done.stderr
    worker, session = done.stdout.split()
    wait_for(int(worker))  # the interpreter does, too, for a while
    assert not is_mounted(directory)
    assert not Path(session).exists()


def test_the_interpreter_ends_while_a_file_is_open(directory: Path, tmp_path: Path) -> None:
    program = """
        import sys, fmrw
        fmrw.mount(sys.argv[1], output=sys.argv[2]); file = open(sys.argv[1] + "/polyglot.pdf", "rb"); file.read(5)
        """
    done = python(program, directory, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert not is_mounted(directory)
    assert fmrw.load(tmp_path / "out").events.height >= 2


@pytest.mark.parametrize("kept", [False, True])
def test_whoever_is_there_last_finishes_the_session(directory: Path, tmp_path: Path, *, kept: bool) -> None:
    """The interpreter waits for no worker here, so that each time one of the two is the last, seldom the same."""
    program = """
        import sys, fmrw
        from fmrw.recording import mounted as mounting
        mounting.STEP_S = mounting.GRACE_S = 0
        mount = fmrw.mount(sys.argv[1], output=sys.argv[2] or None)
        open(sys.argv[1] + "/polyglot.pdf", "rb").read(5)
        print(mount.worker_pid, mount.session)
        """
    for number in range(5):
        done = python(program, directory, tmp_path / f"out{number}" if kept else "")
        assert (done.returncode, done.stderr) == (0, "")
        worker, session = done.stdout.split()
        wait_for(int(worker))
        assert not is_mounted(directory)
        assert Path(session).exists() == kept
        assert not kept or (Path(session) / store.EVENTS).exists(), "sealed"


def test_an_uncaught_exception_ends_the_mount(directory: Path) -> None:
    done = python("import sys, fmrw; m = fmrw.mount(sys.argv[1]); raise SystemExit(3)", directory)
    assert done.returncode == 3
    assert not is_mounted(directory)


# The loop in a thread


def test_a_worker_in_a_thread(directory: Path, tmp_path: Path) -> None:
    program = """
        import gc, os, psutil, signal, subprocess, sys, fmrw
        before = signal.getsignal(signal.SIGINT)
        counts = []
        for turn in range(4):
            with fmrw.mount(sys.argv[1], worker="thread", output=f"{sys.argv[2]}{turn}") as mount:
                assert mount.worker_pid == os.getpid()
                subprocess.run(["head", "-c", "9", sys.argv[1] + "/polyglot.pdf"], stdout=subprocess.DEVNULL, check=True)
                text = subprocess.run(["cat", sys.argv[1] + "/polyglot.pdf.csv"], capture_output=True, check=True).stdout
                assert text.count(b"\\n") == 2, text
                assert mount.trace.coverage("polyglot.pdf").rows() == [(0, 9)]
            assert not mount.active
            del mount; gc.collect()
            counts.append(psutil.Process().num_fds())
            assert not psutil.Process().children()
        assert counts[3] == counts[1], counts
        assert signal.getsignal(signal.SIGINT) is before
        os.kill(os.getpid(), signal.SIGTERM)
        """
    done = python(program, directory, tmp_path / "out")
    assert done.returncode == -15, f"SIGTERM does what it did before: {done.stderr}"
    assert fmrw.load(tmp_path / "out0").coverage(FILE).rows() == [(0, 9)]
    assert fmrw.load(tmp_path / "out1").events["op"].to_list() == ["open", "read", "close"]


# Running a command


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -9 $$"], 137),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_the_status_is_the_commands(command: list[str], status: int, directory: Path) -> None:
    done = fmrw.run(command, directory)
    assert (done.status, done.session) == (status, None)
    assert not is_mounted(directory)


def test_a_run_keeps_what_was_run(directory: Path, tmp_path: Path) -> None:
    done = fmrw.run(
        ["head", "-c", "3", str(directory / FILE)],
        directory,
        output=tmp_path / "out",
        stdout=subprocess.DEVNULL,
    )
    assert done.session == tmp_path / "out"
    facts = fmrw.load(tmp_path / "out").facts
    assert facts["command"] == ["head", "-c", "3", str(directory / FILE)]
    assert done.trace.processes["cmdline"].to_list() == [f"head -c 3 {directory / FILE}"]


def test_a_watcher_that_fails_ends_the_command(directory: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def fail(_mount: fmrw.Mount, child: subprocess.Popen[bytes]) -> int:
        started.append(child)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fmrw.run(["sleep", "1000"], directory, watch=fail)
    assert started[0].returncode == -15
    assert not is_mounted(directory)


def test_nothing_to_run(directory: Path) -> None:
    with pytest.raises(SessionError, match="no command"):
        fmrw.run([], directory)


def test_a_line_of_text_is_no_list(directory: Path) -> None:
    with pytest.raises(SessionError, match=r"give a list, as `shlex.split` makes one of it\.$"):
        fmrw.run("head -c 5 'a", directory)
    assert not is_mounted(directory)


def test_paths_in_a_command(directory: Path, tmp_path: Path) -> None:
    run = fmrw.run([shutil.which("head"), "-c", "5", directory / FILE], directory, output=tmp_path / "out")
    assert run.status == 0
    assert run.trace.facts["command"][1:] == ["-c", "5", str(directory / FILE)]


# Bad input


def test_what_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MountError, match=r"no such directory; check the name\.$"):
        fmrw.mount(tmp_path / "missing")
    with pytest.raises(MountError, match=rf"is a file; monitor its directory {tmp_path} instead\.$"):
        fmrw.mount(tmp_path / "file")


@pytest.mark.parametrize(
    "name", ["/", "/proc", "/proc/self/", "/proc/version", "/sys", "/sys/fs", "/dev", "/dev/null", "/dev/pts"]
)
def test_what_every_program_needs_is_left_alone(name: str) -> None:
    """As root nothing else would refuse them, and a machine without them is lost."""
    with pytest.raises(MountError, match=r"monitor (another directory|a directory in it instead)\.$"):
        fmrw.mount(name)
    assert not is_mounted(registry.resolved(name))


@pytest.mark.parametrize(
    ("types", "refused"),
    [
        ([("/", "ext4"), ("/dev", "tmpfs")], True),  # a container
        ([("/", "ext4"), ("/dev", "devtmpfs"), ("/dev/shm", "tmpfs")], False),  # noqa: S108
        ([("/", "ext4"), ("/sys", "sysfs"), ("/sys/fs/cgroup", "tmpfs")], True),
        ([("/", "overlay"), ("/srv/jail/proc", "proc")], True),
        ([("/", "ext4"), ("/home", "ext4")], False),
    ],
    ids=lambda value: value[-1][0] if isinstance(value, list) else "",
)
def test_the_kernels_file_systems_are_known_by_their_type(
    types: list[tuple[str, str]],
    refused: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = [f"1 1 0:1 / {point} rw - {kind} {kind} rw\n" for point, kind in types]
    monkeypatch.setattr(registry, "mount_table", lambda: listed)
    place = Path(types[-1][0], "below")
    if refused:
        with pytest.raises(MountError, match=rf"{place} holds no files"):
            preflight.check_directory(place)
    else:
        with pytest.raises(MountError, match="no such directory"):
            preflight.check_directory(place)


def test_a_directory_of_somebody_else() -> None:
    """Asked by a user who may not write there; as root another one is taken."""
    program = """
        import os, fmrw.recording.mount
        if not os.geteuid():
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        try:
            fmrw.recording.mount.mount("/usr")
        except fmrw.FmrwError as error:
            print(error)
        """
    done = python(program)
    assert "you may write" in done.stdout or "not yours to open" in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1


def test_parts_of_fuse_are_missing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda _name: None)
        with pytest.raises(FuseMissing, match="apt-get install fuse3"):
            fmrw.mount(directory)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(FuseMissing, match="not yours to open"):
            fmrw.mount(directory)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda path: str(path) != "/dev/fuse" and os.path.lexists(path))
        with pytest.raises(FuseMissing, match="modprobe fuse"):
            fmrw.mount(directory)
    with monkeypatch.context() as patch:
        patch.setenv("FUSE_LIBRARY_PATH", "/nowhere/libfuse.so.2")
        with pytest.raises(NotMounted, match=r"libfuse 2 is missing.*apt-get install libfuse2") as raised:
            fmrw.mount(directory)
    assert "\n" not in str(raised.value)
    assert not is_mounted(directory)


def test_unmounting_what_is_not_mounted(directory: Path) -> None:
    with pytest.raises(NotMounted, match=r"is not monitored; monitored now: "):
        fmrw.unmount(directory)


def test_a_failed_mount_leaves_no_session(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSE_LIBRARY_PATH", "/nowhere/libfuse.so.2")
    with pytest.raises(MountError):
        fmrw.mount(directory, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Many at once


def test_many_threads_ask_while_it_grows(directory: Path) -> None:
    shutil.copy(directory / FILE, directory / "other")
    heights: list[list[int]] = [[] for _ in range(4)]
    with fmrw.mount(directory) as mount:
        stop = threading.Event()

        def ask(found: list[int]) -> None:
            while not stop.is_set():
                found.append(mount.trace.events.height)

        threads = [threading.Thread(target=ask, args=(found,)) for found in heights]
        for thread in threads:
            thread.start()
        subprocess.run(["dd", f"if={FILE}", "of=copy", "bs=16", "status=none"], cwd=directory, check=True)
        stop.set()
        for thread in threads:
            thread.join()
    assert all(found == sorted(found) for found in heights)
    assert mount.trace.events["call"].is_unique().all()
    assert mount.trace.coverage(FILE).rows() == [(0, (directory / FILE).stat().st_size)]


def test_an_unknown_path_names_the_nearest(mounted: fmrw.Mount, directory: Path) -> None:
    read(directory)
    with pytest.raises(fmrw.FmrwError, match=FILE):
        mounted.trace.coverage("poliglot.pdf")
    assert mounted.trace.coverage(directory / FILE).height == 1, "absolute paths are known too"


def test_unmount_waits_for_sealing_however_long_it_takes(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fusermount_u: Callable[[Path], None]
) -> None:
    seal, begun, may = store.seal, threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        begun.set()
        assert may.wait(_LIMIT_S)
        seal(folder)

    monkeypatch.setattr(store, "seal", slow)
    mount = fmrw.mount(directory, output=tmp_path / "session")
    (directory / "polyglot.pdf").read_bytes()
    fusermount_u(directory)
    assert begun.wait(_LIMIT_S)
    monkeypatch.setattr(mounting, "STEP_S", 0.1)  # not before: the worker has as long as it needs to end
    ends = threading.Thread(target=mount.unmount)
    ends.start()
    ends.join(0.5)
    assert ends.is_alive(), "an unmount that returns leaves a session that is not sealed"
    may.set()
    ends.join(_LIMIT_S)
    assert store.is_sealed(tmp_path / "session")


@pytest.mark.parametrize("worker", ["process", "thread"])
def test_unmount_waits_for_events_that_are_taken_in_slowly(
    worker: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is gone, and the thread that follows it gets no processor."""
    take, begun, may = feed.Feed._take_rest, threading.Event(), threading.Event()

    def slow(self: feed.Feed) -> None:
        begun.set()
        assert may.wait(_LIMIT_S)
        take(self)

    monkeypatch.setattr(feed.Feed, "_take_rest", slow)
    monkeypatch.setattr(mounting, "STEP_S", 0.01)
    mount = fmrw.mount(directory, worker=worker)
    read(directory)
    found: list[int] = []
    ends = threading.Thread(target=lambda: found.append(mount.unmount().events.height))
    ends.start()
    assert begun.wait(_LIMIT_S)
    ends.join(0.5)
    assert ends.is_alive(), "it would have lost what was not taken in"
    may.set()
    ends.join(_LIMIT_S)
    assert found == [3]


def test_a_session_is_not_recorded_into_a_mount_that_does_not_answer(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with fmrw.mount(other) as mount:
        os.kill(mount.worker_pid, signal.SIGSTOP)
        # who asks it all the same waits beyond signals: then the test fails, and does not hang
        freed = threading.Timer(_LIMIT_S, os.kill, (mount.worker_pid, signal.SIGCONT))
        freed.start()
        try:
            with pytest.raises(MountError, match=f"fmrw unmount --abort {other}` frees who waits"):
                fmrw.mount(directory, output=other / "session")
            with pytest.raises(MountError, match="does not answer"):
                reports.write(mount.trace, other / "reports", ["csv"])
        finally:
            freed.cancel()
            os.kill(mount.worker_pid, signal.SIGCONT)
    assert list(other.iterdir()) == []
