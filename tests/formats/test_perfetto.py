from __future__ import annotations

import datetime as dt
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from fmrw.errors import FigureError
from fmrw.formats import perfetto
from fmrw.formats.perfetto import FILES_PID, export_perfetto
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START = dt.datetime(2025, 1, 28, 5, 50, 6, 727741, tzinfo=dt.UTC)
HOSTILE = ['a"b\\', "a\nb", "\x1b[31m", "</script><img onerror=x>", "\u202e", "\ufffe", "é日本", "a,b"]


def frame(**columns: list[object]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    plain = {
        "seq": range(height),
        "time": [START + dt.timedelta(microseconds=5 * at) for at in range(height)],
        "op": ["read"] * height,
        "path": ["file.bin"] * height,
        "call": range(height),
        "start": [10] * height,
        "end": [30] * height,
        "requested": [2**62] * height,
        "size": [2**40] * height,
        "fidelity": ["byte"] * height,
        "handle": [3] * height,
        "pid": [7] * height,
        "tid": [8] * height,
        "process": ["7z"] * height,
        "errno": [0] * height,
        "thread": columns.get("process", ["7z"] * height),
        "site": [None] * height,
    }
    return pl.DataFrame({**plain, **columns}, schema=schema.EVENTS)


def processes(*rows: tuple[int, int, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(pid, tid, 1, name, "/bin/x", cmdline, START, name) for pid, tid, name, cmdline in rows],
        schema=schema.PROCESSES,
        orient="row",
    )


def exported(
    folder: Path,
    events: pl.DataFrame,
    known: pl.DataFrame | None = None,
    stacks: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    path = folder / "trace.json"
    export_perfetto(events, processes() if known is None else known, path, stacks)
    text = path.read_text(encoding="utf-8")
    assert "<" not in text
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def tracks(trace: dict[str, Any], what: str) -> dict[tuple[int, int], str]:
    events = (event for event in trace["traceEvents"] if event["ph"] == "M" and event["name"] == what)
    return {(event["pid"], event.get("tid", 0)): next(iter(event["args"].values())) for event in events}


def instants(trace: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event["ph"] == "i"]


def test_every_event_stands_on_its_thread_and_on_its_file(tmp_path: Path) -> None:
    trace = exported(tmp_path, frame(path=["a", "b", "a"], tid=[7, 8, 8], op=["open", "read", "write"]))
    got = [(event["pid"], event["tid"], event["name"], event["ts"]) for event in instants(trace)]
    assert got == [
        (7, 7, "open", 0), (FILES_PID, 1, "open", 0), (7, 8, "read", 5), (FILES_PID, 2, "read", 5),
        (7, 8, "write", 10), (FILES_PID, 1, "write", 10),
    ]  # fmt: skip
    assert instants(trace)[2]["args"] == {
        "path": "b", "start": 10, "end": 30, "requested": 2**62, "size": 2**40, "fidelity": "byte", "handle": 3, "process": "7z", "errno": 0, "thread": "7z",
    }  # fmt: skip
    assert {event["s"] for event in instants(trace)} == {"t"}
    assert FILES_PID > 2**22, "which no process can have"
    assert trace["otherData"]["begun"].startswith("2025-01-28 05:50:06.727741")


def test_tracks_are_named_by_the_processes_and_else_by_the_events(tmp_path: Path) -> None:
    known = processes((7, 7, "sh", "sh -c x"), (7, 7, "7z", "7z l x"), (7, 8, "worker", "7z l x"))
    trace = exported(tmp_path, frame(path=["a", "b"], pid=[7, 9], tid=[8, 9], process=["7z", "unzip"]), known)
    assert tracks(trace, "thread_name") == {
        (FILES_PID, 1): "a", (FILES_PID, 2): "b", (7, 7): "7z", (7, 8): "worker", (9, 9): "unzip",
    }  # fmt: skip
    assert tracks(trace, "process_name") == {
        (FILES_PID, 0): "files (byte-exact; smallest request 4 EiB)",
        (7, 7): "7z",
        (9, 9): "unzip",
    }
    assert tracks(trace, "process_labels") == {(7, 0): "7z l x", (9, 0): ""}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"requested": [20]}, "byte-exact"),
        ({"requested": [4096]}, "byte-exact; smallest request 4 KiB"),
        ({"requested": [20], "fidelity": ["page"]}, "page-granular: ranges are whole pages"),
        ({"requested": [20, 20], "fidelity": ["byte", "page"]}, "page-granular: ranges are whole pages"),
        ({"op": ["open"], "start": [0], "end": [0]}, "nothing was requested yet"),
    ],
)
def test_a_trace_says_how_exact_its_ranges_are(
    tmp_path: Path, columns: dict[str, list[object]], words: str
) -> None:
    trace = exported(tmp_path, frame(**columns))
    assert trace["otherData"]["exactness"] == words
    assert tracks(trace, "process_name")[FILES_PID, 0] == f"files ({words})"
    known = columns.get("fidelity", ["byte"])
    assert [each["args"]["fidelity"] for each in instants(trace)][::2] == known


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_scrubbed(tmp_path: Path, name: str) -> None:
    trace = exported(tmp_path, frame(path=[name], process=[name]), processes((7, 7, name, name)))
    shown = [
        *tracks(trace, "thread_name").values(),
        instants(trace)[0]["args"]["path"],
        instants(trace)[0]["args"]["process"],
    ]
    assert all(text.isprintable() for text in shown)
    assert len(set(shown)) == 1


