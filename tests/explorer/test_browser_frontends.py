"""The explorer in front ends other than JupyterLab, in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import lab
import pytest
from explored import BEGIN, Explored

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.mount]


def test_the_widget_loads_in_notebook_7(work: Path, new_page: lab.NewPage) -> None:
    with lab.server(work, work.parent / "home", ("notebook",)) as url:
        cells = (BEGIN, "listed('cavity.zip')", "explore(mounted.trace, 'cavity.zip')", "mounted.unmount()")
        book = lab.Notebook(new_page(), url, work / "book.ipynb", cells, frontend="notebooks")
        book.run(3)
        Explored(book)
        book.picture("notebook-7")
        book.run(1)
        assert book.foreign == []


def test_the_widget_loads_in_voila(work: Path, new_page: lab.NewPage) -> None:
    path = work / "book.ipynb"
    path.write_text(
        json.dumps(
            lab.notebook(
                [
                    BEGIN
                    + "listed('cavity.zip')\nview = explore(mounted.trace, 'cavity.zip')\nmounted.unmount()\nview"
                ]
            )
        )
    )
    with lab.server(work, work.parent / "home", ("voila", path.name), ready="voila/static/voila.js") as url:
        shown = new_page()
        shown.goto(url)
        shown.locator(".fmrw-explorer canvas").wait_for()
        shown.locator(".fmrw-explorer").screenshot(path=lab.ARTIFACTS / "voila.png")
        shown.close()
