"""Spawn: start the commands of a slot, one after the other, and see each to its end.

`Spawner` is Python's way, `NativeSpawner` the compiled one (`fmrw/capture/native/commands.c`), which does the same. What is run and what is known
of it stand in the slot's memory (`fmrw.experiments.shared`); over the connection to the driver goes one byte for each: `RUN`, which may wait
there behind others, and the same byte when it has ended. Every other byte is for whoever has called `serve`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import time
from ctypes import c_char_p, c_int32, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.native import pairs
from fmrw.capture.system import proc
from fmrw.experiments import shared

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from fmrw.experiments.shared import Slot
    from fmrw.experiments.view import View

GONE, SETTLE = -1, -2
"""What `serve` gives: the driver is gone; there is more to tell of a run, which must be answered. Else the byte that was received."""
RUN = ord("r")
_SCHED = 2  # CPUCLOCK_SCHED, include/linux/posix-timers_types.h
_BEFORE_FIRST = b"1"  # every command's process is the second of its namespace
_CHANGED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)  # by Python; a command must not find them so
_GRACE_CPU_S = 2
_AREAS = 16
_NS = 1_000_000_000


class Surroundings(NamedTuple):
    """Where commands are run.

    Attributes
    ----------
    connection : socket
        To the driver.
    driver : int
        Descriptor on the driver's process.
    slot : Slot
        The memory.
    variables : mapping
        The environment.
    view : View
        What commands see.
    """

    connection: socket.socket
    driver: int
    slot: Slot
    variables: Mapping[bytes, bytes]
    view: View


def spawner(around: Surroundings) -> Spawner | NativeSpawner:
    """Give the compiled one where it is there."""
    with contextlib.suppress(OSError, AttributeError):  # of another machine, or damaged
        library = pairs.code()
        if library is not None:
            return NativeSpawner(around, library)
    return Spawner(around)


def _hard(limit: int) -> int:
    return resource.getrlimit(limit)[1]


def _last_pid() -> int | None:
    """Open what tells the number of the process started last; None where that may not be set."""
    try:
        fd = proc.open_last_number()
        os.pwrite(fd, _BEFORE_FIRST, 0)
    except OSError:
        return None
    return fd


def cpu_of(pid: int) -> float:
    """Give the CPU time of a process, its threads included (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHED)
    except OSError:  # it has ended
        return 0.0


def _outputs() -> tuple[int, int]:
    """Make the files for standard output and standard error."""
    return os.memfd_create("stdout", os.MFD_CLOEXEC), os.memfd_create("stderr", os.MFD_CLOEXEC)


class _Outputs:
    """The outputs of the commands of a slot."""

    _slot: Slot
    _outputs: tuple[int, int]

    def tell_outputs(self) -> None:
        """Say in the slot's memory what the present run has put out."""
        place = self._slot.place(self._slot.present)
        for number, fd in enumerate(self._outputs):
            place.tell_output(number, fd)


class Spawner(_Outputs):
    """Run commands, in Python."""

    def __init__(self, around: Surroundings) -> None:
        self._connection = around.connection
        self._view = around.view
        self._slot = around.slot
        self._outputs = _outputs()
        self._variables = around.variables
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._limits = -1, -1
        self._hard = _hard(resource.RLIMIT_DATA), _hard(resource.RLIMIT_FSIZE)
        self._last_pid = _last_pid()
        self._poll = select.poll()
        self._poll.register(around.connection, select.POLLRDHUP)
        self._poll.register(around.driver, select.POLLIN)

    def renew(self) -> None:
        """Take note of another view."""

    def serve(self) -> int:
        """Run what is asked for, until somebody else has to do something."""
        while byte := self._received():
            if byte[0] != RUN:
                return byte[0]
            self._run()
            if self._view.written_to:
                return SETTLE
            self._connection.sendall(byte)
        return GONE

    def _received(self) -> bytes:
        try:
            return self._connection.recv(1)
        except ConnectionError:
            return b""

    def _run(self) -> None:
        self._slot.present += 1
        place = self._slot.place(self._slot.present)
        outputs = self._outputs
        head = place.head
        for fd in outputs:
            if os.lseek(fd, 0, os.SEEK_CUR):
                os.ftruncate(fd, 0)
                os.lseek(fd, 0, os.SEEK_SET)
        limits = head[shared.MEMORY], head[shared.OUTPUT]
        if limits != self._limits:
            self._limits = limits
            for which, most, hard in zip(
                (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE), limits, self._hard, strict=True
            ):
                resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        if self._last_pid is not None:
            os.pwrite(self._last_pid, _BEFORE_FIRST, 0)
        program, *words = place.words()
        head[shared.FAILED] = head[shared.WRITTEN] = 0
        begun = time.monotonic_ns()
        try:
            pid = os.posix_spawn(
                program,
                words,
                self._variables,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((self._nothing, *outputs))
                ],
                setsid=True,
                setsigdef=_CHANGED,
                setsigmask=(),
            )
        except OSError as error:
            head[shared.FAILED] = error.errno or 1
            return
        pidfd = os.pidfd_open(pid)
        with contextlib.suppress(OSError, ValueError):  # it has ended; its children get it, too
            most = head[shared.CPU_NS] // _NS + _GRACE_CPU_S
            resource.prlimit(pid, resource.RLIMIT_CPU, (most, most + 1))
        head[shared.OVER] = self._wait(head, pid, pidfd, begun)
        _pid, status, used = os.wait4(pid, 0)
        head[shared.TAKEN_NS] = time.monotonic_ns() - begun
        os.close(pidfd)
        head[shared.LEFT] = _end_others()
        head[shared.STATUS] = status
        head[shared.USED_NS] = round((used.ru_utime + used.ru_stime) * _NS)
        head[shared.RESIDENT] = used.ru_maxrss << 10
        self.tell_outputs()

    def _wait(self, head: memoryview[int], pid: int, pidfd: int, begun: int) -> int:
        """Wait until a command ends or is over its limits; it is killed then, and dead or dying at the return."""
        self._poll.register(pidfd, select.POLLIN)
        try:
            while True:
                left_cpu = head[shared.CPU_NS] / _NS - cpu_of(pid)
                left_wall = (begun + head[shared.WALL_NS] - time.monotonic_ns()) / _NS
                if left_cpu <= 0 or left_wall <= 0:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    return shared.OVER_CPU if left_cpu <= 0 else shared.OVER_WALL
                ready = dict(self._poll.poll(1 + 1000 * min(left_cpu, left_wall)))
                if pidfd in ready:
                    return shared.WITHIN
                if ready:  # the driver is gone
                    os._exit(0)
        finally:
            self._poll.unregister(pidfd)


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


