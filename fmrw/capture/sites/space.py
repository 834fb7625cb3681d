"""Address space: what is mapped where in a process, and its memory, read without stopping it.

The kernel is asked for the mapping of each address that stacks lead to, once. Where it cannot be asked (before Linux 6.11), or stacks have to be
searched, the list of all mappings is read, and again when a place in the code lies in none of them. The memory descriptor belongs to the program
that ran when it was opened: after execve(2) it reads nothing.

Reading either takes a lock of the address space that a thread may hold while it waits for us in a page fault. So it is done only for a thread that
waits in a read or write of its own (`fmrw.capture.sites.numbers`). Where the stack should be and a file is mapped instead, nothing is read: the
fault would ask whoever serves that file, which may be us.

Source: proc_pid_maps(5), proc_pid_mem(5); `PROCMAP_QUERY` (Linux 6.11), include/uapi/linux/fs.h.
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import fcntl
import itertools
import os
import re
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.capture.sites.modules import Place
from fmrw.capture.system.proc import open_entry, program_of

if TYPE_CHECKING:
    from fmrw.capture.sites.modules import Module, Modules

_LINE = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$", re.MULTILINE
)
_MOST_LIST = 16 << 20
_MOST_MAPPINGS, _MOST_LIBRARIES = 65_536, 4_096
_QUERY = Struct("=9Q4I2Q")
"""`struct procmap_query`: size, flags, address; begin, end, flags, page size, offset, inode, device, sizes and addresses of a name and a build-id."""
_QUERY_CODE = 0xC0686611  # _IOWR('f', 17, 104 bytes)
_EXECUTABLE = 4  # PROCMAP_QUERY_VMA_EXECUTABLE
_LONGEST_PATH = 4096
_LINE_END = rb"\012"
_numbers = itertools.count(1)
_MEMORY_FILES = (b"/dev/zero", b"/memfd:", b"/SYSV")


class Mapping(NamedTuple):
    """A line of the list."""

    begin: int
    end: int
    executable: bool
    offset: int
    place: Place

    @property
    def is_memory(self) -> bool:
        """Whether no file lies behind it that somebody would have to be asked for."""
        return not self.place.inode or self.place.path.startswith(_MEMORY_FILES)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Begin, end, offset, inode, and the device's two numbers."""
        major, _colon, minor = self.place.device.partition(b":")
        return self.begin, self.end, self.offset, self.place.inode, int(major, 16), int(minor, 16)


class Code(NamedTuple):
    """Where code lies: its module, and what is added to an address in memory to get that of the linked file."""

    module: Module
    shift: int
    mapping: Mapping


