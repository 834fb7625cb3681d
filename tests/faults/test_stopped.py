"""Questions about a directory whose worker is stopped: answered from the session, or one line within seconds.

Whoever looks at a path below such a mount waits beyond SIGKILL, so each question is asked by a process that is given up in time.
"""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from processes import FMRW, Cast, fmrw, kill

from fmrw.capture.mounts import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.mount
WITHIN_S = 600  # seconds on a machine with nothing else to do; a hang would be for ever


@pytest.fixture
def stopped(cast: Cast, folder: Path) -> Iterator[Path]:
    """A monitored directory of which a file was read, and whose worker is stopped."""
    owner = cast.owner(folder, output=folder.parent / "session")
    subprocess.run(["cksum", folder / "file"], check=True, capture_output=True)
    fmrw("coverage", folder, "file")  # it is in the journal
    (folder / "other.csv").touch()
    kill(owner.worker, signal.SIGSTOP)
    yield folder
    kill(owner.worker, signal.SIGCONT)


ASK = """
    import contextlib, io, json, sys
    from fmrw.cli.main import main
    for line in sys.stdin:
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                status = main(json.loads(line))
            except SystemExit as end:
                status = end.code
        print(json.dumps([status or 0, out.getvalue(), error.getvalue()]), flush=True)
"""


@pytest.fixture
def ask(cast: Cast) -> Callable[..., str]:
    """Ask one process of ours after the other question; give what it prints, or the line it fails with."""
    asked = cast.program(ASK)

    def answer(*arguments: object, status: int = 0) -> str:
        asked.tell(json.dumps([str(argument) for argument in arguments]))
        found, out, error = json.loads(asked.line(WITHIN_S))
        assert found == status, error
        assert not status or len(error.splitlines()) == 1, error
        return error if status else out

    return answer


def test_every_question_is_answered_from_the_session(
    stopped: Path, tmp_path: Path, ask: Callable[..., str]
) -> None:
    (tmp_path / "link").symlink_to(stopped)
    for directory, file in (
        (stopped, "file"),
        (stopped / ".", stopped / "file"),
        (tmp_path / "link", tmp_path / "link" / "file"),
    ):
        found = json.loads(ask("coverage", directory, file, "--json"))
        assert (found["read"], found["read_bytes"]) == ([[0, 16384]], 16384)
    assert json.loads(ask("coverage", stopped / "file", "--json"))["path"] == "file"
    assert "read" in ask("gaps", stopped, "file")
    ask("assert", stopped, "file", "--reads", "0-16384")
    out = tmp_path / "out"
    ask("report", stopped, "file", "-o", out, "--format", "csv,json,png")
    assert sorted(path.name for path in out.iterdir()) == ["file-heatmap.png", "file.csv", "file.json"]
    (row,) = [row for row in json.loads(ask("status", "--json")) if row["root"] == str(stopped)]
    assert row["state"] == "stopped"


def test_python_answers_and_sees_the_content(stopped: Path) -> None:
    code = "import sys, fmrw; trace = fmrw.load(sys.argv[1]); print(trace.files['path'].to_list(), trace.gaps('file').height, trace.content('file') is not None)"
    done = subprocess.run(
        [FMRW[0], "-c", code, stopped], capture_output=True, text=True, check=True, timeout=WITHIN_S
    )
    assert done.stdout == "['file', 'other.csv'] 0 True\n"


def test_what_lies_below_is_one_line(stopped: Path, tmp_path: Path, ask: Callable[..., str]) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "trace.csv").write_text("Time,AccessDirection,Offset,Length,Filesize,ProcessID,ProcessName\n")
    for arguments in (
        *(("report", stopped / name, "-o", "/nowhere") for name in ("other.csv", "nothing", "a/b/*.csv")),
        ("report", other / "trace.csv", "-o", stopped / "out"),
        *(("mount", directory) for directory in (stopped, stopped / "sub", tmp_path)),
        ("run", stopped, "--", "true"),
        ("run", other, "-o", stopped / "out", "--", "true"),
        ("mount", other, "-o", stopped / "out"),
    ):
        assert "`fmrw unmount " in ask(*arguments, status=1), arguments
    assert registry.mounted_at(other) is None
