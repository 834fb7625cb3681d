"""The shell's door: statuses, output, what is kept, and one clear line for everything that goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import psutil
import pytest

import fmrw
from fmrw.capture.mounts import registry
from fmrw.cli.main import main
from fmrw.trace import schema
from fmrw.trace.version import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Say = Callable[..., "Said"]

pytestmark = pytest.mark.mount

FILE = "polyglot.pdf"
FMRW = [sys.executable, "-m", "fmrw"]
ANCESTOR = str(Path(sys.executable).with_name("fuse-monitor-read-write"))
_LIMIT_S = 600


def head(count: int, *where: object) -> list[str]:
    return ["sh", "-c", f'cd "$0" && head -c {count} {FILE} > /dev/null', *map(str, where)]


def is_mounted(directory: Path) -> bool:
    return registry.mounted_at(directory) is not None


class Said:
    """What a command of ours printed, and its status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it printed
        return json.loads(self.out)


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Iterator[Say]:
    """Run a command of ours in this process; what it starts writes where ours does."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        status = main(list(map(str, arguments)))
        sys.stdout.flush()
        return Said(status, *capfd.readouterr())

    yield run
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def home() -> Iterator[Path]:
    before = Path.cwd()
    yield before
    os.chdir(before)


# run


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$"], 137),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_the_status_is_the_commands(command: list[str], status: int, say: Say, directory: Path) -> None:
    said = say("run", directory, "--", *command)
    assert said.status == status
    assert not is_mounted(directory)
    (line,) = said.err.splitlines()
    cures = {127: "check its name and PATH.", 126: "check that it is executable."}
    assert line.endswith(cures.get(status, "look at its exit status."))
    assert said.out.endswith("nothing was touched\n")  # once, in no other words


def test_a_run_prints_a_table_and_keeps_everything(say: Say, directory: Path, tmp_path: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "deep").write_bytes(b"0123456789")
    script = f'cd "$0" && head -c 1000 {FILE} && cat sub/deep && echo new > made'
    said = say("run", directory, "-o", tmp_path / "out", "--", "sh", "-c", script, directory)
    assert said.status == 0
    row = next(line for line in said.out.splitlines() if line.startswith(f"{FILE}  head ["))
    assert re.search(r"45,565 +1,000 +2\.2 % +1 +0 +1,000 +0x3e8-0xb1fd", row), row
    made = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    reports = {
        f"{name}{suffix}" for name in (FILE, "sub/deep", "made") for suffix in (".csv", "-heatmap.pdf")
    }
    assert made == {"session.json", "events.parquet", "processes.parquet"} | reports
    assert (tmp_path / "out" / f"{FILE}-heatmap.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "out" / "made.csv").read_text().count('"write"') == 1
    trace = fmrw.load(tmp_path / "out")
    assert trace.events.schema == schema.EVENTS
    assert trace.processes.schema == schema.PROCESSES
    assert trace.facts["command"] == ["sh", "-c", script, str(directory)]
    assert sorted(path.name for path in directory.iterdir() if path.suffix == ".csv") == []
    assert f"session kept in {tmp_path / 'out'}" in said.err


@pytest.mark.usefixtures("home")
def test_a_command_that_reads_elsewhere_is_told_where(say: Say, directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(directory / FILE, other / "a file.pdf")
    for command in (
        ["head", "-c", "9", other / "a file.pdf"],
        ["sh", "-c", f"cat '{other}/a file.pdf' > /dev/null"],
        ["dd", f"if={other}/a file.pdf", "of=/dev/null", "status=none"],
    ):
        said = say("run", directory, "--", *command)
        assert f"the command names {other}/a file.pdf, which is outside" in said.err
        assert len(said.err.splitlines()) == 1
    os.chdir(other)
    assert "which is outside" in say("run", directory, "--", "head", "-c", "9", "a file.pdf").err
    assert f"was started in {other}" in say("run", directory, "--", "cat", "nothing").err.splitlines()[-1]
    os.chdir(directory)
    assert "open the file it is meant to" in say("run", directory, "--", "true").err
    assert not say("run", directory, "--", "head", "-c", "9", FILE).err


def test_a_session_that_is_gone_is_told(say: Say, directory: Path, tmp_path: Path) -> None:
    say("run", directory, "-o", tmp_path / "out", "--no-reports", "--", *head(5, directory))
    trace = fmrw.load(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(fmrw.FmrwError, match=r"is gone.*record again\.$"):
        trace.files  # noqa: B018 - asked
    refused(say, "gaps", tmp_path / "out", cure="`fmrw sessions` lists them.")


def test_a_session_is_never_overwritten(say: Say, directory: Path, tmp_path: Path) -> None:
    assert (
        say("run", directory, "-o", tmp_path / "out", "--no-reports", "--", *head(5, directory)).status == 0
    )
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refused(say, "run", directory, "-o", tmp_path / "out", "--", *head(9, directory), cure="out-2.")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_run_as_json(say: Say, directory: Path) -> None:
    said = say("run", directory, "--json", "--", *head(10, directory))
    assert set(said.json) >= {"command", "status", "session", "files", "processes", "reports"}
    (caller,) = said.json["processes"]
    assert (caller["name"], caller["reads"], Path(caller["exe"]).name) == ("head", 1, "head")
    (row,) = said.json["files"]
    assert (row["path"], row["bytes_read"], row["reads"], row["largest_gap_start"]) == (FILE, 10, 1, 10)
    assert (said.json["status"], said.json["session"], said.json["reports"]) == (0, None, [])


def test_here_with_the_output_inside(say: Say, directory: Path, home: Path) -> None:
    assert home.is_dir()
    os.chdir(directory)
    said = say("run", ".", "-o", "out", "--", "head", "-c", "9", FILE)
    assert said.status == 0
    assert Path.cwd() == directory
    assert fmrw.load("out").coverage(FILE).rows() == [(0, 9)]
    assert {path.name for path in Path("out").iterdir()} == {
        "session.json", "events.parquet", "processes.parquet", f"{FILE}.csv", f"{FILE}-heatmap.pdf",
    }  # fmt: skip
    assert set(fmrw.load("out").events["path"]) == {FILE}


def test_the_watched_program_sees_nothing_that_is_not_there(directory: Path) -> None:
    done = subprocess.run(
        [*FMRW, "run", directory, "--", "ls", "-a", directory], capture_output=True, text=True, check=True
    )
    listed = done.stdout.splitlines()[: len(os.listdir(directory)) + 2]  # noqa: PTH208 - names
    assert set(listed) == {".", "..", *os.listdir(directory)}  # noqa: PTH208 - names


def test_standard_streams_reach_the_command(directory: Path) -> None:
    done = subprocess.run(
        [*FMRW, "run", directory, "--json", "--", "sh", "-c", 'cat >&2; cmp "$0" "$0"; echo; exit 7', directory / FILE],
        input="from here", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7
    assert done.stderr == "from here"
    assert json.loads(done.stdout)["status"] == 7


# Interrupted


@pytest.fixture
def running(directory: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`fmrw run` with a command that has read and waits, in a process group of its own."""
    script = f'cd "$0" && head -c 50 {FILE} >/dev/null; echo ready; exec sleep 1000'
    process = subprocess.Popen(
        [*FMRW, "run", directory, "-o", tmp_path / "out", "--no-reports", "--", "sh", "-c", script, directory],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    family = psutil.Process(process.pid).children(recursive=True)
    yield process
    for member in family:  # whoever is left holds our pipes
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.kill()
    process.communicate()


def test_ctrl_c_reaches_the_command_and_the_session_is_kept(
    running: subprocess.Popen[str], directory: Path, tmp_path: Path
) -> None:
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=_LIMIT_S)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert FILE in out
    assert not is_mounted(directory)
    assert fmrw.load(tmp_path / "out").coverage(FILE).rows() == [(0, 50)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_the_mount(
    number: int, running: subprocess.Popen[str], directory: Path, tmp_path: Path
) -> None:
    command = next(
        child for child in psutil.Process(running.pid).children() if child.name() in ("sh", "sleep")
    )
    running.send_signal(number)
    _, err = running.communicate(timeout=_LIMIT_S)
    assert running.returncode == 128 + number
    assert "Traceback" not in err
    assert not command.is_running()
    assert not is_mounted(directory)
    assert fmrw.load(tmp_path / "out").coverage(FILE).rows() == [(0, 50)]
    assert (tmp_path / "out" / "events.parquet").exists()


def test_progress_is_shown_on_a_terminal_only(directory: Path) -> None:
    script = f'cd "$0" && head -c 50 {FILE} >/dev/null; read line'
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*FMRW, "run", directory, "--", "sh", "-c", script, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    while b"fmrw: 3 events, 1 files" not in shown:  # first, perhaps, what was there before `head` had ended
        assert select.select([master], [], [], _LIMIT_S)[0], shown
        shown += os.read(master, 1000)
    out, _ = process.communicate(b"go on\n", timeout=_LIMIT_S)
    os.close(master)
    assert process.returncode == 0
    assert b"\x1b" not in out, "a table that goes to a file has no colours"


# mount, status, unmount


def test_mount_in_the_background(say: Say, directory: Path, own_folders: Path) -> None:
    said = say("mount", directory)
    assert said.status == 0
    assert f"`fmrw unmount {directory}`" in said.out
    assert is_mounted(directory)
    subprocess.run(head(25, directory), check=True)
    (row,) = [row for row in say("status", "--json").json if row["root"] == str(directory)]
    assert row["state"] == "monitoring"
    assert row["capture"] == "exact"
    assert row["events"] >= 2
    assert (row["lost"], row["faults"]) == (0, 0)
    assert psutil.pid_exists(row["worker"])
    assert Path(row["session"]).is_relative_to(own_folders / "state" / "fmrw")
    table = say("status")
    assert str(directory) in table.out
    assert "ENODEV" not in table.err
    assert say("coverage", directory, FILE, "--json").json["read"] == [[0, 25]]
    assert len((directory / f"{FILE}.csv").read_text().splitlines()) == 2
    said = say("unmount", directory, "--json")
    assert said.json == {"root": str(directory), "session": row["session"]}
    assert not is_mounted(directory)
    assert fmrw.load(row["session"]).coverage(FILE).rows() == [(0, 25)]
    assert os.waitpid(row["worker"], 0) == (row["worker"], 0), "it has ended, and well"


def test_reports_of_a_live_mount(say: Say, directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory):
        subprocess.run(head(25, directory), check=True)
        said = say("report", directory, FILE, "-o", tmp_path / "figures", "--json")
        assert said.json == [
            str(tmp_path / "figures" / f"{FILE}{suffix}") for suffix in (".csv", "-heatmap.pdf")
        ]
    assert (tmp_path / "figures" / f"{FILE}-heatmap.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "figures" / f"{FILE}.csv").read_text().count('"read"') == 1


def test_an_interrupt_among_the_imports_leaves_no_traceback() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "fmrw.cli.main": raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from fmrw.cli import fmrw
sys.exit(fmrw())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_interpreters_end_looks_for_no_garbage() -> None:
    code = "import sys, gc; from fmrw.cli import fmrw; sys.argv[1:] = ['--help']; fmrw(); sys.exit(not gc.get_freeze_count())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_ancestors_command(directory: Path, say: Say) -> None:
    assert subprocess.run([ANCESTOR, directory], capture_output=True, check=True).stderr == b""
    assert is_mounted(directory)
    subprocess.run(head(25, directory), check=True)
    assert say("coverage", directory, FILE, "--json").json["read"] == [[0, 25]]
    assert say("unmount", directory).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_ancestors_command_in_the_foreground(number: int, directory: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [ANCESTOR, "-f", "-o", tmp_path / "out", directory],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "monitoring" in process.stderr.readline()
    assert is_mounted(directory)
    subprocess.run(head(25, directory), check=True)
    process.send_signal(number)
    _, err = process.communicate(timeout=_LIMIT_S)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert ("is unmounted; session kept in " in err) == (number == signal.SIGINT)
    assert not is_mounted(directory)
    assert fmrw.load(tmp_path / "out").coverage(FILE).rows() == [(0, 25)]


def test_the_foreground_ends_when_somebody_unmounts(directory: Path, tmp_path: Path, say: Say) -> None:
    process = subprocess.Popen(
        [*FMRW, "mount", "-f", "-o", tmp_path / "out", directory], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "monitoring" in process.stderr.readline()
    assert say("unmount", directory).status == 0
    process.communicate(timeout=_LIMIT_S)
    assert process.returncode == 0
    assert (tmp_path / "out" / "events.parquet").exists()


def test_a_busy_mount_is_refused_and_forced(say: Say, directory: Path) -> None:
    assert say("mount", directory).status == 0
    with (directory / FILE).open("rb") as file:
        refused(
            say,
            "unmount",
            directory,
            cure=f"({os.getpid()}); end that, or `fmrw unmount --force {directory}` (open files go on working).",
        )
        assert say("unmount", directory, "--force").status == 0
        assert file.read(4) == b"%PDF"
    assert not is_mounted(directory)


# coverage, demo, doctor


def test_coverage(say: Say, directory: Path, tmp_path: Path) -> None:
    script = f'cd "$0" && dd if={FILE} bs=10 skip=2 count=1 status=none && printf ab | dd of={FILE} conv=notrunc bs=1 seek=5 status=none'
    assert (
        say(
            "run", directory, "-o", tmp_path / "out", "--no-reports", "--", "sh", "-c", script, directory
        ).status
        == 0
    )
    size = (directory / FILE).stat().st_size
    found = say("coverage", tmp_path / "out", FILE, "--json").json
    assert {name: found[name] for name in ("path", "size", "read", "written", "gaps", "read_bytes")} == {
        "path": FILE, "size": size, "read": [[20, 30]], "written": [[5, 7]], "gaps": [[0, 20], [30, size]], "read_bytes": 10,
    }  # fmt: skip
    assert found["events"] == fmrw.load(tmp_path / "out").events.height
    assert say("coverage", tmp_path / "out", directory / FILE, "--json").json == found, (
        "absolute paths are known"
    )
    assert "never read" in say("coverage", tmp_path / "out", FILE).out


def test_demo(tmp_path: Path) -> None:
    done = subprocess.run(
        [*FMRW, "demo", "-o", tmp_path / "demo", "--json"], capture_output=True, text=True, check=True
    )
    data = json.loads(done.stdout)
    assert len(data["parsers"]) >= 3
    assert set(data["statuses"].values()) == {0} if isinstance(data["statuses"], dict) else data["statuses"]
    session = fmrw.load(data["session"])
    assert session.events["process"].n_unique() >= 3
    for report in data["reports"]:
        assert Path(report).stat().st_size
    assert not is_mounted(tmp_path / "demo" / "samples")


def test_doctor(say: Say) -> None:
    said = say("doctor", "--json")
    found = {row["what"]: row for row in said.json}
    for what in ("/dev/fuse", "fusermount", "libfuse 2", "fusepy", "Python"):
        assert found[what]["ok"], found[what]
    assert said.status in (0, 1), "somebody else's mount may be ill"
    assert all(row["ok"] == (not row["cure"]) for row in said.json)


def test_doctor_names_the_cure(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    said = say("doctor", "--json")
    assert said.status == 1
    row = next(row for row in said.json if row["what"] == "fusermount")
    assert (row["ok"], row["cure"]) == (False, "sudo apt-get install fuse3")


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["rnu"], ["run"], ["run", "."], ["run", "--capture", "perfect", ".", "--", "true"], ["run", "--grain", "-1", ".", "--", "true"],
        ["mount"], ["mount", ".", "extra"], ["coverage"], ["status", "--colour"], ["--unknown"], ["report"],
    ],
)  # fmt: skip
def test_usage_is_2(arguments: list[str], say: Say) -> None:
    said = say(*arguments)
    assert said.status == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "Error:" in said.err or "Usage:" in said.err


def test_every_command_has_an_example(say: Say) -> None:
    said = say("--help")
    assert said.status == 0
    for name in ("run", "mount", "unmount", "status", "report", "coverage", "demo", "doctor"):
        assert re.search(rf"^  {name} ", said.out, re.MULTILINE)
        text = say(name, "--help")
        assert text.status == 0
        assert f"  fmrw {name}" in text.out.split("Example")[1]
    assert say("--version").out.strip().endswith(fmrw.__version__)


def test_help_is_quick_to_import() -> None:
    program = "import sys; from fmrw.cli.main import main; main(['--help']); print(sorted({'polars', 'altair', 'numpy', 'fuse'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# Bad input: one line that ends with the cure


def refused(say: Say, *arguments: object, cure: str, status: int = 1) -> None:
    said = say(*arguments)
    assert said.status == status
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("fmrw: ")
    assert line.endswith(cure), line


@pytest.mark.parametrize("command", ["run", "mount"])
def test_directories_that_cannot_be_monitored(
    command: str, say: Say, directory: Path, tmp_path: Path
) -> None:
    rest = ["--", "true"] if command == "run" else []
    (directory / "sub").mkdir()
    refused(say, command, tmp_path / "missing", *rest, cure="no such directory; check the name.")
    refused(say, command, directory / FILE, *rest, cure=f"monitor its directory {directory} instead.")
    with fmrw.mount(directory):
        refused(say, command, directory, *rest, cure=f"`fmrw unmount {directory}` ends that.")
        refused(say, command, directory / "sub", *rest, cure=f"`fmrw unmount {directory}` first.")
        refused(say, command, tmp_path, *rest, cure=f"`fmrw unmount {directory}` first.")
    assert not is_mounted(directory)


def test_names_are_shown_harmlessly(say: Say, tmp_path: Path) -> None:
    said = say("mount", f"{tmp_path}/\x1b[31m\nred")
    assert "\\x1b[31m\\x0ared" in said.err
    assert "\x1b" not in said.err
    assert said.err.count("\n") == 1


def test_outputs_that_cannot_be(say: Say, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for output, cure in (
        (tmp_path / "file", f"{tmp_path / 'file'} is not a folder; choose a folder you may write."),
        (tmp_path / "file" / "below", f"{tmp_path / 'file'} is not a folder; choose a folder you may write."),
        (tmp_path / "full", f"choose another folder, such as {tmp_path / 'full-2'}."),
        ("/proc/out", "choose a folder you may write."),
    ):
        refused(say, "run", directory, "-o", output, "--", "true", cure=cure)
        refused(say, "mount", directory, "-o", output, cure=cure)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert not is_mounted(directory)


@pytest.fixture
def session(directory: Path, tmp_path: Path) -> Path:
    with fmrw.mount(directory, output=tmp_path / "session"):
        subprocess.run(head(10, directory), check=True)
    return tmp_path / "session"


def test_sessions_that_cannot_be_read(say: Say, session: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(say, "coverage", tmp_path / "missing", FILE, cure="`fmrw sessions` lists them.")
    refused(say, "coverage", tmp_path / "empty", FILE, cure="give a folder that fmrw recorded into.")
    refused(say, "coverage", session, "poliglot.pdf", cure=f"recorded near it: {FILE}.")
    refused(
        say,
        "report",
        session,
        "--format",
        "papyrus",
        "-o",
        tmp_path,
        cure=_known_formats(say, session, tmp_path),
        status=2,
    )
    refused(say, "report", session, "-o", "/proc/figures", cure="choose a folder you may write.")
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")
    for output in (taken, taken / "below", taken / "below" / "it"):
        refused(
            say,
            "report",
            session,
            "-o",
            output,
            cure=f"fmrw: {taken} is not a folder; choose a folder you may write.",
        )
    refused(say, "demo", "-o", taken, cure=f"fmrw: {taken} is not a folder; name another place.")
    assert taken.read_bytes() == b"mine"
    (session / "events.parquet").write_bytes((session / "events.parquet").read_bytes()[:-100])
    refused(say, "coverage", session, FILE, cure="restore it from a copy.")


def test_an_empty_name_is_no_directory(say: Say) -> None:
    said = say("mount", "")
    assert said.status == 2
    assert "an empty name is no path" in said.err
    refused(say, "gaps", "", cure="is it set?")


def test_what_the_system_refuses_is_told_in_one_line(say: Say, tmp_path: Path) -> None:
    refused(say, "demo", "-o", "/proc/nowhere", cure="see that it is there, and that you may use it.")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_bytes(b"")
    refused(say, "demo", "-o", tmp_path / "mine", cure="choose a new folder with -o.")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["notes"]
    refused(say, "demo", "-o", tmp_path / "file", cure="name another place.")


def _known_formats(say: Say, session: Path, folder: Path) -> str:
    line: str = say("report", session, "--format", "papyrus", "-o", folder).err.strip()
    assert "'papyrus' is not a format; take some of csv, " in line
    return line.rpartition("; ")[2]


def test_a_session_of_a_newer_version(say: Say, session: Path) -> None:
    facts = json.loads((session / "session.json").read_text())
    (session / "session.json").write_text(json.dumps({**facts, "schema": SCHEMA + 1}))
    refused(say, "coverage", session, FILE, cure="`pip install --upgrade fmrw` reads it.")


def test_nothing_to_unmount(say: Say, directory: Path) -> None:
    said = say("unmount", directory)
    assert said.status == 1
    assert f"{directory} is not monitored; monitored now: " in said.err
    assert said.err.count("\n") == 1


def test_fuse_is_missing(directory: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "true").symlink_to(shutil.which("true") or "")
    for variable, value, cure in (
        ("PATH", str(tools), "fusermount is missing; try `sudo apt-get install fuse3`."),
        (
            "FUSE_LIBRARY_PATH",
            "/nowhere/libfuse.so.2",
            "try `sudo apt-get install libfuse2` (or `libfuse2t64`).",
        ),
    ):
        done = subprocess.run(
            [*FMRW, "run", directory, "-o", tmp_path / "out", "--", "true"],
            env={**os.environ, variable: value}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert done.stderr.rstrip().endswith(cure)
        assert not (tmp_path / "out").exists()


def test_reports_are_named_safely(say: Say, directory: Path, tmp_path: Path) -> None:
    """A file that is called like a part of the session does not overwrite it."""
    (directory / "session.json").write_bytes(b"{}")
    (directory / "events.parquet").write_bytes(b"mine")
    command = ["sh", "-c", 'cat "$0"/session.json "$0"/events.parquet > /dev/null', directory]
    assert say("run", directory, "-o", tmp_path / "out", "--", *command).status == 0
    assert fmrw.load(tmp_path / "out").events.filter(pl.col("op") == "read")["path"].n_unique() == 2
