"""The two sides of a comparison, a plain directory and a mount, and the process that works in both."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Actor:
    """A process that performs cases, see actor.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "actor.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def perform(self, name: str, root: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, str(root)]).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()


class Side:
    """A directory that cases get folders in."""

    def __init__(self, root: Path, actor: Actor, capture: str = "", beneath: int = -1) -> None:
        self.root = root
        self.capture = capture
        self.beneath = beneath
        self._actor = actor
        self._done: dict[str, dict[str, Any]] = {}

    def outcome(self, name: str) -> dict[str, Any]:
        """Perform a case in a new folder, once; the folder is removed."""
        if name not in self._done:
            folder = self.root / name
            folder.mkdir()
            folder.chmod(0o777)
            self._done[name] = self._actor.perform(name, folder)
            shutil.rmtree(folder)
        return self._done[name]