def test_slices_join_to_one_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = frame(path=[str(at % 3) for at in range(10)])
    whole = exported(tmp_path, events)
    monkeypatch.setattr(perfetto, "_SLICE", 3)
    assert exported(tmp_path, events) == whole
    assert len(instants(whole)) == 20


def test_no_events_make_a_valid_trace(tmp_path: Path) -> None:
    assert instants(exported(tmp_path, schema.empty())) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="No such file or directory; choose a file"):
        export_perfetto(frame(seq=[0]), processes(), tmp_path / "none" / "x.json")


def nested(trace: dict[str, Any]) -> dict[tuple[int, int], list[list[dict[str, Any]]]]:
    """Check the slices as the format has them ("Trace Event Format", complete events) and give each outermost one with those inside it.

    Slices of a track lie in each other or apart; of two with the same ends the one that stands first is outside.
    """
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in trace["traceEvents"]:
        assert event["ph"] in {"M", "X", "i"}
        assert {"pid", "name"} <= set(event)
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    found: dict[tuple[int, int], list[list[dict[str, Any]]]] = {}
    for track, slices in tracks.items():
        open_until: list[int] = []
        for event in sorted(slices, key=lambda each: (each["ts"], -each["dur"])):  # stable
            begin, end = round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)
            while open_until and open_until[-1] <= begin:
                open_until.pop()
            assert not open_until or end <= open_until[-1], "crosses the slice it begins in"
            if not open_until:
                found.setdefault(track, []).append([])
            open_until.append(end)
            found[track][-1].append(event)
    return found


def test_the_frames_of_a_stack_are_slices_inside_each_other_and_the_call_is_innermost(tmp_path: Path) -> None:
    events = frame(site=[1, None, 2], op=["read", "read", "write"], tid=[8, 8, 9])
    stacks = {1: ["p!fetch", "p!header", "p!main"], 2: ["p!main"]}
    trace = exported(tmp_path, events, stacks=stacks)
    found = nested(trace)
    assert [each["name"] for each in found[7, 8][0]] == ["p!main", "p!header", "p!fetch", "read"]
    assert [each["name"] for each in found[7, 9][0]] == ["p!main", "write"]
    assert found[7, 8][0][-1]["args"]["stack"] == "p!fetch ← p!header ← p!main"
    assert found[7, 8][0][-1]["args"]["start"] == 10
    assert (found[7, 8][0][0]["ts"], found[7, 9][0][0]["ts"], found[7, 9][0][0]["dur"]) == (0, 10, 1)
    on_threads = [event for event in instants(trace) if event["pid"] == 7]
    assert [(event["ts"], event["name"]) for event in on_threads] == [(5, "read")]
    assert len(instants(trace)) == 1 + events.height


@pytest.mark.parametrize("seed", range(4))
def test_slices_of_a_thread_never_cross_however_close_its_events_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = np.random.default_rng(seed)
    moments = np.sort(random.integers(0, 40, 300))
    events = frame(
        time=[START + dt.timedelta(microseconds=int(at)) for at in moments],
        tid=random.integers(7, 10, 300).tolist(),
        site=[None if site == 0 else int(site) for site in random.integers(0, 4, 300)],
    )
    stacks = {site: [f"f{site}-{depth}" for depth in range(site)] for site in (1, 2, 3)}
    monkeypatch.setattr(perfetto, "_SLICE", 17)
    found = nested(exported(tmp_path, events, stacks=stacks))
    for tid in (7, 8, 9):
        expected = events.filter(pl.col("tid") == tid, pl.col("site").is_not_null())["site"]
        assert [[each["name"] for each in stack] for stack in found[7, tid]] == [
            [*reversed(stacks[site]), "read"] for site in expected
        ]


def test_names_of_functions_are_harmless_and_bounded(tmp_path: Path) -> None:
    trace = exported(tmp_path, frame(site=[1]), stacks={1: [*HOSTILE, "x" * 10_000, *["deep"] * 100]})
    (stack,) = nested(trace)[7, 8]
    assert len(stack) == 32 + 1
    assert all(each["name"].isprintable() and len(each["name"]) <= 60 for each in stack)
