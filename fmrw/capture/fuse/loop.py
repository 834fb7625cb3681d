"""Request loop: threads of ours on libfuse's session, and promises to the kernel that libfuse 2 cannot give.

libfuse's own threads end beyond ten idle ones and are made anew, tens of thousands of times a second on one busy CPU,
and each then builds and destroys a Python thread state: 50 µs a call instead of 18 µs. These are Python's, and stay.

The kernel's first request, INIT, is answered through a channel of our own, which adds to libfuse's answer

- `FUSE_DONT_MASK`: the umask comes with the request instead of being applied, since a default ACL replaces it;
- `FUSE_POSIX_ACL`, where others are let in: the kernel reads access control lists through `getxattr` and decides by them. With
  `default_permissions` alone it decides by the mode, whose group bits are only the mask of such a list: who is shut out by name
  would be let in;
- `FUSE_MAX_PAGES` (Linux 4.20): a request carries up to 1 MiB instead of 32 pages. So most calls are one request, and a
  request that is smaller than such a one is known to be a whole call without a look at the caller;
- `FUSE_DIRECT_IO_ALLOW_MMAP` (Linux 6.6): files opened for direct I/O can be mapped shared, which is ENODEV without. Page faults and the
  pages that are written back then come as requests of the page cache; `read` and `write` beside them stay what the program asked for;
- `FUSE_ASYNC_DIO` (Linux 3.9), where files are opened for direct I/O: an asynchronous read over the end of a file gives what is there.
  Without it the kernel gives io_uring a short read whose position it has not moved on, io_uring asks for the rest at the same
  place, and the tail comes twice. The requests of such a call could come at once and in any order. So only one may wait for its
  answer (`max_background`): who submits the next waits meanwhile, in the call that is looked up to put requests together.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
from ctypes import CFUNCTYPE, c_int, c_size_t, c_uint16, c_uint32, c_void_p
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.fuse.transfers import DATA_AT, PLAIN, Limits
from fmrw.capture.native.receiving import Receiver, aligned
from fmrw.capture.system import libc
from fmrw.capture.system.proc import most_fuse_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fmrw.capture.fuse.gate import Gate

DONT_MASK = 1 << 6  # include/uapi/linux/fuse.h
POSIX_ACL = 1 << 20
_MAX_PAGES = 1 << 22
_EXTENDED = 1 << 30  # FUSE_INIT_EXT: there are 64 flags, of which `flags2` holds the upper half
SHARED_MAPS = 1 << 36  # FUSE_DIRECT_IO_ALLOW_MMAP
ASYNC_DIRECT = 1 << 15  # FUSE_ASYNC_DIO
_WELCOME = _EXTENDED | SHARED_MAPS | ASYNC_DIRECT
"""Flags that are promised for direct I/O wherever the kernel offers them."""
RENAME = 12
_OPCODE_AT = 4  # in struct fuse_in_header
_OFFERED_AT, _OFFERED_ABOVE_AT = 52, 56  # flags and flags2 in struct fuse_init_in, behind the header
_ANSWER_FLAGS_AT, _BACKGROUND_AT, _MAX_WRITE_AT, _MAX_PAGES_AT, _ANSWER_ABOVE_AT = (
    12,
    16,
    20,
    28,
    32,
)  # in struct fuse_init_out
_ANSWER_SIZE = 64  # of it since protocol 7.23
_NAMES_AT = 48  # of a rename: after struct fuse_in_header and struct fuse_rename_in
_LOWER = (1 << 32) - 1
_HEADER_SIZE = 16  # of struct fuse_out_header, which begins with the length of all
_READ = 1 << 20  # bytes of a request, at most
_WRITE = 1 << 18  # less, since every thread holds room for it
_WITHDRAWN = (errno.ENOENT, errno.EAGAIN)  # who asked was killed before the request was taken
_MOST_THREADS = 256
_STACK = 1 << 20
_SEND = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)


class Library(NamedTuple):
    """What is used of libfuse 2."""

    process: Any
    send: Any
    new_channel: Any
    next_channel: Any
    buffer_size: Any
    descriptor: Any


class Serving(NamedTuple):
    """How one thread serves.

    Attributes
    ----------
    answers
        Opcode → function that answers the request which lies there; what has none is processed by libfuse.
    receive
        Waits for a request that Python is to answer, and gives its length, or 0 when the mount is gone; None: as Python does it.
    """

    answers: Mapping[int, Callable[[], None]] = {}
    receive: Callable[[], int] | None = None


class _Channel(ctypes.Structure):
    """`struct fuse_chan_ops`."""

    _fields_ = (("receive", c_void_p), ("send", c_void_p), ("destroy", c_void_p))


class _Part(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", c_void_p), ("length", c_size_t))


class _Serving(threading.local):
    buffer: Any = None


_serving = _Serving()


def opcode() -> int:
    """Tell which request this thread answers (include/uapi/linux/fuse.h); 0 outside of one."""
    buffer = _serving.buffer
    return 0 if buffer is None else c_uint32.from_buffer(buffer, _OPCODE_AT).value


def renames_to() -> bytes | None:
    """Give the last component that a rename which this thread answers was asked for; None while it answers something else."""
    buffer = _serving.buffer
    if opcode() != RENAME:
        return None
    length: int = c_uint32.from_buffer(buffer).value
    _old, new, _end = bytes(buffer[_NAMES_AT:length]).split(b"\0", 2)
    return new


def library(fuse: ctypes.CDLL) -> Library:
    """Give the functions used here their types."""

    def function(name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes has no types
        found = getattr(fuse, name)
        found.restype, found.argtypes = result, arguments
        return found

    return Library(
        function("fuse_session_process", None, c_void_p, c_void_p, c_size_t, c_void_p),
        function("fuse_chan_send", c_int, c_void_p, c_void_p, c_size_t),
        function("fuse_chan_new", c_void_p, c_void_p, c_int, c_size_t, c_void_p),
        function("fuse_session_next_chan", c_void_p, c_void_p, c_void_p),
        function("fuse_chan_bufsize", c_size_t, c_void_p),
        function("fuse_chan_fd", c_int, c_void_p),
    )


def _offered(request: Any) -> int:  # noqa: ANN401 - an array of ctypes
    """Give the flags that the kernel offers in INIT, all 64 of them."""
    flags = c_uint32.from_buffer(request, _OFFERED_AT).value
    above = c_uint32.from_buffer(request, _OFFERED_ABOVE_AT).value if flags & _EXTENDED else 0
    return flags | above << 32


def _large() -> Limits:
    """Give what is asked for where the kernel is able to."""
    pages = min(_READ // mmap.PAGESIZE, most_fuse_pages())
    if pages * mmap.PAGESIZE <= PLAIN.read:
        return PLAIN
    return Limits(pages * mmap.PAGESIZE, min(_WRITE, pages * mmap.PAGESIZE))


class Loop:
    """Threads that receive and process requests; one more is started whenever all are inside an operation.

    Parameters
    ----------
    fuse : Library
        libfuse.
    session : int
        Its session.
    promised : int
        Flags added to the answer to INIT, without which nothing is served.
    gate : Gate
        Which every operation passes.
    answering : callable
        Called in each thread with (where it receives requests, what a request carries); gives its `Serving`.
    direct : bool
        Whether files are opened for direct I/O, for which more is promised where the kernel offers it.
    agreed : callable
        Called once, before the kernel is answered, with all flags that are added.
    """

    def __init__(
        self,
        fuse: Library,
        session: int,
        promised: int,
        gate: Gate,
        answering: Callable[[Receiver, Limits], Serving] = lambda *_: Serving(),
        *,
        direct: bool = False,
        agreed: Callable[[int], None] = lambda _flags: None,
    ) -> None:
        self._fuse = fuse
        self._welcome = _WELCOME if direct else 0
        self._agreed = agreed
        self._answering = answering
        self._session = session
        self._promised = promised
        self._channel = fuse.next_channel(session, None)
        self._size = fuse.buffer_size(self._channel)
        self.limits = PLAIN
        self._descriptor = fuse.descriptor(self._channel)
        self._threads: list[threading.Thread] = []
        self._gate = gate
        gate.grow = self._grow
        self._lock = threading.Lock()

    def run(self) -> None:
        """Serve until the kernel says the mount is gone."""
        self._shake_hands()
        self._grow()
        for thread in self._threads:  # grows meanwhile
            thread.join()

    def _shake_hands(self) -> None:
        """Answer INIT.

        Raises
        ------
        OSError
            EOPNOTSUPP: the kernel (before 4.9) does not offer what keeps others out.
        """
        memory = bytearray(self._size)
        length = self._receive([memory])
        if not length:
            return
        buffer = (ctypes.c_char * self._size).from_buffer(memory)
        offered = _offered(buffer)
        if self._promised & ~offered:
            raise OSError(
                errno.EOPNOTSUPP, "this kernel's FUSE knows no access control lists; leave --allow-other out"
            )
        self._promised |= offered & self._welcome
        self._agreed(self._promised)
        if offered & _MAX_PAGES:
            self.limits = _large()
            self._size = max(self._size, DATA_AT + self.limits.write)
        self._reply = _SEND(self._send_init)
        answering = _Channel(None, ctypes.cast(self._reply, c_void_p), None)
        own = self._fuse.new_channel(
            ctypes.byref(answering), self._descriptor, self._size, None
        )  # stays until the process ends: libfuse keeps no word on who may free it
        self._fuse.process(self._session, buffer, length, own)

    def _send_init(self, _channel: int, vector: int, count: int) -> int:
        """Add the promises to an answer made of a header and `struct fuse_init_out`, and send it."""
        parts = (_Part * count).from_address(vector)
        if count > 1:
            answer = ctypes.create_string_buffer(_ANSWER_SIZE)
            ctypes.memmove(answer, parts[1].base, parts[1].length)
            c_uint32.from_buffer(answer, _ANSWER_FLAGS_AT).value |= self._promised & _LOWER
            c_uint32.from_buffer(answer, _ANSWER_ABOVE_AT).value |= self._promised >> 32
            if self._promised & ASYNC_DIRECT:
                c_uint16.from_buffer(answer, _BACKGROUND_AT).value = 1
            if self.limits is not PLAIN:
                c_uint32.from_buffer(answer, _ANSWER_FLAGS_AT).value |= _MAX_PAGES
                c_uint32.from_buffer(answer, _MAX_WRITE_AT).value = self.limits.write
                c_uint16.from_buffer(answer, _MAX_PAGES_AT).value = self.limits.read // mmap.PAGESIZE
            parts[1].base, parts[1].length = ctypes.addressof(answer), _ANSWER_SIZE
            c_uint32.from_address(parts[0].base).value = _HEADER_SIZE + _ANSWER_SIZE
        sent: int = self._fuse.send(self._channel, vector, count)
        return sent

    def _grow(self) -> None:
        with self._lock:
            if self._gate.spare() or len(self._threads) >= _MOST_THREADS:
                return
            before = threading.stack_size(_STACK)
            thread = threading.Thread(target=self._work, name="fmrw-fuse", daemon=True)
            self._gate.free.append(None)  # before it can take it, or two entries would stand for one thread
            try:
                thread.start()
            except RuntimeError:  # no more threads to be had: those that are there go on
                self._gate.free.pop()
                return
            finally:
                threading.stack_size(before)
            self._threads.append(thread)

    def _receive(self, into: Sequence[bytearray | memoryview]) -> int:
        """Wait for a request; give its length, or 0 when the mount is gone."""
        while True:
            try:
                return os.readv(self._descriptor, into)
            except OSError as error:
                if error.errno not in _WITHDRAWN:
                    return 0

    def _work(self) -> None:
        libc.drop_umask()
        request = aligned(-(-self._size // 8) * 8, DATA_AT)
        buffer = _serving.buffer = (ctypes.c_char * len(request)).from_buffer(request)
        opcode = request.cast("I")[1:2]
        process = self._fuse.process
        where = Receiver(
            self._descriptor, request, ctypes.cast(process, c_void_p).value or 0, self._session, self._channel
        )
        answers, wait = self._answering(where, self.limits)
        receive = wait or partial(self._receive, [request])
        while length := receive():
            answer = answers.get(opcode[0])
            if answer is None:
                process(self._session, buffer, length, self._channel)
            else:
                answer()
