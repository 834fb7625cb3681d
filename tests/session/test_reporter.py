"""The process that writes the reports of a run: ready early, gone afterwards, and what it writes is what `fmrw report` writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import fmrw
from fmrw.capture.reports import helper
from fmrw.errors import FigureError
from fmrw.figures import render
from fmrw.session import reporter as reporting
from fmrw.session import reports
from fmrw.session.reporter import Reporter


def write(reporter: Reporter, session: Path, notes: list[str]) -> list[Path]:
    reporter.begin(session)
    return reporter.finish(notes)


NAME = os.fsdecode(b"odd \xff\x1b[31m.bin")


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """Give a session that has read a file with an odd name and changed another."""
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / NAME).write_bytes(bytes(9000))
    with fmrw.mount(watched, output=tmp_path / "session"):
        (watched / NAME).read_bytes()
        (watched / "made").write_bytes(b"content")
    return tmp_path / "session"


def test_it_writes_what_a_report_of_the_session_is(session: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    with Reporter() as reporter:
        reporter.prepare(tmp_path)
        written = write(reporter, session, notes)
    expected: list[str] = []
    alike = reports.write(fmrw.load(session), tmp_path / "alike", notes=expected)
    assert [path.relative_to(session) for path in written] == [
        path.relative_to(tmp_path / "alike") for path in alike
    ]
    assert len(written) == 4
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in alike]
    assert notes == expected


def test_it_leaves_no_process(tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupted() -> None:
        with Reporter() as reporter:
            seen.extend(reporter.prepare(tmp_path))
            assert psutil.Process(seen[0]).cwd() == "/"
            raise KeyboardInterrupt  # while it imports

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not psutil.pid_exists(seen[0])


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import signal; from fmrw.session.reporter import Reporter\n"
        f"with Reporter() as reporter: print(*reporter.prepare({str(tmp_path)!r}), flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, _alive = psutil.wait_procs([process], timeout=600)
    assert gone


def test_one_that_died_is_replaced(session: Path, tmp_path: Path) -> None:
    with Reporter() as reporter:
        (process,) = reporter.prepare(tmp_path)
        os.kill(process, signal.SIGKILL)
        assert len(write(reporter, session, [])) == 4


def test_one_that_dies_while_it_draws_is_replaced(session: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    with Reporter() as reporter:
        (process,) = reporter.prepare(tmp_path)
        reporter.begin(session)
        os.kill(process, signal.SIGKILL)
        written = reporter.finish(notes)
    assert [path.read_bytes()[:5] for path in written if path.suffix == ".pdf"] == [b"%PDF-"] * 2


def test_the_process_that_draws_imports_no_frames(session: Path, tmp_path: Path) -> None:
    with Reporter() as reporter:
        reporter.prepare(tmp_path)
        write(reporter, session, [])
        loaded = reporter._helper.run("builtins", "eval", "[*__import__('sys').modules]")
    assert "vl_convert" in loaded
    assert not {"polars", "numpy", "altair"} & {*loaded}


def test_a_figure_that_cannot_be_written_is_told_by_its_name(session: Path) -> None:
    (session / "made-heatmap.pdf").mkdir()
    with Reporter() as reporter, pytest.raises(FigureError, match=r"made-heatmap\.pdf: .*; choose a folder"):
        write(reporter, session, [])


def test_two_that_died_are_told_with_the_cure(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "_PROGRAM", "import os; os._exit(1)")
    with Reporter() as reporter:
        reporter.prepare(tmp_path)
        with pytest.raises(FigureError, match=r"died twice.* `fmrw report "):
            write(reporter, session, [])


def test_its_errors_are_those_of_a_report(session: Path) -> None:
    (session / "made.csv").mkdir()
    with Reporter() as reporter, pytest.raises(FigureError, match="choose a folder you may write"):
        write(reporter, session, [])


def test_it_waits_where_it_would_hold_the_mount() -> None:
    with Reporter() as reporter:
        assert reporter.prepare(sys.prefix) == [], "it would load libraries through the mount"
        assert reporter.prepare(Path(fmrw.__file__).parents[1]) == []


@pytest.mark.parametrize("waiting", [False, True])
def test_it_draws_while_nothing_is_to_be_drawn_yet(monkeypatch: pytest.MonkeyPatch, *, waiting: bool) -> None:
    drawn: list[dict[str, object]] = []
    monkeypatch.setattr(reporting, "is_waited_for", lambda: waiting)
    monkeypatch.setattr(render, "pdf", drawn.append)
    reporting.prepare()
    assert bool(drawn) is not waiting
