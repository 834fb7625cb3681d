"""What people type becomes bytes exactly, what fmrw writes is read back, and the rest is refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fmrw.errors import BadRange
from fmrw.offsets import (
    LARGEST,
    Annotation,
    hex_offset,
    human_size,
    parse_annotation,
    parse_offset,
    parse_range,
    range_text,
)
from fmrw.text import visible

OFFSETS = st.integers(0, LARGEST)
SPANS = st.tuples(OFFSETS, OFFSETS).filter(lambda pair: pair[0] != pair[1]).map(sorted)
SIZES = OFFSETS | st.builds(
    lambda n, power: n << power, st.integers(0, 4096), st.sampled_from([8, 9, 10, 30, 50])
)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("0x1c0", 448),
        ("0X1C0", 448),
        ("0x1_c0", 448),
        ("448", 448),
        ("  448\t", 448),
        ("010", 10),
        ("1_000", 1000),
        ("1,234,567 bytes", 1234567),
        ("1 byte", 1),
        ("7B", 7),
        ("12 KiB", 12 * 1024),
        ("12kib", 12 * 1024),
        ("12K", 12 * 1024),
        ("12 kB", 12_000),
        ("1.5MiB", 3 << 19),
        ("0.25 TiB", 1 << 38),
        ("7.5 EiB", 15 << 59),
        ("0x7fffffffffffffff", LARGEST),
        ("0", 0),
    ],
)
def test_an_offset_as_typed(text: str, offset: int) -> None:
    assert parse_offset(text) == offset


@pytest.mark.parametrize(
    ("text", "size", "offset"),
    [
        ("75%", 1000, 750),
        ("75 %", 1000, 750),
        ("33.3%", 100, 33),
        ("100%", LARGEST, LARGEST),
        ("0%", 0, 0),
        ("end", 77, 77),
    ],
)
def test_a_share_of_the_file(text: str, size: int, offset: int) -> None:
    assert parse_offset(text, size) == offset


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write 448, 0x1c0"),
        ("   ", "write 448, 0x1c0"),
        ("0x", "unknown unit, x"),
        ("0o17", "write 448"),
        ("0b11", "write 448"),
        ("-1", "is negative: write 448"),
        ("1e3", "write 448"),
        ("1.", "write 448"),
        (".5", "write 448"),
        ("1__0", "write 448"),
        ("12,34", "write 448"),
        ("٣", "write 448"),
        ("²", "write 448"),
        ("0x10 KiB", "write 448"),
        ("12 QiB", "unknown unit, QiB: write B, KiB"),
        ("0.3 KiB", "not a whole number of bytes"),
        ("1.5", "not a whole number of bytes"),
        ("0x8000000000000000", "the largest offset is 0x7fffffffffffffff"),
        ("9223372036854775808", "too large"),
        ("8 EiB", "too large"),
        ("9" * 5000, "is not an offset"),
        ("75%", "known size"),
        ("end", "known size"),
        ("101%", "at most 100%"),
        ("12\x1b[31m", r"\\x1b\[31m' is not"),
    ],
)
def test_what_is_no_offset_is_refused_with_a_cure(text: str, reason: str) -> None:
    with pytest.raises(BadRange, match=reason) as caught:
        parse_offset(text)
    message = str(caught.value)
    assert visible(message) == message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0x0-0x20", (0, 32)),
        ("0x400+512", (1024, 1536)),
        ("100-1KiB", (100, 1024)),
        (" 1 KiB - 1.5 KiB ", (1024, 1536)),
        ("0-9223372036854775807", (0, LARGEST)),
        ("25%-75%", (50, 150)),
        ("0x10-end", (16, 200)),
        ("0+50%", (0, 100)),
        ("1000+1", (1000, 1001)),
    ],
)
def test_a_range_as_typed(text: str, span: tuple[int, int]) -> None:
    assert parse_range(text, size=200) == span


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "START-END"),
        ("448", "START-END"),
        ("-", "START-END"),
        ("-5", "START-END"),
        ("5-", "START-END"),
        ("+5", "START-END"),
        ("20-10", "must lie after the start"),
        ("7-7", "must lie after the start"),
        ("7+0", "must lie after the start"),
        ("1-2-3", "not an offset"),
        ("0x7fffffffffffffff+1", "too large"),
        ("1..5", "START-END"),
        ("0-zz", "not an offset"),
    ],
)
def test_what_is_no_range_is_refused_with_a_cure(text: str, reason: str) -> None:
    with pytest.raises(BadRange, match=reason):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0x1c0-0x2000=cavity", Annotation(0x1C0, 0x2000, "cavity")),
        ("0+4 = local header = PK", Annotation(0, 4, "local header = PK")),
        ("0-0x4", Annotation(0, 4, "0x0-0x4")),
        ("0-4=a-b+c", Annotation(0, 4, "a-b+c")),
    ],
)
def test_a_named_range(text: str, expected: Annotation) -> None:
    assert parse_annotation(text) == expected


@pytest.mark.parametrize("text", ["0-4=", "0-4=  ", "=name", "name", "4=name"])
def test_a_named_range_without_name_or_range_is_refused(text: str) -> None:
    with pytest.raises(BadRange):
        parse_annotation(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (340, "340 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1025, "1,025 bytes"),
        (1025 << 10, "1,025 KiB"),
        (5 << 18, "1.25 MiB"),
        (8 << 40, "8 TiB"),
        (1 << 62, "4 EiB"),
        (LARGEST, "9,223,372,036,854,775,807 bytes"),
    ],
)
def test_a_size_in_words(size: int, text: str) -> None:
    assert human_size(size) == text


@given(OFFSETS)
def test_offsets_survive_being_written(offset: int) -> None:
    assert (
        parse_offset(hex_offset(offset)) == parse_offset(str(offset)) == parse_offset(f"{offset:,}") == offset
    )


@given(SIZES.filter(lambda size: size <= LARGEST))
@example(1 << 62)
def test_sizes_survive_being_written(size: int) -> None:
    assert parse_offset(human_size(size)) == size


@given(SPANS)
def test_ranges_survive_being_written(span: list[int]) -> None:
    start, end = span
    assert parse_range(range_text(start, end)) == (start, end)
    assert parse_range(f"{start}+{end - start}") == (start, end)


@given(st.text(max_size=80) | st.text("0123456789abxKMiB%+-., =", max_size=20), st.none() | OFFSETS)
def test_any_text_is_a_range_or_refused_in_one_printable_line(text: str, size: int | None) -> None:
    refusals: list[str] = []
    try:
        start, end, _ = parse_annotation(text, size)
    except BadRange as refused:
        refusals.append(str(refused))
    else:
        assert 0 <= start < end <= LARGEST
    assert all(visible(refusal) == refusal for refusal in refusals)
