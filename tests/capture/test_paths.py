"""Numbers of paths: nobody gets one that the journal does not know."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fmrw.capture.recorder.paths import Paths


class Notes:
    """Takes what a journal notes, and lets something happen meanwhile."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []
        self.first = True

    def note(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - what JSON takes
        if self.first:
            self.first = False
            self.meanwhile()
        self.lines.append((kind, facts.get("id", facts.get("path"))))

    def meanwhile(self) -> None:
        """Do nothing."""


def test_another_thread_gets_the_number_of_a_path_when_it_is_noted() -> None:
    notes = Notes()
    paths = Paths(notes)  # type: ignore[arg-type]  # all that is used of a journal
    other = threading.Thread(target=lambda: notes.lines.append(("used", paths.number(b"/file"))))

    def overtaken() -> None:
        other.start()
        other.join(0.3)  # it waits for us, or would be through

    notes.meanwhile = overtaken  # type: ignore[method-assign]
    assert paths.number(b"/file") == 0
    other.join()
    assert notes.lines == [("path", 0), ("used", 0)]


def test_a_path_that_could_not_be_noted_is_noted_when_it_is_used_again() -> None:
    notes = Notes()
    paths = Paths(notes)  # type: ignore[arg-type]  # the same

    def fails() -> None:
        raise MemoryError

    notes.meanwhile = fails  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        paths.number(b"/file")
    number = paths.number(b"/file")
    assert notes.lines == [("path", number)]
    assert paths.number(b"/file") == number
    assert len(notes.lines) == 1
