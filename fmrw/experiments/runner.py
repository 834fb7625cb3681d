"""Runner: the process of a slot, which starts one command after the other and sees each to its end.

Started as `python -m fmrw.experiments.runner` by `fmrw.experiments.runs`. It enters the namespaces of the process that mounts, makes its own
(`fmrw.experiments.view`), and forks once: the child is the first process of a namespace of processes, so that with it every process
ends that a command has left, wherever it has moved itself. Commands come as frames over a socket (`send`, `receive`); outputs go to files in memory that
the driver reads.

It ends when the driver does, by whatever way: the socket closes, or the descriptor on its process says so.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NamedTuple

from fmrw.capture.system import namespaces, proc
from fmrw.experiments.view import View

_LENGTH = struct.Struct("<I")
_SCHED = 2  # CPUCLOCK_SCHED, include/linux/posix-timers_types.h
_BEFORE_FIRST = b"1"  # every command's process is the second of its namespace
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python; a command must not
_GRACE_CPU_S = 2
ENDED, OVER_CPU, OVER_TIME = range(3)


def send(connection: socket.socket, message: Any) -> None:  # noqa: ANN401 - what marshal takes
    """Send a frame."""
    data = marshal.dumps(message)
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket) -> Any:  # noqa: ANN401 - what marshal gives
    """Receive a frame; None at the end."""
    head = _exactly(connection, _LENGTH.size)
    data = _exactly(connection, *_LENGTH.unpack(head)) if head else b""
    return marshal.loads(data) if data else None  # noqa: S302 - from our own process


def _exactly(connection: socket.socket, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        try:
            piece = connection.recv(size - len(pieces))
        except ConnectionError:
            return b""
        if not piece:
            return b""
        pieces += piece
    return bytes(pieces)


class Child(NamedTuple):
    """A command that runs."""

    pid: int
    pidfd: int
    begun: float
    cpu_s: float
    wall_s: float


def cpu_of(pid: int) -> float:
    """Give the CPU time of a process, its threads included (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHED)
    except OSError:  # it has ended
        return 0.0


class Runner:
    """Run commands in a slot, one at a time.

    Parameters
    ----------
    connection : socket
        To the driver.
    driver : int
        Descriptor on the driver's process.
    settings : dict
        `outputs`: descriptors of files for standard output and standard error; `folder` to run commands in; `variables`: their environment.
    view : View
        What commands see.
    """

    def __init__(self, connection: socket.socket, driver: int, settings: dict[str, Any], view: View) -> None:
        self._connection = connection
        self._outputs = tuple(settings["outputs"])
        self._variables = settings["variables"]
        self._folder = settings["folder"]
        self._view = view
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._actions = [
            (os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((nothing, *self._outputs))
        ]
        self._limits: dict[str, Any] = {}
        self._last_pid = _last_pid()
        self._enter_folder()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._poll.register(driver, select.POLLIN)
        self._hard = {
            limit: resource.getrlimit(limit)[1] for limit in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE)
        }

    def serve(self) -> None:
        """Run what is asked for until the driver is gone."""
        while (message := receive(self._connection)) is not None:
            what, *arguments = message
            answer = getattr(self, f"do_{what}")(*arguments)
            send(self._connection, answer)

    def do_writable(self, wanted: bool) -> bool:  # noqa: FBT001 - from a frame
        """Let commands write into the directory, or not."""
        self._view.writable = wanted
        self._enter_folder()
        return wanted

    def do_run(
        self,
        program: bytes,
        words: list[bytes],
        limits: dict[str, Any],
    ) -> dict[str, Any]:
        """Run a command to its end; give what is known of it."""
        for fd in self._outputs:
            if os.lseek(fd, 0, os.SEEK_CUR):
                os.ftruncate(fd, 0)
                os.lseek(fd, 0, os.SEEK_SET)
        if limits != self._limits:
            self._limit(resource.RLIMIT_DATA, limits["memory"])
            self._limit(resource.RLIMIT_FSIZE, limits["output"])
            with contextlib.suppress(OSError):  # denied in some containers
                proc.limit_processes(limits["processes"])
            self._limits = limits
        if self._last_pid is not None:
            os.pwrite(self._last_pid, _BEFORE_FIRST, 0)
        begun = time.perf_counter()
        try:
            pid = os.posix_spawn(
                program,
                words,
                self._variables,
                file_actions=self._actions,
                setsid=True,
                setsigdef=_IGNORED,
                setsigmask=(),
            )
        except OSError as error:
            return {"error": error.errno, "what": error.strerror}
        child = Child(pid, os.pidfd_open(pid), begun, limits["cpu_s"], limits["wall_s"])
        with contextlib.suppress(OSError, ValueError):  # it has ended; its children get it, too
            most = int(child.cpu_s) + _GRACE_CPU_S
            resource.prlimit(pid, resource.RLIMIT_CPU, (most, most + 1))
        ended = self._wait(child)
        _pid, status, used = os.wait4(pid, 0)
        wall = time.perf_counter() - begun
        os.close(child.pidfd)
        left = _end_others()
        return {
            "status": status, "wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss << 10,
            "ended": ended, "left": left, "written": self._settle(),
        }  # fmt: skip

    def _settle(self) -> list[tuple[Any, ...]]:
        """Empty the overlays, and work in the folder that lies in them now."""
        written = self._view.settle()
        if written:
            self._enter_folder()
        return [tuple(each) for each in written]

    def _enter_folder(self) -> None:
        try:
            os.chdir(self._folder)
        except OSError:  # of others, or gone
            os.chdir("/")

    def _limit(self, which: int, most: int) -> None:
        hard = self._hard[which]
        resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))

    def _wait(self, child: Child) -> int:
        """Wait until a command ends or is over its limits; it is killed then, and dead or dying at the return."""
        self._poll.register(child.pidfd, select.POLLIN)
        try:
            while True:
                left_cpu = child.cpu_s - cpu_of(child.pid)
                left_wall = child.begun + child.wall_s - time.perf_counter()
                if left_cpu <= 0 or left_wall <= 0:
                    signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
                    return OVER_CPU if left_cpu <= 0 else OVER_TIME
                ready = dict(self._poll.poll(1 + 1000 * min(left_cpu, left_wall)))
                if child.pidfd in ready:
                    return ENDED
                if ready:  # nobody asks while a command runs: the driver is gone
                    os._exit(0)
        finally:
            self._poll.unregister(child.pidfd)


