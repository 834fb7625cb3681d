"""The helper that makes the reports: started when needed, replaced when it dies or grows."""

from __future__ import annotations

import gc
import os
import signal
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
