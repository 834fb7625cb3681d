from __future__ import annotations

import json
import os
import random
import tracemalloc
import warnings
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.capture.recorder import journal as log
from fmrw.errors import FmrwError, NewerSchema, SessionError
from fmrw.trace import records, schema
from fmrw.trace.follow import Follower
from fmrw.trace.foreign import DamagedWarning
from fmrw.trace.records import count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PIECE = 32 * 4096


class Recording:
    """A journal and its reader in one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.journal = log.Journal(self.folder)
        self.closed = False
        self.journal.note("path", id=0, text="a")
        self.journal.note(
            "process",
            id=0,
            tid=5,
            pid=5,
            ppid=1,
            name="cat",
            exe="/bin/cat",
            cmdline="cat a",
            first_seen_ns=9,
        )

    def add(self, start: int = 0, length: int = 4, **other: int) -> None:
        values = {
            "time_ns": 1000,
            "start": start,
            "size": 1 << 40,
            "length": length,
            "requested": length,
            "tid": 5,
        }
        values.update(other)
        self.journal.append(*(values.get(name, 0) for name, _code in log.FIELDS[:-2]))

    def follower(self) -> Follower:
        return Follower(self.folder)

    def all(self) -> pl.DataFrame:
        """Read as a session is read whose worker was killed."""
        follower = self.follower()
        try:
            return pl.concat([schema.empty(), *follower.batches(), *follower.flush()])
        finally:
            follower.close()

    def starts(self) -> list[int]:
        return self.all().sort("seq")["start"].to_list()

    def patch(self, place: int, offset: int, data: bytes, segment: int = 0) -> None:
        with (self.path / f"{segment:06d}.events").open("r+b") as file:
            file.seek(place * log.RECORD.size + offset)
            file.write(data)

    def close(self) -> None:
        self.journal.close()
        self.closed = True

    def end(self) -> None:
        """Let go of everything, as the kernel does for a worker that was killed."""
        if not self.closed:
            os.close(self.journal._names)
        del self.journal  # and with it what it has mapped: pytest keeps the last test's fixtures to the end
        os.close(self.folder)


@pytest.fixture(autouse=True, scope="module", params=[0, 1000], ids=["many", "few"])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take records apart by numpy, and by `struct` as far as there are few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_FEW", request.param)
        yield


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    made = Recording(tmp_path)
    yield made
    made.end()


MARK = log.RECORD.size - 2
CLOSED, RECORDS = 8 * log.HEAD.index("closed"), 8 * log.HEAD.index("records")


# Joining


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Calls of several threads, each with the lengths of its pieces; a piece of 0 ends it early."""
    shapes = st.lists(st.integers(1, 4), min_size=1, max_size=5)
    return [
        (thread, pieces)
        for thread in range(draw(st.integers(1, 4)))
        for pieces in draw(st.lists(shapes, max_size=4))
    ]


def pieces_of(made: list[tuple[int, list[int]]]) -> dict[int, list[dict[str, int]]]:
    """Give each thread's requests in order."""
    threads: dict[int, list[dict[str, int]]] = {}
    for number, (thread, lengths) in enumerate(made, start=1):
        start = 1000 * number
        for place, length in enumerate(lengths):
            flags = (log.CONTINUES if place else 0) | (log.MORE if place + 1 < len(lengths) else 0)
            asked = sum(lengths) if not place else 0
            threads.setdefault(thread, []).append(
                {
                    "start": start,
                    "length": length,
                    "call": number,
                    "tid": 100 + thread,
                    "flags": flags,
                    "requested": asked,
                }
            )
            start += length
    return threads


@settings(max_examples=60)
@given(made=calls(), seed=st.integers(0, 2**32 - 1))
def test_calls_come_out_whole_however_their_requests_interleave_and_whenever_one_looks(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, list[int]]], seed: int
) -> None:
    recording = Recording(tmp_path_factory.mktemp("journal"))
    chance, waiting = random.Random(seed), pieces_of(made)  # noqa: S311 - an order, not a secret
    follower, frames = recording.follower(), []
    while any(waiting.values()):
        thread = chance.choice([one for one, left in waiting.items() if left])
        recording.add(**waiting[thread].pop(0))
        if chance.random() < 0.3:
            frames.append(follower.read())
    recording.close()
    frames.append(follower.read())
    follower.close()
    recording.end()
    found = pl.concat(frames).sort("call").select("call", "tid", "start", "end", "requested").rows()
    expected = [
        (number, 100 + thread, 1000 * number, 1000 * number + sum(lengths), sum(lengths))
        for number, (thread, lengths) in enumerate(made, start=1)
    ]
    assert found == expected
    assert follower.rows == len(expected)


