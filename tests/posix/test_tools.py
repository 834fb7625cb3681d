"""Tools that verify what they do, run on a mount: fio with checksums, the file stressors of stress-ng one by one."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sides import Side

pytestmark = [pytest.mark.mount, pytest.mark.soak]

STRESSORS = (
    "access", "chdir", "chmod", "chown", "copy-file", "dentry", "dir", "dirdeep", "dirmany", "fallocate", "fcntl",
    "filename", "flock", "fpunch", "fsize", "fstat", "hdd", "io", "iomix", "lease", "link", "locka", "lockf", "lockofd",
    "mknod", "open", "readahead", "rename", "rlimit", "seek", "sendfile", "symlink", "sync-file", "touch", "utime", "xattr",
)  # fmt: skip
SMALL = {
    "hdd": ("--hdd-bytes", "8m"), "fallocate": ("--fallocate-bytes", "8m"), "iomix": ("--iomix-bytes", "8m"),
    "seek": ("--seek-size", "8m"), "sync-file": ("--sync-file-bytes", "4m"), "readahead": ("--readahead-bytes", "8m"),
    "dentry": ("--dentries", "500"), "copy-file": ("--copy-file-bytes", "128m"),
}  # fmt: skip
SECONDS = "2"
ENGINES = {
    "psync": ("exact", "paged", "cached"),
    "pvsync": ("exact", "paged"),
    "mmap": ("exact", "paged", "cached"),
    "io_uring": ("exact", "paged", "cached"),
    "libaio": ("exact", "paged"),
}


@pytest.mark.parametrize(
    ("engine", "mode"), [(engine, mode) for engine, modes in ENGINES.items() for mode in modes]
)
def test_fio_reads_what_it_wrote(engine: str, mode: str, request: pytest.FixtureRequest) -> None:
    side: Side = request.getfixturevalue(mode)
    folder = side.root / "fio"
    folder.mkdir()
    done = subprocess.run(
        [
            "fio", "--name=verify", f"--directory={folder}", f"--ioengine={engine}", "--rw=randrw", *(["--direct=1", "--bs=16k"] if engine == "libaio" else ["--bsrange=512-200k", "--bs_unaligned=1"]),
             "--size=24m", "--numjobs=2", "--verify=crc32c", "--verify_fatal=1",
            "--do_verify=1", "--verify_dump=0", "--fallocate=none", "--group_reporting",
        ],
        capture_output=True, text=True, check=False, timeout=300, cwd=folder,
    )  # fmt: skip
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify: bad" not in done.stdout + done.stderr


def _stress(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    try:
        return subprocess.run(
            ["stress-ng", f"--{name}", "2", "--timeout", SECONDS, "--verify", "--temp-path", folder, *SMALL.get(name, ())],
            capture_output=True, text=True, check=False, timeout=120, cwd=folder,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", STRESSORS)
def test_a_stressor_is_content(name: str, plain: Side, exact: Side) -> None:
    expected = _stress(name, plain.root / "stress")
    if expected.returncode:
        pytest.skip(f"fails on the plain directory too: {expected.stderr[-200:]}")
    found = _stress(name, exact.root / "stress")
    assert found.returncode == 0, found.stderr + found.stdout
    assert "fail:" not in found.stderr


def test_the_worker_lives_on(exact: Side) -> None:
    path = exact.root / "after"
    path.write_bytes(b"content")
    assert path.read_bytes() == b"content"
    path.unlink()
