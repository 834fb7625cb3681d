"""Several sessions as one: each row keeps whose it is, and no numbers are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import events

import fmrw
from fmrw.session import saving
from fmrw.trace import schema

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("one", "two", "three")


def frames(program: str) -> pl.DataFrame:
    rows = [
        {
            "site": 1, "depth": depth, "module": f"/bin/{program}", "build_id": "", "offset": depth, "function": f"{program}_{depth}",
            "quality": "cfi", "line": "",
        }
        for depth in range(2)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=schema.SITES)


@pytest.fixture
def sessions(tmp_path: Path) -> fmrw.Trace:
    for name in NAMES:
        moved = events(("read", 0, 10), ("read", 10, 20), ("open", 0, 0), site=1, process=name)
        saving.save(
            tmp_path / name,
            moved.with_columns(handle=pl.Series([7, 7, 0])),
            processes=pl.DataFrame(schema=schema.PROCESSES),
            sites=frames(name),
            facts={"root": "/srv"},
            marked={},
        )
    return fmrw.load(tmp_path)


def test_the_call_sites_of_each_session_are_its_own(sessions: fmrw.Trace) -> None:
    found = sessions.site_report("sample.bin").select("function", "calls", "bytes")
    assert sorted(found.rows()) == sorted((f"{name}!{name}_0", 2, 20) for name in NAMES)
    for name in NAMES:
        (row,) = sessions.site_report("sample.bin", f"{name}_1").rows(named=True)
        assert (row["function"], row["starts"], row["ends"]) == (f"{name}!{name}_0", [0], [20])


def test_calls_and_handles_of_each_session_are_its_own(sessions: fmrw.Trace) -> None:
    assert sessions.events["call"].n_unique() == 3 * len(NAMES)
    assert sessions.events.filter(pl.col("handle") > 0)["handle"].n_unique() == len(NAMES)
    assert sessions.events.filter(op="open")["handle"].to_list() == [0] * len(NAMES)


def test_a_set_that_is_saved_keeps_them(sessions: fmrw.Trace, tmp_path: Path) -> None:
    saved = fmrw.load(sessions.save(tmp_path.parent / f"{tmp_path.name}-saved"))
    assert saved.site_report().equals(sessions.site_report())
