"""Structures that repeat are found by the content alone."""

from __future__ import annotations

import random
import struct

from fmrw.experiments.repeats import forerunners, in_waves


def records(count: int) -> tuple[bytes, list[list[int]]]:
    """Make records with names of different lengths; give their fixed fields, offset by offset."""
    chance, content, fields = random.Random(1), bytearray(), []  # noqa: S311 - the same every time
    for number in range(count):
        fields.append(list(range(len(content), len(content) + 22)))
        name = f"folder/{'x' * chance.randrange(1, 9)}.txt".encode()
        content += (
            struct.pack("<4sHHIHI4s", b"REC\x01", 20, 8, number * 1000, len(name), 0x20, b"\0\0\1\2") + name
        )
    return bytes(content), fields


def test_a_field_stands_in_the_place_of_the_same_field_before() -> None:
    content, fields = records(100)
    found = forerunners(content)
    place = {byte: at for record in fields for at, byte in enumerate(record)}
    for record in fields[1:]:
        for byte in record:
            assert found[byte] < byte
            assert place[found[byte]] == place[byte]


def test_bytes_by_chance_have_none() -> None:
    content = random.Random(1).randbytes(10_000)  # noqa: S311 - the same every time
    assert set(forerunners(content)) == {-1}


def test_waves_hold_each_byte_once_and_what_it_is_like_before_it() -> None:
    content, _fields = records(100)
    spans = [(10, 10 + 700), (5000, 5000 + len(content) - 700)]
    waves, before = in_waves(spans, content)
    every = sorted(byte for wave in waves for byte in wave)
    assert every == [*range(*spans[0]), *range(*spans[1])]
    number = {byte: at for at, wave in enumerate(waves) for byte in wave}
    assert set(before) == {byte for wave in waves[1:] for byte in wave}
    assert all(source < byte and number[source] < number[byte] for byte, source in before.items())
    assert len(waves) < 12, "each has twice as many records as the one before"
    assert len(waves[0]) < len(content) // 10
