"""Parts of a format by the names people use, on a real archive."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import polars as pl
import pytest

from fmrw.analysis.structure import structure
from fmrw.analysis.structure.lookup import named
from fmrw.errors import BadRange

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"some text"


@pytest.fixture
def archive(tmp_path: Path) -> tuple[pl.DataFrame, bytes]:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in ("a.txt", "b.txt"):
            file.writestr(name, CONTENT)
    path = tmp_path / "a.zip"
    path.write_bytes(made.getvalue())
    return structure(str(path)), made.getvalue()


@pytest.mark.parametrize(
    "name", ["ZIP end record", "zip END  record", "EOCD", "end of central directory", "ZIP eocd"]
)
def test_the_end_record_is_found_by_its_usual_names(archive: tuple[pl.DataFrame, bytes], name: str) -> None:
    parts, content = archive
    ((start, end, called),) = named(parts, name)
    assert (start, end) == (content.rfind(b"PK\5\6"), len(content))
    assert called == "end of central directory"


def test_parts_of_one_name_are_all_marked_under_full_names(archive: tuple[pl.DataFrame, bytes]) -> None:
    parts, content = archive
    found = named(parts, "local file header")
    second = content.find(b"PK\3\4", 4)
    assert [(start, name) for start, _, name in found] == [
        (0, "local header of entry a.txt"),
        (second, "local header of entry b.txt"),
    ]


def test_a_part_is_found_in_the_one_that_holds_it(archive: tuple[pl.DataFrame, bytes]) -> None:
    parts, content = archive
    ((start, end, _),) = named(parts, "data of entry b.txt")
    assert content[start:end] == CONTENT
    assert start > content.find(b"b.txt")


def test_words_are_enough_where_only_one_part_has_them_all(archive: tuple[pl.DataFrame, bytes]) -> None:
    parts, _ = archive
    assert [name for _, _, name in named(parts, "b.txt entry")] == ["entry b.txt"]
    with pytest.raises(BadRange, match=r"may be several parts: .*central directory"):
        named(parts, "directory")


def test_what_is_not_there_is_told_with_what_is(archive: tuple[pl.DataFrame, bytes]) -> None:
    parts, _ = archive
    with pytest.raises(
        BadRange, match=r"no part of the format is called 'trailer'; there are ZIP, entry a\.txt"
    ):
        named(parts, "trailer")
    with pytest.raises(BadRange, match=r"no parts are known\. Write a range such as"):
        named(parts.clear(), "end record")
    for odd in ("", " ", "\x1b[2J"):
        with pytest.raises(BadRange):
            named(parts, odd)


def test_very_many_parts_of_one_name_are_cut() -> None:
    parts = pl.DataFrame({"start": range(1000), "end": range(1, 1001), "name": "x", "depth": 0})
    assert len(named(parts, "x")) == 100
