"""A run that is interrupted, at any stage, says in one line what is kept of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import fmrw
from fmrw.capture.mounts import registry
from fmrw.cli.main import main
from fmrw.session.overview import Overview

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Run = Callable[..., str]

pytestmark = pytest.mark.mount

STOPS = pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit], ids=["Ctrl-C", "a signal"])


@pytest.fixture
def ended(capfd: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command that is stopped where some function is called; give what is said."""

    def run(where: object, name: str, stop: type[BaseException], options: Sequence[object] = ()) -> str:
        def interrupt(*_given: object, **_more: object) -> None:
            raise stop

        monkeypatch.setattr(where, name, interrupt)
        arguments = ["run", str(directory), *map(str, options), "--", "true"]
        if stop is KeyboardInterrupt:
            assert main(arguments) == 130
        else:
            with pytest.raises(stop):
                main(arguments)
        assert registry.mounted_at(directory) is None
        said = capfd.readouterr()
        assert said.out == ""
        return said.err

    return run


@STOPS
@pytest.mark.parametrize(("where", "name"), [("run", "_spawn"), (Overview, "of")], ids=["start", "tables"])
def test_the_session_is_kept_and_named(
    ended: Run, where: object, name: str, stop: type[BaseException], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    module = _recording() if where == "run" else where
    assert ended(module, name, stop, ["-o", out]) == (
        f"fmrw: interrupted; session kept in {out}; `fmrw report {out} -o {out}` writes reports.\n"
    )
    assert fmrw.load(out).facts["command"] == ["true"]


@STOPS
def test_without_a_folder_nothing_is(ended: Run, stop: type[BaseException]) -> None:
    assert ended(Overview, "of", stop) == (
        "fmrw: interrupted; nothing is kept; -o FOLDER keeps the session of such a run.\n"
    )


@STOPS
def test_before_a_session_begins_nothing_is_recorded(
    ended: Run, stop: type[BaseException], tmp_path: Path
) -> None:
    nothing = "fmrw: interrupted; nothing was recorded.\n"
    assert ended(_recording(), "mount", stop, ["-o", tmp_path / "out"]) == nothing
    assert not (tmp_path / "out").exists()


def test_a_session_that_was_there_is_not_called_the_runs(ended: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "session.json").write_text(json.dumps({"schema": 3, "parent": os.getppid()}))
    assert ended(_recording(), "mount", KeyboardInterrupt, ["-o", tmp_path / "out"]) == (
        "fmrw: interrupted; nothing was recorded.\n"
    )


def _recording() -> object:
    """Give the module whose function `run` has its name."""
    import importlib  # noqa: PLC0415 - of the tests alone

    return importlib.import_module("fmrw.recording.run")