def _last_pid() -> int | None:
    """Open what tells the number of the process started last; None where that may not be set."""
    try:
        fd = proc.open_last_number()
        os.pwrite(fd, _BEFORE_FIRST, 0)
    except OSError:
        return None
    return fd


def _end_others() -> int:
    """Kill every process of this namespace but this one; give how many there were."""
    left = 0
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _status = os.waitpid(-1, os.WNOHANG)
            left += 1
            if not pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
                os.waitpid(-1, 0)
    return left


def _enter(settings: dict[str, Any]) -> None:
    """Enter the namespaces of the process that mounts and make the slot's own."""
    for fd in settings["enter"]:
        namespaces.enter(fd)
        os.close(fd)
    wanted = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWIPC
    try:
        namespaces.unshare(wanted | namespaces.CLONE_NEWNET)
    except OSError:  # a kernel without them
        namespaces.unshare(wanted)
    namespaces.mount("", "/", flags=namespaces.MS_REC | namespaces.MS_SLAVE)


def _look(settings: dict[str, Any]) -> View:
    """Make the view, as the first process of the new namespace of processes."""
    here = proc.processes_here()
    view = View(
        settings["directory"], settings["slot"], settings["scratch"], settings["others"], settings["most_written"],
        own_user=settings["own_user"],
    )  # fmt: skip
    with contextlib.suppress(
        OSError
    ):  # denied in some containers; what is there then names processes by other numbers
        flags = namespaces.MS_NOSUID | namespaces.MS_NODEV | namespaces.MS_NOEXEC
        namespaces.mount("proc", here, "proc", flags)
    return view


def main() -> int:
    """Run the process: settings come as the first frame."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    driver = os.pidfd_open(os.getppid())
    settings = receive(connection)
    if settings is None:
        return 1
    for fd in (connection.fileno(), driver, *settings["outputs"]):
        os.set_inheritable(fd, False)  # noqa: FBT003 - its name says it
    os.chdir("/")
    try:
        _enter(settings)
    except OSError as error:
        send(connection, {"error": f"{error.filename}: {error.strerror}"})
        return 1
    first = os.fork()
    if first:
        connection.close()
        return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    namespaces.end_with_parent(signal.SIGKILL)
    try:
        view = _look(settings)
    except OSError as error:
        send(connection, {"error": f"{error.filename}: {error.strerror}"})
        return 1
    namespaces.fix_addresses()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()
    send(connection, {"ready": os.getpid()})
    Runner(connection, driver, settings, view).serve()
    return 0


if __name__ == "__main__":
    code = main()
    os._exit(code & 0xFF)
