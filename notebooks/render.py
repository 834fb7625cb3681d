"""Runs the notebooks and writes each as a web page that needs neither kernel nor network: `python notebooks/render.py`.

Widgets need a kernel, so their static pictures are shown instead. Two notebooks run at a time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from traitlets.config import Config

HERE = Path(__file__).parent
SHOWN = ["text/html", "image/svg+xml", "image/png", "text/markdown", "text/plain"]
_AT_ONCE = 2
_WAIT_S = 300


def page(notebook: nbformat.NotebookNode, name: str) -> str:
    """Make a page of a notebook that has run."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            moving = output.get("data", {}).get("image/gif")
            if moving:  # nbconvert's templates know no GIF, and show nothing
                output.data["text/html"] = f'<img src="data:image/gif;base64,{moving}">'
    config = Config()
    config.NbConvertBase.display_data_priority = SHOWN
    exporter = HTMLExporter(
        config=config, require_js_url="", mathjax_url="", jquery_url="", embed_images=True
    )
    text, _resources = exporter.from_notebook_node(notebook, {"metadata": {"name": name}})
    return str(text)


async def render(path: Path, folder: Path, turn: asyncio.Semaphore) -> str | None:
    """Run a notebook in an empty folder and write its page; give what went wrong."""
    notebook = nbformat.read(path, as_version=4)
    async with turn:
        with tempfile.TemporaryDirectory(prefix="notebook-") as empty:
            place = {"metadata": {"path": empty}}
            client = NotebookClient(notebook, timeout=_WAIT_S, resources=place, store_widget_state=False)
            try:
                await client.async_execute()
            except CellExecutionError as error:
                return f"{path.name}: {error.ename}: {error.evalue}"
    wrong = [output for cell in notebook.cells for output in cell.get("outputs", []) if "ename" in output]
    if wrong:  # what cannot be shown does not end a notebook
        return f"{path.name}: {wrong[0].ename}: {wrong[0].evalue}"
    target = folder / f"{path.stem}.html"
    target.write_text(page(notebook, path.stem))
    print(target)
    return None


async def main(folder: Path) -> int:
    """Render all; the exit status is 1 when one failed."""
    turn = asyncio.Semaphore(_AT_ONCE)
    found = await asyncio.gather(*(render(path, folder, turn) for path in sorted(HERE.glob("*.ipynb"))))
    failures = [reason for reason in found if reason is not None]
    print(*failures, sep="\n", end="\n" if failures else "", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    rendered = HERE / "rendered"
    rendered.mkdir(exist_ok=True)
    sys.exit(asyncio.run(main(rendered)))
