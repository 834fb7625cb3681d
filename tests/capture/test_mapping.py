"""Programs that map files: what works in which mode, what the user is told, and that nothing freezes.

Whatever maps files of a mount runs in a process of its own, with a limit of time: what is tested is that none hangs.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fmrw
from fmrw.capture.fuse import loop
from fmrw.capture.system import libc
from fmrw.commands.record import _notes
from fmrw.recording import mounts
from fmrw.recording.remarks import begun, lacking
from fmrw.session.overview import Overview

pytestmark = pytest.mark.mount

FILE = "data.bin"
_LIMIT_S = 600


@pytest.fixture
def mapped(directory: Path) -> Path:
    (directory / FILE).write_bytes(bytes(range(256)) * 256)
    return directory


def run_python(program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
    )  # fmt: skip


SHARED = f"""
    import mmap, os
    f = os.open({FILE!r}, os.O_RDWR)
    m = mmap.mmap(f, 0)
    assert m[20_000] == 20_000 % 256
    m[5] = 99; m.flush()
    """
PRIVATE = f"""
    import mmap, os
    f = os.open({FILE!r}, os.O_RDONLY)
    m = mmap.mmap(f, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    assert m[20_000] == 20_000 % 256 and m[60_000] == 60_000 % 256
    """


BOTH = pytest.mark.parametrize("capture", ["exact", "paged"])


@BOTH
def test_private_maps_are_seen_by_the_page(capture: str, mapped: Path) -> None:
    with fmrw.mount(mapped, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        done = run_python(PRIVATE, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert mount.trace.coverage(FILE).rows() == [(16384, 20480), (57344, 61440)]
    assert set(mount.trace.of(FILE).filter(pl.col("op") == "read")["fidelity"]) == {"page"}


@BOTH
def test_shared_maps_are_seen_by_the_page(capture: str, mapped: Path) -> None:
    with fmrw.mount(mapped, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        done = run_python(SHARED, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert mount.trace.coverage(FILE).rows() == [(0, 4096), (16384, 20480)]
    written = mount.trace.of(FILE).filter(pl.col("op") == "write")
    assert written.select("start", "end").rows() == [(0, 4096)]
    assert set(written["fidelity"]) == {"page"}
    assert (mapped / FILE).read_bytes()[5] == 99


def reads(mount: fmrw.Mount) -> list[tuple[int, int, str]]:
    """Give the ranges read, and how exact they are, in order."""
    seen = mount.trace.of(FILE).filter(pl.col("op") == "read").sort("seq")
    return seen.select("start", "end", "fidelity").rows()


def test_in_exact_each_mapping_tells_the_first_touch_of_its_pages(mapped: Path) -> None:
    program = f"""
        import mmap, os
        f = os.open({FILE!r}, os.O_RDWR)
        for again in range(2):
            with mmap.mmap(f, 0) as m:
                m[5], m[9], m[20_000], m[5]
        """
    with fmrw.mount(mapped) as mount:
        done = run_python(program, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert reads(mount) == [(0, 4096, "page"), (16384, 20480, "page")] * 2


def test_in_exact_calls_beside_a_mapping_stay_what_was_asked_for(mapped: Path) -> None:
    program = f"""
        import mmap, os
        f = os.open({FILE!r}, os.O_RDWR)
        os.pread(f, 10, 100)
        m = mmap.mmap(f, 0)
        m[8200]
        os.pread(f, 7, 8201)
        m[8200] = 1
        os.pwrite(f, b"called", 8300)
        os.pread(f, 7, 8201)
        assert m[8300:8306] == b"called" and m[8200] == 1
        """
    with fmrw.mount(mapped) as mount:
        done = run_python(program, cwd=mapped)
    assert done.returncode == 0, done.stderr
    page = (8192, 12288, "page")
    calls = [(100, 110, "byte"), page, (8201, 8208, "byte"), (8201, 8208, "byte"), page]
    assert reads(mount) == calls, "the page is read again after the call that wrote into it"
    written = mount.trace.of(FILE).filter(pl.col("op") == "write").sort("seq")
    assert written.select("start", "end", "fidelity").rows() == [page, (8300, 8306, "byte")]


@BOTH
def test_a_page_goes_to_its_place_in_a_file_that_is_opened_to_append(capture: str, mapped: Path) -> None:
    program = SHARED.replace("os.O_RDWR", "os.O_RDWR | os.O_APPEND") + "os.write(f, b'appended')"
    before = (mapped / FILE).read_bytes()
    with fmrw.mount(mapped, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        done = run_python(program, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert (mapped / FILE).read_bytes() == before[:5] + b"c" + before[6:] + b"appended"
    written = mount.trace.of(FILE).filter(pl.col("op") == "write").sort("seq")
    assert written.select("start", "end").rows() == [(0, 4096), (65536, 65544)]


def test_a_page_goes_to_its_place_before_linux_6_9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libc, "_RWF_NOAPPEND", 1 << 30)  # no kernel knows it
    file = tmp_path / "appended"
    file.write_bytes(b"0123456789")
    fd = os.open(file, os.O_WRONLY | os.O_APPEND)
    assert libc.pwrite_in_place(fd, memoryview(b"page..."), 4, 2) == 4
    os.write(fd, b"end")
    os.close(fd)
    assert file.read_bytes() == b"01page6789end"


def test_pages_that_the_kernel_writes_back_belong_to_nobody(mapped: Path) -> None:
    program = SHARED.replace(
        "; m.flush()", "; os._exit(0)"
    )  # the kernel writes the page when the file is closed
    with fmrw.mount(mapped, capture="cached") as mount:
        assert run_python(program, cwd=mapped).returncode == 0
    written = mount.trace.of(FILE).filter(pl.col("op") == "write")
    assert written.select("start", "end", "pid", "process").rows() == [(0, 4096, 0, "[writeback]")]
    assert (mapped / FILE).read_bytes()[5] == 99


@pytest.fixture
def old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel before Linux 6.6, for workers in a thread of this process."""
    monkeypatch.setattr(loop, "_WELCOME", loop._WELCOME & ~loop.SHARED_MAPS)


@pytest.mark.usefixtures("old_kernel")
def test_before_linux_6_6_shared_maps_in_exact_are_refused_and_the_user_is_told(mapped: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(SHARED).replace(FILE, str(mapped / FILE))]
    done = fmrw.run(
        command, mapped, worker="thread", stdout=subprocess.PIPE, watch=lambda _mount, child: said(child)
    )
    notes = _notes(done, Overview.of(done.trace), command)
    assert done.status == 1
    assert done.trace.facts["lacks"] == ["shared_maps"]
    assert "ENODEV" in notes[0]
    assert "--capture paged" in notes[0]
    assert FILE in notes[1]


def said(child: subprocess.Popen[bytes]) -> int:
    assert f"OSError: [Errno {errno.ENODEV}]".encode() in child.communicate(timeout=_LIMIT_S)[0]
    return child.returncode


@pytest.mark.parametrize("capture", ["exact", "paged"])
@pytest.mark.usefixtures("old_kernel")
def test_before_linux_6_6_the_session_says_so(capture: str, mapped: Path) -> None:
    with fmrw.mount(mapped, capture=capture, worker="thread") as mount:  # type: ignore[arg-type]  # a str here
        assert len(lacking(mount.facts())) == (capture == "exact")


def test_nothing_is_lacking_here(mapped: Path) -> None:
    with fmrw.mount(mapped) as mount:
        (row,) = [row for row in mounts.status() if row["root"] == str(mapped)]
    assert row["notes"] == row["lacks"] == lacking(mount.facts()) == []


def test_what_is_read_through_a_map_needs_no_remark(mapped: Path) -> None:
    done = fmrw.run(
        [sys.executable, "-c", "import sys; open(sys.argv[1]).close()", mapped / "data.bin"], mapped
    )
    assert _notes(done, Overview.of(done.trace), ["python"]) == []


@BOTH
def test_numpy_memmap_reads_and_writes(capture: str, mapped: Path) -> None:
    program = f"""
        import numpy as np
        data = np.memmap({FILE!r}, mode="r+")
        assert int(data[40_000]) == 40_000 % 256
        data[40_001] = 7
        """
    with fmrw.mount(mapped, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        done = run_python(program, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert mount.trace.coverage(FILE).rows() == [(36864, 40960)]
    assert (mapped / FILE).read_bytes()[40_001] == 7


OWN_MOUNT = """
    import ctypes, mmap, os, sys
    import numpy as np
    import fmrw
    with fmrw.mount(sys.argv[1], capture=sys.argv[2]) as mount:
        path = os.path.join(sys.argv[1], "data.bin")
        with open(path, "rb") as file:
            view = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        assert view[-1] == 255
        view.close()
        shared = mmap.mmap(os.open(path, os.O_RDWR), 0)
        shared[0] = 1
        shared.close()
        data = np.memmap(path, mode="r")
        assert data[1000:2000].sum() == sum(n % 256 for n in range(1000, 2000))
        data._mmap.close()
        assert ctypes.CDLL(os.path.join(sys.argv[1], "library.so")).zlibVersion
        assert {"read", "open"} <= set(mount.trace.events["op"])
        assert os.getpid() in set(mount.trace.events["pid"])
    print(mount.trace.events.height)
    """


@pytest.mark.parametrize("capture", ["exact", "paged", "cached"])
def test_a_process_that_mounted_maps_files_of_its_own_mount(capture: str, mapped: Path) -> None:
    library = next(Path("/lib").resolve().rglob("libz.so.1"))
    shutil.copy(library, mapped / "library.so")
    done = run_python(OWN_MOUNT, str(mapped), capture)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3


@BOTH
def test_numpy_here_can_map_a_mount_of_this_process(capture: str, mapped: Path) -> None:
    with fmrw.mount(mapped, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        data = np.memmap(mapped / FILE, mode="r")
        assert int(data[300]) == 300 % 256
        data._mmap.close()  # type: ignore[attr-defined]
    assert mount.trace.coverage(FILE).rows() == [(0, 4096)]


@pytest.mark.usefixtures("old_kernel")
def test_a_mount_that_has_just_begun_says_so(mapped: Path, tmp_path: Path) -> None:
    with fmrw.mount(mapped, worker="thread", output=tmp_path / "session") as mount:
        told = begun(tmp_path / "session", mount.facts()["options"])
    assert told == lacking(mount.facts())
    assert len(told) == 1
