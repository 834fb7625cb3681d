"""The compiled code walks stacks as Python does: the same frames, and the same words looked at; and gives them the same numbers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.native.pairs import Native
from fmrw.capture.native.stacks import CODE, SPACE_CODES
from fmrw.capture.sites import modules
from fmrw.capture.sites.compiled import Compiled, walked
from fmrw.capture.sites.modules import Modules
from fmrw.capture.sites.numbers import Notes, Sites
from fmrw.capture.sites.space import Space
from fmrw.capture.sites.unwind import unwind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fmrw.capture.native.stacks import Stacks
    from fmrw.capture.sites.modules import Module
    from fmrw.capture.sites.numbers import Entry

COMMANDS = {
    "cat": ["cat"],
    "grep": ["grep", "-c", "x"],
    "perl": ["perl", "-ne", "1"],
    "bash": ["bash"],
    "python3": [sys.executable, "-c", "import os; os.read(0, 1)"],
    "sqlite3": ["sqlite3"],
    "sort": ["sort"],
    "bsdtar": ["bsdtar", "tf", "-"],
    "sha256sum": ["sha256sum"],
    "sed": ["sed", "-n", "p"],
}


@pytest.fixture
def stacks() -> Stacks:
    """Give the compiled code."""
    native = Native.load()
    assert native is not None, "there is no compiled code: `python -m fmrw.capture.native.build`"
    return native.know_stacks()


@contextlib.contextmanager
def started(name: str) -> Iterator[tuple[int, int, int]]:
    """Start a program that reads its standard input; give it, its stack pointer and its place once it waits there."""
    command = COMMANDS[name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:  # fmt: skip
        line = Path(f"/proc/{program.pid}/syscall")
        while (told := line.read_text().split())[:2] != ["0", "0x0"]:
            assert program.poll() is None
            os.sched_yield()
        yield program.pid, int(told[7], 16), int(told[8], 16)


@pytest.fixture
def waiting(name: str) -> Iterator[tuple[int, int, int]]:
    with started(name) as program:
        yield program


@pytest.mark.parametrize("name", COMMANDS)
def test_frames_and_words_are_those_of_python(
    waiting: tuple[int, int, int], name: str, stacks: Stacks
) -> None:
    tid, top, place = waiting
    known = Modules(lambda _module: None, native=stacks.unwinding)
    spaces = [Space(tid, known) for _side in range(2)]
    try:
        slow = unwind(spaces[0], top, place)
        for _again in range(2):  # the second time all rules are known
            fast = walked(stacks.walker, spaces[1], top, place, (0, 0))
            assert fast is not None, name
            assert fast.frames == slow.frames
            assert fast.stack.words == slow.stack.words
            assert fast.whole
            assert slow.whole
    finally:
        for space in spaces:
            space.close()
        known.close()


class Numbered:
    """Sites, and what is noted of them."""

    def __init__(self, native: Stacks | None) -> None:
        self.modules: dict[int, bytes] = {}
        self.frames: dict[int, list[tuple[object, ...]]] = {}
        self.sites = Sites(Notes(self._module, self._site, lambda *_why: None), 100, native=native)

    def _module(self, module: Module) -> None:
        self.modules[module.number] = module.path

    def _site(self, number: int, frames: Sequence[Entry]) -> None:
        self.frames[number] = [(self.modules[module], *rest) for module, *rest in frames]


@pytest.mark.parametrize("name", COMMANDS)
def test_sites_are_those_of_python_and_known_in_the_next_process(name: str, stacks: Stacks) -> None:
    ours, theirs = Numbered(stacks), Numbered(None)
    with started(name) as (first, *_place), started(name) as (second, *_other):
        assert [theirs.sites.of(first), ours.sites.of(first), ours.sites.of(second)] == [1, 1, 1]
        assert ours.frames == theirs.frames
        interprets = name == "python3"  # whose functions only Python finds, far from the stack
        walked = [any(chain.frames for chain in stacks._memory.chains), stacks.site(second) == 1]
        assert walked == [not interprets, not interprets]
    ours.sites.close()
    theirs.sites.close()


def test_the_tables_of_the_c_library_are_read_before_anybody_asks(stacks: Stacks) -> None:
    known = Numbered(stacks)
    known.sites.prepare()
    (library,) = known.modules.values()
    with started("cat") as (program, *_place):
        assert known.sites.of(program) == 1
    assert known.frames[1][0][0] == library
    assert sorted(known.modules.values()).count(library) == 1
    known.sites.close()


def test_no_stack_is_walked_by_a_file_that_is_closed(monkeypatch: pytest.MonkeyPatch, stacks: Stacks) -> None:
    """Where there is no room for more files, the number of a descriptor is soon another file's."""
    monkeypatch.setattr(modules, "_KEPT", 2)
    monkeypatch.setattr(modules, "_RETIRED", 1)
    ours, theirs = Numbered(stacks), Numbered(None)
    with contextlib.ExitStack() as programs:
        tids = [programs.enter_context(started(name))[0] for name in ("cat", "sort", "sed", "bsdtar", "perl")]
        for tid in tids * 2:
            assert ours.frames[ours.sites.of(tid)] == theirs.frames[theirs.sites.of(tid)]
            told = [code for space in stacks._memory.spaces if space.number for code in space.codes[: space.count]]  # fmt: skip
            assert told
            assert [os.fstat(code.fd).st_ino for code in told] == [code.mapped.inode for code in told]
    ours.sites.close()
    theirs.sites.close()


