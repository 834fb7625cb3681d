"""Events that need not fit in memory: the same rows, whatever is kept as frames and whatever lies in a file."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_store import recorded

from fmrw.capture.recorder import journal as log
from fmrw.errors import SessionError
from fmrw.trace import schema, spool, store
from fmrw.trace.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


def events(first: int, count: int) -> pl.DataFrame:
    """Make rows that differ in their numbers only."""
    row = {"op": "read", "path": "a", "fidelity": "byte", "process": "p"}
    numbers = pl.int_range(first, first + count, dtype=pl.Int64, eager=True)
    columns = {name: row.get(name, 0) for name in schema.EVENTS}
    frame = pl.DataFrame({"seq": numbers}).with_columns(
        pl.lit(value).alias(name) for name, value in columns.items() if name != "seq"
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.EVENTS.items())


def parts() -> list[str]:
    """Give the open files that spools have written."""
    names = []
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115 - as text
        except FileNotFoundError:  # the listing's own
            continue
    return [name for name in names if name.startswith(tempfile.gettempdir()) and "deleted" in name]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 7), max_size=30), st.integers(1, 12))
def test_nothing_is_lost_or_moved_however_it_is_cut(sizes: list[int], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "SPILL", most)
        gathered, expected = Spool(), 0
        for size in sizes:
            before = gathered.lazy()
            gathered.extend([events(expected, size)])
            assert before.select(pl.len()).collect().item() == expected, "what was given does not change"
            expected += size
        found = gathered.lazy().collect()
    assert gathered.rows == expected
    assert found.schema == schema.EVENTS
    assert found.equals(events(0, expected))


def test_parts_have_no_name_and_go_with_the_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPILL", 10)
    gc.collect()  # what other tests have left must not go meanwhile
    before, listed = parts(), os.listdir(tempfile.gettempdir())  # noqa: PTH208 - names
    gathered = Spool()
    gathered.extend(events(first, 10) for first in range(0, 100, 10))
    lazy = gathered.lazy()
    assert len(parts()) == len(before) + 10
    assert os.listdir(tempfile.gettempdir()) == listed  # noqa: PTH208 - the same
    del gathered
    assert lazy.collect().height == 100
    del lazy
    waited = 0
    while len(parts()) > len(before) and waited < 6000:  # polars lets go of its files in threads of its own
        threading.Event().wait(0.01)
        waited += 1
    assert parts() == before


def test_a_full_disk_is_one_line_and_what_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPILL", 10)
    gathered = Spool()
    gathered.extend([events(0, 10), events(10, 5)])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(SessionError, match=r"No space left on device.*set TMPDIR to a folder with room"):
        gathered.extend([events(15, 5)])
    monkeypatch.undo()
    assert gathered.lazy().collect().equals(events(0, 20))


def test_where_the_disk_is_full_a_lenient_one_goes_on_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def full(*_: object, **__: object) -> None:
        tries.append(None)
        raise OSError(28, "No space left on device")

    gathered = Spool(10, lenient=True)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    gathered.extend(events(first, 5) for first in range(0, 100, 5))
    assert len(tries) == 4, "at 10, 20, 40 and 80 events, not at each"
    assert gathered.lazy().collect().equals(events(0, 100))
    monkeypatch.undo()
    before = parts()
    gathered.extend([events(100, 60)])
    assert len(parts()) == len(before) + 1
    assert gathered.lazy().collect().equals(events(0, 160))


def test_one_writes_while_others_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPILL", 50)
    gathered, wrong, done = Spool(), [], threading.Event()

    def ask() -> None:
        while not done.is_set():
            found = gathered.lazy().select("seq").collect()["seq"]
            if not found.equals(pl.int_range(len(found), dtype=pl.Int64, eager=True)):
                wrong.append(len(found))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    gathered.extend(events(first, 7) for first in range(0, 700, 7))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert gathered.rows == 700


def test_an_unsealed_session_is_never_whole_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = recorded(tmp_path / "s", events=2 * log.SEGMENT + 100)
    whole = store.scan(session).collect()
    largest = 0
    keep = Spool._take

    def counted(self: Spool, frame: pl.DataFrame) -> None:
        nonlocal largest
        keep(self, frame)
        largest = max(largest, sum(each.height for each in self._frames))

    monkeypatch.setattr(spool, "SPILL", 1000)
    monkeypatch.setattr(Spool, "_take", counted)
    assert store.scan(session).collect().equals(whole)
    assert whole.height == 2 * log.SEGMENT + 100
    assert largest < log.SEGMENT


def test_a_session_that_is_sealed_meanwhile_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = recorded(tmp_path / "s", events=50)
    store.seal(session)
    asked = iter([False])
    truly = store.is_sealed
    monkeypatch.setattr(store, "is_sealed", lambda folder: next(asked, None) is None and truly(folder))
    assert store.scan(session).collect().height == 50
    assert next(asked, None) is None, "it was asked when it was not sealed yet"
