"""Processes of the fault tests: watched programs that say what they got, owners of mounts; and small file systems.

A program says what was acknowledged to it on a pipe, one line each, so that a test knows what must be there, however the
program, the worker or the owner ends. Everything waits for events with a deadline.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

BLOCK = 512
DEADLINE_S = 600  # for what takes no time to speak of, where the machine gives any
FMRW = (sys.executable, "-m", "fmrw")


def eventually(condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
    """Wait until something holds; on a machine with more work than cores, in proportion longer."""
    pause, waited, work = threading.Event(), 0.0, 1.0
    while not condition():
        work = max(work, _work_for_each_core())
        assert waited < within_s * work, f"not within {within_s * work:.1f} s: {what}"
        pause.wait(0.01)
        waited += 0.01


def _work_for_each_core() -> float:
    """Give how many processes run or wait to, for each core: the average of a minute, or what is there now, of which it learns slowly."""
    late, _, _, now, _ = Path("/proc/loadavg").read_text().split()
    return max(float(late), float(now.partition("/")[0])) / (os.cpu_count() or 1)


def gone(pid: int) -> bool:
    """Tell whether a process has ended with its last thread; one that nobody has waited for has.

    A thread that is being killed may still take a request, and ends it with EIO.
    """
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it was faster
        return


def block(number: int) -> bytes:
    """Give the content of a block: its number, over and over."""
    return b"%08d" % number * (BLOCK // 8)


class Program:
    """A child that runs a piece of Python and says things, one line each."""

    def __init__(
        self, code: str, *arguments: object, prefix: tuple[str, ...] = (), **options: object
    ) -> None:
        self._said = b""
        self.child = subprocess.Popen(
            [*prefix, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip
        self.pid = self.child.pid

    def line(self, within_s: float = DEADLINE_S) -> str:
        """Give the next thing it says; empty when it has ended."""
        while b"\n" not in self._said:
            ready = select.select([self.child.stdout], [], [], within_s)[0]
            assert ready, f"it said nothing within {within_s} s"
            chunk = os.read(self.child.stdout.fileno(), 65536)
            if not chunk:
                return ""
            self._said += chunk
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def lines_so_far(self) -> int:
        """Take what it said and count it."""
        count = 0
        while select.select([self.child.stdout], [], [], 0)[0]:
            chunk = os.read(self.child.stdout.fileno(), 65536)
            if not chunk:
                break
            self._said += chunk
        count = self._said.count(b"\n")
        self._said = self._said.rpartition(b"\n")[2]
        return count

    def tell(self, line: str = "") -> None:
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def finish(self, within_s: float = DEADLINE_S) -> tuple[int, str, str]:
        """Let it end; give its status, what it said since, and what it complained about."""
        out, error = self.child.communicate(timeout=within_s)
        return self.child.returncode, (self._said + out).decode(), error.decode()

    def end(self) -> None:
        if self.child.poll() is None:
            kill(self.pid, signal.SIGCONT)
            kill(self.pid)
        self.child.wait(DEADLINE_S)
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            stream.close()


WRITER = """
    import os, sys
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
    number = 0
    try:
        while True:
            os.write(fd, b"%08d" % number * 64)
            os.fsync(fd)
            number += 1
            print(number, flush=True)
    except OSError as error:
        print("error", error.errno, file=sys.stderr)
"""

OWNER = """
    import json, signal, sys
    import fmrw
    options = json.loads(sys.argv[2])
    with fmrw.mount(sys.argv[1], **options) as mount:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # polars' own lets a blocked read go on
        print(json.dumps({"worker": mount.worker_pid, "session": str(mount.session)}), flush=True)
        sys.stdin.readline()
    print(mount.trace.events.height, flush=True)
"""


class Owner:
    """A process that mounts a directory and holds it until told to leave."""

    def __init__(self, directory: Path, prefix: tuple[str, ...] = (), **options: object) -> None:
        text = json.dumps(
            {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
        )
        self.program = Program(OWNER, directory, text, prefix=prefix)
        said = self.program.line()
        assert said, self.program.finish()[2]
        facts = json.loads(said)
        self.pid, self.worker, self.session = self.program.pid, facts["worker"], Path(facts["session"])

    def leave(self) -> int:
        """Unmount; give the number of events it has seen."""
        self.program.tell()
        said = self.program.line()
        assert said, self.program.finish()[2]
        return int(said)


class Cast(NamedTuple):
    """Makes programs and owners, and ends them."""

    stack: ExitStack

    def program(self, code: str, *arguments: object, **options: object) -> Program:
        made = Program(code, *arguments, **options)
        self.stack.callback(made.end)
        return made

    def writer(self, file: Path) -> Program:
        return self.program(WRITER, file)

    def owner(self, directory: Path, **options: object) -> Owner:
        made = Owner(directory, **options)
        self.stack.callback(made.program.end)
        return made


def mounted(directory: Path) -> bool:
    return registry.mounted_at(directory) is not None


def fmrw(*arguments: object, status: int = 0, within_s: float = DEADLINE_S) -> str:
    """Run a command of ours; give its standard output."""
    done = subprocess.run(
        [*FMRW, *map(str, arguments)], capture_output=True, text=True, timeout=within_s, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs of a size over a directory."""
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        unmounting.detach(directory)
        subprocess.run(["umount", "-l", directory], check=True)


needs_root = pytest.mark.root("it mounts file systems of its own")
