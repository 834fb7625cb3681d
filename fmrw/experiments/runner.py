"""Runner: the process of a slot, which starts one command after the other and sees each to its end.

Started as `python -m fmrw.experiments.runner` by `fmrw.experiments.runs`. It enters the namespaces of the process that mounts, makes its own
(`fmrw.experiments.view`), and forks once: the child is the first process of a namespace of processes, so that with it every process
ends that a command has left, wherever it has moved itself. Commands stand in the slot's memory (`fmrw.experiments.spawn`); outputs go to files in memory.

It ends when the driver does, by whatever way: the socket closes, or the descriptor on its process says so.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import resource
import signal
import socket
import struct
import sys
from typing import Any

from fmrw.capture.system import namespaces, proc
from fmrw.experiments import shared
from fmrw.experiments.shared import Slot
from fmrw.experiments.spawn import GONE, RUN, SETTLE, Surroundings, spawner
from fmrw.experiments.view import View

_LENGTH = struct.Struct("<I")
WRITABLE, READ_ONLY, PROCESSES = b"wop"
"""Bytes of the driver's beside `RUN`: let commands write into the directory, or not; limit the number of processes."""


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


class Runner:
    """Run commands in a slot, one at a time.

    Parameters
    ----------
    around : Surroundings
    folder : str
        To run commands in.
    """

    def __init__(self, around: Surroundings, folder: str) -> None:
        self._connection = around.connection
        self._slot = around.slot
        self._view = around.view
        self._folder = folder
        self._enter_folder()
        self._spawner = spawner(around)

    def serve(self) -> None:
        """Run what is asked for until the driver is gone."""
        while (byte := self._spawner.serve()) != GONE:
            if byte == SETTLE:
                self._settle()
            elif byte in {WRITABLE, READ_ONLY}:
                self._view.writable = byte == WRITABLE
                self._renew()
                self._connection.sendall(bytes((byte,)))
            elif byte == PROCESSES:
                with contextlib.suppress(OSError):  # denied in some containers
                    proc.limit_processes(self._slot.place(self._slot.present + 1).head[shared.PROCESSES])
                self._connection.sendall(bytes((byte,)))

    def _settle(self) -> None:
        """Empty the overlays, and say what was in them; say the rest of long outputs."""
        self._spawner.tell_outputs()
        written = []
        if self._view.written_to:
            written = self._view.settle()
            self._renew()
        self._slot.place(self._slot.present).tell_written(
            [(each.path, each.kind, each.size, each.digest) for each in written]
        )
        self._connection.sendall(bytes((RUN,)))

    def _renew(self) -> None:
        """Work with the overlays that lie there now."""
        self._enter_folder()
        self._spawner.renew()

    def _enter_folder(self) -> None:
        try:
            os.chdir(self._folder)
        except OSError:  # of others, or gone
            os.chdir("/")


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
    for fd in (connection.fileno(), driver, settings["memory"]):
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
    if os.getpid() != 1:  # whoever kills all others between runs must have a namespace of its own
        send(connection, {"error": "the kernel gave no namespace of processes"})
        return 1
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
    slot = Slot(settings["memory"])
    around = Surroundings(connection, driver, slot, settings["variables"], view)
    Runner(around, settings["folder"]).serve()
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except ConnectionError:  # the driver is gone, and with it whoever wants to know
        code = 1
    os._exit(code & 0xFF)
