"""Random operations, one after the other, on a mount and on a plain directory: the same answers, the same tree."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH208, PTH211

from __future__ import annotations

import itertools
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from sides import Side

pytestmark = pytest.mark.mount

# few names, so that operations meet; some inside others
NAMES = st.sampled_from(
    [b"a", b"b", b"dir", b"dir/a", b"dir/sub", b"dir/sub/b", b"link", b"\xff", b"dir/link/a"]
)
OFFSETS = st.sampled_from([0, 1, 100, 4095, 4096, 131_072, 1 << 32])
SIZES = st.sampled_from([0, 1, 10, 4096, 5000, 131_073])
FLAGS = st.sampled_from([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND])
MORE = st.sampled_from(
    [
        0,
        os.O_CREAT,
        os.O_CREAT | os.O_EXCL,
        os.O_TRUNC,
        os.O_CREAT | os.O_TRUNC,
        os.O_DIRECTORY,
        os.O_NOFOLLOW,
    ]
)
PERMISSIONS = st.sampled_from([0o644, 0o4755, 0o600, 0o1777, 0o2770, 0])
WHICH = st.integers(0, 7)


class Twin:
    """One of the two directories, and what is open in it."""

    def __init__(self, root: bytes) -> None:
        os.mkdir(root)
        self.probe = Probe(root)
        self.open: dict[int, int] = {}

    def try_(self, action: Callable[[Twin], Any]) -> Any:  # noqa: ANN401 - whatever the call gives
        self.probe.log.clear()
        value = self.probe("did", action, self)
        return self.probe.log[-1], value

    def close(self) -> None:
        for fd in self.open.values():
            os.close(fd)
        shutil.rmtree(self.probe.root)


class Machine(RuleBasedStateMachine):
    """Does everything twice."""

    plain: Side
    side: Side
    runs = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        name = f"machine-{next(self.runs):06}"
        self.twins = [Twin(os.fsencode(side.root / name)) for side in (self.plain, self.side)]
        self.handles = 0
        if (
            self.side.capture != "exact"
        ):  # reading past the end leaves the access time, see test_differences.py
            for twin in self.twins:
                twin.probe.times = ("st_mtime_ns", "st_ctime_ns")

    def both(self, action: Callable[[Twin], Any]) -> None:
        expected, found = (twin.try_(action)[0] for twin in self.twins)
        assert found == expected

    @rule(name=NAMES, mode=FLAGS, more=MORE, permissions=PERMISSIONS)
    def open_file(self, name: bytes, mode: int, more: int, permissions: int) -> None:
        opened = [
            twin.try_(lambda t: os.open(t.probe.at(name), mode | more, permissions)) for twin in self.twins
        ]
        errors = [outcome[0][1] if outcome[1] is None else "" for outcome in opened]
        assert errors[0] == errors[1]
        if not errors[0]:
            self.handles += 1
            for twin, (_log, fd) in zip(self.twins, opened, strict=True):
                twin.open[self.handles] = fd

    def _with(self, which: int, action: Callable[[int], Any]) -> None:
        """Do something with one of the open files, when there is one."""
        numbers = list(self.twins[0].open)
        if numbers:
            number = numbers[which % len(numbers)]
            self.both(lambda t: action(t.open[number]))

    @rule(which=WHICH)
    def close(self, which: int) -> None:
        numbers = list(self.twins[0].open)
        if numbers:
            number = numbers[which % len(numbers)]
            self.both(lambda t: os.close(t.open.pop(number)))

    @rule(which=WHICH, offset=OFFSETS, size=SIZES, seed=st.integers(0, 255))
    def write_at(self, which: int, offset: int, size: int, seed: int) -> None:
        data = bytes([seed]) * size
        self._with(which, lambda fd: os.pwrite(fd, data, offset))

    @rule(which=WHICH, size=SIZES)
    def write(self, which: int, size: int) -> None:
        self._with(which, lambda fd: (os.write(fd, b"w" * size), os.lseek(fd, 0, os.SEEK_CUR)))

    @rule(which=WHICH, offset=OFFSETS, size=SIZES)
    def read_at(self, which: int, offset: int, size: int) -> None:
        self._with(which, lambda fd: os.pread(fd, size, offset))

    @rule(which=WHICH, size=SIZES)
    def read(self, which: int, size: int) -> None:
        self._with(which, lambda fd: os.read(fd, size))

    @rule(which=WHICH, offset=OFFSETS, whence=st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]))
    def seek(self, which: int, offset: int, whence: int) -> None:
        self._with(which, lambda fd: os.lseek(fd, offset, whence))

    @rule(which=WHICH, size=OFFSETS)
    def truncate_open(self, which: int, size: int) -> None:
        self._with(which, lambda fd: os.ftruncate(fd, size))

    @rule(which=WHICH, permissions=PERMISSIONS)
    def chmod_open(self, which: int, permissions: int) -> None:
        self._with(which, lambda fd: os.fchmod(fd, permissions))

    @rule(which=WHICH, moment=st.integers(0, 2**34))
    def touch_open(self, which: int, moment: int) -> None:
        self._with(which, lambda fd: os.utime(fd, ns=(moment * 10**9, moment * 10**9 + 1)))

    @rule(which=WHICH)
    def stat_open(self, which: int) -> None:
        numbers = list(self.twins[0].open)
        if numbers:
            number = numbers[which % len(numbers)]
            self.both(lambda t: t.probe.show(os.fstat(t.open[number])))

    @rule(name=NAMES)
    def mkdir(self, name: bytes) -> None:
        self.both(lambda t: os.mkdir(t.probe.at(name), 0o755))

    @rule(name=NAMES)
    def rmdir(self, name: bytes) -> None:
        self.both(lambda t: os.rmdir(t.probe.at(name)))

    @rule(name=NAMES)
    def unlink(self, name: bytes) -> None:
        self.both(lambda t: os.unlink(t.probe.at(name)))

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: bytes, new: bytes) -> None:
        self.both(lambda t: os.rename(t.probe.at(old), t.probe.at(new)))

    @rule(old=NAMES, new=NAMES)
    def link(self, old: bytes, new: bytes) -> None:
        self.both(lambda t: os.link(t.probe.at(old), t.probe.at(new), follow_symlinks=False))

    @rule(content=NAMES, name=NAMES)
    def symlink(self, content: bytes, name: bytes) -> None:
        self.both(lambda t: os.symlink(content, t.probe.at(name)))

    @rule(name=NAMES, permissions=PERMISSIONS)
    def chmod(self, name: bytes, permissions: int) -> None:
        self.both(lambda t: os.chmod(t.probe.at(name), permissions))

    @rule(name=NAMES, size=OFFSETS)
    def truncate(self, name: bytes, size: int) -> None:
        self.both(lambda t: os.truncate(t.probe.at(name), size))

    @rule(
        name=NAMES,
        value=st.binary(max_size=20),
        flags=st.sampled_from([0, os.XATTR_CREATE, os.XATTR_REPLACE]),
    )
    def set_attribute(self, name: bytes, value: bytes, flags: int) -> None:
        self.both(lambda t: os.setxattr(t.probe.at(name), "user.key", value, flags))

    @rule(name=NAMES)
    def list_folder(self, name: bytes) -> None:
        self.both(lambda t: sorted(os.listdir(t.probe.at(name))))

    @rule(name=NAMES, wanted=st.integers(0, 7))
    def access(self, name: bytes, wanted: int) -> None:
        self.both(lambda t: os.access(t.probe.at(name), wanted))

    @invariant()
    def the_trees_are_equal(self) -> None:
        for twin in self.twins:
            twin.probe._inodes.clear()
        expected, found = (twin.probe.tree() for twin in self.twins)
        assert found == expected

    def teardown(self) -> None:
        for twin in self.twins:
            twin.close()


def _run(plain: Side, side: Side, examples: int) -> None:
    bound = type("Bound", (Machine,), {"plain": plain, "side": side})
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=checks
        ),
    )


def test_random_operations(plain: Side, side: Side) -> None:
    _run(plain, side, 60)


@pytest.mark.soak
def test_many_random_operations(plain: Side, side: Side) -> None:
    _run(plain, side, 500)
