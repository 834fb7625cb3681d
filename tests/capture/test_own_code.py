"""A directory that holds the Python that runs fmrw: nobody waits for itself, and nothing of ours keeps the mount busy."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fmrw
from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.capture.recorder import process
from fmrw.capture.recorder.process import Processes
from fmrw.capture.worker.own_code import code_below, look_beneath

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(fmrw.__file__).parent
LONGEST_S = 900  # a regression would last for ever


def copied(source: Path, target: Path, *left_out: str) -> None:
    """Copy what is in a folder, by hard links where that can be."""
    target.mkdir(parents=True)
    names = [entry for entry in source.iterdir() if entry.name not in left_out]
    if subprocess.run(["cp", "-al", *names, target], capture_output=True, check=False).returncode:
        subprocess.run(["cp", "-a", *names, target], check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with some data, a whole Python, and a virtual environment of it in which fmrw is installed."""
    folder = tmp_path_factory.mktemp("project").resolve()
    python, environment = folder / "python", folder / ".venv"
    library = Path(sysconfig.get_path("stdlib"))
    copied(library, python / library.relative_to(sys.base_prefix), "site-packages", "dist-packages", "test")
    (python / "bin").mkdir()
    binary = Path(os.path.realpath(sys.executable))
    shutil.copy(binary, python / "bin" / binary.name)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3*.so*"):
        shutil.copy(shared, python / "lib", follow_symlinks=False)
    packages = environment / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    copied(Path(sysconfig.get_path("purelib")), packages, "playwright", "fmrw", "__pycache__")
    for path in packages.glob("*.pth"):
        path.unlink()
    shutil.copytree(PACKAGE, packages / "fmrw")
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(python / "bin" / binary.name)
    version = ".".join(map(str, sys.version_info[:3]))
    (environment / "pyvenv.cfg").write_text(f"home = {python / 'bin'}\nversion = {version}\n")
    (folder / "data").mkdir()
    (folder / "data" / "x").write_bytes(bytes(5000))
    yield folder
    freed(folder)
    shutil.rmtree(folder)


def freed(folder: Path) -> None:
    """Take a mount away that a failure has left, and free who waits for it."""
    point = registry.mounted_at(folder)
    if point is not None:
        unmounting.break_connection(point)
        unmounting.detach(folder)


def told_by(project: Path, *arguments: str | Path) -> str:
    """Give what the project's Python says; whoever waits for ever is freed and fails."""
    process = subprocess.Popen(
        [project / ".venv/bin/python", *arguments], cwd="/", stdout=subprocess.PIPE, text=True
    )
    try:
        said, _ = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        freed(project)
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, said
    return said


