"""A file of a mount that nobody touched: its real size, and that nothing was requested."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from recordings import still

import fmrw
from fmrw.cli.main import main
from fmrw.explorer import summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 54_321
pytestmark = pytest.mark.mount


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "watched"
    (directory / "below").mkdir(parents=True)
    (directory / "below" / "file").write_bytes(b"x" * SIZE)
    with fmrw.mount(directory):
        yield directory


def test_its_heatmap_knows_its_size(mounted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "heatmap.pdf"
    copy.write_bytes((mounted / "below" / "file-heatmap.pdf").read_bytes())
    text = subprocess.run(
        ["pdftotext", "-layout", copy, "-"], capture_output=True, check=True, text=True
    ).stdout
    assert f"{SIZE:,} bytes" in text
    assert "64 × 64 cells" in text  # noqa: RUF001 - times
    assert "nothing was requested yet" in text
    assert "byte-exact" not in text


def test_commands_know_its_size(mounted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(mounted / "below" / "file")
    assert main(["coverage", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["size"], found["gaps"], found["fidelity"]) == (SIZE, [[0, SIZE]], None)
    for command in (["coverage", name], ["gaps", name]):
        assert main(command) == 0
        said = capsys.readouterr().out
        assert "nothing was requested yet" in said
        assert "byte-exact" not in said
    charts = "heatmap,strip,timeline,lanes,access-order,entropy"
    out = ["-o", str(tmp_path / "out"), "--format", "svg", "--chart", charts]
    assert main(["report", str(mounted), "below/file", *out]) == 0
    drawn = sorted((tmp_path / "out" / "below").iterdir())
    assert len(drawn) == len(charts.split(","))
    for picture in drawn:
        assert "nothing was requested yet" in picture.read_text()
        assert "byte-exact" not in picture.read_text()
    assert main(["coverage", str(mounted), "below/fil"]) == 1


def test_the_explorer_knows_its_size(mounted: Path) -> None:
    view = still(fmrw.load(mounted).explore("below/file"))
    texts = " ".join(row["t"] for row in view.scene.canvas.texts)
    for said in (texts, summary.strip(view.recorded, view.choice, view.window)):
        assert f"{SIZE:,} bytes" in said
        assert "nothing was requested yet" in said
        assert "byte-exact" not in said
    assert view.settle(600)
    view.close()
