from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis.summary import FILES, PROCESSES, files, processes
from fmrw.trace import schema

SIZE = 24
transfer = st.tuples(
    st.sampled_from(["a", "b"]), st.sampled_from(["read", "write"]), st.integers(0, 30), st.integers(0, 8)
)


def frame(rows: list[tuple[str, str, int, int]], size: int = SIZE) -> pl.DataFrame:
    columns = [
        {
            "seq": seq,
            "op": op,
            "path": path,
            "start": start,
            "end": start + length,
            "requested": length,
            "size": size,
            "process": "p",
            "pid": 7,
        }
        for seq, (path, op, start, length) in enumerate(rows)
    ]
    filled = (
        pl.DataFrame(columns, schema_overrides={"op": schema.EVENTS["op"], "pid": pl.Int32()})
        if rows
        else schema.empty()
    )
    return filled.with_columns(pl.lit("byte").alias("fidelity"))


def longest_gap(touched: set[int]) -> int:
    longest = run = 0
    for byte in range(SIZE):
        run = 0 if byte in touched else run + 1
        longest = max(longest, run)
    return longest


@settings(max_examples=150)
@given(st.lists(transfer, max_size=12))
def test_sums_equal_brute_force(rows: list[tuple[str, str, int, int]]) -> None:
    result = {row["path"]: row for row in files(frame(rows)).to_dicts()}
    assert set(result) == {path for path, *_ in rows}
    for path, row in result.items():
        own = [(op, start, length) for name, op, start, length in rows if name == path]
        read = {b for op, s, n in own if op == "read" for b in range(s, s + n) if b < SIZE}
        written = {b for op, s, n in own if op == "write" for b in range(s, s + n) if b < SIZE}
        assert row["bytes_read"] == len(read)
        assert row["bytes_written"] == len(written)
        assert row["reads"] == sum(op == "read" and n > 0 for op, _s, n in own)
        assert row["largest_gap"] == longest_gap(read)
        gap = range(row["largest_gap_start"], row["largest_gap_start"] + row["largest_gap"])
        assert not read & set(gap)


def test_the_size_is_the_last_one_told() -> None:
    rows = pl.concat(
        [
            frame([("a", "read", 0, 4)], 10),
            frame([("a", "write", 0, 4)], 12).with_columns(seq=pl.lit(1, pl.Int64)),
            frame([("a", "unlink", 0, 0)], 0).with_columns(seq=pl.lit(2, pl.Int64)),
        ]
    )
    assert files(rows)["size"].to_list() == [12]


@pytest.mark.parametrize("last", ["unlink", "rename"])
def test_a_name_that_goes_does_not_change_the_size(last: str) -> None:
    gone = frame([("a", "read", 0, 0)], 0).with_columns(
        seq=pl.lit(1, pl.Int64), op=pl.lit(last, schema.EVENTS["op"])
    )
    assert files(pl.concat([frame([("a", "read", 0, 4)], 10), gone])).select(
        "size", "bytes_read", "largest_gap"
    ).rows() == [(10, 4, 6)]


def test_who_it_was_by_name_and_number() -> None:
    """Names are what processes claim; a name of thousands is told by its first few."""
    calls = [("7z", 30), ("head", 5), ("head", 5), *(("head", pid) for pid in range(100, 140)), ("7z", 4)]
    rows = frame([("a", "read", 0, 4)] * len(calls)).with_columns(
        process=pl.Series([name for name, _pid in calls]),
        pid=pl.Series([pid for _name, pid in calls], dtype=pl.Int32()),
    )
    opened = frame([("only opened", "read", 0, 0)]).with_columns(op=pl.lit("open", schema.EVENTS["op"]))
    found = files(pl.concat([rows, opened]))
    assert found["processes"].to_list() == ["7z [4, 30], head [5, 100, 101 and 38 more]", ""]


def test_a_process_is_shown_with_what_it_really_is() -> None:
    calls = [("7z", 30, 4), ("systemd", 31, 4), ("systemd", 31, 0), ("7z", 30, 1)]
    rows = frame([("a", "read", 0, length) for _name, _pid, length in calls]).with_columns(
        process=pl.Series([name for name, _pid, _length in calls]),
        pid=pl.Series([pid for _name, pid, _length in calls], dtype=pl.Int32()),
    )
    thread = {
        "pid": 31,
        "tid": 31,
        "ppid": 1,
        "name": "systemd",
        "exe": "/usr/bin/python3",
        "cmdline": "python3 -c x",
        "first_seen": None,
    }
    known = pl.DataFrame([thread, thread | {"tid": 32}], schema=schema.PROCESSES)
    assert processes(rows, known).rows() == [
        (30, "7z", "", "", 2, 0),
        (31, "systemd", "/usr/bin/python3", "python3 -c x", 1, 0),
    ]
    assert processes(rows, known.clear()).height == 2


def test_nothing_recorded() -> None:
    assert files(schema.empty()).schema == FILES
    assert processes(schema.empty(), pl.DataFrame(schema=schema.PROCESSES)).schema == PROCESSES
