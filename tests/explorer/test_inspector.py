"""Bytes as numbers and times, against struct and known dates."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from fmrw.explorer.inspector import NONE, inspect


def values(content: bytes) -> dict[str, tuple[str, str]]:
    return {name: (little, big) for name, little, big in inspect(content)}


def test_integers_and_floats_in_both_orders() -> None:
    random = np.random.default_rng(2)
    for _ in range(100):
        content = random.integers(0, 256, 16, dtype=np.uint8).tobytes()
        found = values(content)
        for bits, code in ((8, "b"), (16, "h"), (32, "i"), (64, "q")):
            for sign, letter in (("u", code.upper()), ("", code)):
                for place, order in enumerate("<>"):
                    told = int(found[f"{sign}int{bits}"][place].replace(",", ""))
                    assert told == struct.unpack(order + letter, content[: bits // 8])[0]
        for bits, code in ((16, "e"), (32, "f"), (64, "d")):
            for place, order in enumerate("<>"):
                real = struct.unpack(order + code, content[: bits // 8])[0]
                assert float(found[f"float{bits}"][place]) == pytest.approx(real, rel=1e-8, nan_ok=True)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("name", "code", "value", "told"),
    [
        ("Unix time, 32 bits", "I", 1_000_000_000, "2001-09-09 01:46:40"),
        ("Unix time, 64 bits", "q", -1, "1969-12-31 23:59:59"),
        ("Unix time, 64 bits", "q", 1 << 60, NONE),
        ("FILETIME", "Q", 116_444_736_000_000_000, "1970-01-01 00:00:00"),
        ("Mac time (1904)", "I", 2_082_844_800, "1970-01-01 00:00:00"),
        (
            "DOS date and time",
            "I",
            (29 << 9 | 2 << 5 | 3) << 16 | 4 << 11 | 5 << 5 | 3,
            "2009-02-03 04:05:06",
        ),
        ("DOS date and time", "I", 0, NONE),
    ],
)
def test_times(order: str, name: str, code: str, value: int, told: str) -> None:
    assert values(struct.pack(order + code, value))[name][order == ">"] == told


def test_text_is_harmless_and_short_content_says_so() -> None:
    assert values("é".encode())["UTF-8"] == ("é", "é")
    assert values(b"A\0")["UTF-16"] == ("A", "䄀")
    assert values(b"\x1b")["UTF-8"][0] == "\\x1b"
    assert values(b"\xff")["UTF-8"][0] == NONE
    assert values(b"")["uint8"] == (NONE, NONE)
    assert values(b"\x01\x02\x03")["uint32"] == (NONE, NONE)