class Space:
    """One process's address space, from one execve(2) to the next.

    Parameters
    ----------
    tid : int
        A thread of it.
    modules : Modules
        Those of the recording.

    Attributes
    ----------
    number : int
        One for each.
    memory, list : int
        Descriptors of its memory, and of the list of what is mapped.
    version : int
        Another one whenever something that was known has changed.
    listed : bool
        Whether all that is mapped is known, and not only what was asked for.
    places : dict
        Places in the code that stacks have led to, as long as what is mapped stays the same (`fmrw.capture.sites.unwind`).

    Raises
    ------
    OSError
        It may not be looked at, or is gone.
    """

    def __init__(self, tid: int, modules: Modules) -> None:
        self.tid = tid
        self.number = next(_numbers)
        self._modules = modules
        self.version = 0
        self._forget()
        self.memory = open_entry(tid, "mem")
        try:
            self.list = open_entry(tid, "maps")
        except BaseException:
            self.close()
            raise

    def take(self) -> list[int]:
        """Give the descriptors to somebody who closes them."""
        taken = [fd for name in ("memory", "list") if (fd := getattr(self, name, -1)) >= 0]
        self.memory = self.list = -1
        return taken

    def close(self) -> None:
        """Let it go."""
        for fd in self.take():
            os.close(fd)

    def _forget(self) -> None:
        """Know nothing of what is mapped."""
        self.version += 1
        self._mappings: list[Mapping] = []
        self._begins: list[int] = []
        self.listed = False
        self._code: dict[int, Code | None] = {}
        self.places: dict[int, Any] = {}  # of `fmrw.capture.sites.frames.Met`, which knows this class
        self._permanent: set[Mapping] | None = None
        self._unfollowed: deque[Mapping] = deque()
        self.codes: dict[
            int, Code
        ] = {}  # as the compiled code knows it (`fmrw.capture.sites.compiled`), by where it begins
        self.table: Any = None

    def leave(self, module: Module) -> bool:
        """Forget what is mapped if a module is part of it; tell so."""
        known = any(code is not None and code.module is module for code in self._code.values())
        if known:
            self._forget()
        return known

    def refresh(self) -> None:
        """Look again at what is mapped."""
        if self.listed:
            self.read_list()
        elif any(self._asked(mapping.begin) != mapping for mapping in self._mappings if mapping.place.inode):
            self._forget()

    def read_list(self) -> None:
        """Read all that is mapped now."""
        data = bytearray()
        os.lseek(self.list, 0, os.SEEK_SET)
        while len(data) < _MOST_LIST and (more := os.read(self.list, 1 << 16)):
            data += more
        mappings = [
            Mapping(int(begin, 16), int(end, 16), rights[2:3] == b"x", int(offset, 16), Place(device, int(inode), path))
            for begin, end, rights, offset, device, inode, path in _LINE.findall(bytes(data))[:_MOST_MAPPINGS]
        ]  # fmt: skip
        if _LINE_END in data:
            mappings = [self._named_exactly(mapping) for mapping in mappings]
        same = set(mappings).issuperset(mapping for mapping in self._mappings if mapping.place.inode)
        if mappings != self._mappings if self.listed else not same:
            self._forget()
        self._mappings, self.listed = mappings, True
        self._begins = [mapping.begin for mapping in self._mappings]

    def _named_exactly(self, listed: Mapping) -> Mapping:
        """Undo what the list makes of the end of a line in a name; of a name that has a backslash itself, the kernel tells which it is."""
        path = listed.place.path
        if _LINE_END not in path:
            return listed
        with contextlib.suppress(OSError):  # an older kernel
            asked = self._asked(listed.begin)
            if asked is not None and asked.numbers == listed.numbers:
                return asked
        return listed._replace(place=listed.place._replace(path=path.replace(_LINE_END, b"\n")))

    def know_all(self) -> None:
        """Read the list of all mappings, unless it was: for who asks for many addresses."""
        if not self.listed:
            self.read_list()

    def mapping(self, address: int) -> Mapping | None:
        """Give what is mapped at an address."""
        number = bisect.bisect_right(self._begins, address) - 1
        if number >= 0 and address < self._mappings[number].end:
            return self._mappings[number]
        if self.listed:
            return None
        try:
            found = self._asked(address)
        except OSError:  # an older kernel
            self.read_list()
            return self.mapping(address)
        if found is not None:
            self._note(found)
        return found

    def _asked(self, address: int) -> Mapping | None:
        """Ask the kernel what is mapped at an address; None where nothing is, or the program is gone.

        Raises
        ------
        OSError
            It cannot be asked.
        """
        if not 0 <= address < 1 << 64:
            return None
        name = ctypes.create_string_buffer(_LONGEST_PATH)
        question = bytearray(_QUERY.pack(_QUERY.size, 0, address, *(0,) * 8, len(name), 0, ctypes.addressof(name), 0))  # fmt: skip
        try:
            fcntl.ioctl(self.list, _QUERY_CODE, question)
        except (FileNotFoundError, ProcessLookupError):
            return None
        _s, _f, _a, begin, end, rights, _ps, offset, inode, major, minor, named, *_rest = _QUERY.unpack(
            question
        )
        path = name.value if named else b""
        return Mapping(begin, end, bool(rights & _EXECUTABLE), offset, Place(b"%02x:%02x" % (major, minor), inode, path))  # fmt: skip

    def _note(self, found: Mapping) -> None:
        """Keep a mapping, and no older one that lay where it lies: a stack grows, and other memory; files are other ones now."""
        low = bisect.bisect_right(self._begins, found.begin)
        low -= low > 0 and self._mappings[low - 1].end > found.begin
        high = bisect.bisect_left(self._begins, found.end)
        if any(mapping.place.inode for mapping in self._mappings[low:high]):
            self._forget()
            low = high = 0
        self._mappings[low:high] = [found]
        self._begins[low:high] = [found.begin]

    def is_local(self, mapping: Mapping) -> bool:
        """Tell whether what is mapped lies on a disk of this machine."""
        return self._modules.is_local(mapping.place.device)

    def code(self, address: int) -> Code | None:
        """Give the code at an address; None where there is none, or none of a file."""
        mapping = self.mapping(address)
        if mapping is None or not mapping.executable or not mapping.place.inode:
            return None
        try:
            return self._code[mapping.begin]
        except KeyError:
            found = self._code[mapping.begin] = self._bound(mapping)
            return found

    def _bound(self, mapping: Mapping) -> Code | None:
        module = self._modules.of(mapping.place, self.tid, mapping.begin, mapping.end)
        shift = mapping.offset - mapping.begin  # where the file cannot be read: the place in it
        if module.elf is not None:
            linked = module.elf.address_of(mapping.offset)
            if linked is None:
                return None
            shift = linked - mapping.begin
        return Code(module, shift, mapping)

    def holds(self, code: Code) -> bool:
        """Tell whether the same file still lies where code was found; it may have been unloaded, and another one loaded there."""
        mapping = code.mapping
        question = bytearray(_QUERY.pack(_QUERY.size, 0, mapping.begin, *(0,) * 12))
        try:
            fcntl.ioctl(self.list, _QUERY_CODE, question)
        except (FileNotFoundError, ProcessLookupError):
            return False
        except OSError:  # an older kernel
            self.read_list()
            return self.mapping(mapping.begin) == mapping
        _s, _f, _a, begin, end, _vf, _ps, offset, inode, major, minor, *_rest = _QUERY.unpack(question)
        return (begin, end, offset, inode, major, minor) == mapping.numbers

    @property
    def settled(self) -> bool:
        """Whether is known already what stays."""
        return self._permanent is not None

    def settle(self) -> None:
        """Find out what stays, for code that is known."""
        for code in [*self.codes.values()]:
            self.stays(code)

    def stays(self, code: Code) -> bool:
        """Tell whether code cannot be unloaded: the program itself and the libraries that it is linked to, directly or by another.

        Libraries are known by the names of their files. Where two have one name, or one was loaded twice, any of them may be the one that stays,
        and none is taken for it.
        """
        known = self._begun() if self._permanent is None else self._permanent
        while code.mapping not in known and self._unfollowed:
            self._follow(self._unfollowed.popleft(), known)
        return code.mapping in known

    def _begun(self) -> set[Mapping]:
        """Begin with the program."""
        self.know_all()
        program = os.fsencode(program_of(self.tid))
        mappings = [mapping for mapping in self._mappings if mapping.executable and mapping.place.inode]
        self._unfollowed = deque(mapping for mapping in mappings if mapping.place.path == program)
        known = self._permanent = set(self._unfollowed)
        self._named: dict[bytes, list[Mapping]] = {}
        for mapping in itertools.islice(mappings, _MOST_LIBRARIES):
            name = mapping.place.path.rpartition(b"/")[2]
            while name:
                self._named.setdefault(name, []).append(mapping)
                name = name.rpartition(b".")[0]
        return known

    def _follow(self, mapping: Mapping, known: set[Mapping]) -> None:
        """Note the libraries that a file is linked to."""
        code = self.code(mapping.begin)
        for name in code.module.libraries if code is not None else ():
            found = self._named.get(os.fsencode(name), ())
            if len(found) == 1 and found[0] not in known:
                known.add(found[0])
                self._unfollowed.append(found[0])