def test_a_call_whose_thread_was_killed_in_its_middle_comes_when_the_journal_ends(
    recording: Recording,
) -> None:
    recording.add(0, PIECE, call=1, flags=log.MORE, requested=10 * PIECE)
    recording.add(PIECE, PIECE, call=1, flags=log.MORE | log.CONTINUES, requested=0)
    follower = recording.follower()
    assert follower.read().height == 0
    recording.close()
    (row,) = follower.read().select("start", "end", "requested").rows()
    assert row == (0, 2 * PIECE, 10 * PIECE)
    follower.close()


def test_a_call_ends_when_its_thread_goes_on_to_another(recording: Recording) -> None:
    recording.add(0, PIECE, call=1, flags=log.MORE)
    follower = recording.follower()
    assert follower.read().height == 0
    recording.add(50, 4, call=2)
    assert follower.read().sort("call")["call"].to_list() == [1, 2]
    follower.close()


def test_more_without_end_costs_one_row(recording: Recording) -> None:
    pieces = 3 * log.SEGMENT
    for place in range(pieces):
        flags = log.MORE | (log.CONTINUES if place else 0)
        recording.add(place * 8, 8, call=1, flags=flags)
    follower = recording.follower()
    assert follower.read().height == 0
    assert follower._parts.height == 1
    (whole,) = follower.flush()
    assert whole.select("start", "end", "requested").rows() == [(0, 8 * pieces, 8 * pieces)]
    follower.close()


def test_a_failure_in_the_middle_of_a_call_that_moved_bytes_is_no_failure(recording: Recording) -> None:
    recording.add(0, PIECE, call=1, flags=log.MORE, requested=2 * PIECE)
    recording.add(PIECE, 0, call=1, flags=log.CONTINUES, requested=0, errno=5)
    recording.add(0, 0, call=2, requested=4, errno=5)
    assert recording.all().sort("call").select("end", "errno").rows() == [(PIECE, 0), (0, 5)]


# Holes, cuts and flips


def test_a_place_that_a_killed_thread_left_unfilled_hides_nothing(recording: Recording) -> None:
    recording.add(1)
    next(recording.journal._segment.places)  # taken, and never filled
    recording.add(2)
    follower = recording.follower()
    assert follower.read()["start"].to_list() == [1]  # it may come yet
    follower.close()
    assert recording.starts() == [1, 2]  # it will not


def test_a_record_is_read_whole_when_it_is_filled_late(recording: Recording) -> None:
    place = next(recording.journal._segment.places)
    recording.add(2)
    follower = recording.follower()
    assert follower.read().height == 0
    record = log.RECORD.pack(1000, 1, 9, 7, 4, 4, 0, 0, 0, 5, 0, log.READ, 0, 0, log.MARK)
    recording.patch(place, 0, record)
    assert follower.read()["start"].to_list() == [1, 2]
    follower.close()


def test_a_record_that_was_copied_while_it_was_written_is_copied_again(recording: Recording) -> None:
    """A copy may hold the mark, which comes last, of a record and not yet its beginning."""
    place = next(recording.journal._segment.places)
    half = log.RECORD.pack(0, 0, 0, 7, 0, 4, 0, 0, 0, 5, 0, log.READ, 0, 0, log.MARK)
    whole = log.RECORD.pack(1000, 40, 99, 7, 4, 4, 0, 0, 0, 5, 0, log.READ, 0, 0, log.MARK)
    recording.patch(place, 0, half)
    recording.add(2)
    follower = recording.follower()
    copy = follower._segments._copy

    def meanwhile(most: int) -> bytes:
        copied = copy(most)
        recording.patch(place, 0, whole)
        return copied

    follower._segments._copy = meanwhile  # type: ignore[method-assign] # the writer goes on after the first copy
    assert follower.read().select("start", "end", "size").rows() == [(40, 44, 99), (2, 6, 1 << 40)]
    follower.close()


