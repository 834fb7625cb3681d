"""The helper that makes the reports: started when needed, replaced when it dies or grows."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

import psutil
import pytest

from fmrw import reports

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def tracker() -> Iterator[None]:
    """End multiprocessing's own process, which would last as long as this one."""
    yield
    gc.collect()
    resource_tracker._resource_tracker._stop()


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
    psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=10)
    assert helper.run("os", "getpid") != first


def test_it_is_replaced_when_it_has_grown(helper: reports.Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_LARGEST", 1)
    assert helper.run("os", "getpid") != helper.run("os", "getpid")


def test_an_error_of_a_report_is_the_callers(helper: reports.Helper) -> None:
    with pytest.raises(FileNotFoundError):
        helper.run("os", "listdir", "/nowhere/at/all")
    assert helper.run("os", "getpid")


def test_it_steps_back_behind_watched_programs(helper: reports.Helper) -> None:
    assert psutil.Process(helper.run("os", "getpid")).nice() > psutil.Process().nice()


def test_a_process_of_ours_imports_altair_without_widgets_and_grammars() -> None:
    program = (
        "import sys; from fmrw import reports; reports.import_quickly(*reports._WIDGETS); import altair;"
        "print(sorted({'altair', 'ipywidgets', 'lark', 'arrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "['altair']\n"
