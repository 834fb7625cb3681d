"""The map of a probe from a stranger or a bad disk: rows, or one error of ours, in bounded memory."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import polars as pl
import pytest

from fmrw.errors import SessionError
from fmrw.trace import effects
from fmrw.trace.parquet import claims, tables

if TYPE_CHECKING:
    from pathlib import Path

FIELD = {"start": 4, "end": 6, "kind": "offset", "access": 3, "byteorder": "little", "scale": 1}
RANGES = [
    {"start": 0, "end": 4, "class": None, "values": [], "effect": "", "field": None},
    {"start": 4, "end": 6, "class": "steers", "values": [0, 255, 7], "effect": "steers an offset", "field": FIELD},
    *({"start": at, "end": at + 1, "class": "ignored", "values": [1] * (at % 9), "effect": "", "field": None} for at in range(6, 900)),
]  # fmt: skip


@pytest.fixture
def made() -> pl.DataFrame:
    return effects.frame("a.bin", "cat a.bin", RANGES)


def test_what_was_written_is_read(made: pl.DataFrame, tmp_path: Path) -> None:
    effects.write(made, tmp_path)
    found = effects.read(tmp_path)
    assert found.equals(made)
    assert found.schema == effects.EFFECTS
    made.write_parquet(tmp_path / effects.FILE, row_group_size=100, data_page_size=200)
    assert effects.read(tmp_path).equals(made)
    effects.write(made.clear(), tmp_path)
    assert effects.read(tmp_path).schema == effects.EFFECTS
    assert effects.read(None).height == 0


def test_flips_and_cuts_end_in_rows_or_in_one_line(
    made: pl.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    effects.write(made, tmp_path)
    good = (tmp_path / effects.FILE).read_bytes()
    noise = random.Random(3)  # noqa: S311 - the same every time
    bad = [good[: noise.randrange(len(good))] for _ in range(30)]
    for _ in range(200):
        data = bytearray(good)
        for _flip in range(noise.choice([1, 1, 4])):
            data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        bad.append(bytes(data))
    refused = []
    for data in bad:
        (tmp_path / effects.FILE).write_bytes(data)
        try:
            assert effects.read(tmp_path).schema == effects.EFFECTS
        except SessionError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(each.startswith(str(tmp_path / effects.FILE)) and "\n" not in each for each in refused)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.col("start") + 10_000, "a range cannot be"),
        (pl.lit(-1, pl.Int64).alias("start"), "a range cannot be"),
        (pl.lit("x" * 200_000).alias("effect"), "a effect is too long"),
        (pl.lit(None, pl.String).alias("effect"), "values of effect are missing"),
        (pl.lit(None, pl.List(pl.Int64)).alias("values"), "values of values are missing"),
        (pl.lit([1, None], pl.List(pl.Int64)).alias("values"), "values in values are missing"),
        (pl.concat_list(pl.struct("start")).alias("values"), "nested"),
        (pl.concat_list("effect").alias("effect"), "nested"),
        (pl.lit("three").alias("access"), "damaged"),
    ],
)
def test_values_that_cannot_be_are_refused(
    made: pl.DataFrame, change: pl.Expr, said: str, tmp_path: Path
) -> None:
    made.with_columns(change).write_parquet(tmp_path / effects.FILE)
    with pytest.raises(SessionError, match=said):
        effects.read(tmp_path)


def test_lists_of_more_values_than_a_file_may_claim_are_refused(
    made: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = made.with_columns(values=pl.lit([7] * 2_000, pl.List(pl.Int64)))
    many.write_parquet(tmp_path / effects.FILE)
    size = (tmp_path / effects.FILE).stat().st_size
    assert many.height * 2_000 > claims.VALUES_PER_BYTE * size, "the file is small"
    assert effects.read(tmp_path).height == many.height
    monkeypatch.setattr(claims, "MOST_VALUES", 100_000)
    monkeypatch.setattr(tables, "_claimed", {})
    with pytest.raises(SessionError, match="values of lists in"):
        effects.read(tmp_path)


def test_a_table_without_lists_takes_none(made: pl.DataFrame, tmp_path: Path) -> None:
    made.write_parquet(tmp_path / "x")
    with pytest.raises(SessionError, match="nested"):
        tables.rows(tmp_path / "x", pl.Schema({"start": pl.Int64(), "end": pl.Int64()}))
    made.drop("path").write_parquet(tmp_path / effects.FILE)
    with pytest.raises(SessionError, match=r"lacks the columns path; it was not written by fmrw"):
        effects.read(tmp_path)
