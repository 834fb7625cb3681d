"""Searching bytes and text, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from fmrw.errors import BadInput
from fmrw.explorer import find


class Source:
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def content(self, start: int, end: int) -> tuple[bytes | None, str]:
        return self.data[start:end], ""


class Gone:
    def content(self, _start: int, _end: int) -> tuple[bytes | None, str]:
        return None, "the file is gone"


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("PK", "text", b"PK"),
        ("é", "text", "é".encode()),
        ("é", "UTF-16", b"\xe9\0"),
        ("50 4b 03 04", "bytes", b"PK\3\4"),
        ("0x504B0304", "bytes", b"PK\3\4"),
        ("50:4b-03_04", "bytes", b"PK\3\4"),
    ],
)
def test_patterns(text: str, kind: str, wanted: bytes) -> None:
    assert find.pattern(text, kind) == wanted


@pytest.mark.parametrize(
    ("text", "kind"), [("", "text"), ("5", "bytes"), ("zz", "bytes"), ("", "bytes"), ("504", "bytes")]
)
def test_patterns_that_are_none(text: str, kind: str) -> None:
    with pytest.raises(BadInput):
        find.pattern(text, kind)


def test_every_place_is_found_across_the_borders_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "PIECE", 16)
    random = np.random.default_rng(4)
    for _ in range(300):
        data = random.integers(0, 3, int(random.integers(0, 200)), dtype=np.uint8).tobytes()
        wanted = random.integers(0, 3, int(random.integers(1, 5)), dtype=np.uint8).tobytes()
        start = int(random.integers(0, len(data) + 1))
        later = data.find(wanted, start)
        assert find.find(Source(data), wanted, len(data), start) == (later if later >= 0 else None)
        before = max((at for at in range(start) if data.startswith(wanted, at)), default=None)
        assert find.find(Source(data), wanted, len(data), start, backwards=True) == before


def test_a_search_can_be_given_up_and_says_why_it_cannot_be() -> None:
    assert find.find(Source(b"aaa"), b"a", 3, 0, ended=lambda: True) is None
    with pytest.raises(BadInput, match="the file is gone"):
        find.find(Gone(), b"a", 3, 0)
