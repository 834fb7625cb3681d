from __future__ import annotations

import fcntl
import json
import os
import tempfile
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import fmrw
from fmrw.capture.recorder import journal as log
from fmrw.errors import FmrwError, NewerSchema, SessionError, SessionExists
from fmrw.session import sources
from fmrw.trace import schema, store
from fmrw.trace.foreign import DamagedWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fmrw.trace.follow import Follower


def recorded(folder: Path, events: int = 10, **facts: object) -> Path:
    """Make a session as a worker leaves it that was killed."""
    store.create(folder, {"root": "/data", "command": None, **facts})
    (folder / store.JOURNAL).mkdir()
    fd = os.open(folder / store.JOURNAL, os.O_RDONLY | os.O_DIRECTORY)
    journal = log.Journal(fd)
    journal.note("path", id=0, text="a")
    journal.note("process", id=0, tid=5, pid=5, ppid=1, name="cat", exe="", cmdline="", first_seen_ns=9_000)
    journal.note("file", path=0, size=7, mtime_ns=8)
    journal.note("rename", time_ns=1, old="b", new="a")
    for place in range(events):
        values = {
            "time_ns": 1000,
            "start": place,
            "size": 99,
            "call": place,
            "length": 4,
            "requested": 4,
            "tid": 5,
        }
        journal.append(*(values.get(name, 0) for name, _code in log.FIELDS[:-2]))
    os.close(journal._names)  # as the kernel does when it is killed
    os.close(fd)
    return folder