@pytest.mark.parametrize("closed", [True, False])
def test_a_journal_cut_anywhere_loads_up_to_the_cut_and_says_so(tmp_path: Path, closed: bool) -> None:  # noqa: FBT001
    recording = Recording(tmp_path)
    for place in range(50):
        recording.add(place)
    if closed:
        recording.close()
    for size in (50 * 64 - 1, 20 * 64, 20 * 64 - 63, 1, 0):
        os.truncate(tmp_path / "000000.events", size)
        with pytest.warns(DamagedWarning, match="is cut"):
            assert recording.starts() == list(range(size // 64))
    recording.end()


def test_what_stands_behind_a_cut_or_missing_segment_loads_too(recording: Recording) -> None:
    for place in range(3 * log.SEGMENT + 5):
        recording.add(place)
    os.truncate(recording.path / "000000.events", 64 * 10)
    (recording.path / "000001.events").unlink()
    with pytest.warns(DamagedWarning, match="is cut"):
        frame = recording.all().sort("seq")
    assert frame["start"].to_list() == [*range(10), *range(2 * log.SEGMENT, 3 * log.SEGMENT + 5)]
    assert frame["seq"].to_list() == frame["start"].to_list()


def test_whole_segments_behind_an_unfilled_place_are_no_cut(recording: Recording) -> None:
    """A warning would be an error here."""
    next(recording.journal._segment.places)  # taken, and never filled
    for place in range(1, 3 * log.SEGMENT + 5):
        recording.add(place)
    frame = recording.all().sort("seq")
    assert frame["start"].to_list() == frame["seq"].to_list() == list(range(1, 3 * log.SEGMENT + 5))


def test_a_flipped_mark_costs_one_record(recording: Recording) -> None:
    for place in range(100):
        recording.add(place)
    recording.patch(30, MARK, b"\0")
    with pytest.warns(DamagedWarning, match="1 records"):
        assert recording.starts() == [*range(30), *range(31, 100)]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40 * 64 * 8 - 1)), min_size=1, max_size=5), st.booleans())
def test_flipped_bits_never_hide_another_record(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int]],
    closed: bool,  # noqa: FBT001
) -> None:
    recording = Recording(tmp_path_factory.mktemp("journal"))
    for place in range(40):
        recording.add(place * 10, call=place + 1)
    if closed:
        recording.close()
    file = recording.path / "000000.events"
    data = bytearray(file.read_bytes())
    for (bit,) in flips:
        data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedWarning)
        frame = recording.all()
    recording.end()
    hit = {bit // 512 for (bit,) in flips}
    intact = [place * 10 for place in range(40) if place not in hit]
    found = frame.filter(~pl.col("seq").is_in(list(hit)))
    assert found.sort("seq")["start"].to_list() == intact
    assert (frame["start"] >= 0).all()
    assert (frame["end"] >= 0).all()


def test_claims_that_cannot_be_are_left_out(recording: Recording) -> None:
    recording.add(1)
    recording.add((1 << 63) - 2, 100)
    recording.add(-5)
    recording.add(2, size=-1)
    recording.add(3, op=200)
    recording.add(4)
    with pytest.warns(DamagedWarning, match="4 records"):
        assert recording.starts() == [1, 4]


def test_a_segment_that_claims_to_be_huge_costs_its_records_only(recording: Recording) -> None:
    recording.add(1)
    os.truncate(recording.path / "000000.events", 10 << 30)
    os.truncate(recording.path / "names.jsonl", 1 << 20)
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedWarning)
        assert recording.starts() == [1]
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20


# Names


def test_names_that_were_lost_stay_readable_as_numbers(recording: Recording) -> None:
    recording.add(path=17, process=3)
    (row,) = recording.all().select("path", "process", "pid").rows()
    assert row == ("?17", "?3", 0)


HOSTILE = [
    b"not json", b"[]", b"17", b'{"kind": 5}', b'{"kind": []}', b'{"kind": "path"}', b'{"kind": "path", "id": 1e999, "text": ""}',
    b'{"kind": "path", "id": 2, "text": 5}', b'{"kind": "file", "path": 99, "size": 1, "mtime_ns": 1}',
    b'{"kind": "file", "path": 0, "size": 1e30, "mtime_ns": 1}', b"[" * 100_000, b'{"kind": "path", "id": ' + b"9" * 10_000 + b"}",
    b'{"kind": "process", "id": 7, "tid": 1, "pid": 99999999999, "ppid": 1, "name": "", "exe": "", "cmdline": "", "first_seen_ns": 1}',
    b'{"kind": "rename", "time_ns": -1, "old": "", "new": ""}', b"\xff\xfe", b"x" * 5_000_000,
]  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_of_names_is_left_out(recording: Recording, line: bytes) -> None:
    with (recording.path / "names.jsonl").open("ab") as file:
        file.write(line + b"\n")
        file.write(json.dumps({"kind": "path", "id": 1, "text": "b"}).encode() + b"\n")
    recording.add(path=1)
    expected = [DamagedWarning] if line != b'{"kind": 5}' else []  # of a kind a newer fmrw may know
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = recording.all()
    assert [one.category for one in caught] == expected
    assert frame["path"].to_list() == ["b"]


