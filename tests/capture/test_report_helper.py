"""The helper that makes the reports: started when needed, replaced when it dies or grows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from fmrw.capture.reports import helper as reports
from fmrw.errors import BadRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def helper() -> Iterator[reports.Helper]:
    helper = reports.Helper()
    yield helper
    helper.close()


def test_it_is_another_process_and_stays(helper: reports.Helper) -> None:
    first = helper.run("os", "getpid")
    assert first != os.getpid()
    assert helper.run("os", "getpid") == first


def test_it_is_replaced_when_it_was_killed(helper: reports.Helper) -> None:
    first = helper.run("os", "getpid")
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=600)
    assert helper.run("os", "getpid") != first


def test_it_is_replaced_when_it_has_grown(helper: reports.Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_LARGEST", 1)
    assert helper.run("os", "getpid") != helper.run("os", "getpid")


def test_an_error_of_a_report_is_the_callers(helper: reports.Helper) -> None:
    with pytest.raises(FileNotFoundError):
        helper.run("os", "listdir", "/nowhere/at/all")
    assert helper.run("os", "getpid")


def test_what_else_a_report_fails_with_is_told_as_text(helper: reports.Helper) -> None:
    with pytest.raises(RuntimeError, match="JSONDecodeError"):
        helper.run("json", "loads", "{")
    assert helper.run("json", "loads", '"\\udc80"') == "\udc80", "any name comes through"


def test_a_helper_knows_whether_the_next_question_waits(
    helper: reports.Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert helper.run(reports.__name__, "is_waited_for") is False
    reading, writing = os.pipe()
    monkeypatch.setattr(reports, "_asked", [reports._Questions(reading)])
    os.write(writing, b"\n")
    assert reports.is_waited_for()
    os.close(reading)
    os.close(writing)


def test_what_is_begun_is_waited_for_by_the_next_question(helper: reports.Helper) -> None:
    process = helper.begin("os", "getpid")
    helper.begin("os", "listdir", "/nowhere/at/all")
    assert helper.run("os", "getppid") == os.getpid()
    assert helper.run("os", "getpid") == process


def test_what_is_begun_is_passed_over_when_it_kills(helper: reports.Helper) -> None:
    process = helper.begin("os", "_exit", 1)
    assert helper.run("os", "getpid") != process


def test_what_was_begun_last_is_finished(helper: reports.Helper) -> None:
    helper.begin("os", "getpid")
    helper.begin("os", "listdir", "/nowhere/at/all")
    with pytest.raises(FileNotFoundError):
        helper.finish("os", "listdir", "/nowhere/at/all")
    process = helper.begin("os", "getpid")
    assert helper.finish("os", "getpid") == process


def test_what_was_not_begun_or_died_is_done_when_it_is_finished(helper: reports.Helper) -> None:
    assert helper.finish("os", "getppid") == os.getpid(), "never begun"
    process = helper.begin("os", "getpid")
    os.kill(process, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(process)], timeout=600)
    with contextlib.suppress(BrokenPipeError):
        helper.begin("os", "getppid")
    assert helper.finish("os", "getppid") == os.getpid(), "not the answer to what was begun before"


def test_two_helpers_that_die_are_told(helper: reports.Helper) -> None:
    with pytest.raises(EOFError):
        helper.run("os", "_exit", 1)


def test_an_error_of_ours_is_the_same_here(helper: reports.Helper) -> None:
    with pytest.raises(BadRange, match="nonsense"):
        helper.run("fmrw.offsets", "parse_range", "nonsense")


def test_what_it_prints_is_no_answer(
    helper: reports.Helper, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    assert helper.run("builtins", "print", "hello") is None
    assert "hello" in capfd.readouterr().err


def test_it_ends_with_its_parent_in_the_middle_of_an_answer() -> None:
    program = (
        "from fmrw.capture.reports import helper as reports; helper = reports.Helper(); print(helper.run('os', 'getpid'), flush=True);"
        "helper.run('signal', 'pause')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        helper = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, _alive = psutil.wait_procs([helper], timeout=600)
    assert gone


def test_it_steps_back_behind_watched_programs(helper: reports.Helper) -> None:
    assert psutil.Process(helper.run("os", "getpid")).nice() == min(
        psutil.Process().nice() + reports._NICE, 19
    )


def test_a_process_of_ours_imports_altair_without_widgets_and_grammars() -> None:
    program = (
        "import sys; from fmrw.capture.reports import helper as reports; reports.import_quickly(*reports._WIDGETS); import altair;"
        "print(sorted({'altair', 'ipywidgets', 'lark', 'arrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "['altair']\n"


def test_numpy_starts_no_threads_in_it(helper: reports.Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert helper.run("os", "getenv", "OPENBLAS_NUM_THREADS") == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("chosen", [None, "4"])
def test_the_environment_is_as_before_once_numpy_is_imported(
    monkeypatch: pytest.MonkeyPatch, *, chosen: str | None
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", chosen)
    before = dict(os.environ)
    with reports.single_threaded():
        assert os.environ["OPENBLAS_NUM_THREADS"] == (chosen or "1"), "what the user has chosen holds"
    assert dict(os.environ) == before


def test_a_question_waits_that_came_with_the_one_before() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"first\nsecond\nthi")
    questions = reports._Questions(reading)
    given = iter(questions)
    assert questions.wait
    assert next(given) == b"first"
    assert questions.wait
    assert next(given) == b"second"
    os.write(writing, b"rd\n")
    assert next(given) == b"third"
    assert not questions.wait
    os.close(writing)
    assert list(given) == []
    os.close(reading)


def test_a_long_question_is_read_in_few_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = b"x" * 300_000
    (tmp_path / "asked").write_bytes(question + b"\nunfinished")
    steps = list[int]()
    read = os.read
    with (tmp_path / "asked").open("rb") as file, monkeypatch.context() as patch:
        patch.setattr(reports.os, "read", lambda fd, most: steps.append(most) or read(fd, most))
        assert list(reports._Questions(file.fileno())) == [question]
    assert len(steps) <= 6
