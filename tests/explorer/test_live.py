"""The explorer over real mounts: of this process, of another, ended, killed, with its session removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from recordings import seen, still

import fmrw
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import UnknownPath
from fmrw.explorer.explorer import Explorer, explore
from fmrw.offsets import Annotation
from fmrw.recording.mount import start_background

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.mount

FILE = "cavity.zip"
MARK = Annotation(16, 64, "here")


def read(directory: Path, count: int, file: str = FILE) -> None:
    subprocess.run(["head", "-c", str(count), file], cwd=directory, check=True, stdout=subprocess.DEVNULL)


def shown(view: Explorer) -> int:
    return int(view.recorded.rows.filter(view.recorded.rows["op"] == "read").height)


def test_a_view_of_our_own_mount(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory, output=tmp_path / "session") as mount:
        trace = mount.trace
        view = still(explore(trace, directory / FILE))
        assert trace.live
        assert (view.window, shown(view)) == ((0, (directory / FILE).stat().st_size), 0)
        read(directory, 100)
        assert view.follow()
        assert shown(view) > 0
        view.annotate(MARK.name, *MARK[:2])
        assert trace.folder == tmp_path / "session"
    assert not trace.live
    assert not view.follow()
    assert explore(trace, FILE).annotations == (MARK,)
    assert explore(fmrw.load(tmp_path / "session"), FILE).annotations == (MARK,)
    view.close()


def test_annotations_of_a_session_that_is_not_kept_are_saved_with_it(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory) as mount:
        read(directory, 10)
        view = still(explore(mount.trace, FILE))
        view.annotate(MARK.name, *MARK[:2])
        assert mount.trace.folder is None
    assert still(explore(mount.trace, FILE)).annotations == (MARK,)
    loaded = fmrw.load(mount.trace.save(tmp_path / "kept"))
    assert loaded.annotations(FILE) == (MARK,)
    assert loaded.folder == tmp_path / "kept"
    assert not loaded.live


@pytest.fixture
def background(directory: Path, tmp_path: Path) -> Iterator[int]:
    """A worker of another process, as `fmrw mount` leaves one; give its id."""
    worker = start_background(directory, tmp_path / "session")
    yield worker
    unmounting.end(worker)
    unmounting.heal(directory)


def leave(directory: Path, worker: int) -> None:
    unmounting.unmount(directory)
    unmounting.await_end(worker, 600)


def test_a_view_of_somebody_elses_mount(directory: Path, tmp_path: Path, background: int) -> None:
    trace = fmrw.load(directory)
    read(directory, 50)
    view = still(explore(trace, FILE))
    assert trace.live
    assert trace.folder == tmp_path / "session"
    before = shown(view)
    read(directory, 100)
    assert view.follow()
    assert shown(view) > before > 0
    view.annotate(MARK.name, *MARK[:2])
    read(directory, 200)
    leave(directory, background)
    assert not view.follow()  # sealed meanwhile; the last reads are there all the same
    sealed = fmrw.load(tmp_path / "session")
    assert not sealed.live
    assert sealed.annotations(FILE) == (MARK,)
    assert trace.events.sort("seq").equals(sealed.events)
    assert shown(view) == shown(explore(sealed, FILE))


def test_a_session_whose_worker_was_killed_is_not_live(
    directory: Path, tmp_path: Path, background: int
) -> None:
    trace = fmrw.load(directory)
    read(directory, 50)
    view = still(explore(trace, FILE))
    os.kill(background, signal.SIGKILL)
    unmounting.await_end(background, 600)
    assert not view.follow()
    assert not trace.live
    assert shown(view) > 0
    assert view.problem == ""
    again = fmrw.load(tmp_path / "session")
    assert not again.live
    with pytest.raises(UnknownPath):  # nothing will come, so nobody waits for it
        explore(again, "polyglot.pdf")


def test_a_session_removed_under_the_view(directory: Path, tmp_path: Path, background: int) -> None:
    trace = fmrw.load(directory)
    read(directory, 50)
    view = still(explore(trace, FILE))
    read(directory, 60)
    shutil.rmtree(tmp_path / "session")
    view.follow()
    assert shown(view) > 0
    view.annotate(MARK.name, *MARK[:2])
    assert "annotations.json" in view.problem
    assert view.annotations == (MARK,)
    leave(directory, background)
    assert not view.follow()
    view.window = (0, 64)
    assert view.problem == ""


def test_an_old_recording_of_a_directory_that_is_monitored_again(directory: Path, tmp_path: Path) -> None:
    """Its bytes now lie below another mount; looking at them is no event there."""
    with fmrw.mount(directory, output=tmp_path / "session"):
        read(directory, 40)
    with fmrw.mount(directory) as again:
        view = explore(
            fmrw.load(tmp_path / "session"), FILE, window=(0, 64), overlays=("structure", "entropy")
        )
        assert view.settle(600)
        assert re.fullmatch("([0-9a-f]{2} ?){64}", seen(view))
        assert again.trace.events.is_empty()


def test_annotations_reach_the_disk_as_text(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory, output=tmp_path / "session") as mount:
        read(directory, 10)
        view = still(explore(mount.trace, FILE))
        view.annotate("<b>\x1b", 0, 4)
    kept = json.loads((tmp_path / "session" / "annotations.json").read_text())
    assert kept == {FILE: [[0, 4, "<b>\x1b"]]}


def test_the_bytes_of_a_file_that_nobody_touched_yet(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"nobody")
    (tmp_path / "empty").touch()
    with fmrw.mount(tmp_path) as mounted:
        view, empty = (mounted.trace.explore(name) for name in ("file", "empty"))
        view.window = (0, 6)
        assert "6e 6f 62 6f 64 79" in seen(view)
        assert seen(empty) == "the file is empty"
        assert mounted.trace.events.height == 0
        assert mounted.trace.size("file") == 6
        assert mounted.trace.coverage_report("file") == {
            "path": "file", "size": 6, "read": [], "written": [], "gaps": [[0, 6]], "read_bytes": 0, "events": 0,
            "fidelity": None, "smallest_request": None,
        }  # fmt: skip
        assert mounted.trace.events.height == 0
        for nowhere in ("fil", "", ".", "../outside"):
            with pytest.raises(UnknownPath):
                mounted.trace.size(nowhere)
        assert mounted.trace.content("../outside") is None
