"""Mounts that nobody serves, that do not answer, that are there twice or are in use."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import polars as pl
import psutil
import pytest
from processes import Cast, eventually, fmrw, gone, kill, mounted
from test_kills import check_file

import fmrw as package
from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import AlreadyMounted, Busy, MountError, NotMounted
from fmrw.recording import doctor, mounts
from fmrw.session.loading import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.mount

# Stale: the worker was killed, and the helper that would have cleaned up before it


def helper_of(root: Path) -> int:
    """Find fusermount's process that waits for the worker's end."""
    found = [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if (process.info["name"] or "").startswith("fusermount")
        and str(root) in (process.info["cmdline"] or [])
    ]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def stale(cast: Cast, folder: Path) -> int:
    """A mount that nobody serves; give the worker it had."""
    del cast  # which takes away what is left
    fmrw("mount", folder, "-o", folder.parent / "session")
    worker = registry.worker_of(folder)
    kill(helper_of(folder))
    kill(worker.pid)
    eventually(lambda: gone(worker.pid), "the worker has ended")
    assert mounted(folder)
    with pytest.raises(OSError, match=r"not connected|connection abort"):
        (folder / "file").read_bytes()
    return worker.pid


def by_mount(folder: Path) -> None:
    with package.mount(folder) as mount:
        assert (folder / "file").read_bytes()
    assert mount.trace.events.height > 0


def by_doctor(folder: Path) -> None:
    findings = {finding.found: finding for finding in doctor.doctor() if not finding.well}
    assert findings[str(folder)].cure == "fmrw doctor --fix"
    assert f"the dead mount on {folder}" in doctor.fix()


def by_unmount(folder: Path) -> None:
    fmrw("unmount", folder)


def by_force(folder: Path) -> None:
    fmrw("unmount", "--force", folder)


def by_command(folder: Path) -> None:
    fmrw("run", folder, "--", "cksum", folder / "file")


@pytest.mark.parametrize("heal", [by_mount, by_doctor, by_unmount, by_force, by_command])
@pytest.mark.usefixtures("stale")
def test_a_stale_mount_is_healed(folder: Path, heal: Callable[[Path], None]) -> None:
    (row,) = [row for row in json.loads(fmrw("status", "--json")) if row["root"] == str(folder)]
    assert row["state"] == "dead"
    assert "doctor --fix" in row["notes"][0]
    heal(folder)
    assert not mounted(folder)
    assert (folder / "file").stat().st_size == 16384


def test_a_stale_mount_that_is_in_use_is_healed_too(folder: Path, cast: Cast) -> None:
    fmrw("mount", folder, "-o", folder.parent / "session")
    worker = registry.worker_of(folder)
    user = cast.program(
        "import os, sys; os.chdir(sys.argv[1]); print('in', flush=True); sys.stdin.read()", folder
    )
    assert user.line() == "in"
    kill(helper_of(folder))
    kill(worker.pid)
    eventually(lambda: gone(worker.pid), "the worker has ended")
    assert mounted(folder)
    mounts.unmount(folder)
    assert not mounted(folder)


def test_an_owner_heals_what_its_worker_left(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    kill(helper_of(folder))
    kill(owner.worker)
    eventually(lambda: not mounted(folder), "plain again", within_s=60)
    owner.leave()


def test_a_worker_that_is_stopped_is_not_taken_for_dead(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    kill(owner.worker, signal.SIGSTOP)
    assert not unmounting.heal(folder)
    assert doctor.fix() == []
    (finding,) = [finding for finding in doctor.doctor() if finding.found == str(folder)]
    assert finding.cure == f"fmrw unmount --abort {folder}"
    assert mounted(folder)
    kill(owner.worker, signal.SIGCONT)
    owner.leave()


# Stopped


READER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("in", flush=True)
try:
    while True:
        os.pread(fd, 4096, 0)
        os.stat(sys.argv[1])
except OSError as error:
    print("freed", error.errno, flush=True)
"""

