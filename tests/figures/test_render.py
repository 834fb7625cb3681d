from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pikepdf
import pytest
from lxml.etree import fromstring as parse
from PIL import Image

from fmrw.errors import FigureError
from fmrw.figures import render
from fmrw.figures.export import FORMATS, export, font_note, save
from fmrw.figures.heatmap import heatmap
from fmrw.figures.page import About
from fmrw.figures.theme import Look, preset

if TYPE_CHECKING:
    from collections.abc import Callable

    import altair as alt
    import polars as pl

HOSTILE = "</script><script>alert(1)</script>\n\x00\ufffe\u202e\U0001f600.bin"
GOLDEN = Path(__file__).with_name("heatmap.vl.json")


@pytest.fixture
def chart(events: Callable[..., pl.DataFrame]) -> alt.LayerChart:
    about = About(
        HOSTILE,
        1000,
        capture="exact",
        command="parser x",
        sha256="ab" * 32,
        date=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return heatmap(events(("read", 0, 500), ("write", 400, 600), process=HOSTILE), about, side=16)


@pytest.mark.parametrize("kind", FORMATS)
def test_same_inputs_same_bytes(chart: alt.LayerChart, kind: str) -> None:
    assert len({export(chart, kind, scale=1) for _ in range(4)}) == 1


def test_the_bytes_are_the_same_in_another_process(chart: alt.LayerChart, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(chart.to_dict()))
    program = (
        "import sys, json, hashlib, altair as alt; from fmrw.figures import render;"
        "chart = alt.Chart.from_json(open(sys.argv[1]).read(), validate=False);"
        "print(hashlib.sha256(render.pdf(chart)).hexdigest())"
    )
    run = [sys.executable, "-W", "error", "-c", program, str(spec)]
    made = subprocess.run(run, capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    assert made.decode().strip() == hashlib.sha256(render.pdf(chart)).hexdigest()


def test_no_control_character_reaches_a_renderer(chart: alt.LayerChart) -> None:
    text = json.dumps(render.specification(chart), ensure_ascii=False)
    assert not re.search("[\x00-\x1f\ufffe\u202e]", text)
    assert "\\\\x00\\\\ufffe\\\\u202e" in text


def test_metadata_says_where_a_figure_comes_from(chart: alt.LayerChart) -> None:
    shown = "</script><script>alert(1)</script>\\x0a\\x00\\ufffe\\u202e\U0001f600.bin"
    with pikepdf.open(io.BytesIO(render.pdf(chart))) as document:
        info = {key: str(value) for key, value in document.docinfo.items()}
    with Image.open(io.BytesIO(render.png(chart, scale=1))) as picture:
        texts = picture.text
    root = parse(render.svg(chart))
    facts = {each.get("name"): each.text for each in root.iter("{urn:fmrw}fact")}
    for known in ({key[1:]: value for key, value in info.items()}, texts, facts):
        assert known["fmrw-name"] == shown
        assert known["fmrw-size"] == "1000"
        assert known["fmrw-sha256"] == "ab" * 32
        assert known["fmrw-command"] == "parser x"
        assert known["fmrw-fidelity"] == "byte"
        assert known["fmrw-date"] == "2026-03-01T00:00:00+00:00"


def test_html_holds_everything_and_no_name_ends_its_script(chart: alt.LayerChart) -> None:
    page = render.html(chart).decode()
    assert len(page) < 3_000_000
    assert "<script>alert" not in page
    assert page.count("</script>") == 2
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.?(http|//)", page)


def test_svg_keeps_text_as_text(chart: alt.LayerChart) -> None:
    texts = "".join(text for text in parse(render.svg(chart)).itertext())
    assert "times a byte was read" in texts


def test_the_caption_can_be_left_out_but_not_the_metadata(
    events: Callable[..., pl.DataFrame], words: Callable[[bytes], str]
) -> None:
    about = About("a", 10, command="the command")
    bare = render.pdf(
        heatmap(events(("read", 0, 1)), about, look=preset("slide-4x3", caption=False, title="My title"))
    )
    text = words(bare)
    assert "the command" not in text
    assert "My title" in text
    with pikepdf.open(io.BytesIO(bare)) as document:
        assert str(document.docinfo["/fmrw-command"]) == "the command"


def test_the_specification_is_the_golden_one(events: Callable[..., pl.DataFrame]) -> None:
    about = About("sample.bin", 1000, capture="exact", date=datetime(2026, 3, 1, tzinfo=UTC))
    frame = events(("read", 0, 500), ("write", 400, 600))
    spec = render.specification(heatmap(frame, about, side=16))
    del spec["$schema"]
    assert json.loads(json.dumps(spec)) == json.loads(GOLDEN.read_text()), (
        f"the figure changed; look at it, then write {GOLDEN} anew"
    )


def test_saving_follows_the_name_and_says_what_is_wrong(chart: alt.LayerChart, tmp_path: Path) -> None:
    assert save(chart, tmp_path / "a.SVG").read_bytes().startswith(b"<svg")
    with pytest.raises(FigureError, match="pdf, svg, png, html"):
        save(chart, tmp_path / "a.jpeg")
    with pytest.raises(FigureError, match="choose a folder you may write"):
        save(chart, tmp_path / "nowhere" / "a.pdf")
    with pytest.raises(FigureError, match="above 0"):
        save(chart, tmp_path / "a.png", scale=0)


def test_scale_is_pixels_per_point(chart: alt.LayerChart) -> None:
    for scale in (1, 2):
        with Image.open(io.BytesIO(export(chart, "png", scale=scale))) as picture:
            assert picture.size == (842 * scale, 595 * scale)


def test_a_missing_font_falls_back_and_is_named(
    events: Callable[..., pl.DataFrame], words: Callable[[bytes], str]
) -> None:
    look = Look(font="No Such Font 1234")
    assert font_note(look).startswith("font 'No Such Font 1234' is not on this machine; used Liberation")
    assert font_note(Look()) == ""
    assert "sample.bin" in words(
        render.pdf(heatmap(events(("read", 0, 1)), About("sample.bin", 10), look=look))
    )


def test_a_woken_engine_draws_the_same(chart: alt.LayerChart) -> None:
    before = render.svg(chart)
    render.wake()
    assert render.svg(chart) == before
    program = "from fmrw.figures import render; render.wake(); render.wake(); import altair as alt; print(len(render.pdf(alt.Chart().mark_rect())) > 500)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"