def test_a_line_without_end_is_not_held(recording: Recording) -> None:
    with (recording.path / "names.jsonl").open("ab") as file:
        file.write(b'{"kind": "path", "id": 5, "text": "')
        for _ in range(64):
            file.write(b"x" * (1 << 20))
    recording.add()
    tracemalloc.start()
    with pytest.warns(DamagedWarning, match="too long"):
        assert recording.all().height == 1
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_surrogates_in_names_become_text(recording: Recording) -> None:
    with (recording.path / "names.jsonl").open("ab") as file:
        file.write(b'{"kind": "path", "id": 3, "text": "\\ud800x"}\n')
    recording.add(path=3)
    assert recording.all()["path"].to_list() == ["\\ud800x"]


def test_half_a_line_waits_for_its_other_half(recording: Recording) -> None:
    line = json.dumps({"kind": "path", "id": 4, "text": "later"}).encode() + b"\n"
    follower = recording.follower()
    with (recording.path / "names.jsonl").open("ab", buffering=0) as file:
        file.write(line[:20])
        follower.names.refresh()
        assert 4 not in follower.names.paths
        file.write(line[20:])
    follower.names.refresh()
    assert follower.names.paths[4] == "later"
    follower.close()


@pytest.mark.parametrize("names", [[], ["shared_maps"], ["async_direct"], list(log.LACKS)])
def test_what_the_kernel_lacks_comes_back(recording: Recording, names: list[str]) -> None:
    recording.journal.tell_lacks(*names)
    follower = recording.follower()
    assert follower.head.lacks() == names
    follower.close()


# What is no journal of ours


def damaged(recording: Recording, offset: int, value: int) -> None:
    with (recording.path / "head").open("r+b") as file:
        file.seek(offset)
        file.write(value.to_bytes(8, "little"))


def test_a_newer_journal_is_refused_with_the_cure(recording: Recording) -> None:
    damaged(recording, 8, log.VERSION + 1)
    with pytest.raises(NewerSchema, match="pip install --upgrade"):
        recording.follower()


def test_other_files_are_refused(recording: Recording) -> None:
    damaged(recording, 0, 0)
    with pytest.raises(SessionError, match="no journal of fmrw"):
        recording.follower()
    os.truncate(recording.path / "head", 10)
    with pytest.raises(SessionError, match="damaged"):
        recording.follower()
    (recording.path / "head").unlink()
    with pytest.raises(SessionError, match="no journal here"):
        recording.follower()


@pytest.mark.parametrize("name", ["head", "names.jsonl", "000000.events"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_are_refused_at_once(recording: Recording, name: str, kind: str) -> None:
    recording.add()
    path = recording.path / name
    moved = path.rename(path.with_name("elsewhere"))
    if kind == "link":
        path.symlink_to(moved)
    else:
        os.mkfifo(path)
    with pytest.raises(FmrwError):
        recording.all()
    if name == "000000.events":
        with pytest.raises(FmrwError):
            count(recording.folder)


def test_a_journal_that_may_only_be_read_is_read(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.add(1)
    opened = records.open_regular

    def refuse(directory: int, name: str | bytes, flags: int = os.O_RDONLY) -> int:
        if flags != os.O_RDONLY:
            raise SessionError("head: Read-only file system")
        return opened(directory, name, flags)

    monkeypatch.setattr(records, "open_regular", refuse)
    assert recording.starts() == [1]


def test_count_counts_what_is_there(recording: Recording) -> None:
    assert count(recording.folder) == 0
    for place in range(log.SEGMENT + 7):
        recording.add(place)
    assert count(recording.folder) == log.SEGMENT + 7
    recording.close()
    assert count(recording.folder) == log.SEGMENT + 7