MAPPER = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
view = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
print("in", flush=True)
sys.stdin.readline()
print(view[8192], flush=True)
"""


@pytest.mark.parametrize("inside", [False, True], ids=["session beside", "session below the mount"])
def test_a_stopped_worker_is_told_and_aborted(cast: Cast, folder: Path, inside: bool) -> None:  # noqa: FBT001
    owner = cast.owner(folder, output=(folder if inside else folder.parent) / "session")
    readers = [cast.program(READER, folder / "file") for _ in range(4)]
    mapper = cast.program(MAPPER, folder / "file")
    assert [reader.line() for reader in (*readers, mapper)] == ["in"] * 5
    kill(owner.worker, signal.SIGSTOP)
    mapper.tell()
    eventually(lambda: all(_waits(reader.pid) for reader in (*readers, mapper)), "all of them wait")
    (row,) = [row for row in json.loads(fmrw("status", "--json")) if row["root"] == str(folder)]
    assert row["state"] == "stopped"
    assert row["events"] > 0
    assert "--abort" in " ".join(row["notes"])
    with pytest.raises(AlreadyMounted, match="unmount"):
        package.mount(folder)
    fmrw("unmount", "--abort", folder)
    assert not mounted(folder)
    for reader in readers:
        assert reader.line().startswith("freed")
    assert mapper.finish()[0] in (-signal.SIGBUS, 0)  # a page that cannot be had, or was given at last
    eventually(lambda: gone(owner.worker), "the worker has ended")
    assert owner.leave() > 0


def _waits(pid: int) -> bool:
    before = psutil.Process(pid).cpu_times()
    threading.Event().wait(0.05)
    return psutil.Process(pid).cpu_times() == before


def test_a_stopped_worker_is_woken_by_unmounting(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    kill(owner.worker, signal.SIGSTOP)
    assert owner.leave() == 0
    eventually(lambda: gone(owner.worker), "the worker has ended")


def test_a_stopped_worker_whose_owner_was_killed_is_unmounted(cast: Cast, folder: Path) -> None:
    """Woken, it takes the mount away itself, and may be faster."""
    owner = cast.owner(folder, output=folder.parent / "session")
    kill(owner.worker, signal.SIGSTOP)
    kill(owner.pid)
    assert mounts.unmount(folder) == folder.parent / "session"
    assert not mounted(folder)
    eventually(lambda: gone(owner.worker), "the worker has ended")
    with pytest.raises(NotMounted):
        mounts.unmount(folder)


def test_an_owner_aborts_its_own_worker(folder: Path) -> None:
    mount = package.mount(folder)
    (folder / "file").read_bytes()
    kill(mount.worker_pid, signal.SIGSTOP)
    trace = mount.unmount(abort=True)
    assert trace.events.height > 0
    assert not mounted(folder)
    eventually(lambda: gone(mount.worker_pid), "the worker has ended")


def test_an_owner_that_does_not_listen_stops_nobody(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    worker = psutil.Process(owner.worker)
    kill(owner.pid, signal.SIGSTOP)
    events = 150_000
    code = "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); [os.pread(fd, 1, 5) for _ in range(int(sys.argv[2]))]"
    program = cast.program(code, folder / "file", events)
    assert program.finish(600)[0] == 0
    assert worker.memory_info().rss < 120 << 20
    kill(owner.pid, signal.SIGCONT)
    assert owner.leave() == events + 2


# Twice, nested, in use


def test_the_second_on_a_directory_is_told_who_holds_it(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    with pytest.raises(AlreadyMounted) as caught:
        package.mount(folder)
    name = psutil.Process(owner.pid).name()
    assert f"process {owner.pid} ({name})" in str(caught.value)
    assert f"fmrw unmount {folder}" in str(caught.value)
    said = fmrw("run", folder, "--", "true", status=1)
    assert f"process {owner.pid}" in said
    assert said.count("\n") == 1
    owner.leave()


def test_nested_mounts_are_refused_in_both_orders(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    with package.mount(folder), pytest.raises(AlreadyMounted, match="lies inside"):
        package.mount(inner)
    with package.mount(inner):
        with pytest.raises(AlreadyMounted, match="contains"):
            package.mount(folder)
        with pytest.raises(AlreadyMounted, match="contains"):
            package.mount(folder / "a")


def test_a_link_to_a_mounted_directory_is_the_same_directory(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    with package.mount(link) as mount:
        assert mount.root == folder
        with pytest.raises(AlreadyMounted):
            package.mount(folder)
        with pytest.raises(AlreadyMounted):
            package.mount(tmp_path / "watched" / ".." / "link")
    with pytest.raises(NotMounted, match="monitored now"):
        mounts.unmount(link)


def test_two_starts_at_once_make_one_mount(cast: Cast, folder: Path) -> None:
    code = """