class _Memory(ctypes.Structure):
    """`struct runner`."""

    _fields_ = (
        ("slot", c_void_p), ("environment", c_void_p), ("arguments", c_void_p), ("room", c_int64), ("memory", c_int64),
        ("output", c_int64), ("hard_memory", c_int64), ("hard_output", c_int64), ("connection", c_int32), ("driver", c_int32),
        ("nothing", c_int32), ("outputs", c_int32 * 2), ("last_pid", c_int32), ("areas", c_int32), ("unsaid", c_int32),
        ("area", c_int32 * _AREAS),
        ("changed_s", c_int64 * _AREAS), ("changed_ns", c_int64 * _AREAS),
    )  # fmt: skip


def require_same_memory(library: Any) -> None:  # noqa: ANN401 - of ctypes
    """Refuse compiled code that was made for other structures.

    Raises
    ------
    OSError, AttributeError
    """
    library.fmrw_sizes.argtypes, library.fmrw_sizes.restype = (c_int64,), c_int64
    if (library.fmrw_sizes(4), library.fmrw_sizes(8)) != (ctypes.sizeof(_Memory), shared.SIZE):
        raise OSError("the compiled code was made for other structures; install the package again")


class NativeSpawner(_Outputs):
    """Run commands in C; for a process with one thread, whose handlers of signals are set back.

    Raises
    ------
    OSError, AttributeError
        The compiled code was made for other structures.
    """

    def __init__(self, around: Surroundings, library: Any) -> None:  # noqa: ANN401 - of ctypes
        require_same_memory(library)
        self._view = around.view
        self._slot = around.slot
        self._outputs = _outputs()
        self._run = library.fmrw_run_commands
        self._run.argtypes, self._run.restype = (c_void_p,), c_int64
        variables = [name + b"=" + value for name, value in around.variables.items()]
        self._environment = (c_char_p * (len(variables) + 1))(*variables)
        last_pid = _last_pid()
        self._memory = _Memory(
            slot=around.slot.address, environment=ctypes.addressof(self._environment),
            memory=-1, output=-1, hard_memory=_hard(resource.RLIMIT_DATA), hard_output=_hard(resource.RLIMIT_FSIZE),
            connection=around.connection.fileno(), driver=around.driver, nothing=os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC),
            outputs=self._outputs, last_pid=-1 if last_pid is None else last_pid,
        )  # fmt: skip
        for number in _CHANGED:
            signal.signal(number, signal.SIG_DFL)
        self.renew()

    def renew(self) -> None:
        """Take note of another view: its overlays are other ones."""
        memory = self._memory
        while memory.areas:
            memory.areas -= 1
            os.close(memory.area[memory.areas])
        for upper, changed_ns in self._view.uppers():
            number = memory.areas
            memory.area[number] = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            memory.changed_s[number], memory.changed_ns[number] = divmod(changed_ns, _NS)
            memory.areas += 1

    def serve(self) -> int:
        """Run what is asked for, until somebody else has to do something."""
        found: int = self._run(ctypes.addressof(self._memory))
        return found
