"""A JupyterLab of our own in a headless Chromium, without network, for tests and for pictures of the widget.

    with server(folder) as url, browser() as new_page:
        notebook = Notebook(new_page(), url, folder / "first.ipynb", ["1 + 1"])
        notebook.run()

Everything is waited for by what is on the page. Servers and browsers end with their `with`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Page, Request

NewPage = Callable[[], "Page"]
CHROMIUM = "/usr/bin/chromium"
ARTIFACTS = Path(__file__).parents[2] / ".artifacts"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
_QUIET = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    }
}
_WAIT_MS = 600_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path) -> dict[str, str]:
    """Keep the machine's own Jupyter settings out, and ours in a folder of their own."""
    config = home / "config"
    overrides = config / "labconfig" / "default_setting_overrides.json"
    overrides.parent.mkdir(parents=True, exist_ok=True)
    overrides.write_text(json.dumps(_QUIET))
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    own = {name: str(home / folder) for name, folder in places.items()}
    return {**os.environ, **own, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@contextlib.contextmanager
def server(
    folder: Path, home: Path, command: Sequence[str] = ("lab",), ready: str = "api/status"
) -> Iterator[str]:
    """Serve a folder; give the address. A port that somebody takes before the server does is left to him."""
    log = home / "server.log"
    with log.open("wb") as said:
        for _ in range(5):
            url, running = _started(folder, environment(home), command, said)
            if _answers(url + ready, running):
                break
        else:
            raise RuntimeError(log.read_text(errors="replace")[-2000:])
        try:
            yield url
        finally:
            running.terminate()
            running.wait(_WAIT_MS / 1000)


def _started(
    folder: Path, environment: dict[str, str], command: Sequence[str], said: IO[bytes]
) -> tuple[str, subprocess.Popen[bytes]]:
    port = free_port()
    options = ["--no-browser", f"--ServerApp.root_dir={folder}", "--allow-root", "--ServerApp.port_retries=0",
               "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--ip=127.0.0.1", f"--port={port}"]  # fmt: skip
    if command[0] == "voila":
        options = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    running = subprocess.Popen(
        [sys.executable, "-m", "jupyter" if command[0] != "voila" else "voila", *(command if command[0] != "voila" else command[1:]), *options],
        stdout=said, stderr=said, env=environment, cwd=folder, start_new_session=True,
    )  # fmt: skip
    return f"http://127.0.0.1:{port}/", running


def _answers(url: str, running: subprocess.Popen[bytes]) -> bool:
    """Wait until a server answers, or has ended; it cannot tell us, so it is asked."""
    while running.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=20):  # noqa: S310 - our own server
                return running.poll() is None  # and it is ours
        except (OSError, http.client.HTTPException):
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.1)
    return False


@contextlib.contextmanager
def browser() -> Iterator[NewPage]:
    """Start a browser; give what opens a page that notes requests to anywhere else and refuses them."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS, timeout=_WAIT_MS)
        context = chromium.new_context(viewport={"width": 1280, "height": 1000})
        context.set_default_timeout(_WAIT_MS)
        try:
            yield context.new_page
        finally:
            chromium.close()


def is_foreign(request: Request) -> bool:
    """Tell whether a request leaves this machine."""
    parts = urlsplit(request.url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


class Notebook:
    """A notebook in JupyterLab or Notebook 7, and what happened in its page."""

    def __init__(
        self, page: Page, url: str, path: Path, cells: Sequence[str], *, frontend: str = "lab/tree"
    ) -> None:
        self.page = page
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.foreign.append(request.url) if is_foreign(request) else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        path.write_text(json.dumps(notebook(cells)))
        page.goto(f"{url}{frontend}/{path.name}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_function("window.jupyterapp !== undefined")
        page.wait_for_function(
            "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        self._at = 0

    def run(self, count: int = 1) -> None:
        """Run the next cells and wait until they have."""
        for _ in range(count):
            self.begin()
            self.ended()

    def begin(self) -> None:
        """Run the next cell, without waiting for it."""
        self._at += 1
        self.page.evaluate(
            "count => { jupyterapp.shell.currentWidget.content.activeCellIndex = count - 1;"
            " void jupyterapp.commands.execute('notebook:run-cell').then(() => { window.cellsRun = count; }); }",
            self._at,
        )

    def ended(self) -> None:
        """Wait until the cell that was begun last has run, and its last message has been seen: the number comes with the reply, which may overtake them."""
        self.page.wait_for_function("count => window.cellsRun === count", arg=self._at)
        self.page.wait_for_function(
            "n => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[n - 1]?.innerText ?? '')",
            arg=self._at,
        )

    def output(self, cell: int) -> str:
        """Give the text a cell has put out; cells count from 1."""
        return self.page.locator(".jp-CodeCell").nth(cell - 1).locator(".jp-OutputArea").first.inner_text()

    def save(self) -> None:
        """Save the notebook, and wait until it is."""
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")

    def picture(self, name: str) -> Path:
        """Keep a screenshot where people can look at it."""
        ARTIFACTS.mkdir(exist_ok=True)
        target = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=target)
        return target


def notebook(cells: Sequence[str]) -> dict[str, object]:
    """Make a notebook of cells of code."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
