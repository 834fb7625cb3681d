"""Where a page is touched is known before the touching program goes on, and nobody is waited for that waits for the answer."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.sites import faults
from fmrw.capture.sites.faults import Faults
from fmrw.capture.sites.modules import Modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.capture.sites.space import Space

PLACE = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0


class Noted(list[tuple[int, tuple[int, int, str]]]):
    """What was noted: numbers, and where they lie."""

    def site(self, number: int, frame: tuple[int, int, str]) -> None:
        self.append((number, frame))


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def places(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Faults of this process, which seems to wait for a page in getpid(2)."""
    monkeypatch.setattr(faults, "read_entry", lambda *_entry: b"-1 0x7ffc0000 %#x" % PLACE)
    modules = Modules(lambda _module: None)
    found = Faults(itertools.count(1).__next__, noted.site, modules, threading.Lock())
    yield found
    found.close()
    modules.close()


def test_a_place_is_known_before_the_answer(
    places: Faults, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_PATIENCE_S", 600)
    assert places.of(os.getpid(), os.getpid()) == 1
    ((number, (module, distance, quality)),) = noted
    assert (number, quality) == (1, "fault")
    assert module >= 0
    assert 0 < distance < PLACE
    assert places.of(os.getpid(), os.getpid()) == 1
    assert len(noted) == 1, "once for each place"


def test_a_look_that_waits_for_the_answer_is_not_waited_for(
    places: Faults, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    read = faults.Space.read_list

    def waits(space: Space) -> bool:
        assert answered.wait(600)
        return read(space)

    monkeypatch.setattr(faults.Space, "read_list", waits)
    monkeypatch.setattr(faults.Space, "code", lambda _space, _place: None)
    monkeypatch.setattr(faults, "_PATIENCE_S", 0.01)
    assert places.of(os.getpid(), os.getpid()) == 1
    assert noted == []
    answered.set()
    places.close()
    assert noted == [(1, (-1, PLACE, "fault"))]