class Asking:
    """Compiled code that asks for one place for ever."""

    def __init__(self, place: int) -> None:
        self.place, self.told = place, 0

    def see(self, _tid: int) -> int:
        return CODE

    def learn_space(self, *_what: object, **_how: object) -> None:
        self.told += 1


def test_code_for_which_there_is_no_room_is_not_told_of_again_and_again() -> None:
    known = Modules(lambda _module: None)
    with started("cat") as (tid, _top, place), contextlib.closing(Space(tid, known)) as space:
        code = space.code(place)
        assert code is not None
        space.codes.update(dict.fromkeys(range(SPACE_CODES), code))
        asking = Asking(place)
        for full in (False, True):
            space.codes.update({code.mapping.begin: code} if full else {})
            assert Compiled(asking, lambda *_frames: 0).site(tid, space) is None  # type: ignore[arg-type]
        assert asking.told == 0
    known.close()


@pytest.mark.parametrize("name", ["li\nne", r"li\012ne", "li\nne\\012"])
def test_a_file_has_one_name_however_the_kernel_is_asked(name: str, tmp_path: Path) -> None:
    program = str(shutil.copy("/bin/cat", tmp_path / name))
    known = Modules(lambda _module: None)
    with (
        subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waiting,
        contextlib.ExitStack() as spaces,
    ):
        assert waiting.stdin is not None
        assert waiting.stdout is not None
        os.write(waiting.stdin.fileno(), b"!")
        assert waiting.stdout.read(1) == b"!", "it is there, a moment after `Popen` has returned"
        listing, asking = (spaces.enter_context(contextlib.closing(Space(waiting.pid, known))) for _ in "12")
        listing.read_list()
        found = [each for each in listing._mappings if each.place.path == os.fsencode(program)]
        assert found
        assert [asking.mapping(each.begin) for each in found] == found
    known.close()


TWICE = """
import ctypes, os, sys
copy = ctypes.CDLL(sys.argv[1])
again = ctypes.CDLL("libc.so.6").dlmopen(ctypes.c_long(-1), b"libutil.so.1", 2)
os.write(1, b"!")
os.read(0, 1)
"""


def test_of_two_libraries_with_one_name_none_is_taken_for_the_one_that_stays(tmp_path: Path) -> None:
    """One that is loaded for a time may be called as one that the program is linked to, or be the same file once more."""
    with contextlib.closing(Modules(lambda _module: None)) as known:
        with started("cat") as (tid, *_place), contextlib.closing(Space(tid, known)) as space:
            space.read_list()
            (library,) = (path for path in _staying(space) if path.endswith(b"/libc.so.6"))
        copy = shutil.copy(os.fsdecode(library), tmp_path / "libm.so.6")
        command = [sys.executable, "-c", TWICE, str(copy)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waiting:
            assert waiting.stdout is not None
            assert waiting.stdout.read(1) == b"!"
            with contextlib.closing(Space(waiting.pid, known)) as space:
                space.read_list()
                listed = [each.place.path for each in space._mappings if each.executable]
                staying = _staying(space)
        assert listed.count(library) == 2, "that of the other namespace, too"
        assert os.fsencode(os.path.realpath(sys.executable)) in staying
        assert not {path for path in staying if path.endswith((b"/libm.so.6", b"/libc.so.6"))}


def _staying(space: Space) -> set[bytes]:
    """Give the files of which the code cannot be unloaded."""
    codes = [space.code(each.begin) for each in space._mappings if each.executable and each.place.inode]
    return {code.mapping.place.path for code in codes if code is not None and space.stays(code)}