OWNER = """
import json, os, psutil, subprocess, sys
import fmrw
from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import MountError

def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=800).stdout.decode("latin-1")

def through(pid, device):
    with open(f"/proc/{pid}/maps") as maps:
        return [line.split()[-1] for line in maps if line.split()[3] == device]

root, told = sys.argv[1], {}
try:
    fmrw.mount(root, worker="thread")
except MountError as error:
    told["thread"] = str(error)
mount = fmrw.mount(root)
device = f"00:{registry.mounted_at(mount.root).minor:02x}"
output("cat", f"{root}/data/x")
told["csv"] = output("cat", f"{root}/data/x.csv")
told["pdf"] = output("cat", f"{root}/data/x-heatmap.pdf")[:5]
told["data"] = sorted(os.listdir(f"{root}/data"))
told["listed"] = os.listdir(os.path.dirname(psutil.__file__)) + os.listdir(os.path.dirname(os.__file__))
told["named"] = output("head", "-c", "6", f"{psutil.__file__}.csv")
told["imported"] = output(sys.executable, "-c", "import importlib.metadata, decimal, sqlite3, rich.console, numpy; print(len([*importlib.metadata.distributions()]) > 5)")
(helper,) = [child for child in psutil.Process(mount.worker_pid).children() if "help_out" in " ".join(child.cmdline())]
told["helper"] = through(helper.pid, device)
told["worker"] = through(mount.worker_pid, device)
told["read"] = mount.unmount().coverage("data/x").rows()
told["mounted"] = mount.active
told["ended"] = unmounting.await_end(mount.worker_pid, 800)  # a helper takes a moment to end
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(project: Path) -> dict[str, Any]:
    """What an owner found who runs from the directory that it monitors."""
    found: dict[str, Any] = json.loads(told_by(project, "-c", OWNER, project))
    return found


@pytest.mark.mount
def test_reports_are_made(told: dict[str, Any]) -> None:
    assert told["csv"].splitlines()[1].split(",")[2:4] == ['"0"', '"5000"']
    assert told["pdf"] == "%PDF-"
    assert told["data"] == ["x", "x-heatmap.pdf", "x.csv"]
    assert told["read"] == [[0, 5000]]


@pytest.mark.mount
def test_folders_of_code_list_no_reports_and_have_them(told: dict[str, Any]) -> None:
    assert {"__init__.py", "os.py"} <= set(told["listed"])
    assert not [name for name in told["listed"] if name.endswith((".csv", ".pdf"))]
    assert told["named"] == '"Time"'


@pytest.mark.mount
def test_other_programs_import_through_the_mount(told: dict[str, Any]) -> None:
    assert told["imported"] == "True\n"


@pytest.mark.mount
def test_the_worker_loads_nothing_through_its_own_mount(told: dict[str, Any]) -> None:
    assert told["worker"] == []


@pytest.mark.mount
def test_the_helper_does_not_keep_the_mount_busy(told: dict[str, Any]) -> None:
    assert told["helper"], "this Python's binary, at least"
    assert not told["mounted"]
    assert told["ended"]


@pytest.mark.mount
def test_a_thread_is_refused(told: dict[str, Any]) -> None:
    assert told["thread"].endswith(
        'holds the Python that runs fmrw, which would wait for itself; leave out worker="thread".'
    )


@pytest.mark.mount
def test_the_command_that_unmounts_may_come_from_there_too(project: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    told_by(project, "-m", "fmrw", "mount", project, "-o", session)
    told_by(project, "-c", f"print(len(open({str(project / 'data/x.csv')!r}).read()))")
    assert "is unmounted" in told_by(project, "-m", "fmrw", "unmount", project)
    assert registry.mounted_at(project) is None
    worker = registry.worker_of(project)
    assert worker is None or unmounting.await_end(worker.pid, LONGEST_S), "it goes on as long as the command"
    assert fmrw.load(session).files.height >= 1


LATE = """
import subprocess, sys
import fmrw
mount = fmrw.mount(sys.argv[1], output=sys.argv[2])
subprocess.run(["cat", sys.argv[1] + "/data/x"], stdout=subprocess.DEVNULL, check=True)
import rpds, sqlite3  # libraries, from here through the mount
print(mount.unmount().coverage("data/x").rows(), mount.active)
"""


@pytest.mark.mount
def test_an_owner_that_has_loaded_libraries_there_leaves_the_session_to_the_worker(
    project: Path, tmp_path: Path
) -> None:
    assert told_by(project, "-c", LATE, project, tmp_path / "session") == "[(0, 5000)] False\n"
    worker = registry.worker_of(project)
    assert worker is None or unmounting.await_end(worker.pid, LONGEST_S)
    assert fmrw.load(tmp_path / "session").coverage("data/x").rows() == [(0, 5000)]


def test_code_below_names_installations_and_not_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "project/.venv"))
    packages = tmp_path / "project/.venv/lib/site-packages"
    monkeypatch.setattr(
        sys,
        "path",
        [str(tmp_path / "project"), str(packages), str(tmp_path / "other/site-packages"), *sys.path],
    )
    assert code_below(str(tmp_path)) == ["other/site-packages", "project/.venv"]
    assert code_below(str(tmp_path / "project")) == [".venv"]
    assert code_below(str(packages)) == [""]
    assert code_below(str(tmp_path / "proj")) == []
    assert code_below("/") == sorted(code_below("/"))


def test_looking_beneath_leaves_what_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "fmrw_beneath.py").write_text("here = __file__")
    before = [entry for entry in sys.path if not Path(entry).is_relative_to(tmp_path)]
    monkeypatch.setattr(sys, "path", [*before, str(tmp_path / "inside")])
    fd = os.open(tmp_path, os.O_PATH)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, fd)
        stack.callback(sys.modules.pop, "fmrw_beneath", None)
        look_beneath(str(tmp_path), fd)
        import fmrw_beneath  # type: ignore[import-not-found]  # noqa: PLC0415 - written above

        assert sys.path == [*before, f"/proc/{os.getpid()}/fd/{fd}/inside"]
        assert fmrw_beneath.here == f"/proc/{os.getpid()}/fd/{fd}/inside/fmrw_beneath.py"


def test_helpers_are_known_by_their_parent() -> None:
    processes = Processes(lambda *_: None, own=os.getpid())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert processes.helps(os.getpid())
        assert processes.helps(child.pid)
        assert not processes.helps(os.getppid())
        assert not Processes(lambda *_: None).helps(child.pid)
    assert not processes.helps(child.pid), "what is gone is no helper, nor is who gets its number"


def test_few_answers_about_helpers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_ASKED", 2)
    processes = Processes(lambda *_: None, own=os.getpid())
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(subprocess.Popen(["cat"], stdin=subprocess.PIPE)) for _ in range(5)]
        for _ in range(2):
            assert all(processes.helps(child.pid) for child in children)
            assert list(processes._helping) == [child.pid for child in children[-2:]]
        kept = [fd for fd, _helps in processes._helping.values()]
        assert all(os.fstat(fd) for fd in kept)
        del processes
        for fd in kept:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)
