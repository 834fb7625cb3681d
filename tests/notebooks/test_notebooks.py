"""Every notebook runs from top to bottom, in a kernel of its own, and leaves nothing mounted."""

from __future__ import annotations

import ast
import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

import fmrw
from fmrw.capture.mounts import registry
from fmrw.session.reports import CHARTS

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


CLAIMS = {  # what a notebook says that has no cell of its own to check it: it is a template
    "05-your-own": """
import zipfile
import polars as pl
assert run.status == 0 and len(zipfile.ZipFile(file).namelist()) == 2
assert 0.35 < 1 - trace.files["covered"].item() < 0.45  # two fifths
first, content = report.row(0, named=True), file.read_bytes()
assert first["magics"] == ["PNG"]
(start,) = first["magic_offsets"]
assert first["start"] <= start < content.index(b"IEND", start) + 8 <= first["end"]  # it is whole
hidden = trace.crosstab(path).filter(pl.col("class") == "undescribed & unread").row(0, named=True)
assert any(a <= start < b for a, b in zip(hidden["starts"], hidden["ends"]))
saved = trace.save(work / "my-session")
assert fmrw.load(saved).events.equals(trace.events)
assert pl.read_parquet(saved / "events.parquet").height == trace.events.height
view.export(work / "slide.pdf")
assert (work / "slide.pdf").read_bytes().startswith(b"%PDF")
"""
}


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_all_are_there() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not outputs(notebook)
    assert all(cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.mount
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path: Path, tmp_path: Path, own_folders: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    if path.stem in CLAIMS:  # before its last cell tidies up
        notebook.cells.insert(-1, nbformat.v4.new_code_cell(CLAIMS[path.stem]))
    patience = {"timeout": 600, "startup_timeout": 600}
    NotebookClient(notebook, **patience, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert outputs(notebook)
    assert not [each for each in outputs(notebook) if each.get("name") == "stderr"]
    assert not [each for each in outputs(notebook) if each.output_type == "error"]  # while it was shown
    shown = [data for each in outputs(notebook) if (data := each.get("data", {}))]
    assert [data for data in shown if "image/png" in data]
    plain, _ = HTMLExporter().from_notebook_node(notebook)  # `jupyter nbconvert --to html`, as it comes
    assert re.search(r'src="data:image/(png|svg\+xml);base64,[\w+/\s]{1000}', plain)
    followed = [later for data, later in pairwise(shown) if WIDGET in data]
    assert all({"image/png", "text/html"} & later.keys() for later in followed)  # what stays of a widget
    assert not [point for point in registry.mounts() if point.root.is_relative_to(own_folders)]


def test_the_gallery_shows_every_chart_there_is() -> None:
    notebook = nbformat.read(FOLDER / "04-gallery.ipynb", as_version=4)
    heads = [cell.source.split(":")[0] for cell in notebook.cells if cell.source.startswith("## ")]
    assert {head.removeprefix("## ") for head in heads} == set(CHARTS)


def test_a_page_shows_pictures_that_move() -> None:
    render = runpy.run_path(str(FOLDER / "render.py"))
    cell = nbformat.v4.new_code_cell("picture")
    cell.outputs = [
        nbformat.v4.new_output("display_data", {"image/gif": "R0lGODlh", "text/plain": "<a picture>"})
    ]
    page = render["page"](nbformat.v4.new_notebook(cells=[cell]), "moving")
    assert 'src="data:image/gif;base64,R0lGODlh"' in page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_public_functions_are_enough(path: Path) -> None:
    """No notebook imports a module inside fmrw, nor a name that is not public."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    plain = "\n".join(re.sub(r"(?m)^(\s*)(?:\w+ = )?[%!].*$", r"\1pass", cell) for cell in cells)
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.Import):
            assert not [name.name for name in node.names if name.name.startswith("fmrw.")]
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("fmrw")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fmrw":
            assert node.attr in fmrw.__all__


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_stands_for_a_folder_that_is_elsewhere(path: Path) -> None:
    """A notebook may be run from any folder."""
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    assert not re.search(r"\.\./|[\"']data/|[\"']notebooks/", text)
