"""How exact a recording is, in the same words everywhere."""

from __future__ import annotations

import polars as pl
import pytest
from recordings import events

from fmrw.trace import exactness, schema

BYTE, PAGE = "byte-exact", "page-granular: ranges are whole pages"


def test_the_words_are_those_of_the_frame() -> None:
    assert (exactness.BYTE, exactness.PAGE) == schema.FIDELITIES
    assert [exactness.exactness_text(each) for each in schema.FIDELITIES] == [BYTE, PAGE]
    assert exactness.exactness_text(None) == "nothing was requested yet"


def test_one_page_makes_all_page_granular() -> None:
    exact, page = events(("read", 0, 9)), events(("read", 0, 9), fidelity="page")
    assert exactness.fidelity(exact) == "byte"
    assert exactness.fidelity(pl.concat([exact, page])) == "page"
    assert exactness.fidelity(schema.empty()) is None
    assert exactness.joint(["byte", None, "page"]) == "page"
    assert exactness.joint(["byte", None]) == "byte"
    assert exactness.joint([None]) is None


def test_the_smallest_request_is_of_reads_and_told_from_512_bytes_on() -> None:
    asked = events(("read", 0, 4), ("write", 4, 5)).with_columns(requested=pl.Series([4096, 1]))
    assert exactness.smallest_request(asked) == 4096
    assert exactness.smallest_request(asked.filter(op="write")) is None
    assert exactness.smallest_request(asked.drop("requested")) is None


@pytest.mark.parametrize(
    ("smallest", "told"), [(None, ""), (511, ""), (512, "smallest request 512 bytes"), (8192, "smallest request 8 KiB")]
)  # fmt: skip
def test_small_requests_need_no_word(smallest: int | None, told: str) -> None:
    assert exactness.request_text(smallest) == told
