"""What IPython is given: widget, picture, text."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import ipywidgets  # type: ignore[import-untyped] # ships no types
import pytest
from PIL import Image
from recordings import brute, events

from fmrw.errors import FmrwError
from fmrw.explorer import explorer, kept, mimebundle
from fmrw.explorer.explorer import Explorer
from fmrw.explorer.widgets.live_chart import LiveChart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace

    from fmrw.explorer.outputs import Still

WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_saved_notebook_keeps_a_picture_and_a_summary(view: Explorer, tmp_path: Path) -> None:
    bundle = view._repr_mimebundle_()
    assert WIDGET in bundle
    assert "sample.bin: 1,000 bytes" in bundle["text/plain"]
    picture = tmp_path / "x.png"
    picture.write_bytes(base64.b64decode(bundle["image/png"]))
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 1000


def test_the_strip_in_text(view: Explorer) -> None:
    lines = view.text().splitlines()
    assert len(lines) == 3
    picture = lines[1].split("│")[1]
    assert len(picture) == 72
    edges = [1000 * column // 72 for column in range(73)]
    for column, (start, end) in enumerate(pairwise(edges)):
        read = brute(view, "read", start, end)[1]
        assert (picture[column] == " ") == (read == 0)
        assert (picture[column] == "█") == (read > 0.75 * (end - start))


def test_without_the_widgets_there_is_a_strip_and_a_hint(
    view: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Explorer) -> None:
        raise ImportError("anywidget")

    monkeypatch.setattr(Explorer, "_shown", missing)
    bundle = view._repr_mimebundle_()
    assert WIDGET not in bundle
    assert "pip install" in bundle["text/plain"]


@pytest.fixture
def put_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], str]]:
    """Let few events count as many, and note what a notebook is given: by MIME type, and the place it is put in."""
    found: list[tuple[dict[str, Any], str]] = []

    def publish(shown: Still, place: str = "") -> str:
        found.append((shown[0], place))
        return place or f"place {len(found)}"

    for name, value in (("in_notebook", lambda: True), ("in_terminal", lambda: False), ("cell", lambda: 1), ("publish", publish)):  # fmt: skip
        monkeypatch.setattr(mimebundle, name, value)
    monkeypatch.setattr(
        kept, "publish", lambda _shown, place="": place or "picture"
    )  # IPython's would make a shell, and keep it
    monkeypatch.setattr(explorer, "LARGE", 2)
    return found


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is taken from the browser: the identifiers of boxes, and charts."""
    found: list[str] = []
    monkeypatch.setattr(ipywidgets.Box, "close", lambda box: found.append(box.model_id))
    monkeypatch.setattr(LiveChart, "close", lambda _chart: found.append("chart"))
    return found


def test_while_a_kernel_counts_the_chart_is_there_already(
    trace: Callable[..., LiveTrace], put_out: list[tuple[dict[str, Any], str]], closed: list[str]
) -> None:
    view = explorer.explore(trace(events(("read", 0, 100), ("read", 200, 300))), "sample.bin")
    waiting = view.waiting
    view._ipython_display_()
    first, (early, _), (line, _), (shown, place) = put_out[:4]
    assert first == ({"text/plain": "counting 2 events…"}, "")  # before the widgets are loaded
    assert early["text/plain"] == "counting 2 events…"
    assert waiting is not None
    assert early[WIDGET]["model_id"] in closed
    assert waiting.box.children == (waiting.chart,) == (view._shown().figure,)
    assert view._shown().figure.marks == view.scene.canvas.message
    assert line == {"text/plain": repr(view)}
    assert shown[WIDGET]["model_id"] == view.widget.model_id
    assert place == "place 1"


def test_a_chart_that_is_never_filled_goes(
    trace: Callable[..., LiveTrace], put_out: list[tuple[dict[str, Any], str]], closed: list[str]
) -> None:
    recorded = trace(events(("read", 0, 100), ("read", 200, 300)))
    with pytest.raises(FmrwError):
        explorer.explore(recorded, "sample.bin", window=(5000, 6000))
    assert put_out[-1] == ({"text/plain": ""}, "place 1")
    assert closed == [put_out[1][0][WIDGET]["model_id"], "chart"]
