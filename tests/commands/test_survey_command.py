"""What the survey's command says while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.commands.survey import _progress, _saying
from fmrw.experiments.survey.driver import Progress
from fmrw.experiments.survey.part import Done

if TYPE_CHECKING:
    import pytest


def test_notes_are_said_once_and_safely(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Progress] = []
    progress = Progress(100, 0)
    watch = _saying(seen.append)
    watch(progress)
    progress.notes.append("a worker takes no part\x1b[31m")
    watch(progress)
    watch(progress)
    assert capsys.readouterr().err == "fmrw: a worker takes no part\\x1b[31m\n"
    assert len(seen) == 3


def test_progress_counts_parts_that_are_done_and_runs_of_those_that_are_not() -> None:
    progress = Progress(1000, 100, begun=0.0)
    progress.told(("out", 3), 20)
    progress.told(("out", 3), 25)
    assert progress.done == 125
    progress.finished(Done(3, 40, {"accepted": 30, "hung": 10}))
    assert progress.done == 140
    assert progress.verdicts == {"accepted": 30, "hung": 10}
    assert progress.remaining_s is not None
    assert "140 of 1,000 runs" in _progress(progress)
    assert Progress(10, 10).remaining_s is None
