"""Programs that use io_uring: the same bytes and the same files as on the plain directory, in every mode and by every way in."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from compiler import WIDTHS

import fmrw
from fmrw.capture.recorder import rings
from fmrw.capture.system import seccomp
from fmrw.recording import mounts, trial
from fmrw.recording.children import start_without_io_uring
from fmrw.recording.remarks import ringing, withheld

if TYPE_CHECKING:
    from collections.abc import Callable

    Built = Callable[[str, int], str]

pytestmark = pytest.mark.mount

CONTENT = bytes(range(256)) * 400 + b"the end"
_LIMIT_S = 600
PROGRAM = """
    import contextlib, hashlib, json, os, sys
    from fmrw.capture.system.ring import CURRENT, SQPOLL, Ring

    words = sys.argv[1:]
    worker = "worker" in words

    class Calls:
        "What programs do that find no io_uring."
        def read(self, fd, size, offset=CURRENT, worker=False):
            return os.read(fd, size) if offset == CURRENT else os.pread(fd, size, offset)
        def write(self, fd, data, offset=CURRENT, worker=False):
            return os.write(fd, data) if offset == CURRENT else os.pwrite(fd, data, offset)

    late = os.open("file", os.O_RDONLY) if "late" in words else None
    try:
        ring = Ring(SQPOLL if "sqpoll" in words else 0)
    except OSError:
        ring = Calls()
    file = os.open("file", os.O_RDONLY) if late is None else late
    size = os.fstat(file).st_size
    got = [ring.read(file, 1000, worker=worker) for _ in range(3)]
    end = [ring.read(file, 1000, offset, worker=worker) for offset in (size - 100, size, 5000, size - 4097)]
    made = os.open("made", os.O_RDWR | os.O_CREAT, 0o644)
    for number in range(4):
        ring.write(made, b"%d" % number * (500 + number), worker=worker)
    ring.write(made, b"over", 700, worker=worker)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in range(3):
        ring.write(log, b"line %d\\n" % number, worker=worker)
    shown = [len(part) for part in got + end] + [hashlib.md5(b"".join(got + end)).hexdigest()]
    print(json.dumps([shown, os.lseek(file, 0, 1), os.lseek(made, 0, 1)]))
    print(type(ring).__name__, file=sys.stderr)
    """
WORDS = ([], ["worker"], ["sqpoll"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    made.mkdir()
    (made / "file").write_bytes(CONTENT)
    return made


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(PROGRAM), *words]


def perform(folder: Path, words: list[str]) -> tuple[str, str]:
    done = subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, check=True, timeout=_LIMIT_S
    )
    return done.stdout, done.stderr


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module", params=WORDS, ids=lambda words: "-".join(words) or "inline")
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401
    """What happens on the plain directory: the words, what is printed, the files."""
    plain = tmp_path_factory.mktemp("plain")
    (plain / "file").write_bytes(CONTENT)
    out, way = perform(plain, request.param)
    assert way == "Ring\n", "this machine has io_uring"
    assert json.loads(out)[0][:7] == [1000, 1000, 1000, 100, 0, 1000, 1000]
    return request.param, out, left(plain)


MODES = pytest.mark.parametrize("capture", ["exact", "paged", "cached"])


@MODES
@pytest.mark.parametrize("worker", ["process", "thread"])
def test_under_a_mount(capture: str, worker: str, folder: Path, expected: Any) -> None:  # noqa: ANN401
    words, out, files = expected
    with fmrw.mount(folder, capture=capture, worker=worker, reports="off") as mount:  # type: ignore[arg-type]
        assert perform(folder, words) == (out, "Ring\n")
    assert left(folder) == files
    read = mount.trace.of("file").filter(pl.col("op") == "read")
    assert set(read["fidelity"]) == {"page"}
    assert [(ring["late"], ring["hidden"]) for ring in mount.trace.facts["rings"]] == [(False, False)] * (
        capture == "exact"
    )
    assert mount.trace.facts["faults"] == 0


@MODES
@pytest.mark.parametrize("allowed", [False, True])
def test_under_run(capture: str, allowed: bool, folder: Path, expected: Any, tmp_path: Path) -> None:  # noqa: ANN401, FBT001
    words, out, files = expected
    words = [*words, "--io-uring"] if allowed else words
    done = subprocess.run(
        [sys.executable, "-m", "fmrw", "run", folder, "--capture", capture, "-o", tmp_path / "out", "--no-reports",
         *(["--io-uring"] if allowed else []), "--", *command(*words)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(out)
    assert left(folder) == files
    uses = allowed or capture != "exact"
    assert done.stderr.startswith("Ring\n" if uses else "Calls\n")
    assert ("uses io_uring" in done.stderr) == (allowed and capture == "exact")
    trace = fmrw.load(tmp_path / "out")
    assert set(trace.of("file").filter(pl.col("op") == "read")["fidelity"]) == {"page" if uses else "byte"}


@pytest.mark.parametrize("words", [["late"], ["late", "worker"], ["late", "sqpoll"]], ids="-".join)
def test_a_ring_that_is_set_up_too_late_is_told_of(words: list[str], folder: Path) -> None:
    with fmrw.mount(folder) as mount:
        shown, _way = perform(folder, words)
        (row,) = [row for row in mounts.status() if row["root"] == str(folder)]
    assert json.loads(shown)[0][3:7] == [100, 0, 1000, 1000], "at offsets of its own it reads what is there"
    facts = mount.trace.facts
    assert facts["rings"] == row["rings"]
    (found,) = [ring for ring in facts["rings"] if ring["late"]]
    assert found["pid"] in set(mount.trace.events["pid"])
    (note,) = [note for note in ringing(facts) if f"[{found['pid']}]" in note and "WRONG BYTES" in note]
    assert note in row["notes"]
    assert "fmrw run" in note


def test_who_uses_no_ring_is_not_named(folder: Path) -> None:
    with fmrw.mount(folder) as mount:
        subprocess.run(["cat", folder / "file"], check=True, stdout=subprocess.DEVNULL)
    assert mount.trace.facts["rings"] == []
    assert set(mount.trace.of("file")["fidelity"]) == {"byte"}


def test_a_ring_among_many_descriptors_is_found(folder: Path) -> None:
    program = """
        import os
        from fmrw.capture.system.ring import Ring
        many = [os.open("file", os.O_RDONLY) for _ in range(200)]
        ring = Ring()
        for _ in range(5):
            file = os.open("file", os.O_RDONLY)
            assert [ring.read(file, 10) for _ in range(3)] == [os.pread(many[-1], 10, at) for at in (0, 10, 20)]
        """
    with fmrw.mount(folder) as mount:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)], cwd=folder, check=True, timeout=_LIMIT_S
        )
    assert [ring["late"] for ring in mount.trace.facts["rings"]] == [True], (
        "the others had been opened before"
    )


class Table(dict[int, str]):
    """A process's descriptors: what each number refers to. Counts how often they are listed."""

    listed = 0

    def names(self, _tid: int) -> list[str]:
        self.listed += 1
        return [str(number) for number in self]

    def target(self, _tid: int, name: str) -> str:
        return self.get(int(name), "")

    def add(self, target: str) -> int:
        """Open something at the lowest free number, as the kernel does."""
        number = next(number for number in range(len(self) + 1) if number not in self)
        self[number] = target
        return number


