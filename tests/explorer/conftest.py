"""A trace, and a view of one file of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import HOSTILE, events, trace

from fmrw.explorer.explorer import Explorer, explore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import lab
    from recordings import LiveTrace

__all__ = ["trace"]

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def view(trace: Callable[..., LiveTrace]) -> Explorer:
    """A file of 1,000 bytes: [0, 100) read, [200, 300) read twice, [250, 260) written, by two processes."""
    frame = pl.concat(
        [
            events(("read", 0, 100), ("read", 200, 300)),
            events(
                ("read", 200, 300), ("write", 250, 260), first=2, pid=43, tid=44, process="other", handle=2
            ),
        ]
    )
    return explore(trace(frame), "sample.bin")


@pytest.fixture(scope="module")
def new_page() -> Iterator[lab.NewPage]:
    """Start a browser for the tests of one module."""
    from lab import browser  # noqa: PLC0415 - playwright is needed by few

    with browser() as opened:
        yield opened


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder for a notebook, with samples to watch."""
    folder = tmp_path / "work"
    (folder / "samples").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    for name in ("cavity.zip", HOSTILE):
        shutil.copy(DATA / "cavity.zip", folder / "samples" / name)
    return folder


@pytest.fixture
def notebook(
    work: Path, new_page: lab.NewPage, request: pytest.FixtureRequest
) -> Iterator[Callable[..., lab.Notebook]]:
    import lab  # noqa: PLC0415 - playwright is needed by few

    opened: list[lab.Notebook] = []

    def book(*cells: str, **options: str) -> lab.Notebook:
        opened.append(lab.Notebook(new_page(), url, work / "book.ipynb", cells, **options))
        return opened[-1]

    with lab.server(work, work.parent / "home") as url:
        yield book
        for each in opened:
            each.picture(f"last-{request.node.name}")
            each.page.close()