import sys
import fmrw
sys.stdin.readline()
try:
    mount = fmrw.mount(sys.argv[1])
except fmrw.FmrwError as error:
    print("refused", error, flush=True)
else:
    print("mounted", flush=True)
    sys.stdin.readline()
    mount.unmount()
"""
    both = [cast.program(code, folder) for _ in range(2)]
    for program in both:
        program.tell()
    said = sorted(program.line().split()[0] for program in both)
    assert said == ["mounted", "refused"]
    assert [program.finish()[0] for program in both] == [0, 0]
    assert not mounted(folder)


def test_a_mount_in_use_names_who_uses_it(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    holder = cast.program(
        "import sys; f = open(sys.argv[1]); print('in', flush=True); sys.stdin.readline()", folder / "file"
    )
    inside = cast.program(
        "import os, sys; os.chdir(sys.argv[1]); print('in', flush=True); sys.stdin.readline()", folder
    )
    assert [holder.line(), inside.line()] == ["in", "in"]
    with pytest.raises(Busy) as caught:
        mounts.unmount(folder)
    for program in (holder, inside):
        assert f"{psutil.Process(program.pid).name()} ({program.pid})" in str(caught.value)
    assert mounted(folder)
    mounts.unmount(folder, force=True)
    assert not mounted(folder)
    for program in (holder, inside):
        program.tell()
        assert program.finish()[0] == 0
    eventually(lambda: gone(owner.worker), "the worker has ended")
    assert owner.leave() > 0


def test_a_new_mount_beside_an_old_one_that_serves_on(cast: Cast, folder: Path, tmp_path: Path) -> None:
    fmrw("mount", folder, "-o", tmp_path / "first")
    writer = cast.writer(folder / "data")
    assert writer.line()
    fmrw("unmount", "--force", folder)
    fmrw("mount", folder, "-o", tmp_path / "second")
    (row,) = [row for row in json.loads(fmrw("status", "--json")) if row["root"] == str(folder)]
    assert row["session"] == str(tmp_path / "second")
    assert str(tmp_path / "second") in fmrw("unmount", folder)
    kill(writer.pid)
    acknowledged = 1 + writer.finish()[1].count("\n")
    eventually((tmp_path / "first" / "events.parquet").exists, "the first is sealed when it is not needed")
    check_file(folder / "data", acknowledged)
    writes = load(tmp_path / "first").events.filter(pl.col("op") == "write")
    assert writes.height >= acknowledged


# Descriptors


def test_five_thousand_open_files(cast: Cast, folder: Path) -> None:
    most = 5000
    code = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = [os.open(f"{sys.argv[1]}/{n}", os.O_RDWR | os.O_CREAT, 0o600) for n in range(int(sys.argv[2]))]
for n, fd in enumerate(held):
    os.write(fd, b"%d" % n)
print(sum(os.pread(fd, 9, 0) == b"%d" % n for n, fd in enumerate(held)), flush=True)
"""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < most + 100:
        pytest.skip("the limit of open files is too low here")
    with package.mount(folder) as mount:
        program = cast.program(code, folder, most)
        assert program.line(600) == str(most)
        assert program.finish(600)[0] == 0
    counts = mount.trace.events["op"].value_counts()
    assert dict(counts.rows()) == {"open": most, "write": most, "read": most, "close": most}
    assert mount.trace.facts["faults"] == mount.trace.facts["lost"] == 0


