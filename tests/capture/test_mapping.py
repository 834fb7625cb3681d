"""Programs that map files: what works in which mode, what the user is told, and that nothing freezes.

Whatever maps files of a mount runs in a process of its own, with a limit of time: what is tested is that none hangs.
"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fmrw

pytestmark = pytest.mark.mount

FILE = "data.bin"
_LIMIT_S = 120


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


@pytest.mark.parametrize("capture", ["exact", "paged"])
def test_private_maps_are_seen_by_the_page(capture: str, mapped: Path) -> None:
    with fmrw.mount(mapped, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        done = run_python(PRIVATE, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert mount.trace.coverage(FILE).rows() == [(16384, 20480), (57344, 61440)]
    assert set(mount.trace.of(FILE).filter(pl.col("op") == "read")["fidelity"]) == {"page"}


def test_shared_maps_work_in_paged(mapped: Path) -> None:
    with fmrw.mount(mapped, capture="paged") as mount:
        done = run_python(SHARED, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert mount.trace.coverage(FILE).rows() == [(0, 4096), (16384, 20480)]
    written = mount.trace.of(FILE).filter(pl.col("op") == "write")
    assert written.select("start", "end").rows() == [(0, 4096)]
    assert set(written["fidelity"]) == {"page"}
    assert (mapped / FILE).read_bytes()[5] == 99


def test_pages_that_the_kernel_writes_back_belong_to_nobody(mapped: Path) -> None:
    program = SHARED.replace(
        "; m.flush()", "; os._exit(0)"
    )  # the kernel writes the page when the file is closed
    with fmrw.mount(mapped, capture="cached") as mount:
        assert run_python(program, cwd=mapped).returncode == 0
    written = mount.trace.of(FILE).filter(pl.col("op") == "write")
    assert written.select("start", "end", "pid", "process").rows() == [(0, 4096, 0, "[writeback]")]
    assert (mapped / FILE).read_bytes()[5] == 99


def test_shared_maps_in_exact_are_refused_and_the_user_is_told(mapped: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fmrw", "run", mapped, "--json", "--", sys.executable, "-c", textwrap.dedent(SHARED)],
        cwd=mapped, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"OSError: [Errno {errno.ENODEV}]" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert FILE in last
    assert "ENODEV" in last
    assert "--capture paged" in last
    assert json.loads(done.stdout)["status"] == 1


def test_status_tells_about_shared_maps(mapped: Path) -> None:
    with fmrw.mount(mapped):
        done = subprocess.run(
            [sys.executable, "-m", "fmrw", "status"], capture_output=True, text=True, check=True
        )
    assert "ENODEV" in done.stderr
    assert "--capture paged" in done.stderr
    with fmrw.mount(mapped, capture="paged"):
        done = subprocess.run(
            [sys.executable, "-m", "fmrw", "status", "--json"], capture_output=True, text=True, check=True
        )
    row = next(row for row in json.loads(done.stdout) if row["root"] == str(mapped))
    assert row["notes"] == []


def test_numpy_memmap_reads_in_paged(mapped: Path) -> None:
    program = f"""
        import numpy as np
        data = np.memmap({FILE!r}, mode="r")
        assert int(data[40_000]) == 40_000 % 256
        """
    with fmrw.mount(mapped, capture="paged") as mount:
        done = run_python(program, cwd=mapped)
    assert done.returncode == 0, done.stderr
    assert mount.trace.coverage(FILE).rows() == [(36864, 40960)]


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
        if sys.argv[2] == "paged":
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


def test_numpy_here_can_map_a_mount_of_this_process(mapped: Path) -> None:
    with fmrw.mount(mapped, capture="paged") as mount:
        data = np.memmap(mapped / FILE, mode="r")
        assert int(data[300]) == 300 % 256
        data._mmap.close()  # type: ignore[attr-defined]
    assert mount.trace.coverage(FILE).rows() == [(0, 4096)]
