"""What a notebook records outlives its kernel, and a notebook can be run twice."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from IPython.core.interactiveshell import InteractiveShell

import fmrw
from fmrw.capture.mounts import registry
from fmrw.magics.register import register, unregister
from fmrw.recording import kernel
from fmrw.trace import kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.mount


@pytest.fixture
def in_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kernel.begin()
    yield tmp_path / "state" / "fmrw"
    kernel.end()


def read(directory: Path, count: int) -> None:
    with (directory / "polyglot.pdf").open("rb", 0) as file:
        file.read(count)


def test_mounting_again_gives_the_mount(in_a_kernel: Path, directory: Path) -> None:
    with fmrw.mount(directory) as first:
        read(directory, 10)
        again = fmrw.mount(directory)
        read(directory, 20)
        assert again is first
        assert first.trace.files["bytes_read"].to_list() == [20]
        assert [each.in_use for each in kept.sessions()] == [True]
        with pytest.raises(fmrw.FmrwError, match="monitored"):
            fmrw.mount(directory, reports="off")
        with pytest.raises(fmrw.FmrwError, match="monitored"):
            fmrw.mount(directory, output=in_a_kernel.parent / "other")
    assert registry.mounted_at(directory) is None
    with fmrw.mount(directory) as second:
        assert second is not first


def test_a_script_keeps_what_it_names_only(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with fmrw.mount(directory) as mount:
        read(directory, 10)
    assert mount.session is None
    assert not (tmp_path / "state").exists()


def test_a_recording_is_kept_and_found_by_its_name(in_a_kernel: Path, directory: Path) -> None:
    run = fmrw.run(
        ["head", "-c", "100", str(directory / "polyglot.pdf")], directory, stdout=subprocess.DEVNULL
    )
    assert run.session is not None
    assert run.session.parent == in_a_kernel
    (row,) = fmrw.sessions().to_dicts()
    assert (row["name"], row["bounded"], row["in_use"]) == (run.session.name, True, False)
    assert "head" in row["command"]
    loaded = fmrw.load(run.session.name)
    assert loaded.files["bytes_read"].to_list() == [100]
    assert fmrw.load(f"{run.session.name}:head").files["bytes_read"].to_list() == [100]
    assert fmrw.gaps(run.session.name)["start"].to_list() == [100]
    assert kept.prune(most=0) == []  # it is loaded
    del loaded
    gc.collect()
    assert kept.prune(most=0) == [run.session]
    assert run.trace.files["bytes_read"].to_list() == [100]  # what was recorded here is in memory


@pytest.mark.usefixtures("in_a_kernel")
def test_a_directory_around_the_state_folder_is_not_recorded_into_itself(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
    with fmrw.mount(directory) as mount:
        assert mount.settings.ephemeral
    assert not (directory / "state").exists()


@pytest.mark.usefixtures("in_a_kernel")
def test_where_nothing_can_be_kept_it_is_recorded_all_the_same(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no-folder").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no-folder"))
    with fmrw.mount(directory) as mount:
        read(directory, 10)
    assert mount.trace.files["bytes_read"].to_list() == [10]


@pytest.mark.usefixtures("in_a_kernel")
def test_a_kernel_that_is_killed_leaves_its_recording(directory: Path) -> None:
    script = (
        "import os, signal, sys\nimport fmrw\nfrom fmrw.recording import kernel\nkernel.begin()\n"
        "m = fmrw.mount(sys.argv[1])\nopen(sys.argv[1] + '/polyglot.pdf', 'rb', 0).read(77)\n"
        "print(m.worker_pid, m.session.name, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, directory], capture_output=True, text=True, check=False
    )
    worker, name = done.stdout.split()
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(int(worker))
        assert select.select([fd], [], [], 60)[0]
        os.close(fd)
    assert fmrw.load(name).files["bytes_read"].to_list() == [77]
    assert registry.mounted_at(directory) is None


def test_the_extension_begins_and_ends_it() -> None:
    shell = InteractiveShell()
    register(shell)
    try:
        assert kernel._Habits.active
    finally:
        unregister(shell)
    assert not kernel._Habits.active
