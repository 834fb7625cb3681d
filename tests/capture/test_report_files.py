"""The files that are not there: NAME.csv and NAME-heatmap.pdf, what they hold, and who sees them."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import shutil
import signal
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import fmrw
from fmrw.capture.worker.serve import Tidy

pytestmark = pytest.mark.mount

FILE = "polyglot.pdf"
_LIMIT_S = 600
CSV, PDF = f"{FILE}.csv", f"{FILE}-heatmap.pdf"
REAL = {"polyglot.pdf", "polyglot.png", "cavity.zip", "hidden-png.zip", "notes.tar.gz"}


def read(directory: Path, count: int, name: str = FILE) -> None:
    subprocess.run(
        ["dd", f"if={name}", f"bs={count}", "count=1", "of=/dev/null", "status=none"],
        cwd=directory,
        check=True,
    )


def helpers(mount: fmrw.Mount) -> list[psutil.Process]:
    """Give the processes the worker has started to make reports."""
    found = []
    for child in psutil.Process(mount.worker_pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ends, or has ended
            found += [child] if "help_out" in " ".join(child.cmdline()) else []
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# What they hold


def test_both_can_be_copied_and_read(directory: Path, tmp_path: Path) -> None:
    with fmrw.mount(directory) as mount:
        read(directory, 100)
        subprocess.run(["cp", directory / CSV, directory / PDF, tmp_path], check=True)
        assert rows(tmp_path / CSV)[0]["Length"] == "100"
        assert len(helpers(mount)) == 1
    text = subprocess.run(
        ["pdftotext", tmp_path / PDF, "-"], capture_output=True, text=True, check=True
    ).stdout
    assert FILE in text
    assert "dd [" in text, "the caption names the processes"
    assert mount.trace.events["path"].unique().to_list() == [FILE], "reports leave no trace"


def test_the_csv_has_the_promised_columns(mounted: fmrw.Mount, directory: Path) -> None:
    read(directory, 100)
    text = (directory / CSV).read_text()
    assert text.splitlines()[0] == (
        '"Time","AccessDirection","Offset","Length","Filesize","ProcessID","ProcessName","ThreadID","Requested","Fidelity","Handle"'
    )
    row = rows(directory / CSV)[0]
    assert row["Time"].endswith("+00:00")
    del row["Time"]
    event = mounted.trace.events.row(1, named=True)
    assert row == {
        "AccessDirection": "read", "Offset": "0", "Length": "100", "Filesize": str((directory / FILE).stat().st_size),
        "ProcessID": str(event["pid"]), "ProcessName": "dd", "ThreadID": str(event["tid"]), "Requested": "100",
        "Fidelity": "byte", "Handle": str(event["handle"]),
    }  # fmt: skip


@pytest.mark.usefixtures("mounted")
def test_complete_up_to_the_moment_of_opening(directory: Path) -> None:
    for count in range(1, 6):
        read(directory, count)
        assert [row["Length"] for row in rows(directory / CSV)] == [str(n) for n in range(1, count + 1)]


@pytest.mark.usefixtures("mounted")
def test_an_open_report_stays_as_it_was(directory: Path) -> None:
    read(directory, 1)
    with (directory / CSV).open("rb") as file:
        before = os.fstat(file.fileno()).st_size
        read(directory, 2)
        assert os.fstat(file.fileno()).st_size == before
        content = file.read()
        assert len(content) == before
        with (directory / CSV).open("rb") as later:
            assert os.fstat(later.fileno()).st_size > before
        assert os.pread(file.fileno(), 10, 3) == content[3:13]
        assert os.pread(file.fileno(), 10, before + 5) == b""


def test_while_a_program_writes(mounted: fmrw.Mount, directory: Path) -> None:
    script = "import os, sys\nf = os.open('grown', os.O_RDWR | os.O_CREAT)\nsys.stdout.write('go'); sys.stdout.flush()\nwhile True: os.write(f, bytes(100))"
    writer = subprocess.Popen(
        [shutil.which("python3") or "python3", "-c", script], cwd=directory, stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.read(2) == b"go"
        counts = []
        for _ in range(4):
            counts.append(len(rows(directory / "grown.csv")))
            while (directory / "grown").stat().st_size <= 100 * counts[-1]:
                os.sched_yield()  # it gets no processor
        assert (directory / "grown-heatmap.pdf").read_bytes().startswith(b"%PDF")
    finally:
        writer.kill()
        writer.communicate()
    assert counts == sorted(set(counts)), "each knows more than the one before"
    last = rows(directory / "grown.csv")
    assert [int(row["Offset"]) for row in last] == list(range(0, 100 * len(last), 100)), "none is missing"
    assert mounted.facts()["lost"] == 0


@pytest.mark.usefixtures("mounted")
def test_at_any_depth_and_for_awkward_names(directory: Path) -> None:
    folder = directory.joinpath(*[f"level{n}" for n in range(30)])
    folder.mkdir(parents=True)
    for name in (b"plain", b"caf\xe9 \n\x1b[31m", "\u202e\ufffe.csv".encode()):
        file = os.fsencode(folder) + b"/" + name
        Path(os.fsdecode(file)).write_bytes(b"content")
        assert Path(os.fsdecode(file + b".csv")).read_bytes().count(b'"write"') == 1
    assert (folder / "plain-heatmap.pdf").read_bytes().startswith(b"%PDF")
    awkward = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9 \n\x1b[31m-heatmap.pdf"))
    assert awkward.read_bytes().startswith(b"%PDF")


@pytest.mark.usefixtures("mounted")
def test_of_empty_and_of_untouched_files(directory: Path) -> None:
    (directory / "empty").touch()
    assert rows(directory / "cavity.zip.csv") == []
    for name in ("empty", "cavity.zip"):
        assert (directory / f"{name}-heatmap.pdf").read_bytes().startswith(b"%PDF")


def test_a_helper_that_was_killed_is_replaced(mounted: fmrw.Mount, directory: Path) -> None:
    read(directory, 7)
    before = (directory / CSV).read_bytes()
    (victim,) = helpers(mounted)
    victim.send_signal(signal.SIGKILL)
    assert (directory / CSV).read_bytes() == before
    assert (directory / PDF).read_bytes().startswith(b"%PDF")
    assert victim not in helpers(mounted)


def test_a_helper_that_is_killed_in_the_middle_leaves_nothing(directory: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    with fmrw.mount(directory, output=session) as mount:
        read(directory, 7)
        (directory / CSV).read_bytes()
        for _ in range(5):
            (victim,) = helpers(mount)
            victim.suspend()
            reader = threading.Thread(target=(directory / CSV).read_bytes)
            reader.start()
            (session / ".report-unfinished").touch()  # as a helper that got so far
            victim.kill()
            reader.join(_LIMIT_S)
            assert not reader.is_alive()
            assert not list(session.glob(".report-*"))


def test_reports_that_are_being_made_are_left_alone(tmp_path: Path) -> None:
    """Two at once: the first to end removes nothing, the last everything that is left."""
    begun, may, left = threading.Barrier(2), threading.Event(), []

    def slow(path: str) -> int:
        (tmp_path / f".report-{path}").touch()
        begun.wait(_LIMIT_S)
        assert may.wait(_LIMIT_S)
        left.append((tmp_path / f".report-{path}").exists())
        raise OSError(errno.ENOSPC, "full")

    def quick(path: str) -> int:
        begun.wait(_LIMIT_S)
        (tmp_path / f".report-{path}").touch()
        return 7

    session = os.open(tmp_path, os.O_RDONLY)
    makers = Tidy(session).over({b".slow": slow, b".quick": quick})
    with ThreadPoolExecutor() as pool:
        first = pool.submit(makers[b".slow"], "one")
        assert makers[b".quick"]("two") == 7
        assert {path.name for path in tmp_path.iterdir()} == {".report-one", ".report-two"}
        may.set()
        assert isinstance(first.exception(_LIMIT_S), OSError)
    os.close(session)
    assert left == [True]
    assert not list(tmp_path.iterdir())


# Who sees them


def test_listed_beside_the_files(mounted: fmrw.Mount, directory: Path) -> None:
    del mounted
    listed = set(os.listdir(directory))  # noqa: PTH208 - names
    assert listed == REAL | {f"{name}{suffix}" for name in REAL for suffix in (".csv", "-heatmap.pdf")}
    status = (directory / CSV).stat()
    assert stat.S_ISREG(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o444
    assert status.st_uid == (directory / FILE).stat().st_uid
    assert status.st_nlink == 1
    entries = {entry.name: entry for entry in os.scandir(directory)}
    assert entries[CSV].inode() == status.st_ino
    assert entries[CSV].is_file()
    assert len({entry.inode() for entry in entries.values()}) == len(entries)


def test_hidden_can_be_opened_by_name(directory: Path) -> None:
    with fmrw.mount(directory, reports="hidden"):
        read(directory, 5)
        assert not any(path.suffix == ".csv" for path in directory.iterdir())
        assert len(rows(directory / CSV)) == 1


def test_aside_they_have_a_folder_of_their_own(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "deep").write_bytes(b"deep")
    with fmrw.mount(directory, reports="aside"):
        read(directory, 5)
        read(directory, 4, "sub/deep")
        assert ".fmrw" not in os.listdir(directory)  # noqa: PTH208 - names
        assert not (directory / CSV).exists()
        assert len(rows(directory / ".fmrw" / CSV)) == 1
        assert len(rows(directory / ".fmrw" / "sub" / "deep.csv")) == 1
        assert set(os.listdir(directory / ".fmrw" / "sub")) == {"deep.csv", "deep-heatmap.pdf"}  # noqa: PTH208
        assert (directory / ".fmrw" / "sub").is_dir()
        with pytest.raises(FileNotFoundError):  # who makes files finds no such folder, and may make one
            (directory / ".fmrw" / "new").write_bytes(b"")
    assert not (directory / ".fmrw").exists()


def test_a_name_that_only_begins_as_their_folder_is_another(directory: Path) -> None:
    (directory / "x").mkdir()
    (directory / "x" / FILE).write_bytes(b"1234")
    with fmrw.mount(directory, reports="aside"):
        assert (directory / ".fmrw" / "x" / CSV).exists()
        for other in (".fmrwx", f".fmrwx/{CSV}", f".fmrw{CSV}", f".fmrw-/x/{CSV}"):
            assert not (directory / other).exists()
        (directory / ".fmrwx").mkdir()
        assert os.listdir(directory / ".fmrwx") == []  # noqa: PTH208 - names
        assert not (directory / ".fmrwx" / CSV).exists()
    assert (directory / ".fmrwx").is_dir()


def test_reports_whose_names_would_be_too_long_are_not_listed(directory: Path) -> None:
    fits, over = "a" * (255 - len(".csv")), "b" * (256 - len(".csv"))
    for name in (fits, over):
        (directory / name).write_bytes(b"1234")
    with fmrw.mount(directory):
        listed = os.listdir(directory)  # noqa: PTH208 - names
        assert sorted(name for name in listed if name[:2] in ("aa", "bb")) == [fits, f"{fits}.csv", over]
        assert len(f"{fits}.csv") == 255
        assert len(rows(directory / f"{fits}.csv")) == 0
        with pytest.raises(OSError, match="File name too long"):
            (directory / f"{over}.csv").read_bytes()


def test_off_there_are_none(directory: Path) -> None:
    with fmrw.mount(directory, reports="off"):
        assert not (directory / CSV).exists()
        assert not (directory / ".fmrw").exists()
        with pytest.raises(FileNotFoundError):
            (directory / PDF).open()


@pytest.mark.usefixtures("mounted")
def test_they_cannot_be_changed(directory: Path) -> None:
    for change in (
        lambda path: path.chmod(0o600),
        lambda path: os.truncate(path, 0),
        lambda path: path.open("r+b"),
        os.utime,
        lambda path: os.setxattr(path, "user.a", b"b"),
    ):
        with pytest.raises(OSError) as raised:  # noqa: PT011 - which errno is looked at
            change(directory / CSV)
        assert raised.value.errno in (errno.EPERM, errno.EACCES)
    assert os.listxattr(directory / CSV) == []
    assert not (directory / f"{CSV}.csv").exists(), "no report of a report"
    assert not os.access(directory / CSV, os.W_OK)


# Real files win


def test_a_real_file_wins(directory: Path) -> None:
    (directory / CSV).write_bytes(b"mine")
    with fmrw.mount(directory) as mount:
        assert (directory / CSV).read_bytes() == b"mine"
        (directory / CSV).write_bytes(b"changed")
        assert os.listdir(directory).count(CSV) == 1  # noqa: PTH208 - names
        assert not helpers(mount)
    assert (directory / CSV).read_bytes() == b"changed"


@pytest.mark.parametrize("flags", [os.O_CREAT | os.O_EXCL, os.O_CREAT, os.O_CREAT | os.O_TRUNC])
def test_a_program_can_make_its_own(flags: int, mounted: fmrw.Mount, directory: Path) -> None:
    read(directory, 5)
    assert (directory / CSV).exists()
    fd = os.open(directory / CSV, flags | os.O_RDWR, 0o640)
    os.write(fd, b"own content")
    assert os.pread(fd, 100, 0) == b"own content"
    os.close(fd)
    assert (directory / CSV).read_bytes() == b"own content"
    assert stat.S_IMODE((directory / CSV).stat().st_mode) == 0o640
    assert rows(directory / f"{CSV}.csv")[0]["AccessDirection"] == "write", "which is a file like any other"
    mounted.unmount()
    assert (directory / CSV).read_bytes() == b"own content"


@pytest.mark.usefixtures("mounted")
def test_other_ways_to_make_the_name(directory: Path) -> None:
    (directory / "cavity.zip.csv").mkdir()
    (directory / "polyglot.png.csv").symlink_to("nowhere")
    os.link(directory / FILE, directory / "notes.tar.gz.csv")
    (directory / "new").write_bytes(b"renamed over it")
    (directory / "new").rename(directory / CSV)
    assert (directory / CSV).read_bytes() == b"renamed over it"
    (directory / CSV).unlink()
    assert rows(directory / CSV) == [], "the report is back"
    assert stat.S_ISDIR((directory / "cavity.zip.csv").stat().st_mode)


def test_shell_redirection_and_cp_make_real_files(mounted: fmrw.Mount, directory: Path) -> None:
    subprocess.run(
        ["sh", "-ec", f"echo one > {CSV}; echo two >> {CSV}; cp cavity.zip {PDF}"], cwd=directory, check=True
    )
    mounted.unmount()
    assert (directory / CSV).read_bytes() == b"one\ntwo\n"
    assert (directory / PDF).read_bytes() == (directory / "cavity.zip").read_bytes()


@pytest.mark.parametrize("reports", ["beside", "hidden", "aside"])
def test_rm_removes_everything(reports: str, directory: Path) -> None:
    for folder in ("a", "a/b"):
        (directory / folder).mkdir()
        for number in range(20):
            (directory / folder / f"file{number}").write_bytes(b"x")
    with fmrw.mount(directory, reports=reports):  # type: ignore[arg-type]  # a str here
        subprocess.run(["rm", "-r", "a"], cwd=directory, check=True)
        assert not (directory / "a").exists()
        shutil.copytree(
            directory, directory / "copy", ignore=shutil.ignore_patterns("*.csv", "*-heatmap.pdf", "copy")
        )
        shutil.rmtree(directory / "copy")
        assert not (directory / "copy").exists()


@pytest.mark.usefixtures("mounted")
def test_rm_removes_what_is_still_open(directory: Path) -> None:
    """So is what was read or written a moment before: the kernel waits for no answer to a release."""
    (directory / "a").mkdir()
    (directory / "a" / "file").write_bytes(b"x")
    with (directory / "a" / "file").open("rb") as file:
        subprocess.run(["rm", "-r", "a"], cwd=directory, check=True)
        assert not (directory / "a").exists()
        assert file.read() == b"x"


def test_removing_a_report_hides_it_for_this_mount(directory: Path) -> None:
    with fmrw.mount(directory):
        (directory / CSV).unlink()
        assert not (directory / CSV).exists()
        assert CSV not in os.listdir(directory)  # noqa: PTH208 - names
    with fmrw.mount(directory):
        assert (directory / CSV).exists()


# What they cost


def test_listing_ten_thousand_files_makes_nothing(directory: Path) -> None:
    many = directory / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number}").touch()
    with fmrw.mount(directory) as mount:
        done = subprocess.run(["ls", "-R"], cwd=directory, capture_output=True, check=True)
        assert done.stdout.count(b"-heatmap.pdf") == 10_005
        subprocess.run(
            ["ls", "-l", *[f"{number}-heatmap.pdf" for number in range(500)]],
            cwd=many,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        assert not helpers(mount)
        assert mount.trace.events.is_empty()


def test_they_are_gone_with_the_mount(directory: Path) -> None:
    with fmrw.mount(directory):
        read(directory, 5)
        (directory / CSV).read_bytes()
        descriptor = os.open(directory / PDF, os.O_RDONLY)
        os.close(descriptor)
    assert {path.name for path in directory.iterdir()} == REAL
