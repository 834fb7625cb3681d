"""What every test has: a watched directory, a mount over it, and somebody who looks at what is left behind.

The whole run has a temporary folder and a state folder of its own, whose name stands in the environment of every process that
is started. So what is found in there, and who carries it, is ours, whoever else uses fmrw on this machine.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

import fmrw
from fmrw.capture.mounts import registry, unmount

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

# How long an example takes says how busy the machine is, and files of earlier examples are written anew. The same examples every
# time where a failure must be somebody's change; new ones every time everywhere else.
settings.register_profile(
    "steady",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("steady")

if sys.__stdin__ is None:  # it was closed; IPython and pytest's capture ask it for its encoding
    sys.__stdin__ = open(os.devnull)  # noqa: PTH123, SIM115 - as long as the run

if (
    signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
):  # nohup; children would inherit it, and a handler they do not
    signal.signal(signal.SIGHUP, lambda *_: None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in a shell's background; the same
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.umask(0o022)  # tests say which modes files have, whoever runs them

DATA = Path(__file__).parents[1] / "data"
_GRACE_S = 120


pytest_plugins = ("verdict",)


class Leftovers(NamedTuple):
    """What would be left if the test ended now: one line of text each."""

    found: frozenset[str]

    @classmethod
    def now(cls, area: tuple[Path, ...], *, deep: bool) -> Leftovers:
        found = {f"mount {point.root}" for point in registry.mounts() if _within(point.root, area)}
        found |= {f"folder {path}" for path in area[0].glob("fmrw-*")}
        found |= {f"thread {thread.name}" for thread in threading.enumerate() if "fmrw" in thread.name}
        if deep:
            found |= {f"descriptor {target}" for target in _descriptors() if _within(Path(target), area)}
            found |= set(_descendants(area[0]))
        return cls(frozenset(found))


def _within(path: Path, area: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in area)


def _descriptors() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
            found += [] if "/#" in target else [target]  # without a name: pytest's own
        except FileNotFoundError:  # the listing's own
            continue
    return found


def _descendants(marker: Path) -> Iterator[str]:
    """Find the processes that carry the run's folder in their environment, whoever is their parent now."""
    carried = b"TMPDIR=" + os.fsencode(marker)
    for entry in os.scandir("/proc"):  # a quarter of what psutil takes for it, after every test that mounts
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if carried in Path(entry.path, "environ").read_bytes().split(b"\0"):
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
                yield f"process {entry.name} {os.fsdecode(b' '.join(words)).strip()}"
        except OSError:
            continue  # gone, or not ours to look at


class Watch:
    """Knows what may be there: what was there before, and what fixtures of a wider scope hold."""

    def __init__(self, area: tuple[Path, ...]) -> None:
        self.area = area
        self.known: set[str] = set()

    def new(self, *, deep: bool) -> list[str]:
        return sorted(Leftovers.now(self.area, deep=deep).found - self.known)

    def holds_mounts(self) -> bool:
        return any(f"mount {point.root}" in self.known for point in registry.mounts())

    def admit(self) -> None:
        self.known.update(self.new(deep=True))

    def leftovers(self, *, deep: bool) -> list[str]:
        """Give what is left, after those that are ending have had time to."""
        left = self.new(deep=deep)
        if left:
            gc.collect()
            left = self.new(deep=deep)
        pause, waited = threading.Event(), 0.0
        while left and waited < _GRACE_S:
            pause.wait(0.05)
            waited += 0.05
            left = self.new(deep=deep)
        return left


def _detach_ended_runs(runs: Path) -> None:
    """Detach what earlier runs left mounted: pytest removes their folders at our end, and fails where it cannot."""
    for point in registry.mounts():
        if runs.name.startswith("pytest-of-") and point.root.is_relative_to(runs):
            run = runs / point.root.relative_to(runs).parts[0]
            if run.name.startswith("garbage-") or not (run / ".lock").exists():
                unmount.detach(point.root)


_watch: list[Watch] = []
_passed = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep temporary sessions and sessions in the background below one folder, and see that it is empty at the end."""
    base = tmp_path_factory.getbasetemp()
    _detach_ended_runs(base.parent)
    folder = Path(tempfile.mkdtemp(prefix="fmrw-tests-"))
    folder.chmod(0o1777)
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", str(folder))
    patch.setenv("XDG_STATE_HOME", str(folder / "state"))
    patch.setattr(tempfile, "tempdir", str(folder))
    watch = Watch((folder, base))
    _watch.append(watch)
    watch.known.update(Leftovers.now(watch.area, deep=False).found)
    yield folder
    watch.known.clear()
    left = [line for line in watch.leftovers(deep=True) if not line.startswith("descriptor")]
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)
    assert left == []


def pytest_collection_finish() -> None:
    """Keep modules and tests, which stay until the end, out of later garbage collections: a look for leftovers may need one."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """Let fixtures of a wider scope hold a mount while tests come and go."""
    result = yield
    if fixturedef.scope != "function" and _watch and fixturedef.argname != "own_folders":
        _watch[0].admit()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether a test passed: the traceback of one that failed holds what its frames held."""
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest, own_folders: Path) -> Iterator[None]:
    """Fail a test that leaves a mount, a process, a temporary session, a thread or a descriptor behind."""
    del own_folders
    yield
    deep = request.node.get_closest_marker("mount") is not None and request.node.stash.get(_passed, False)
    deep &= (
        "shell" not in request.fixturenames and not _watch[0].holds_mounts()
    )  # these open and close as they like
    left = _watch[0].leftovers(deep=deep)
    _watch[0].known.update(left)  # told once
    assert left == [], "left behind"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the samples in it."""
    folder = tmp_path / "watched"
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("*.py", "README*", "__pycache__"))
    return folder


@pytest.fixture
def mounted(directory: Path) -> Iterator[fmrw.Mount]:
    """The same directory, monitored."""
    with fmrw.mount(directory) as mount:
        yield mount


@pytest.fixture
def fusermount_u() -> Callable[[Path], None]:
    """Unmount as somebody else does, by fusermount alone.

    Who looks at a mount in passing makes it busy for a moment, as `fmrw status` of a test does that runs beside this one.
    """

    def end(root: Path) -> None:
        until = time.monotonic() + _GRACE_S
        while (done := unmount._fusermount_u(root)).returncode:
            assert "busy" in done.stderr, done.stderr
            assert time.monotonic() < until, done.stderr
            os.sched_yield()

    return end
