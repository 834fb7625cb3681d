"""The README is true: a newcomer with a fresh copy runs its blocks, word for word and in order, and finds what it says.

The copy has a `.venv` whose parts are links to the one that runs the tests, so that `bash notebooks/demo` has nothing to install,
and one notebook only, which is run here; all of them are in `tests/notebooks`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import nbformat
import pytest
from nbclient import NotebookClient

from fmrw.commands.families import grammar

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LOOKED_FOR = [".git", ".venv*", "rendered", ".artifacts", "__pycache__", ".*_cache", ".hypothesis"]
SHOWN = {"coverage", "view"}  # what their magics show is no value of the cell
_ADDRESS = re.compile(r"http://\S+/lab\?token=\w+")
_LAST_S = 600


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def shell_lines(title: str) -> list[str]:
    return [line[4:] for line in section(title).splitlines() if line.startswith("    ")]


def fenced(title: str, language: str) -> str:
    block = re.search(rf"```{language}\n(.*?)```", section(title), re.DOTALL)
    assert block is not None
    return block[1]


class Newcomer:
    """Somebody with a fresh copy and nothing of ours in the environment."""

    def __init__(self, home: Path) -> None:
        self.home, self.copy = home, home / "fmrw"
        shutil.copytree(ROOT, self.copy, ignore=shutil.ignore_patterns(*LOOKED_FOR))
        for notebook in (self.copy / "notebooks").glob("*.ipynb"):
            if notebook.stem != "02-polyglot":
                notebook.unlink()
        self._link_environment()
        config = home / "config"
        config.mkdir()
        quiet = {"ServerApp": {"open_browser": False, "allow_root": True}}
        (config / "jupyter_server_config.json").write_text(json.dumps(quiet))
        kept = {
            name: os.environ[name]
            for name in ("TMPDIR", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
            if name in os.environ
        }
        self.environment = kept | {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "FMRW_PYTHON": sys._base_executable,  # type: ignore[attr-defined] # what make_venv would look for
            "JUPYTER_CONFIG_DIR": str(config),
            "IPYTHONDIR": str(home / "ipython"),
        }

    def _link_environment(self) -> None:
        """Make a `.venv` that is up to date, in the way in which tests/setup.sh tells."""
        (self.copy / ".venv").mkdir()
        for part in Path(sys.prefix).iterdir():
            if not part.name.startswith(".made-from"):
                (self.copy / ".venv" / part.name).symlink_to(part)
        lock = "tests/locks/python{}.{}.txt".format(*sys.version_info)
        told = subprocess.run([sys._base_executable, "--version"], check=True, capture_output=True, text=True)  # type: ignore[attr-defined] # as above
        made = b"".join((self.copy / name).read_bytes() for name in ("pyproject.toml", lock))
        stamp = f"{told.stdout}{hashlib.sha256(made).hexdigest()}  -\n"
        (self.copy / ".venv" / ".made-from[all]").write_text(stamp)

    def shell(self, *lines: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-ec", "\n".join(lines)], cwd=self.copy, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def served(self, *lines: str) -> Iterator[str]:
        """Start a server with the last line; give the address that it tells."""
        script = "\n".join([*lines[:-1], f"exec {lines[-1]}"])
        running = subprocess.Popen(
            ["bash", "-ec", script], cwd=self.copy, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert running.stderr is not None
        try:
            address = next((found[0] for line in running.stderr if (found := _ADDRESS.search(line))), "")
            assert address, "it told no address"
            self._await_server(address, running)
            yield address
            # asked, since a SIGTERM that finds it writing a line of its log is lost
            end = address.replace("/lab?", "/api/shutdown?")
            urllib.request.urlopen(end, data=b"", timeout=_LAST_S).close()  # noqa: S310 - a server of ours
            running.communicate(timeout=_LAST_S)
        finally:
            running.kill()
            running.communicate()

    def _await_server(self, address: str, running: subprocess.Popen[str]) -> None:
        """Wait until it listens, which it does after it has told its address."""
        where = urlsplit(address)
        while running.poll() is None:
            try:
                socket.create_connection((where.hostname or "", where.port or 0), timeout=_LAST_S).close()
            except ConnectionRefusedError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.wait(0.1)
            else:
                return


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


@pytest.mark.mount
def test_the_blocks_run_in_order(newcomer: Newcomer) -> None:
    activate = the_first_block(newcomer)
    the_notebook_block(newcomer)
    the_shell_block(newcomer, activate)
    the_block_of_probes(newcomer, activate)


def the_first_block(newcomer: Newcomer) -> str:
    """Run the five lines: what they show stands below them."""
    *lines, lab = shell_lines("From clone to a finding")
    assert lab.startswith("jupyter lab ")
    done = newcomer.shell(*lines)
    assert done.returncode == 0, done.stderr
    promised = fenced("From clone to a finding", "text").rstrip().splitlines()
    said = [re.sub(r"\[\d+\]", "[…]", line.rstrip()) for line in done.stdout.splitlines()]
    assert [line for line in promised if re.sub(r"\[\d+\]", "[…]", line.rstrip()) not in said] == []
    assert "Go on with:" in done.stderr
    page = newcomer.copy / "notebooks" / "rendered" / "02-polyglot.html"
    assert "data:image/png;base64," in page.read_text()
    goes_on = done.stderr.split("Go on with:")[1].split()
    assert all(word in lab or "/" not in word or (newcomer.copy / word).exists() for word in goes_on)
    activate = next(line for line in lines if line.startswith("source "))
    with newcomer.served(activate, lab) as address:
        asked = address.replace(
            "/lab?", f"/api/contents/{Path(lab.split()[2]).name}?"
        )  # it serves its folder
        with urllib.request.urlopen(asked, timeout=_LAST_S) as answer:  # noqa: S310 - a server of ours
            assert json.load(answer)["type"] == "notebook"
    return activate


def the_notebook_block(newcomer: Newcomer) -> None:
    """Run the block line by line, each in a cell: none fails, and each shows something."""
    lines = [line for line in fenced("In a notebook", "python").splitlines() if line.strip()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in lines])
    place = {"metadata": {"path": str(newcomer.copy)}}
    NotebookClient(notebook, timeout=600, startup_timeout=600, resources=place).execute()
    for cell in notebook.cells:
        asks = re.match(r"!|%fmrw (mount|coverage|view|unmount)|run\.", cell.source)
        text = "".join(each.get("text", "") + str(each.get("data", "")) for each in cell.outputs)
        assert not asks or text.strip(), cell.source
        assert not re.search(
            r"shape: \(0,|Traceback|[Ee]rror:|never (touched|mounted)|nothing was touched", text
        ), text


def the_shell_block(newcomer: Newcomer, activate: str) -> None:
    """Run the block: what it makes is there, and not empty."""
    lines = shell_lines("In a shell")
    doctor = next(number for number, line in enumerate(lines) if line.startswith("fmrw doctor"))
    lines[doctor] = "fmrw doctor || true"  # it looks at the mounts of everybody on this machine
    done = newcomer.shell(activate, *lines)
    assert done.returncode == 0, done.stderr
    assert "libfuse 2" in done.stdout
    assert "nothing was touched" not in done.stdout
    assert re.search(r"only out\b", done.stdout)
    made = ("figures/polyglot.pdf", "out/hidden-png.zip", "out-list/hidden-png.zip")
    pages = [newcomer.copy / f"{name}-heatmap.pdf" for name in made]
    assert all(re.search(r"reads?, of [1-9][\d,]*\s+different\s+bytes", text_of(page)) for page in pages)
    assert {path.suffix for path in (newcomer.copy / "figures").iterdir()} == {".csv", ".pdf", ".html"}


def the_block_of_probes(newcomer: Newcomer, activate: str) -> None:
    """Run the block, each probe for a few runs: the whole of them takes a minute."""
    lines = [line.replace(" -- ", " --budget 60 -- ", 1) for line in shell_lines("What matters")]
    done = newcomer.shell(activate, *lines)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("unread") > len(lines)
    assert (newcomer.copy / "probed" / "effects.parquet").exists()


def text_of(page: Path) -> str:
    return subprocess.run(["pdftotext", page, "-"], capture_output=True, text=True, check=True).stdout


def test_every_command_is_there() -> None:
    used = {
        name
        for name in re.findall(r"`?(?<![\w-])fmrw ([a-z]+)", README)
        if name not in {"shows", "looks", "names", "lays", "mount"}
    }
    assert set(grammar.commands) <= used | {"view", "mount"}
    assert {
        name for name in used if name in grammar.commands or f"fmrw {name} " in section("In a shell")
    } <= set(grammar.commands)


def test_the_line_that_runs_the_tests() -> None:
    (line,) = shell_lines("What is promised, and how it is tested")
    command, *options = re.findall(r"bash (\S+)|(--\w+)", line)
    assert (ROOT / command[0]).exists()
    assert all(f"{option})" in (ROOT / command[0]).read_text() for _, option in options)


def test_no_block_is_forgotten() -> None:
    run = {
        "From clone to a finding", "In a notebook", "In a shell", "What matters", "What is promised, and how it is tested",
    }  # fmt: skip
    with_blocks = {
        part.split("\n", 1)[0] for part in README.split("\n## ")[1:] if "\n```" in part or "\n\n    " in part
    }
    assert with_blocks == run


def test_files_that_are_shown_exist() -> None:
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target
