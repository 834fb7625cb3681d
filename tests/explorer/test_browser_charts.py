"""Charts in a real JupyterLab without network and without a line of set-up, and what is left of them in the saved notebook."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import lab
import pytest

from fmrw.session.charts import CHARTS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.mount]


def test_every_chart_draws_offline_and_stays_in_the_saved_notebook(work: Path, new_page: lab.NewPage) -> None:
    begin = "import fmrw\nrun = fmrw.run(['unzip', '-qt', 'samples/cavity.zip'], 'samples')"
    cells = [begin, *(f"run.trace.chart('cavity.zip', {name!r})" for name in CHARTS)]
    path = work / "book.ipynb"
    with lab.server(work, work.parent / "home") as url:
        book = lab.Notebook(new_page(), url, path, cells)
        book.page.set_viewport_size({"width": 1280, "height": 700 * len(CHARTS)})
        book.run(len(cells))
        book.page.wait_for_function(
            "count => document.querySelectorAll('.jp-RenderedVegaCommon5 canvas').length === count",
            arg=len(CHARTS),
        )
        book.picture("charts-offline")
        book.save()
        assert (book.foreign, book.errors) == ([], [])
        book.page.close()
    kept = [cell["outputs"][-1]["data"] for cell in json.loads(path.read_text())["cells"][1:]]
    assert all(data["image/png"] for data in kept)
    assert not any("text/html" in data for data in kept)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", path]
    page = subprocess.run(command, check=True, capture_output=True, text=True, env=lab.environment(work.parent / "home")).stdout  # fmt: skip
    assert len(re.findall('<img[^>]*src="data:image/png', page)) == len(CHARTS)
