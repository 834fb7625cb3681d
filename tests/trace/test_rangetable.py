from __future__ import annotations

import hashlib
import json
import os
import random
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import fmrw
from fmrw.analysis import ranges
from fmrw.errors import UnknownPath
from fmrw.trace import merged, rangetable, schema, store
from fmrw.trace.parquet import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVENTS = 900


def events() -> pl.DataFrame:
    """Make reads and writes of three files by two processes, most of them in order."""
    seq = pl.int_range(EVENTS, eager=True)
    place = (seq // 3) * 4 + (seq % 50 == 7).cast(pl.Int64) * 5_000
    made = {
        "seq": seq,
        "time": (seq + 1_700_000_000_000_000).cast(schema.EVENTS["time"]),
        "op": pl.Series([("read", "write", "open")[n % 40 // 38 + n % 40 // 39] for n in range(EVENTS)]),
        "path": pl.Series([f"file-{n % 3}" for n in range(EVENTS)]),
        "start": place,
        "end": place + 4,
        "size": seq + 1000,
        "fidelity": pl.Series(["byte" if n % 3 else "page" for n in range(EVENTS)]),
        "pid": seq // 300 % 2 + 10,
        "process": pl.Series([f"p{n // 300 % 2}" for n in range(EVENTS)]),
    }
    rest = {name: pl.repeat(0, EVENTS, eager=True) for name in schema.EVENTS if name not in made}
    return pl.DataFrame({**made, **rest}).select(pl.col(n).cast(kind) for n, kind in schema.EVENTS.items())


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sealed session with a table of ranges, small as it is."""
    monkeypatch.setattr(rangetable, "WORTH", 100)
    folder = tmp_path / "s"
    store.create(folder, {})
    bound = store.write_events(folder / store.EVENTS, events().iter_slices(200), folder)
    store.write_processes(folder, pl.DataFrame(schema=schema.PROCESSES))
    store.write_facts(folder, {**store.read_facts(folder), **bound})
    return folder


def answers(folder: Path) -> list[Any]:
    trace = fmrw.load(folder)
    reports = [trace.coverage_report(path) for path in trace.files["path"]]
    gaps = [trace.gaps(path).rows() for path in trace.files["path"]]
    return [trace.files.rows(), reports, gaps, repr(trace), [trace.size(row["path"]) for row in reports]]


def used(folder: Path) -> bool:
    return rangetable.read(folder, store.read_facts(folder)) is not None


def truth(session: Path) -> list[Any]:
    """Ask the same of the events alone."""
    bare = session.with_name("bare")
    store.create(bare, {})
    for name in (store.EVENTS, store.PROCESSES):
        os.link(session / name, bare / name)
    assert not used(bare)
    return answers(bare)


def test_answers_are_the_same_with_a_table_and_without(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = truth(session)
    assert used(session)
    monkeypatch.setattr(tables, "each", None)  # which reads all events
    assert answers(session) == expected
    of_frame = fmrw.load(session / store.EVENTS)
    assert of_frame.files.rows() == expected[0]


def test_a_table_is_its_owners_alone(session: Path) -> None:
    assert (session / store.RANGES).stat().st_mode & 0o777 == 0o600


def test_a_saved_trace_has_a_table_of_its_own(session: Path, tmp_path: Path) -> None:
    saved = fmrw.load(session).save(tmp_path / "saved")
    assert used(saved)
    assert answers(saved) == answers(session)


def test_few_events_and_events_that_do_not_merge_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scattered = events().with_columns(start=pl.col("seq") * 10, end=pl.col("seq") * 10 + 5)
    for name, worth, rows in (("few", 900, events()), ("scattered", 100, scattered)):
        monkeypatch.setattr(rangetable, "WORTH", worth)
        store.create(tmp_path / name, {})
        path = tmp_path / name / store.EVENTS
        assert store.write_events(path, rows.iter_slices(200), tmp_path / name) == {}
        assert not (tmp_path / name / store.RANGES).exists()


def test_a_table_of_other_events_is_not_believed(session: Path) -> None:
    """As many rows, as many bytes; the footer tells."""
    fresh = fmrw.load(session)
    before = fresh.files
    changed = events().with_columns(start=pl.col("start") + 1, end=pl.col("end") + 1)
    elsewhere = session.with_name("elsewhere")
    elsewhere.mkdir()
    store.write_events(session / store.EVENTS, changed.iter_slices(200), elsewhere)
    assert not used(session)
    expected = truth(session)
    assert answers(session) == expected
    assert fresh.files.rows() == expected[0] != before.rows()


@pytest.mark.parametrize("name", [store.RANGES, store.FACTS])
def test_a_damaged_table_is_not_used_and_changes_no_answer(session: Path, name: str) -> None:
    good, expected = (session / name).read_bytes(), truth(session)
    start = 0 if name == store.RANGES else good.index(b'"ranges"')
    chance = random.Random(1)  # noqa: S311 - a sequence, not a secret
    contents = [good[: len(good) * part // 10] for part in range(10)] if name == store.RANGES else []
    for _ in range(20):
        data = bytearray(good)
        place = chance.randrange(start, len(data) - 4)
        data[place] = (
            data[place] ^ 1 if name == store.RANGES else ord("5" if data[place] != ord("5") else "6")
        )
        contents.append(bytes(data))
    for content in contents:
        (session / name).write_bytes(content)
        try:
            facts = store.read_facts(session)
        except fmrw.FmrwError:  # no JSON any more
            continue
        assert rangetable.read(session, facts) is None
        assert answers(session) == expected


def test_a_table_that_is_missing_a_link_or_a_pipe_is_not_used(session: Path) -> None:
    expected = truth(session)
    table = session / store.RANGES
    kept = table.rename(session / "kept")
    assert answers(session) == expected
    table.symlink_to(kept)
    assert not used(session)
    table.unlink()
    os.mkfifo(table)
    assert answers(session) == expected


def less(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(~((pl.col("events") == 0) & (pl.col("start") >= 5_000)))


def shorter(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(
        end=pl.when(pl.col("end") > pl.col("start")).then(pl.col("end") - 1).otherwise("end")
    )


def other_size(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(size=pl.col("size") * 2)


def fewer_events(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(events=pl.col("events") // 2)


def other_files(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(path=pl.lit("other-") + pl.col("path"))


def overlapping(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(start=pl.lit(0, pl.Int64))


def negative(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(start=-pl.col("start"))


def no_pages(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(fidelity=pl.lit("byte").cast(schema.EVENTS["fidelity"]))


def other_columns(table: pl.DataFrame) -> pl.DataFrame:
    return table.drop("transfers")


def parted(table: pl.DataFrame) -> pl.DataFrame:
    """Tear a group in two, each with numbers of its own."""
    half = table.with_columns(events=pl.col("events") - 1).filter(pl.col("events") > 0)
    other = half.with_columns(pl.lit(1, pl.Int64).alias("events"), transfers=pl.lit(0, pl.Int64))
    return pl.concat([table.filter(pl.col("events") <= 1), half, other])


@pytest.mark.parametrize(
    "lie",
    [
        less,
        shorter,
        other_size,
        fewer_events,
        other_files,
        overlapping,
        negative,
        no_pages,
        other_columns,
        parted,
    ],
)
def test_a_table_that_lies_is_not_believed_even_if_it_is_bound_to_the_session(
    session: Path, lie: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    expected = truth(session)
    lie(pl.read_parquet(session / store.RANGES)).write_parquet(session / store.RANGES)
    facts = json.loads((session / store.FACTS).read_text())
    facts["ranges"]["table"] = hashlib.sha256((session / store.RANGES).read_bytes()).hexdigest()
    (session / store.FACTS).write_text(json.dumps(facts))
    assert not used(session)
    assert answers(session) == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_is_looked_for_in_the_ranges_of_its_own_group(seed: int) -> None:
    """Each range of it in one of the table, against brute force."""
    chance = random.Random(seed)  # noqa: S311 - a test
    made = merged.Merging(by_process=1000)
    seen = events().with_columns(
        start=pl.Series(starts := [chance.randrange(2_000) for _ in range(EVENTS)]),
        end=pl.Series([start + chance.randrange(9) for start in starts]),
    )
    made.add(seen)
    table = made.frame()
    assert table is not None
    ranged = table.filter(pl.col("end") > pl.col("start"))
    held = {}
    for *key, start, end in ranged.select(*merged.KEYS, "start", "end").rows():
        held.setdefault(tuple(key), []).append((start, end))
    group = rangetable._groups(table)
    assert rangetable._holds_together(table, group)
    for _ in range(30):
        (row,) = ranged.sample(1, seed=chance.randrange(1 << 30)).iter_rows(named=True)
        start = max(row["start"] + chance.randrange(-1, 3), 0)
        asked = pl.DataFrame([{**row, "start": start, "end": start + 1}], schema=merged.MERGED)
        if not chance.randrange(9):
            asked = asked.with_columns(path=pl.lit("another"))
        own = held.get(asked.select(merged.KEYS).row(0), [])
        expected = any(a <= start and start + 1 <= b for a, b in own)
        assert rangetable._covers(table, group, asked) is expected


def test_a_true_table_bound_anew_is_believed(session: Path) -> None:
    """So that the lies above are refused for what they say."""
    pl.read_parquet(session / store.RANGES).write_parquet(session / store.RANGES, compression="lz4")
    facts = json.loads((session / store.FACTS).read_text())
    facts["ranges"]["table"] = hashlib.sha256((session / store.RANGES).read_bytes()).hexdigest()
    (session / store.FACTS).write_text(json.dumps(facts))
    assert used(session)


def test_a_table_of_all_processes_together_is_used(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = truth(session)
    monkeypatch.setattr(rangetable, "_BY_PROCESS", 0)
    fmrw.load(session).save(session.with_name("together"))
    table = pl.read_parquet(session.with_name("together") / store.RANGES)
    assert merged.NOBODY_PID in table["pid"]
    assert used(session.with_name("together"))
    assert answers(session.with_name("together")) == expected


@pytest.mark.parametrize("apart", [True, False])
def test_a_program_is_asked_of_the_table_that_holds_its_ranges_apart(
    session: Path, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    if not apart:  # as where there are too many ranges
        monkeypatch.setattr(rangetable, "_BY_PROCESS", 0)
        bound = store.write_events(session / store.EVENTS, events().iter_slices(200), session)
        store.write_facts(session, {**store.read_facts(session), **bound})
    asked = []
    each = tables.each
    monkeypatch.setattr(tables, "each", lambda *what: asked.append(what) or each(*what))
    part = fmrw.load(session).only("p1")
    own = events().filter(pl.col("process") == "p1")
    expected = merged.merged(own)
    for path in ("file-0", "file-1", "file-2"):
        (rows, wanted) = (frame.filter(path=path) for frame in (part.ranges(path), expected))
        assert ranges.merge(rows).equals(ranges.merge(wanted))
        assert rows["events"].sum() == wanted["events"].sum() == own.filter(path=path).height
        assert part.coverage(path).equals(ranges.merge(wanted.filter(op="read")))
    assert part.events.equals(own)
    assert bool(asked) is not apart


def test_a_program_that_is_not_there_has_no_part(session: Path) -> None:
    with pytest.raises(UnknownPath, match=r"p7 did nothing in .*; these did: p0, p1"):
        fmrw.load(session).only("p7")
    with pytest.raises(UnknownPath, match=r"nothing\.bin is not in this session"):
        fmrw.load(session).only("p1").coverage("nothing.bin")