RING = "anon_inode:[io_uring]"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Table:
    """Two hundred descriptors, as Python sees them."""
    monkeypatch.setenv("FMRW_NATIVE", "0")
    table = Table.fromkeys(range(200), "/file")
    monkeypatch.setattr(rings, "descriptors", table.names)
    monkeypatch.setattr(rings, "target_of", table.target)
    return table


def look(looks: rings.Rings, times: int = 1) -> list[bool]:
    return [looks.may_use(os.getpid()) for _ in range(times)]


def test_a_ring_among_many_descriptors_is_seen_at_every_look(many: Table) -> None:
    looks = rings.Rings(lambda _found: None)
    assert not any(look(looks, 2))
    ring = many.add(RING)
    for _ in range(100):
        assert look(looks) == [True]
        many.add("/file")
    del many[ring]
    assert not any(look(looks, 50))


def test_a_ring_among_many_descriptors_takes_the_lowest_free_number(many: Table) -> None:
    del many[20], many[40]
    looks = rings.Rings(lambda _found: None)
    assert not any(look(looks, 2))
    many.add("/file")
    assert many.add(RING) == 40
    assert look(looks) == [True]


@pytest.mark.parametrize("number", [100, 1000])
def test_a_ring_at_another_number_is_seen_in_its_turn(many: Table, number: int) -> None:
    looks = rings.Rings(lambda _found: None)
    assert not any(look(looks, 2))
    many[number] = RING
    assert any(look(looks, 2 + 200 // 16))


def test_many_descriptors_are_seldom_listed(many: Table) -> None:
    looks = rings.Rings(lambda _found: None)
    assert not any(look(looks, 200))
    assert many.listed == 1 + 200 // 13 == 16  # 13 turns of 16 are 200


def test_another_process_of_the_same_number_is_listed_anew(many: Table) -> None:
    looks = rings.Rings(lambda _found: None)
    assert not any(look(looks, 2))
    many.clear()
    many |= {0: "/dev/null", 1: "/dev/null", 2: "/dev/null", 3: RING}
    assert look(looks) == [True]


@pytest.fixture(params=["0", "1"], ids=["Python", "C"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python look, and the compiled code."""
    monkeypatch.setenv("FMRW_NATIVE", request.param)


@pytest.mark.usefixtures("either")
def test_a_process_is_looked_at_as_long_as_it_lives() -> None:
    ring = "from fmrw.capture.system.ring import Ring; ring = Ring()"
    many = "import os; many = [os.dup(0) for _ in range(200)]"
    told, found = [], list[rings.Finding]()
    looks = rings.Rings(found.append)
    for program in ("", ring, many, f"{many}; {ring}", f"{ring}; {many}"):
        with subprocess.Popen(
            [sys.executable, "-c", f"{program}\nprint(flush=True); input()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as child:  # fmt: skip
            assert child.stdout is not None
            child.stdout.readline()
            told.append(looks.may_use(child.pid))
            child.kill()
        assert not looks.may_use(child.pid), "it is gone"
    assert told == [False, True, False, True, True]
    assert len(found) == 3


@pytest.mark.usefixtures("either")
def test_who_may_not_be_looked_at_is_served_by_the_page() -> None:
    found: list[rings.Finding] = []
    looks = rings.Rings(found.append)
    refused = pytest.MonkeyPatch()

    def refuse(_tid: int) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with refused.context() as patch:
        patch.setattr(rings, "descriptors", refuse)
        if looks._look is not None:
            patch.setattr(looks, "_look", refuse)
        assert looks.may_use(os.getpid())
        assert looks.may_use(os.getpid())
    assert [(who.pid, who.hidden) for who in found] == [(os.getpid(), True)], "once"
    assert not looks.may_use(os.getpid())
    assert "may not be looked at" in ringing({"rings": [found[0]._asdict()]})[0]


def test_where_io_uring_is_forbidden_nobody_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings, "forbids_rings", lambda: True)
    monkeypatch.setattr(rings, "descriptors", lambda _tid: pytest.fail("looked"))
    looks = rings.Rings(lambda _found: None)
    monkeypatch.setattr(looks, "_look", lambda _tid: pytest.fail("looked"))
    assert not looks.may_use(os.getpid())


def test_a_report_is_read_through_a_ring(folder: Path) -> None:
    program = """
        import os
        from fmrw.capture.system.ring import Ring
        with Ring() as ring, open("file", "rb") as file:
            file.read(10)
            report = os.open("file.csv", os.O_RDONLY)
            print(ring.read(report, 6).decode() + ring.read(report, 8).decode())
        """
    with fmrw.mount(folder, reports="hidden"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            cwd=folder, check=True, timeout=_LIMIT_S, capture_output=True, text=True,
        )  # fmt: skip
    assert done.stdout == '"Time","Access\n'


def test_programs_of_other_people(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(folder, plain)
    program = """
        import asyncio, hashlib
        from aiofile import async_open
        async def main():
            async with async_open("file", "rb") as file:
                print(hashlib.md5(await file.read()).hexdigest(), len(await file.read(10)))
            async with async_open("copy", "wb+") as file:
                for number in range(20):
                    await file.write(b"%d" % number * 999)
                file.seek(5000)
                print(await file.read(20))
        asyncio.run(main())
        """
    script = [sys.executable, "-c", textwrap.dedent(program)]
    said = subprocess.run(script, cwd=plain, check=True, capture_output=True, timeout=_LIMIT_S).stdout
    with fmrw.mount(folder) as mount:
        assert (
            subprocess.run(script, cwd=folder, check=True, capture_output=True, timeout=_LIMIT_S).stdout
            == said
        )
    assert left(folder) == left(plain)
    assert mount.trace.facts["faults"] == 0


NODE = """
    const fs = require("fs/promises"), crypto = require("crypto");
    (async () => {
      const file = await fs.open("file"), parts = [];
      for (let i = 0; i < 5; i++) {
        const buffer = Buffer.alloc(1000);
        parts.push(buffer.subarray(0, (await file.read(buffer, 0, 1000, null)).bytesRead));
      }
      parts.push(await file.readFile());
      await file.close();
      const made = await fs.open("made", "w+");
      for (let i = 0; i < 5; i++) await made.write(Buffer.from(String(i).repeat(700 + i)), 0, 700 + i, null);
      await made.close();
      await fs.appendFile("made", "the end");
      await fs.copyFile("made", "copy");
      console.log(crypto.createHash("md5").update(Buffer.concat(parts)).digest("hex"));
    })();
    """


@pytest.mark.soak
@MODES
def test_node(capture: str, folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(folder, plain)
    said = _node(plain)
    assert said.strip() == hashlib.md5(CONTENT).hexdigest()  # noqa: S324 - no secret
    with fmrw.mount(folder, capture=capture):  # type: ignore[arg-type]  # a str here
        assert _node(folder) == said
    assert left(folder) == left(plain)


def _node(folder: Path) -> str:
    done = subprocess.run(
        ["node", "-e", textwrap.dedent(NODE)], env={**os.environ, "UV_USE_IO_URING": "1"},
        cwd=folder, check=True, capture_output=True, text=True, timeout=_LIMIT_S,
    )  # fmt: skip
    return done.stdout


# The filter


def allowed(architecture: int, number: int) -> bool:
    """Run the filter as the kernel would; give whether the call passes."""
    data = {0: number, 4: architecture}
    rows, at, register = seccomp._filter(), 0, 0
    while True:
        row = rows[at]
        at += 1
        if row.code == seccomp._LOAD:
            register = data[row.value]
        elif row.code == seccomp._AND:
            register &= row.value
        elif row.code == seccomp._EQUALS:
            at += row.true if register == row.value else row.false
        else:
            assert row.code == seccomp._RETURN
            assert row.value in (seccomp._ALLOW, seccomp._ERROR | errno.ENOSYS)
            return int(row.value) == seccomp._ALLOW


@pytest.mark.parametrize("architecture", seccomp._ARCHITECTURES)
@pytest.mark.parametrize("extra", [0, seccomp._X32])
def test_only_the_setup_is_refused(architecture: int, extra: int) -> None:
    assert [number for number in range(600) if not allowed(architecture, number | extra)] == [425]


def test_nothing_is_refused_on_an_architecture_that_is_not_known() -> None:
    assert all(allowed(0xC00000F3, number) for number in range(600))  # riscv64


STATUS = """
    import ctypes, subprocess, sys
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(425, 0, None)
    own = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", "Seccomp:"))]
    print(ctypes.get_errno(), *own, flush=True)
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, __file__, "again"])
    """


@pytest.fixture
def status(tmp_path: Path) -> list[str]:
    script = tmp_path / "status.py"
    script.write_text(textwrap.dedent(STATUS))
    return [sys.executable, str(script)]


def own_filters() -> str:
    """Give what `status` prints of this process's first thread; one that has been joined may still end."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return " ".join(line.split()[1] for line in lines if line.startswith(("NoNewPrivs", "Seccomp:")))


@pytest.mark.root("others need to give up what set-uid programs give")
def test_children_of_children_are_told_too_and_we_are_not(status: list[str]) -> None:
    before = own_filters()
    child, how = start_without_io_uring(status, stdout=subprocess.PIPE, text=True)
    assert child.communicate(timeout=_LIMIT_S)[0] == f"{errno.ENOSYS} 0 2\n" * 2
    assert how == seccomp.Withheld.YES.value
    assert own_filters() == before
    assert seccomp.is_there()


WITHOUT_PRIVILEGES = """
    import ctypes, subprocess, sys
    from fmrw.recording.children import start_without_io_uring
    PR_CAPBSET_DROP, CAP_SYS_ADMIN = 24, 21
    if sys.argv[1] == "drop":
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0)
        raise SystemExit(subprocess.call([sys.executable, "-c", *sys.argv[3:4], "go", *sys.argv[3:]]))
    child, how = start_without_io_uring(sys.argv[3:])
    child.wait()
    print(how)
    """


def test_who_may_not_filter_otherwise_gives_up_privileges(status: list[str]) -> None:
    code = textwrap.dedent(WITHOUT_PRIVILEGES)
    done = subprocess.run(
        [sys.executable, "-c", code, "drop" if os.geteuid() == 0 else "go", "", code, *status] if os.geteuid() == 0 else [sys.executable, "-c", code, "go", "", *status],
        capture_output=True, text=True, check=True, timeout=_LIMIT_S,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == f"{errno.ENOSYS} 1 2"
    assert done.stdout.splitlines()[-1] == seccomp.Withheld.WITHOUT_PRIVILEGES.value
    assert "--io-uring" in withheld(done.stdout.splitlines()[-1])[0]


def test_a_filter_that_is_refused_is_told_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_SYS_SECCOMP", None)  # as where a filter forbids seccomp(2)
    monkeypatch.chdir(folder)
    done = fmrw.run(command(), folder)
    assert done.status == 0
    assert done.io_uring == seccomp.Withheld.REFUSED.value
    assert "seccomp" in withheld(done.io_uring)[0]
    assert [ring["late"] for ring in done.trace.facts["rings"]] == [False]


def test_where_there_is_no_io_uring_nothing_is_filtered(
    status: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "is_there", lambda: False)
    child, how = start_without_io_uring(status, stdout=subprocess.PIPE, text=True)
    assert child.communicate(timeout=_LIMIT_S)[0].splitlines()[0].endswith(own_filters())
    assert (how, withheld(how)) == (seccomp.Withheld.NEEDLESS.value, [])


FIO = ["fio", "--name=x", "--ioengine=io_uring"]


@pytest.mark.parametrize(
    ("how", "command", "well", "said"),
    [
        (seccomp.Withheld.YES, FIO, False, True),
        (seccomp.Withheld.YES, ["sh", "-c", "cat /usr/lib/liburing.so"], False, True),
        (seccomp.Withheld.YES, FIO, True, False),  # it did without
        (seccomp.Withheld.YES, ["fio", "--ioengine=psync", "measuring"], False, False),
        (seccomp.Withheld.YES, ["./io_uring"], False, False),
        (seccomp.Withheld.NEEDLESS, FIO, False, False),
    ],
)
def test_who_names_io_uring_and_fails_is_told_how_to_have_it(
    how: seccomp.Withheld, command: list[str], *, well: bool, said: bool
) -> None:
    told = withheld(how.value, command, well=well)
    assert [each.startswith("io_uring was withheld from the command, which names it; --io-uring") for each in told] == [True] * said  # fmt: skip


def test_a_command_that_fails_for_want_of_io_uring_is_told_once(folder: Path) -> None:
    for script, count in ((": ioengine=io_uring; exit 1", 1), (": ioengine=io_uring; cat file | wc -c", 0)):
        done = subprocess.run(
            [sys.executable, "-m", "fmrw", "run", folder, "--", "sh", "-c", script],
            cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT_S,
        )  # fmt: skip
        told = [line for line in done.stderr.splitlines() if "--io-uring" in line]
        assert len(told) == count or os.geteuid() != 0  # others are told in any case
        assert len(told) <= 1


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_program_of_any_width_is_told(bits: int, built: Built, folder: Path) -> None:
    big = folder / "big"
    big.write_bytes(bytes(1 << 20))
    options: dict[str, Any] = {"cwd": folder, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    program = [built("asynchronous", bits), "ring-read", "big", "1000", "2"]
    child, _how = start_without_io_uring(program, **options)
    assert os.strerror(errno.ENOSYS).encode() in child.communicate(timeout=_LIMIT_S)[1]
    assert child.returncode
    assert subprocess.run(program, check=True, **options).returncode == 0


def test_a_program_that_is_not_there_cannot_be_started(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        start_without_io_uring([str(folder / "nothing")])
    assert fmrw.run([folder / "nothing"], folder).status == 127
    assert fmrw.run([folder / "file"], folder).status == 126


def test_the_doctor_tries_the_kernel() -> None:
    found = trial.kernel()
    assert found["maps"] is True
    assert found["position"] in (True, False)
    told = {finding.what: finding for finding in fmrw.doctor()}
    assert told["shared maps"].well
    assert ("goes wrong" in told["io_uring"].found) == (found["position"] is False)
