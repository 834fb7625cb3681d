"""What IPython is given: widget, picture, text."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image
from recordings import brute

from fmrw.explorer.explorer import Explorer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_saved_notebook_keeps_a_picture_and_a_summary(view: Explorer, tmp_path: Path) -> None:
    bundle = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
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
    assert "application/vnd.jupyter.widget-view+json" not in bundle
    assert "pip install" in bundle["text/plain"]
