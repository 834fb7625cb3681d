"""Files written from a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image
from recordings import events

from fmrw.errors import FigureError
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.widgets.export import link
from fmrw.formats.csv.log import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("pdf", b"%PDF"), ("svg", b"<svg"), ("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>")],
)
def test_export(view: Explorer, tmp_path: Path, kind: str, begins: bytes) -> None:
    view.window = (16, 64)
    target = view.export(tmp_path / view.export_name(kind), preset="paper-page")
    assert target.name == f"sample.bin-0x10-0x40.{kind}"
    assert target.read_bytes().startswith(begins)
    assert 'download="sample.bin-0x10-0x40' in link(target)


def test_export_in_every_look(view: Explorer, tmp_path: Path) -> None:
    for look, size in (("paper-column", (252, 470)), ("dark", (960, 540))):
        with Image.open(view.export(tmp_path / f"{look}.png", preset=look, scale=1)) as picture:
            assert picture.size == size
            assert len(picture.getcolors(1 << 20)) > 10


def test_export_csv_loads_again(view: Explorer, tmp_path: Path) -> None:
    view.window = (240, 400)
    found = read_csv(view.export(tmp_path / "x.csv"))
    assert found.select("op", "start", "end").rows() == [
        ("read", 200, 300),
        ("read", 200, 300),
        ("write", 250, 260),
    ]


@pytest.mark.parametrize("kind", ["svg", "csv", "html"])
def test_a_file_that_exists_is_kept_unless_it_may_be_replaced(
    view: Explorer, tmp_path: Path, kind: str
) -> None:
    precious = tmp_path / f"x.{kind}"
    precious.write_text("precious")
    names = [view.export(precious).name for _ in range(2)]
    assert names == [f"x-2.{kind}", f"x-3.{kind}"]
    assert precious.read_text() == "precious"
    assert view.export(precious, overwrite=True) == precious
    assert precious.read_bytes() == (tmp_path / f"x-2.{kind}").read_bytes()


def test_a_folder_that_cannot_be_written_is_told(view: Explorer, tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="choose a folder"):
        view.export(tmp_path / "nowhere" / "x.svg")


def test_export_of_an_unknown_kind(view: Explorer, tmp_path: Path) -> None:
    with pytest.raises(FigureError):
        view.export(tmp_path / "x.bmp")
    with pytest.raises(FigureError):
        view.export(tmp_path / "x.pdf", preset="cinema")


def test_a_hostile_name_makes_a_harmless_file_name(trace: Callable[..., LiveTrace]) -> None:
    name = "../<img src=x>\x1b/..zip"
    view = explore(trace(events(("read", 0, 9), path=name)), name)
    made = view.export_name("pdf")
    assert "/" not in made
    assert made[0] not in ".<"
    assert "\x1b" not in made
    assert "\x1b" not in view.text()
