"""The magics in a real InteractiveShell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from recordings import events
from traitlets.config import Config

import fmrw
from fmrw.capture.mounts import registry
from fmrw.commands.families import grammar
from fmrw.magics import register
from fmrw.magics.completion import offers
from fmrw.magics.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmrw.session.trace import Trace

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell that breaks no line, however long the names of folders are."""
    monkeypatch.setenv("COLUMNS", "1000")
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
    assert re.search(r"\bfile\s+\[\d+\]", said)


@pytest.mark.mount
def test_a_cell_of_python(shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["where"] = samples
    run(shell, f'%%fmrw capture "{samples}"\nseen = len((where / "polyglot.pdf").read_bytes())')
    assert shell.user_ns["seen"] == (samples / "polyglot.pdf").stat().st_size
    assert "polyglot.pdf" in capsys.readouterr().out
    assert registry.mounted_at(samples) is None


@pytest.mark.mount
@pytest.mark.parametrize("failure", ["1 / 0", "raise KeyboardInterrupt"])
def test_a_failing_cell_leaves_nothing_mounted(shell: InteractiveShell, samples: Path, failure: str) -> None:
    result = shell.run_cell(f'%%fmrw capture "{samples}"\n{failure}')
    assert isinstance(result.error_in_exec, ZeroDivisionError | KeyboardInterrupt)
    assert registry.mounted_at(samples) is None


@pytest.mark.mount
def test_unloading_unmounts_what_this_kernel_mounted(shell: InteractiveShell, samples: Path) -> None:
    run(shell, f'%mount "{samples}"')
    assert registry.mounted_at(samples) is not None
    fmrw.unload_ipython_extension(shell)
    assert registry.mounted_at(samples) is None
    assert "fmrw" not in shell.magics_manager.magics["line"]


@pytest.mark.mount
def test_refusals_are_one_line(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, f'%mount "{samples}"')
    run(shell, f'%mount "{samples}"')
    assert "that mount goes on" in capsys.readouterr().out
    assert "already monitored by process" in refused(shell, f'%mount "{samples}" --read-only', capsys)
    run(shell, f'%unmount "{samples}"')
    assert "not monitored" in refused(shell, f'%unmount "{samples}"', capsys)
    assert "no such directory" in refused(shell, "%fmrw mount /nowhere/at/all", capsys)
    assert "Did you mean mount" in refused(shell, "%fmrw mont x", capsys)
    assert "`%fmrw --help` lists them" in refused(shell, "%fmrw zzz", capsys)
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


@pytest.mark.mount
def test_one_mount_needs_no_name_and_its_recording_stays(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = samples
    head = "subprocess.run(['head', '-c', '20', where / 'polyglot.pdf'], stdout=subprocess.DEVNULL)"
    run(shell, f"%mount {{where}}\nimport subprocess\n{head};")
    assert run(shell, "c = %fmrw coverage polyglot.pdf --json\nc['read']") == [[0, 20]]
    assert run(shell, "c = %fmrw coverage {where}/polyglot.pdf --json\nc['read']") == [[0, 20]]
    run(shell, "t = %fmrw unmount")
    assert "after a restart of the kernel" in capsys.readouterr().out
    assert shell.user_ns["t"].files["bytes_read"].to_list() == [20]
    run(shell, "%fmrw gaps {where}")
    assert "0x14" in capsys.readouterr().out
    assert "monitors nothing" in refused(shell, "%fmrw unmount", capsys)


@pytest.mark.mount
def test_two_mounts_need_a_name(
    shell: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run(shell, f"%mount {tmp_path / name}")
    assert "name one" in refused(shell, "%fmrw unmount", capsys)


@pytest.mark.mount
def test_a_result_is_kept_only_where_it_is_assigned(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = samples
    assert run(shell, "m = %fmrw mount {where}\n%fmrw status") is None
    assert "NAME.csv" in capsys.readouterr().out
    assert run(shell, "%unmount {where}") is None


@pytest.mark.mount
def test_a_cell_tells_a_failing_command(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = samples
    run(shell, "%%fmrw run {where}\necho said\nprintf unfinished\nexit 3\n")
    said = capsys.readouterr().out
    assert "said\nunfinished" in said
    assert "exit status is 3" in said


@pytest.mark.mount
def test_a_cell_of_python_shows_its_last_value_and_what_was_recorded(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = samples / "polyglot.pdf"
    run(
        shell,
        "%%fmrw capture {where.parent}\nwith where.open('rb', 0) as file:\n    head = file.read(5)\nhead",
    )
    said = capsys.readouterr().out
    assert "b'%PDF-'" in said
    assert "5 bytes" in said
    shell.run_cell("%%fmrw capture {where.parent}\nwhere.read_bytes()\n1 / 0")
    said = capsys.readouterr().out
    assert "ZeroDivisionError" in said
    assert ">:3" in said  # the line of the cell
    assert "100.0 %" in said
    run(shell, "%%fmrw capture {where.parent}\n'quiet';")
    assert "quiet" not in capsys.readouterr().out


@pytest.mark.mount
def test_a_cell_that_cannot_run_mounts_nothing(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = samples
    assert "cannot await" in refused(shell, "%%fmrw capture {where}\nawait nothing", capsys)
    assert "no --json" in refused(shell, "%%fmrw capture {where} --json\n1", capsys)
    assert isinstance(shell.run_cell("%%fmrw capture {where}\n1 +").error_in_exec, SyntaxError)
    capsys.readouterr()
    run(shell, "%%fmrw capture --help\n1 / 0")
    assert "ends with the cell" in capsys.readouterr().out


@pytest.mark.mount
def test_the_notebook_itself_in_the_directory(
    shell: InteractiveShell,
    samples: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    book = samples / "my \x1b[31mbook.ipynb"
    book.write_text("{}")
    monkeypatch.setenv("JPY_SESSION_NAME", str(book))
    shell.user_ns["where"] = samples
    run(shell, "%mount {where}")
    said = capsys.readouterr().out
    assert "lies in the directory" in said.replace("\n", " ")
    assert "\\x1b[31mbook" in said


@pytest.mark.mount
def test_expectations_that_fail_fail_the_cell(
    shell: InteractiveShell, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["where"] = samples
    run(shell, "%%fmrw run {where}\ntrue")
    shell.run_cell("%fmrw run {where} -- head -c 10 {where}/polyglot.pdf")
    capsys.readouterr()
    run(shell, "%fmrw assert {where} polyglot.pdf --reads 0-10 --never 0x400-end")
    assert "as expected" in capsys.readouterr().out
    said = refused(shell, "%fmrw assert {where} polyglot.pdf --reads 0-50%", capsys)
    assert "not as expected" in said
    assert "0xa-0x58fe" in said


def test_every_subcommand_has_help(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    for name in register.grammar.commands:
        run(shell, f"%fmrw {name} --help")
        said = capsys.readouterr().out
        assert f"Usage: fmrw {name}" in said
        assert "Example:" in said
        assert re.search("Did you mean.*'--help'", refused(shell, f"%fmrw {name} --hepl", capsys))
    run(shell, "%fmrw")
    assert "Commands:" in capsys.readouterr().out
    assert "--help` tells" in refused(shell, "%fmrw mount", capsys)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{where}", ["/a b/it's"]),
        ("'{where}' \"{where}/x\"", ["/a b/it's", "/a b/it's/x"]),
        ("{dict(a='}')['a']} {where!r}", ["}", "{where!r}"]),
        ("$where/x ${where} '$where' $unknown", ["/a b/it's/x", "/a b/it's", "$where", "$unknown"]),
        ("$FMRW_TEST ${FMRW_TEST}", ["x 'y", "x 'y"]),
        ("~/x x~", ["/home/me/x", "x~"]),
        ("awk '{print $1}' {print} {", ["awk", "{print $1}", "{print}", "{"]),
        ("a\\ b 'c d' \"it's\" {''}", ["a b", "c d", "it's", ""]),
        ("--output={where}", ["--output=/a b/it's"]),
    ],
)
def test_values_stay_within_their_words(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMRW_TEST", "x 'y")
    monkeypatch.setenv("HOME", "/home/me")
    assert words(line, {"where": Path("/a b/it's")}) == expected


class Offered:
    """What is offered for a line up to its end, whole lines as they would stand then."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.completer = shell.Completer

    def __call__(self, line: str) -> list[str]:
        with provisionalcompleter():
            found = list(self.completer.completions(line, len(line)))
        assert {each.end for each in found} <= {len(line)}
        return [line[: each.start] + each.text for each in found]


@pytest.mark.mount
def test_completion(shell: InteractiveShell, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(samples.parent)
    offered = Offered(shell)
    assert offered("%fmrw mou") == ["%fmrw mount"]
    assert offered("%%fmrw ") == ["%%fmrw capture", "%%fmrw run"]
    assert offered("%fmrw mount --cap") == ["%fmrw mount --capture"]
    assert offered("%fmrw mount --capture pa") == ["%fmrw mount --capture paged"]
    assert offered("%fmrw mount --capture=pa") == ["%fmrw mount --capture=paged"]
    assert offered("%fmrw mount --output=sam") == ["%fmrw mount --output=samples\\ with\\ space/"]
    assert offered("%fmrw mount --capture=exact sam") == [
        "%fmrw mount --capture=exact samples\\ with\\ space/"
    ]
    assert offered("%fmrw mount sam") == ["%fmrw mount samples\\ with\\ space/"]
    assert offered("m = %fmrw mount 'samples wi") == ["m = %fmrw mount 'samples with space/"]
    assert offered("%%fmrw run samples\\ w") == ["%%fmrw run samples\\ with\\ space/"]
    assert offered('import this\n%mount "sam') == ['import this\n%mount "samples with space/']
    assert "%fmrw assert" in offered("%fmrw ")
    run(shell, "%mount 'samples with space'")
    (samples / "polyglot.pdf").read_bytes()
    assert "%fmrw unmount samples\\ with\\ space" in offered("%fmrw unmount ")
    quoted = str(samples).replace(" ", "\\ ")
    assert offered(f"%unmount {samples.parent}/sam") == [f"%unmount {quoted}"]
    assert offered("%fmrw view pol") == ["%fmrw view polyglot.pdf"]
    assert offered("%fmrw gaps 'samples with space' ") == ["%fmrw gaps 'samples with space' polyglot.pdf"]
    assert offered("%fmrw coverage samples\\ with\\ space po") == [
        "%fmrw coverage samples\\ with\\ space polyglot.pdf"
    ]
    assert "%fmrw files samples\\ with\\ space" in offered("%fmrw files ")
    assert "%fmrw diff polyglot.pdf samples\\ with\\ space" in offered("%fmrw diff polyglot.pdf ")
    assert offered("%fmrw report 'samples with space' polyglot.pdf pol")[-1].endswith("polyglot.pdf")
    for whole in ("files 'samples with space' ", "coverage 'samples with space' polyglot.pdf ", "status "):
        offer = offers(f"%fmrw {whole}", grammar.commands, register.SHORT, register._Known())
        assert offer is not None
        assert offer.texts == [], "no further word belongs there"


def test_completion_leaves_other_lines_alone(shell: InteractiveShell) -> None:
    offered = Offered(shell)
    assert "%timeit" in offered("%timei")
    shell.user_ns["fmrwish"] = 1
    assert "print(fmrwish" in offered("print(fmrwi")


WITHOUT = """
import sys
sys.modules |= dict.fromkeys(sys.argv[2].split(","))
"""
TERMINAL = """
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
config.InteractiveShell.colors = "nocolor"
shell = TerminalInteractiveShell.instance(config=config, simple_prompt=True)
for cell in ["%load_ext fmrw", *sys.argv[3:]]:
    shell.run_cell(cell).raise_error()
"""
PLAIN = """
import fmrw
trace = fmrw.load(sys.argv[1])
for shown in (fmrw.browse(trace), fmrw.explore(trace, "sample.bin")):
    bundle = shown._repr_mimebundle_()
    print(bundle["text/plain"], sorted(bundle), sep="\\n")
"""
JUPYTER = "ipywidgets,anywidget,jupyterlab,ipykernel"


def without(code: str, session: Path, missing: str, *cells: str) -> str:
    """Run code in a Python that has not everything."""
    command = [sys.executable, "-c", WITHOUT + code, session, missing, *cells]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def session(trace: Callable[..., Trace], tmp_path: Path) -> Path:
    return trace(events(("read", 0, 500), ("write", 900, 1000))).save(tmp_path / "recorded")


def test_a_terminal_gets_a_strip_a_table_and_what_to_install(session: Path) -> None:
    view = f"%fmrw view {session} sample.bin"
    told = f"import fmrw\ntrace = fmrw.load('{session}')\nfmrw.browse(trace)"
    said = without(TERMINAL, session, JUPYTER, view, f"%fmrw_view {session}", told)
    assert f" read │{'█' * 36}{' ' * 36}│ 1 read, 50.0% of the bytes" in said
    assert said.count("sample.bin    ") == 2
    assert said.count("pip install 'fmrw[notebook]'") == 3


def test_a_notebook_without_widgets_gets_a_picture_and_what_to_install(session: Path) -> None:
    said = without(PLAIN, session, f"{JUPYTER},IPython")
    assert said.count("pip install 'fmrw[notebook]'") == 2
    assert "['image/png', 'text/plain']" in said
    assert "['text/html', 'text/plain']" in said


def test_a_shell_needs_no_jupyter(session: Path) -> None:
    main = "from fmrw.cli.main import main\nmain(['view', sys.argv[1], *sys.argv[3:]])"
    assert "50.0% of the bytes" in without(main, session, f"{JUPYTER},IPython", "sample.bin")
    assert "sample.bin" in without(main, session, f"{JUPYTER},IPython")
