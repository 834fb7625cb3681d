"""What a recording leaves as it was, and what it does not take from those it records."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

import fmrw
from fmrw.commands.tables import trace_tables
from fmrw.session import reports

pytestmark = pytest.mark.mount
HOSTILE = ["<img src=x onerror=alert(1)>", "a]]>\x1b[31m\u202e\ufffe", "=cmd|' -C calc'!A0", "&amp;\"'"]


def described(root: Path) -> list[object]:
    """Describe a tree to the byte and the nanosecond; only what reading changes, the time of access, is left out."""
    found: list[object] = []
    for path in sorted([root, *root.rglob("*")]):
        status = path.lstat()
        facts = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_nlink,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found.append(
            (path.relative_to(root), status.st_ino, facts, os.listxattr(path, follow_symlinks=False), content)
        )
    return found


@pytest.mark.parametrize("capture", ["exact", "paged", "cached"])
def test_a_directory_that_was_only_read_is_what_it_was(directory: Path, capture: str) -> None:
    (directory / "sub").mkdir(mode=0o2750)
    (directory / "sub" / "one").write_bytes(b"x" * 10_000)
    (directory / "sub" / "one").chmod(0o4711)
    os.link(directory / "sub" / "one", directory / "two")
    (directory / "link").symlink_to("nowhere")
    os.setxattr(directory / "two", "user.note", b"kept")
    before = described(directory)
    with fmrw.mount(directory, capture=capture) as mount:  # type: ignore[arg-type]  # a str here
        subprocess.run(["tar", "cf", "-", "."], cwd=directory, stdout=subprocess.DEVNULL, check=True)
        subprocess.run(
            ["sh", "-c", "cksum sub/one two *.zip; ls -lR; cat two.csv"],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        assert mount.trace.events.height > 0
    assert described(directory) == before


def test_a_name_a_process_gives_itself_hides_neither_its_number_nor_its_program(
    directory: Path, tmp_path: Path
) -> None:
    code = "import ctypes, os, sys; ctypes.CDLL(None).prctl(15, b'systemd'); print(os.getpid()); open('polyglot.pdf', 'rb', 0).read(99)"
    with fmrw.mount(directory) as mount:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=True
        )
    pid = int(done.stdout)
    assert set(mount.trace.events["process"]) == {"systemd"}, "the name it claims"
    (row,) = mount.trace.processes.filter(name="systemd").iter_rows(named=True)
    assert (row["pid"], Path(row["exe"])) == (pid, Path(sys.executable).resolve())
    assert "prctl" in row["cmdline"]
    assert mount.trace.files["processes"].to_list() == [f"systemd [{pid}]"]
    told = Console(file=io.StringIO(), width=250)
    told.print(*trace_tables(mount.trace), sep="\n")
    assert re.search(
        rf"systemd \[{pid}\] +1 +0 +{re.escape(row['exe'])} +{re.escape(sys.executable)} -c",
        told.file.getvalue(),
    )
    (picture,) = reports.write(mount.trace, tmp_path / "out", ["svg"], paths=["polyglot.pdf"])
    assert f"systemd [{pid}]" in picture.read_text()


def test_hostile_names_are_text_in_pictures_and_pages(tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in HOSTILE:
        (folder / name).write_bytes(b"content")
    code = "import ctypes, os, sys\nctypes.CDLL(None).prctl(15, b'</script><b>')\nfor name in os.listdir('.'): open(name, 'rb', 0).read()"
    with fmrw.mount(folder, reports="off") as mount:
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    assert mount.trace.events["path"].n_unique() == len(HOSTILE)
    written = reports.write(mount.trace, tmp_path / "out", ["svg", "html"])
    assert len(written) == 2 * len(HOSTILE)
    for file in written:
        text = file.read_text()
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e\ufffe]", text), file.name
        if file.suffix == ".svg":
            tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}  # noqa: S314 - made here
            assert not tags & {"script", "img", "b", "foreignObject"}
        else:
            assert "<img src=x" not in text
            assert "</script><b>" not in text
            assert len(re.findall(r"<script", text)) == len(re.findall(r"</script>", text))
