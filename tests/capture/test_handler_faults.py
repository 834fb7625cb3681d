"""Anything may be raised in any handler: the program sees EIO or is unaffected, and never takes short data for success."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH116, PTH208, PTH211

from __future__ import annotations

import ctypes
import errno
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fmrw
from fmrw.capture.fuse.adapter import _PROTOTYPES, TRANSFERS
from fmrw.capture.native.metadata import Metadata
from fmrw.capture.recorder.journal import Journal
from fmrw.capture.recorder.monitor import Monitor
from fmrw.capture.reports.files import ReportFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.mount

CONTENT = b"0123456789" * 1000
RAISED = [MemoryError, KeyboardInterrupt, RecursionError, OSError, SystemExit, ValueError, GeneratorExit]
_libc = ctypes.CDLL(None, use_errno=True)
_LIMIT_S = 600  # a regression would last for ever


class Bench:
    """A mount in a thread of this process, whose handlers raise what is set in `armed`."""

    def __init__(self, root: Path, plain: Path) -> None:
        self.root = root
        self.plain = plain  # the directory below the mount
        self.armed: dict[str, Callable[[], BaseException]] = {}
        self.raised = self.unforeseen = 0
        self._struck = threading.Condition()

    def strike(self, name: str) -> None:
        armed = self.armed.get(name)
        if armed is not None:
            error = armed()  # anew, since an exception keeps the frames it passed
            with self._struck:
                self.raised += 1
                self.unforeseen += not isinstance(error, OSError)
                self._struck.notify_all()
            raise error

    def was_struck(self, times: int) -> bool:
        """Wait until handlers have raised so often: the kernel waits for no answer to a release."""
        with self._struck:
            return self._struck.wait_for(lambda: self.raised >= times, _LIMIT_S)

    def wrap(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
            if name in UNSEEN:  # close first: a descriptor kept by the test would look like one left behind
                value = original(*arguments, **options)
                self.strike(name)
                return value
            self.strike(name)
            return original(*arguments, **options)

        return wrapped


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    root = tmp_path / "watched"
    (root / "folder").mkdir(parents=True)
    (root / "file").write_bytes(CONTENT)
    (root / "link").symlink_to("file")
    below = os.open(root, os.O_PATH)
    bench = Bench(root, Path(f"/proc/self/fd/{below}"))
    logged = logging.root.manager.disable
    logging.disable()  # pytest keeps records, and frames with them; every logger is told, also one that has logged before
    monkeypatch.setattr(Metadata, "load", lambda *_, **_options: None)  # what is plain passes Python by
    for name in (*_PROTOTYPES, *TRANSFERS):
        monkeypatch.setattr(ReportFiles, name, bench.wrap(name, getattr(ReportFiles, name)))
    for owner, name in (
        (Monitor, "_transfer"), (Monitor, "_event"), (Monitor, "_note_open"), (Monitor, "_note_close"),
        (Monitor, "_note_flush"), (Monitor, "_note_rename"), (Monitor, "fault"), (Journal, "append"), (Journal, "note"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, bench.wrap(name, getattr(owner, name)))
    try:
        with fmrw.mount(root, worker="thread", reports="off") as mount:
            yield bench
            bench.armed.clear()
        assert mount.trace.facts["faults"] >= bench.unforeseen
    finally:
        logging.disable(logged)
        os.close(below)


def _call(name: str, *arguments: Any) -> None:  # noqa: ANN401 - as C takes them
    if getattr(_libc, name)(*arguments) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _with(path: Path, flags: int, action: Callable[[int], Any]) -> Any:  # noqa: ANN401 - what the action gives
    fd = os.open(path, flags)
    try:
        return action(fd)
    finally:
        os.close(fd)


ACTIONS: dict[str, Callable[[Path], Any]] = {
    "getattr": lambda root: os.stat(root / "file"),
    "readlink": lambda root: os.readlink(root / "link"),
    "mknod": lambda root: os.mkfifo(root / "new"),
    "mkdir": lambda root: os.mkdir(root / "new"),
    "unlink": lambda root: os.unlink(root / "file"),
    "rmdir": lambda root: os.rmdir(root / "folder"),
    "symlink": lambda root: os.symlink("x", root / "new"),
    "rename": lambda root: os.rename(root / "file", root / "new"),
    "link": lambda root: os.link(root / "file", root / "new"),
    "chmod": lambda root: os.chmod(root / "file", 0o600),
    "chown": lambda root: os.chown(root / "file", os.getuid(), -1),
    "truncate": lambda root: os.truncate(root / "file", 5),
    "open": lambda root: os.open(root / "file", os.O_RDONLY),
    "create": lambda root: os.open(root / "new", os.O_CREAT | os.O_WRONLY),
    "read": lambda root: _with(root / "file", os.O_RDONLY, lambda fd: os.read(fd, 100)),
    "write": lambda root: _with(root / "file", os.O_WRONLY, lambda fd: os.write(fd, b"x")),
    "statfs": os.statvfs,
    "flush": lambda root: _with(root / "file", os.O_RDONLY, lambda _fd: None),
    "fsync": lambda root: _with(root / "file", os.O_WRONLY, os.fsync),
    "setxattr": lambda root: os.setxattr(root / "file", "user.key", b"x"),
    "getxattr": lambda root: os.getxattr(root / "file", "user.key"),
    "listxattr": lambda root: os.listxattr(root / "file"),
    "removexattr": lambda root: os.removexattr(root / "file", "user.key"),
    "opendir": os.listdir,
    "readdir": os.listdir,
    "fsyncdir": lambda root: _with(root, os.O_RDONLY, os.fsync),
    "access": lambda root: _call("access", bytes(root / "file"), os.R_OK),
    "ftruncate": lambda root: _with(root / "file", os.O_WRONLY, lambda fd: os.ftruncate(fd, 5)),
    "utimens": lambda root: os.utime(root / "file"),
    "fallocate": lambda root: _with(root / "file", os.O_WRONLY, lambda fd: os.posix_fallocate(fd, 0, 20_000)),
}
UNSEEN = {"release", "releasedir", "fgetattr"}  # the kernel waits for no answer to these, or asks another way


def test_every_handler_is_struck() -> None:
    assert ACTIONS.keys() | UNSEEN == {*_PROTOTYPES, *TRANSFERS}


@pytest.mark.parametrize("name", ACTIONS)
def test_the_program_sees_an_error_and_nothing_else(name: str, bench: Bench) -> None:
    before = _tree(bench.plain)
    for error in RAISED:
        bench.armed[name] = error
        with pytest.raises(OSError, match=os.strerror(errno.EIO)) as seen:
            ACTIONS[name](bench.root)
        bench.armed.clear()
        assert seen.value.errno == errno.EIO
    assert bench.was_struck(len(RAISED))
    assert _tree(bench.plain) == before


@pytest.mark.parametrize("name", ACTIONS)
def test_the_program_sees_the_errno_that_was_met(name: str, bench: Bench) -> None:
    for code in (errno.EACCES, errno.ENOSPC, errno.EDQUOT):
        bench.armed[name] = lambda code=code: OSError(code, os.strerror(code))
        with pytest.raises(OSError, match=os.strerror(code)) as seen:
            ACTIONS[name](bench.root)
        bench.armed.clear()
        assert seen.value.errno == code


def _tree(root: Path) -> list[tuple[str, int, bytes]]:
    """Give what lies in a directory, which is the plain one: libfuse renames a file whose last release has yet to come, where it is told to unlink it."""
    return [
        (path.name, path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.iterdir())
    ]


@pytest.mark.parametrize("name", ["release", "releasedir"])
def test_what_nobody_waits_for_changes_nothing(name: str, bench: Bench) -> None:
    for error in RAISED:
        bench.armed[name] = error
        assert (bench.root / "file").read_bytes() == CONTENT
        assert sorted(os.listdir(bench.root)) == ["file", "folder", "link"]


RECORDING = [
    "_transfer",
    "_event",
    "_note_open",
    "_note_close",
    "_note_flush",
    "_note_rename",
    "append",
    "note",
]


def test_a_fault_in_taking_note_of_a_fault_is_still_an_error(bench: Bench) -> None:
    bench.armed["fault"] = bench.armed["getattr"] = MemoryError
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        os.stat(bench.root / "file")
    bench.unforeseen = 0  # nothing could be counted


@pytest.mark.parametrize("name", RECORDING)
def test_a_fault_in_recording_never_reaches_the_program(name: str, bench: Bench) -> None:
    path, other = bench.root / "file", bench.root / "other"
    for error in RAISED:
        bench.armed[name] = error
        assert path.read_bytes() == CONTENT
        other.write_bytes(CONTENT)
        with other.open("ab") as file:
            file.write(b"+")
        os.truncate(other, 10_000)
        other.rename(bench.root / "moved")
        assert (bench.root / "moved").read_bytes() == CONTENT
        (bench.root / "moved").unlink()
        with pytest.raises(FileNotFoundError):
            other.open("rb")
    assert bench.was_struck(len(RAISED))
