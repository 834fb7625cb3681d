"""Plain directories and mounts side by side, and the process that works in both."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sides import Actor, Side

import fmrw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 30_000  # hundredths of a second; a descriptor that leaks is held for ever


@pytest.fixture(scope="module")
def actor() -> Iterator[Actor]:
    process = Actor()
    yield process
    process.close()


@pytest.fixture(scope="module")
def area() -> Iterator[Path]:
    """A folder that other users can reach (pytest's own is shut)."""
    folder = Path(tempfile.mkdtemp(prefix="fmrw-posix-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def plain(area: Path, actor: Actor) -> Side:
    (area / "plain").mkdir()
    return Side(area / "plain", actor)


def _mounted(area: Path, actor: Actor, capture: str, reports: str, *, alone: bool = False) -> Iterator[Side]:
    name = (
        "alone" if alone else capture[:5]
    )  # as long as `plain`: absolute links have their length as their size
    folder = area / name
    folder.mkdir()
    beneath = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with fmrw.mount(
        folder, capture=capture, reports=reports, allow_other=os.geteuid() == 0 and not alone
    ) as mount:
        yield Side(folder, actor, capture, beneath)
        assert mount.facts()["faults"] == 0, "the worker met exceptions it did not expect"
        _await(lambda: not _held(mount.worker_pid, folder), "the worker holds what nobody has open")
    os.close(beneath)
    assert not list(folder.iterdir()), "the mount left something beneath"
    assert not folder.is_mount()


def _held(worker: int, folder: Path) -> list[str]:
    """Find what a worker has open below its directory."""
    found = []
    for entry in Path(f"/proc/{worker}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(entry.readlink()))
    return [target for target in found if target.startswith(f"{folder}/")]


def _await(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for what the kernel tells the worker after the close."""
    for _ in range(PATIENCE):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail(otherwise)


@pytest.fixture(scope="module")
def exact(area: Path, actor: Actor) -> Iterator[Side]:
    yield from _mounted(area, actor, "exact", "hidden")


@pytest.fixture(scope="module")
def paged(area: Path, actor: Actor) -> Iterator[Side]:
    yield from _mounted(area, actor, "paged", "aside")


@pytest.fixture(scope="module")
def cached(area: Path, actor: Actor) -> Iterator[Side]:
    yield from _mounted(area, actor, "cached", "off")


@pytest.fixture(scope="module")
def alone(area: Path, actor: Actor) -> Iterator[Side]:
    """A mount for who mounted it, where the worker and not the kernel says what is allowed."""
    yield from _mounted(area, actor, "exact", "hidden", alone=True)


@pytest.fixture(params=["exact", "paged", "cached"])
def side(request: pytest.FixtureRequest) -> Side:
    found: Side = request.getfixturevalue(request.param)
    return found
