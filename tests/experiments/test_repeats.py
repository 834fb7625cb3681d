"""Structures that repeat are found by the content alone."""

from __future__ import annotations

import random
import struct

from fmrw.experiments.repeats import families, forerunners, in_waves
from fmrw.experiments.spans import common, merged, singles


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


def test_families_hold_what_is_in_the_same_place() -> None:
    content, _fields = records(40)
    _waves, before = in_waves([(0, len(content))], content)
    found = families(before)
    assert set(found) == set(before) | set(before.values())
    assert all(byte in found[byte] and found[byte] is found[source] for byte, source in before.items())


def test_what_spans_have_in_common() -> None:
    chance = random.Random(1)  # noqa: S311 - the same every time
    for _ in range(500):
        one, other = (
            merged(
                (at, at + chance.randrange(1, 6)) for at in chance.sample(range(40), k=chance.randrange(6))
            )
            for _ in range(2)
        )
        assert set(singles(common(one, other))) == set(singles(one)) & set(singles(other))
