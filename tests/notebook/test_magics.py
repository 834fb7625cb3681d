"""The magics in a real InteractiveShell."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import fmrw
from fmrw.capture import mount as kernel_mounts
from fmrw.notebook import magics

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_cell("%load_ext fmrw")
    yield shell
    fmrw.unload_ipython_extension(shell)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "samples with space"
    folder.mkdir()
    shutil.copy(DATA / "polyglot.pdf", folder)
    return folder


def run(shell: InteractiveShell, cell: str) -> object:
    result = shell.run_cell(cell)
    result.raise_error()
    return result.result


def refused(shell: InteractiveShell, cell: str, capsys: pytest.CaptureFixture[str]) -> str:
    shell.run_cell(cell)
    said = "".join(capsys.readouterr())
    assert "UsageError" in said
    assert "Traceback" not in said
    return said


def test_loading_twice_is_harmless(shell: InteractiveShell) -> None:
    run(shell, "%load_ext fmrw\n%reload_ext fmrw")
    assert "fmrw" in shell.magics_manager.magics["line"]


def test_a_name_that_is_taken_stays() -> None:
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.register_magic_function(lambda line: f"mine {line}", "line", "mount")
    shell.run_cell("%load_ext fmrw")
    try:
        assert shell.run_line_magic("mount", "x") == "mine x"
    finally:
        fmrw.unload_ipython_extension(shell)
    assert shell.run_line_magic("mount", "x") == "mine x"


@pytest.mark.mount
def test_mount_run_see_unmount(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = str(samples)
    run(shell, 'm = %fmrw mount "{where}"')
    assert "monitoring" in capsys.readouterr().out
    mounted = shell.user_ns["m"]
    run(shell, "from pathlib import Path\ndata = Path(where, 'polyglot.pdf').read_bytes()")
    found = run(shell, 'c = %fmrw coverage "{where}" polyglot.pdf --json\nc')
    assert found["read"][0][0] == 0  # type: ignore[index]
    assert str(samples) in [row["root"] for row in run(shell, "s = %fmrw status --json\ns")]  # type: ignore[attr-defined]
    run(shell, '%unmount "{where}"')
    assert not mounted.active
    assert mounted.trace.coverage("polyglot.pdf").height == 1


@pytest.mark.mount
def test_a_cell_of_shell_lines(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        shell,
        f'%%fmrw run "{samples}"\nfile "{samples}/polyglot.pdf"\nhead -c 10 "{samples}/polyglot.pdf" >/dev/null\n',
    )
    said = capsys.readouterr().out
    assert "PDF document" in said
    assert "file," in said


@pytest.mark.mount
def test_a_cell_of_python(shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["where"] = samples
    run(shell, f'%%fmrw capture "{samples}"\nseen = len((where / "polyglot.pdf").read_bytes())')
    assert shell.user_ns["seen"] == (samples / "polyglot.pdf").stat().st_size
    assert "polyglot.pdf" in capsys.readouterr().out
    assert kernel_mounts.mounted_at(samples) is None


@pytest.mark.mount
@pytest.mark.parametrize("failure", ["1 / 0", "raise KeyboardInterrupt"])
def test_a_failing_cell_leaves_nothing_mounted(shell: InteractiveShell, samples: Path, failure: str) -> None:
    result = shell.run_cell(f'%%fmrw capture "{samples}"\n{failure}')
    assert isinstance(result.error_in_exec, ZeroDivisionError | KeyboardInterrupt)
    assert kernel_mounts.mounted_at(samples) is None


@pytest.mark.mount
def test_unloading_unmounts_what_this_kernel_mounted(shell: InteractiveShell, samples: Path) -> None:
    run(shell, f'%mount "{samples}"')
    assert kernel_mounts.mounted_at(samples) is not None
    fmrw.unload_ipython_extension(shell)
    assert kernel_mounts.mounted_at(samples) is None
    assert "fmrw" not in shell.magics_manager.magics["line"]


@pytest.mark.mount
def test_refusals_are_one_line(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, f'%mount "{samples}"')
    assert "already monitored by process" in refused(shell, f'%mount "{samples}"', capsys)
    run(shell, f'%unmount "{samples}"')
    assert "not monitored" in refused(shell, f'%unmount "{samples}"', capsys)
    assert "no such directory" in refused(shell, "%fmrw mount /nowhere/at/all", capsys)
    assert "Did you mean mount" in refused(shell, "%fmrw mont x", capsys)
    assert "--capture" in refused(shell, f'%fmrw mount "{samples}" --captur exact', capsys)
    assert "quotation" in refused(shell, "%fmrw mount 'open", capsys)
    assert "run DIR" in refused(shell, "%%fmrw what\nx", capsys)


@pytest.mark.mount
def test_the_kernel_is_led_onto_the_mount_and_back(
    shell: InteractiveShell,
    samples: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(samples)
    run(shell, "m = %fmrw mount .")
    assert "led onto the mount" in capsys.readouterr().out
    run(shell, "from pathlib import Path\ndata = Path('polyglot.pdf').read_bytes()")
    run(shell, "%fmrw unmount .")
    assert shell.user_ns["m"].trace.files["path"].to_list() == ["polyglot.pdf"]
    assert Path.cwd() == samples


def test_completion(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(samples.parent)

    def offered(line: str) -> list[str]:
        event = type("Event", (), {"line": line, "symbol": line.rpartition(" ")[2]})()
        return magics.complete(None, event)

    assert "mount" in offered("%fmrw mo")
    assert "capture" in offered("%fmrw ")
    assert "--capture" in offered("%fmrw mount --c")
    assert offered("%fmrw mount sam") == ["samples with space/"]
