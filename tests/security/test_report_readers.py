"""Who may read a report with --allow-other: whoever may read the file it tells about, and nobody else.

Readers run as users that no account has, each in a process of its own; whether a reader may read the file itself is
asked of the same mount, so that the report is held against the file and not against an expectation.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fmrw
from fmrw.capture.reports.permissions import READ, Owners, narrowed, narrowed_list

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER, OTHER, TEAM = 54321, 54322, 54400
LIST = "system.posix_acl_access"
READER = """
import os, sys
for path in sys.stdin.read().split("\\0"):
    try:
        with open(path, "rb") as file:
            print(len(file.read()) > 0)
    except OSError as error:
        print(error.strerror)
"""


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """Encode (tag, permissions, id) as acl(5) in an extended attribute; tags 1 user_obj, 2 user, 4 group_obj, 8 group, 16 mask, 32 other."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NO_ID = 0xFFFFFFFF
OBJECTS = {"owner": (1, 6, NO_ID), "group": (4, 0, NO_ID)}


class Kind(NamedTuple):
    """A file: owner, group, mode, and its access list if it has one."""

    uid: int
    gid: int
    mode: int
    entries: tuple[tuple[int, int, int], ...] = ()


KINDS = {
    "everybody": Kind(0, 0, 0o644),
    "root": Kind(0, 0, 0o600),
    "owner": Kind(OWNER, OWNER, 0o600),
    "locked": Kind(OWNER, OWNER, 0o200),
    "team": Kind(0, TEAM, 0o640),
    "not-the-team": Kind(0, TEAM, 0o604),
    "listed": Kind(
        0, 0, 0o600, (OBJECTS["owner"], (2, 4, OWNER), OBJECTS["group"], (16, 4, NO_ID), (32, 0, NO_ID))
    ),
    "listed-group": Kind(
        0, 0, 0o600, (OBJECTS["owner"], OBJECTS["group"], (8, 4, TEAM), (16, 4, NO_ID), (32, 0, NO_ID))
    ),
    "shut-out": Kind(
        0, 0, 0o644, (OBJECTS["owner"], (2, 0, OWNER), (4, 4, NO_ID), (16, 4, NO_ID), (32, 4, NO_ID))
    ),
    "may-write": Kind(
        0, 0, 0o620, (OBJECTS["owner"], (2, 2, OWNER), OBJECTS["group"], (16, 2, NO_ID), (32, 4, NO_ID))
    ),
}
STRICTER = {"may-write"}  # a list that lets its group write only: the report is the owner's alone
READERS = {"owner": (OWNER, ()), "other": (OTHER, ()), "team": (OTHER, (TEAM,)), "root": (0, ())}


BECOME = "import os, sys; os.setgroups({groups}); os.setresgid({uid}, {uid}, {uid}); os.setresuid({uid}, {uid}, {uid})\n"