def test_an_owner_with_many_open_files_mounts_and_follows(cast: Cast, folder: Path) -> None:
    code = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1500)]
import fmrw
with fmrw.mount(sys.argv[1]) as mount:
    open(sys.argv[1] + "/file", "rb").read()
print(mount.trace.events.height)
"""
    program = cast.program(code, folder)
    _status, said, error = program.finish()
    assert said, error
    assert int(said) >= 3


def test_a_worker_out_of_descriptors_refuses_and_recovers(cast: Cast, folder: Path) -> None:
    code = """
import errno, os, sys
held = []
try:
    for _ in range(180):
        held.append(os.open(sys.argv[1], os.O_RDONLY))
    print("all", flush=True)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
sys.stdin.readline()
for fd in held:
    os.close(fd)
print("closed", flush=True)
sys.stdin.readline()
"""
    owner = cast.owner(folder, prefix=("prlimit", "--nofile=300:300"))
    hungry = [cast.program(code, folder / "file") for _ in range(3)]
    assert "EMFILE" in {program.line() for program in hungry}
    for program in hungry:
        program.tell()
        assert program.line() == "closed"
    assert (folder / "file").read_bytes()[:3] == bytes(range(3))
    for program in hungry:
        program.tell()
        program.finish()
    assert owner.leave() > 300


# Cycles


@pytest.mark.parametrize("cycles", [20, pytest.param(1000, marks=pytest.mark.soak)])
def test_mounting_again_and_again_leaks_nothing(
    folder: Path, cycles: int, record_property: Callable[[str, object], None]
) -> None:
    import gc  # noqa: PLC0415

    def once() -> None:
        with package.mount(folder) as mount:
            (folder / "file").read_bytes()
        assert mount.trace.events.height >= 3

    once()
    gc.collect()
    me = psutil.Process()
    before = (me.num_fds(), len(me.children(recursive=True)), me.num_threads())
    memory = me.memory_info().rss
    for _ in range(cycles):
        once()
    gc.collect()
    grown = (me.memory_info().rss - memory) >> 10
    for name, figure in (
        ("descriptors", me.num_fds()),
        ("threads", me.num_threads()),
        ("grown by KiB", grown),
    ):
        record_property(name, figure)
    left = (me.num_fds(), len(me.children(recursive=True)), me.num_threads())
    assert all(now <= once for now, once in zip(left, before, strict=True)), (
        before,
        left,
    )  # what other tests left may have ended


def test_a_worker_thread_cycles_too(folder: Path) -> None:
    for _ in range(5):
        with package.mount(folder, worker="thread") as mount:
            subprocess.run(["cksum", folder / "file"], check=True, capture_output=True)
        assert mount.trace.events.filter(pl.col("op") == "read").height >= 1


def test_a_probe_that_hangs_is_given_up(cast: Cast, folder: Path) -> None:
    owner = cast.owner(folder)
    kill(owner.worker, signal.SIGSTOP)
    begun = time.monotonic()
    assert registry.probe(folder) == "silent"
    assert time.monotonic() - begun < 120  # a hang would be for ever
    kill(owner.worker, signal.SIGCONT)
    assert registry.probe(folder) == "answers"
    owner.leave()
    assert registry.probe(folder) == "answers"


def test_a_directory_that_may_not_be_unmounted_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with package.mount(folder):
        with monkeypatch.context() as patched:
            patched.setattr("fmrw.capture.mounts.unmount.find_fusermount", lambda: "false")
            with pytest.raises(MountError, match="sudo fmrw unmount --force"):
                mounts.unmount(folder, force=True)
        assert mounted(folder)