def test_sealing_changes_the_form_and_nothing_else(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s", events=log.SEGMENT + 100)
    before, processes, facts = store.scan(session).collect(), store.processes(session), store.facts(session)
    assert facts["events"] == log.SEGMENT + 100
    store.seal(session)
    assert store.is_sealed(session)
    assert sorted(path.name for path in session.iterdir()) == [
        "events.parquet",
        "processes.parquet",
        "session.json",
    ]
    assert store.scan(session).collect().equals(before)
    assert store.processes(session).equals(processes)
    after = store.facts(session)
    assert {**after, "ended": None} == {**facts, "ended": None}
    assert after["files"] == {"a": {"size": 7, "mtime_ns": 8}}


def test_a_session_is_its_owners_alone(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    store.seal(session)
    assert session.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in session.iterdir()} == {0o600}


@pytest.mark.parametrize("bit", range(7, log.RECORD.size * 8, 8))
def test_a_flipped_bit_in_the_journal_costs_one_event_at_most_of_the_sealed_session(
    tmp_path: Path, bit: int
) -> None:
    session = recorded(tmp_path / "s", events=3)
    with (session / store.JOURNAL / "000000.events").open("r+b") as file:
        file.seek(log.RECORD.size + bit // 8)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1 << bit % 8]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedWarning)
        store.seal(session)
    assert {0, 2} <= {*store.scan(session).collect()["seq"]}


@pytest.mark.parametrize("step", ["write_events", "write_processes", "write_facts"])
def test_sealing_that_fails_keeps_the_journal_and_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session = recorded(tmp_path / "s")
    before = store.scan(session).collect()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store, step, full)
        with pytest.raises(SessionError, match="the journal is kept and loads"):
            store.seal(session)
    assert not store.is_sealed(session)
    assert not list(session.glob(".*"))
    assert store.scan(session).collect().equals(before)
    store.seal(session)  # there is room again
    assert store.scan(session).collect().equals(before)


def test_sealing_removes_what_killed_processes_left_unfinished(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    for name in (".report-abc", ".events.parquet.123", ".session.json.99", "worker.log"):
        (session / name).touch()
    store.seal(session)
    assert sorted(path.name for path in session.iterdir()) == [
        "events.parquet",
        "processes.parquet",
        "session.json",
    ]


def test_a_log_that_says_something_is_kept(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    (session / "worker.log").write_text("a fault\n")
    store.seal(session)
    assert (session / "worker.log").read_text() == "a fault\n"


def test_a_folder_that_holds_something_is_never_taken(tmp_path: Path) -> None:
    recorded(tmp_path / "s")
    with pytest.raises(SessionExists, match="s-2"):
        store.create(tmp_path / "s", {})


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match="choose a folder"):
        store.create(tmp_path / "file" / "s", {})


# Sealed while it is read


def sealed_first(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:  # noqa: ANN401 - a module
    """Let somebody else seal a session right before it is opened as one that is not sealed."""
    opened = getattr(module, name)

    def meanwhile(folder: Path) -> object:
        monkeypatch.setattr(module, name, opened)  # sealing opens it too
        store.seal(folder)
        return opened(folder)

    monkeypatch.setattr(module, name, meanwhile)


def test_a_session_that_is_sealed_before_its_journal_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = recorded(tmp_path / "s")
    sealed_first(monkeypatch, store, "following")
    assert store.scan(session).collect()["start"].to_list() == list(range(10))
    assert store.is_sealed(session)
    damaged = recorded(tmp_path / "damaged")
    (damaged / store.JOURNAL).rename(tmp_path / "elsewhere")
    with pytest.raises(SessionError, match="journal: No such file"):
        store.scan(damaged)


def test_a_session_that_is_sealed_while_its_journal_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = recorded(tmp_path / "s", events=log.SEGMENT + 7)
    every = store._all

    def meanwhile(follower: Follower) -> Iterator[pl.DataFrame]:
        frames = every(follower)
        yield next(frames)
        yield next(frames)  # the first segment; the second is removed before it is opened
        monkeypatch.setattr(store, "_all", every)
        store.seal(session)
        yield from frames

    monkeypatch.setattr(store, "_all", meanwhile)
    assert store.scan(session).collect().height == log.SEGMENT + 7


def test_a_trace_of_a_session_that_is_sealed_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = recorded(tmp_path / "s")
    sealed_first(monkeypatch, sources, "Growing")
    trace = fmrw.load(session)
    assert trace.events["start"].to_list() == list(range(10))
    assert trace.facts["events"] == 10
    assert trace.processes["name"].to_list() == ["cat"]


# From strangers


FACTS: list[tuple[str, type[FmrwError], bytes]] = [
    ("empty", SessionError, b""),
    ("cut", SessionError, b'{"schema": 1, "root'),
    ("list", SessionError, b"[]"),
    ("no schema", SessionError, b"{}"),
    ("schema of another type", SessionError, b'{"schema": "1"}'),
    ("newer", NewerSchema, b'{"schema": 99}'),
    ("deep", SessionError, b'{"a":' * 100_000),
    ("long", SessionError, b'{"schema": 1, "x": "' + b"x" * (65 << 20) + b'"}'),
    ("many", SessionError, b'{"schema": 1, "x": [' + b"[]," * 1_500_000 + b"[]]}"),
    ("no text", SessionError, b'{"schema": 1, "x": "\xff\xfe"}'),
]


@pytest.mark.parametrize(("error", "data"), [case[1:] for case in FACTS], ids=[case[0] for case in FACTS])
def test_damaged_facts_are_one_clear_line(tmp_path: Path, error: type[FmrwError], data: bytes) -> None:
    session = recorded(tmp_path / "s")
    (session / store.FACTS).write_bytes(data)
    with pytest.raises(error) as caught:
        store.facts(session)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_facts_that_claim_to_be_huge_are_not_read(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    os.truncate(session / store.FACTS, 10 << 30)
    tracemalloc.start()
    with pytest.raises(SessionError, match="too large"):
        store.facts(session)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 256 << 20


def test_facts_of_another_type_are_left_out(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    wrong: dict[str, Any] = {
        "root": ["/"], "options": 5, "command": [1, 2], "files": {"a": 3, "b": {"size": 1}}, "lost": "many", "renames": {},
    }  # fmt: skip
    store.write_facts(session, {**store.read_facts(session), **wrong})
    facts = store.read_facts(session)
    assert {name: facts.get(name) for name in wrong} == {
        "root": None, "options": None, "command": None, "files": {"b": {"size": 1}}, "lost": None, "renames": None,
    }  # fmt: skip


def as_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [as_link, as_pipe])
def test_facts_behind_links_and_pipes_are_refused_at_once(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    session = recorded(tmp_path / "s")
    change(session / store.FACTS)
    with pytest.raises(SessionError):
        store.facts(session)


def test_pipes_instead_of_tables_are_refused_at_once(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    store.seal(session)
    for name, read in ((store.EVENTS, store.scan), (store.PROCESSES, store.processes)):
        as_pipe(session / name)
        with pytest.raises(SessionError, match="not a regular file"):
            read(session)


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    as_link(session / store.JOURNAL)
    with pytest.raises(SessionError, match="give a folder"):
        store.scan(session)


def test_tables_of_another_make_are_refused(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s")
    store.seal(session)
    pl.DataFrame({"x": [1]}).write_parquet(session / store.EVENTS)
    with pytest.raises(SessionError, match="lacks the columns"):
        store.scan(session)
    for data in (b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"):
        (session / store.EVENTS).write_bytes(data)
        with pytest.raises(SessionError, match="damaged"):
            store.scan(session)


# Temporary sessions


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_temporary_sessions_without_a_holder_are_swept(temporary: Path) -> None:
    gone = recorded(temporary / "fmrw-gone", ephemeral=True)
    held = recorded(temporary / "fmrw-held", ephemeral=True)
    kept = recorded(temporary / "fmrw-kept", ephemeral=False)
    other = temporary / "fmrw-other"
    other.mkdir()
    lock = os.open(held, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    assert store.sweep() == [gone]
    assert not gone.exists()
    assert held.exists()
    assert kept.exists()
    assert other.exists()
    os.close(lock)
    assert store.sweep() == [held]


def test_sweeping_follows_no_link(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = recorded(tmp_path_factory.mktemp("elsewhere") / "s", ephemeral=True)
    (temporary / "fmrw-link").symlink_to(elsewhere)
    assert store.sweep() == []
    assert (elsewhere / store.FACTS).exists()


def test_many_names_in_a_session_are_bounded_in_its_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_LISTED", 3)
    session = recorded(tmp_path / "s")
    with (session / store.JOURNAL / "names.jsonl").open("a") as names:
        for number in range(1, 10):
            names.write(json.dumps({"kind": "path", "id": number, "text": f"f{number}"}) + "\n")
            names.write(json.dumps({"kind": "file", "path": number, "size": 1, "mtime_ns": 1}) + "\n")
    store.seal(session)
    assert len(store.facts(session)["files"]) == 3


def test_an_empty_journal_is_a_session_without_events(tmp_path: Path) -> None:
    session = recorded(tmp_path / "s", events=0)
    assert store.scan(session).collect().equals(schema.empty())
    store.seal(session)
    assert store.scan(session).collect().equals(schema.empty())