def act(code: str, uid: int, *arguments: Path, groups: tuple[int, ...] = (), said: str = "") -> str:
    """Run a piece of Python as somebody; give what it printed."""
    program = BECOME.format(uid=uid, groups=list(groups)) + code
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(paths: list[Path], uid: int, groups: tuple[int, ...] = ()) -> list[str]:
    """Let somebody read files; say for each whether it came, or why not."""
    return act(READER, uid, groups=groups, said="\0".join(map(str, paths))).splitlines()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can reach and write."""
    base = Path(tempfile.mkdtemp(prefix="readers-"))
    base.chmod(0o755)
    folder = base / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(base)


def make(path: Path, kind: Kind) -> None:
    path.write_bytes(b"content")
    os.chown(path, kind.uid, kind.gid)
    path.chmod(kind.mode)
    if kind.entries:
        os.setxattr(path, LIST, access_list(*kind.entries))


@pytest.mark.mount
@pytest.mark.root("several users are needed")
@pytest.mark.parametrize("reports", ["beside", "aside"])
def test_a_report_is_for_those_who_may_read_its_file(reports: str, shared: Path) -> None:
    (shared / "closed").mkdir()
    make(shared / "closed" / "inner", KINDS["everybody"])
    (shared / "closed").chmod(0o700)
    for name, kind in KINDS.items():
        make(shared / name, kind)
    where = shared / ".fmrw" if reports == "aside" else shared
    names = [*KINDS, "closed/inner"]
    with fmrw.mount(shared, allow_other=True, reports=reports):  # type: ignore[arg-type]  # a str here
        outcomes = {}
        for who, (uid, groups) in READERS.items():
            told = read(
                [*(shared / name for name in names), *(where / f"{name}.csv" for name in names)], uid, groups
            )
            files, found = told[: len(names)], told[len(names) :]
            outcomes[who] = files
            for name, report, file in zip(names, found, files, strict=True):
                assert report == file or (name in STRICTER and report == "Permission denied"), (who, name)
        for name, kind in KINDS.items():
            status, base = (where / f"{name}.csv").stat(), (shared / name).stat()
            assert (status.st_uid, status.st_gid) == (kind.uid, kind.gid)
            assert stat.S_IMODE(status.st_mode) & ~(base.st_mode & 0o444) == 0, name
        assert stat.S_IMODE((where / "everybody.csv").stat().st_mode) == 0o444
        assert stat.S_IMODE((where / "root.csv").stat().st_mode) == 0o400
        assert read([where / "root-heatmap.pdf"], OTHER) == ["Permission denied"]
    flat = {(who, name): said for who, row in outcomes.items() for name, said in zip(names, row, strict=True)}
    assert flat["owner", "listed"] == flat["team", "team"] == flat["team", "listed-group"] == "True", (
        "all that counts is tried"
    )
    assert (
        flat["owner", "shut-out"]
        == flat["other", "closed/inner"]
        == flat["team", "not-the-team"]
        == "Permission denied"
    )


@pytest.mark.mount
@pytest.mark.root("several users are needed")
def test_the_folder_of_reports_hides_what_its_directory_hides(shared: Path) -> None:
    (shared / "closed").mkdir(mode=0o700)
    (shared / "closed" / "inner").touch()
    with fmrw.mount(shared, allow_other=True, reports="aside"):
        look = "try: print(os.listdir(sys.argv[1]))\nexcept OSError as error: print(error.strerror)"
        assert "inner.csv" in act(look, 0, shared / ".fmrw" / "closed")
        assert act(look, OTHER, shared / ".fmrw" / "closed") == "Permission denied\n"


@pytest.mark.mount
@pytest.mark.root("several users are needed")
@pytest.mark.parametrize("moment", ["before", "while it is open"])
def test_a_file_put_under_the_name_of_a_private_one_does_not_open_its_report(
    shared: Path, moment: str
) -> None:
    make(shared / "file", Kind(OWNER, OWNER, 0o600))
    trick = (
        "os.chdir(sys.argv[1]); os.rename('file', 'away'); open('file', 'w').write('mine'); os.chmod('file', 0o644);"
        "os.rename('away', 'elsewhere'); open('away', 'w').write('mine')"
    )
    with fmrw.mount(shared, allow_other=True) as mount:
        with (shared / "file").open("rb") as file:
            assert file.read(3) == b"con"
            if moment == "before":
                file.close()
            act(trick, OTHER, shared)
            if moment != "before":
                assert file.read(2) == b"te"
        csvs = [shared / "file.csv", shared / "away.csv"]
        assert read([shared / "file", shared / "file.csv"], OTHER) == ["True", "Permission denied"]
        assert read([shared / "file.csv"], OWNER) == ["Permission denied"], (
            "nor the file's first owner: it may tell of the second"
        )
        assert read(csvs, 0) == ["True", "True"]
        if moment != "before":
            assert "elsewhere" in mount.trace.events["path"].to_list(), "open files are followed"
            assert read([shared / "elsewhere.csv"], OTHER) == ["Permission denied"]
            assert read([shared / "elsewhere.csv"], OWNER) == ["True"]


@pytest.mark.mount
@pytest.mark.root("several users are needed")
def test_a_file_that_is_closed_to_others_while_it_is_open_closes_its_report(shared: Path) -> None:
    make(shared / "file", Kind(OWNER, OWNER, 0o644))
    with fmrw.mount(shared, allow_other=True):
        (shared / "file").read_bytes()
        assert read([shared / "file.csv"], OTHER) == ["True"]
        (shared / "file").chmod(0o600)
        assert read([shared / "file.csv"], OTHER) == ["Permission denied"]
        (shared / "file").chmod(0o644)
        assert read([shared / "file.csv"], OTHER) == ["True"], "its owner decides"


@pytest.mark.mount
def test_the_owner_of_the_mount_reads_what_the_file_lets_him(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "file").chmod(0o600)
    with fmrw.mount(tmp_path):
        assert stat.S_IMODE((tmp_path / "file.csv").stat().st_mode) == 0o400
        assert (tmp_path / "file.csv").read_bytes()
        assert os.access(tmp_path / "file.csv", os.R_OK)
        assert not os.access(tmp_path / "file.csv", os.W_OK)
        with pytest.raises(OSError, match="No data"):
            os.getxattr(tmp_path / "file.csv", "user.any")


@given(st.integers(0, 0o7777))
def test_a_mode_only_ever_loses_bits(mode: int) -> None:
    kept = narrowed(mode, READ)
    assert kept & ~(mode & 0o444) == 0
    assert (kept & 0o400) == (mode & 0o400), "the owner keeps what he has"
    assert not (mode & 0o070 and not kept & 0o070 and kept & 0o007), (
        "an access list that counted goes on counting"
    )


def test_a_list_only_ever_loses_bits() -> None:
    value = access_list((1, 7, NO_ID), (2, 6, OWNER), (4, 5, NO_ID), (16, 7, NO_ID), (32, 1, NO_ID))
    assert narrowed_list(value, READ) == access_list(
        (1, 4, NO_ID), (2, 4, OWNER), (4, 4, NO_ID), (16, 4, NO_ID), (32, 0, NO_ID)
    )


def test_owners_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    owners = Owners()
    status = list((tmp_path / "file").stat())
    status[0], status[4] = 0o100644, OWNER
    owners.note(b"/file", os.stat_result(status))
    assert owners.allow(b"/file", OTHER), "what everybody may read is nobody's secret"
    status[0] = 0o100600
    owners.note(b"/file", os.stat_result(status))
    assert (owners.allow(b"/file", OWNER), owners.allow(b"/file", OTHER), owners.allow(b"/else", OTHER)) == (
        True,
        False,
        True,
    )
    status[4] = OTHER
    owners.note(b"/file", os.stat_result(status))
    assert not owners.allow(b"/file", OWNER)
    assert not owners.allow(b"/file", OTHER)
