"""A view by its traits: what it shows, how it follows, and what it says of errors; no browser, no kernel."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from recordings import BEGIN, brute, events, still

from fmrw.errors import UnknownPath
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.widgets.filters import clear

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace


@pytest.mark.parametrize("window", [(0, 1000), (190, 310), (255, 256)])
@pytest.mark.parametrize("layout", ["row-major", "hilbert"])
def test_data_counts_what_a_loop_counts(view: Explorer, window: tuple[int, int], layout: str) -> None:
    view.layout = layout
    view.window = window
    data = view.data()
    assert data["start"][0] == window[0]
    assert data["end"][-1] == window[1]
    assert (data["start"][1:] == data["end"][:-1]).all()
    for row in data.iter_rows(named=True):
        for op in ("read", "write"):
            found = tuple(row[f"{op}_{name}"] for name in ("accesses", "distinct", "repeats"))
            assert found == brute(view, op, row["start"], row["end"])


def test_reads_that_only_meet_are_one_colour(trace: Callable[..., LiveTrace]) -> None:
    meeting = events(*[("read", at, at + 30) for at in range(0, 30_000, 30)], size=30_000)
    view = explore(trace(meeting), "sample.bin")
    assert view.data()["read_accesses"].max() == 2
    assert view.data()["read_repeats"].unique().to_list() == [1]
    texts = [row["t"] for row in view.scene.canvas.texts]
    assert "times a byte was read" in texts
    assert "read 1" in texts
    assert "2" not in texts  # in the legend


def test_filters_reach_the_data(view: Explorer) -> None:
    def reads() -> int:
        view.side = 16
        return int(view.data()["read_bytes"].sum())

    assert reads() == 300
    view.processes = [(43, "other")]
    assert reads() == 100
    view.processes = 42
    assert reads() == 200
    view.processes = None
    view.threads = [44]
    assert reads() == 100
    view.threads = None
    view.handles = (1,)
    assert reads() == 200
    view.handles = None
    view.time_window = (BEGIN + timedelta(milliseconds=1), BEGIN + timedelta(milliseconds=2))
    assert reads() == 100
    clear(view)
    assert reads() == 300
    view.ops = "write"
    assert view.data().columns == [
        "start",
        "end",
        "write_accesses",
        "write_bytes",
        "write_distinct",
        "write_repeats",
    ]


def test_nobody_is_not_everybody(view: Explorer) -> None:
    view.processes = ()
    assert view.data()["read_bytes"].sum() == 0
    assert view.problem == ""


def test_an_unknown_process_is_refused(view: Explorer) -> None:
    with pytest.raises(UnknownPath, match=r"parser \[42\]"):
        view.processes = "7z"
    assert view.processes is None


def test_events_are_those_of_the_window_and_the_filters(view: Explorer) -> None:
    view.window = (0, 150)
    assert view.events().select("op", "start", "end").rows() == [("read", 0, 100)]
    view.window = (240, 270)
    view.ops = "write"
    assert view.events()["seq"].to_list() == [3]
    assert view.events().columns[:3] == ["seq", "time", "op"]


def test_the_view_follows_and_the_window_stays(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True, started="2026")
    view = explore(made, "sample.bin")
    still(view)
    view.window = (50, 150)
    made._source.add(events(("read", 100, 120), size=2000, first=1))
    assert view.follow()
    assert (view.window, view.size) == ((50, 150), 2000)
    assert view.data()["read_distinct"].sum() == 70
    view.whole()
    made._source.add(events(("write", 2000, 3000), size=3000, first=2))
    view.follow()
    assert view.window == (0, 3000)
    made.live = False
    assert not view.follow()


def test_a_file_that_shrinks_takes_the_window_along(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True)
    view = explore(made, "sample.bin", window=(500, 900))
    still(view)
    made._source.add(events(("truncate", 0, 600), size=600, first=1))
    view.follow()
    assert view.window == (500, 600)
    made._source.add(events(("truncate", 0, 0), size=0, first=2))
    view.follow()
    assert (view.window, view.problem) == ((0, 0), "")
    assert view.data().is_empty()


def test_a_file_without_events_waits_for_them(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    (tmp_path / "later.bin").write_bytes(bytes(300))
    made = trace(live=True, started="2026")
    view = explore(made, tmp_path / "later.bin")
    still(view)
    assert view.window == (0, 300)
    assert any("nothing was requested yet" in text["t"] for text in view.scene.canvas.texts)
    made._source.add(events(("read", 0, 100), size=300, path="later.bin"))
    view.follow()
    assert view.data()["read_bytes"].sum() == 100


def test_a_file_nobody_has_is_refused_even_while_live(trace: Callable[..., LiveTrace]) -> None:
    with pytest.raises(UnknownPath):
        explore(trace(events(("read", 0, 1)), live=True), "nothing.bin")


def test_an_error_while_drawing_is_shown_not_swallowed(
    view: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view.recorded, "bins", lambda *_: 1 / 0)
    view.window = (0, 10)
    assert view.problem == "ZeroDivisionError: division by zero"
    monkeypatch.undo()
    view.attempt(lambda: view.go_to("0x0-0x20"))
    assert view.problem == ""


def test_annotations_are_kept_in_the_session(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    made = trace(events(("read", 0, 100)), folder=folder)
    view = explore(made, "sample.bin")
    view.window = (100, 200)
    view.annotate("cavity <b>")
    view.annotate("head", 0, 16)
    assert json.loads((folder / "annotations.json").read_text()) == {
        "sample.bin": [[100, 200, "cavity <b>"], [0, 16, "head"]]
    }
    assert explore(made, "sample.bin").annotations == view.annotations
    assert any(text["t"] == "cavity <b>" for text in view.scene.canvas.texts)


def test_a_session_that_is_gone_is_said(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    view = explore(trace(events(("read", 0, 100)), folder=tmp_path / "gone"), "sample.bin")
    view.annotate("x")
    assert "annotations.json" in view.problem
    assert len(view.annotations) == 1
