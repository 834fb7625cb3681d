"""The engine: what runs see, what is known of them, and that nothing is left."""

from __future__ import annotations

import hashlib
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import fuse
import psutil
import pytest
from inotify import IN_ACCESS, Inotify
from namespaces import apart

import fmrw
from fmrw.capture.native import pairs
from fmrw.errors import AlreadyMounted, MountError
from fmrw.experiments import patches, shared, spawn
from fmrw.experiments.jobs import Job, Limits
from fmrw.experiments.native import NativeSlots
from fmrw.experiments.runs import Runs
from fmrw.experiments.shared import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.experiments.observation import Observation

WRITTEN = "/tmp/fmrw-written"  # noqa: S108 - in an overlay
pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    path = folder / "a file.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=["compiled", "python"])
def runs(file: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setenv("FMRW_NATIVE", "1" if request.param == "compiled" else "0")
    with Runs(file.parent, slots=2, folder=file.parent) as made:
        yield made


def python(runs: Runs, code: str, *arguments: str, **options: object) -> Observation:
    return runs.run([sys.executable, "-c", textwrap.dedent(code), *arguments], **options)  # type: ignore[arg-type]


def test_what_is_compiled_was_made_for_this_memory(file: Path) -> None:
    """Else everything above is done in Python, and nobody notices."""
    memory, root = shared.memory(), os.open(file.parent, os.O_PATH)
    slot = Slot(memory)
    try:
        assert NativeSlots.load(root, [slot], grain=0) is not None, "python -m fmrw.capture.native.build"
        spawn.require_same_memory(pairs.code())
    finally:
        slot.close()
        os.close(memory)
        os.close(root)


# What runs see


def test_every_slot_shows_the_directory_at_its_real_path(runs: Runs, file: Path) -> None:
    command = ["sh", "-c", f"pwd; ls -i; sha256sum '{file}'; stat -c '%s %Y %i' '{file}'"]
    plain = subprocess.run(
        command,
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    seen = [observation.stdout.text for _job, observation in runs.map([Job(command)] * 6)]
    assert seen == [plain.stdout] * 6


def test_experiments_hold_no_other_directory_that_is_monitored(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with fmrw.mount(other) as mount, Runs(file.parent, slots=1, folder=file.parent) as runs:
        assert runs.run(["ls", other]).ending == "status 0"
        mount.unmount()
        assert not psutil.pid_exists(mount.worker_pid)
        assert runs.run(["xxd", "-l", "1", str(file)]).stdout.text.startswith("00000000: 00")


def test_bytes_are_altered_as_they_are_read_and_the_file_is_not(runs: Runs, file: Path) -> None:
    before = file.stat()
    seen = runs.run(
        ["xxd", "-p", "-l", "8", str(file)],
        file=file,
        patches=[patches.xor(1, 2, 0xFF), *patches.data(4, b"ab")],
    )
    assert seen.stdout.text == "00fe020361620607\n"
    assert runs.run(["xxd", "-p", "-l", "8", str(file)], file=file).stdout.text == "0001020304050607\n"
    after = file.stat()
    assert file.read_bytes() == CONTENT
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_atime_ns) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_atime_ns,
    )


def test_every_kind_of_patch_alters_what_lies_in_it_and_nothing_else(runs: Runs, file: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - the same every time
    for piece in (1, 700, 4096):
        edges = sorted(chance.sample(range(len(CONTENT)), 200))
        made = [
            chance.choice(
                [patches.fill, patches.add, patches.xor, patches.keyed, lambda start, _end, value: patches.data(start, bytes([value]))[0]]
            )(start, end, chance.randrange(1, 256))
            for start, end in zip(edges[::2], edges[1::2], strict=True)
        ]  # fmt: skip
        expected = bytearray(CONTENT)
        for patch in made:
            expected[patch.start : patch.end] = patches.altered(
                patch, patch.start, CONTENT[patch.start : patch.end]
            )
        command = ["dd", f"if={file}", f"bs={piece}", f"skip={3000 // piece}", "count=2500", "status=none"]
        seen = runs.run(command, file=file, patches=made)
        wanted = bytes(expected[3000 // piece * piece :][: 2500 * piece])
        assert seen.stdout.head == wanted


def test_a_key_that_is_new_is_known_at_once(runs: Runs, file: Path) -> None:
    for key in range(200):
        seen = runs.run(["xxd", "-p", "-l", "4", "-s", "300", str(file)], file=file, patches=[patches.keyed(301, 303, key)])  # fmt: skip
        a, b = patches.pattern(key, 301, 303)
        assert seen.stdout.text == f"2c{0x2D ^ a:02x}{0x2E ^ b:02x}2f\n"


def test_patches_are_about_one_file_by_whatever_name(runs: Runs, file: Path) -> None:
    os.link(file, file.parent / "other name")
    shutil.copy(file, file.parent / "copy")
    command = ["sh", "-c", "xxd -p -l 1 'other name'; xxd -p -l 1 copy"]
    assert runs.run(command, file=file, patches=[patches.fill(0, 1, 0x77)]).stdout.text == "77\n00\n"


@pytest.mark.parametrize("how", ["MAP_PRIVATE", "MAP_SHARED"])
def test_mapped_files_are_altered_too_and_afresh_in_each_run(runs: Runs, file: Path, how: str) -> None:
    code = f"""
        import mmap, sys
        with open(sys.argv[1], "rb") as f:
            print(mmap.mmap(f.fileno(), 0, flags=mmap.{how}, prot=mmap.PROT_READ)[5000:5003].hex())
    """
    seen = [
        python(runs, code, str(file), file=file, patches=[patches.fill(5001, 5002, value)])
        for value in range(12)
    ]
    assert [each.stdout.text for each in seen] == [f"88{value:02x}8a\n" for value in range(12)]
    assert all(access.page for each in seen for access in each.accesses if access.op == "read")


def test_a_file_may_seem_shorter(runs: Runs, file: Path) -> None:
    assert (
        runs.run(["sh", "-c", f"wc -c < '{file}'; cat '{file}' | wc -c"], file=file, cut=100).stdout.text
        == "100\n100\n"
    )


def test_accesses_are_what_strace_sees(runs: Runs, file: Path, tmp_path: Path) -> None:
    code = "import os; f = os.open('a file.bin', 0); os.pread(f, 10, 5); os.read(f, 700); os.pread(f, 50, len(os.read(f, 1)) + 10230)"
    seen = python(runs, code)
    log = tmp_path / "log"
    subprocess.run(
        ["strace", "-o", log, "-e", "trace=read,pread64", "-P", file, sys.executable, "-c", code],
        check=True,
        cwd=file.parent,
    )
    lengths = [int(length) for length in re.findall(r"= (\d+)$", log.read_text(), re.MULTILINE)]
    reads = [access for access in seen.accesses.of(b"a file.bin") if access.op == "read"]
    assert [access.end - access.start for access in reads] == lengths == [10, 700, 1, 9]
    assert [access.start for access in reads] == [5, 0, 700, 10231]
    assert seen.accesses.extents(b"a file.bin") == [(0, 701), (10231, 10240)]


def test_every_file_that_is_read_has_its_name(runs: Runs, file: Path) -> None:
    names = [f"{number:0{1 + number % 60}}" for number in range(2000)]
    for name in names:
        (file.parent / name).write_text(name)
    command = ["cat", *names, *names[:50]]
    for _again in range(2):
        seen = runs.run(command)
        assert seen.stdout.text == "".join(command[1:])
        reads = [access for access in seen.accesses if access.op == "read" and access.end > access.start]
        assert [os.fsdecode(access.path) for access in reads] == command[1:]
        assert [access.end for access in reads] == [len(name) for name in command[1:]]


def test_runs_are_alike_in_number_of_process_addresses_and_variables(runs: Runs) -> None:
    code = "import os, time; print(os.getpid(), os.getppid(), open('/proc/self/maps').read().splitlines()[-3:], hash('a'), time.tzname)"
    assert (
        len(
            {
                observation.stdout.text
                for _job, observation in runs.map([Job([sys.executable, "-c", code])] * 6)
            }
        )
        == 1
    )


def test_there_is_no_network_no_input_and_no_terminal(runs: Runs) -> None:
    code = """
        import os, socket, sys
        print(repr(sys.stdin.read()))
        try:
            socket.create_connection(("127.0.0.1", 9), 1)
        except OSError as error:
            print(error.errno)
        try:
            os.open("/dev/tty", os.O_RDWR)
        except OSError as error:
            print(error.errno)
    """
    assert python(runs, code).stdout.text == "''\n101\n6\n"


# What is known of them


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("exit 3", "status 3"),
        ("kill -SEGV $$", "signal 11"),
        ("kill -9 $$", "signal 9"),
        ("true", "status 0"),
    ],
)
def test_the_ending_is_told(runs: Runs, code: str, ending: str) -> None:
    assert runs.run(["sh", "-c", code]).ending == ending


def test_a_command_that_cannot_be_started_says_why(runs: Runs, file: Path) -> None:
    assert "No such file" in runs.run(["there-is-no-such-program"]).error
    assert "ermission" in runs.run([str(file)]).error
    assert "No such file" in runs.run(["true"], file=file.parent / "gone").error
    assert "NUL" in runs.run(["true", "a\0b"]).error
    assert "too long" in runs.run(["true", "a" * (5 << 20)]).error
    assert runs.run(["true"]).ok


def test_outputs_are_whole_and_apart(runs: Runs) -> None:
    seen = python(runs, "import sys; sys.stdout.write('x' * 3_000_000); sys.stderr.write('y' * 5)")
    assert (seen.stdout.size, seen.stdout.digest) == (
        3_000_000,
        hashlib.blake2b(b"x" * 3_000_000, digest_size=16).digest(),
    )
    assert seen.stderr.head == b"y" * 5
    assert runs.run(["true"]).stdout.size == 0


@pytest.mark.parametrize(
    ("code", "limits", "over"),
    [
        ("while True: pass", Limits(cpu=0.2), "cpu"),
        ("import time; time.sleep(1000)", Limits(seconds=0.3), "time"),
        (
            "import signal, time; signal.pthread_sigmask(0, range(1, 60)); time.sleep(1000)",
            Limits(seconds=0.3),
            "time",
        ),
    ],
)
def test_who_goes_over_a_limit_is_killed(runs: Runs, code: str, limits: Limits, over: str) -> None:
    assert python(runs, code, limits=limits).timeout == over
    assert runs.run(["true"]).ok


def test_memory_and_outputs_are_bounded(runs: Runs) -> None:
    hungry = python(runs, "x = bytearray(600 << 20); print('had it')", limits=Limits(memory=300 << 20))
    assert "MemoryError" in hungry.stderr.text
    talkative = python(
        runs, "import os\nwhile True: os.write(1, b'x' * 65536)", limits=Limits(output=1 << 20)
    )
    assert "File too large" in talkative.stderr.text
    assert talkative.stdout.size == 1 << 20


def test_a_full_disk_is_the_runs_own(runs: Runs) -> None:
    code = "import os\nwith open('/tmp/big', 'wb') as f:\n  while True: f.write(b'x' * (1 << 20))"
    with Runs(runs.directory, slots=1, most_written=4 << 20, folder=runs.directory) as small:
        assert "No space left" in python(small, code).stderr.text
        assert python(small, "open('/tmp/small', 'w').write('x')").ok


def test_what_is_left_behind_is_ended_before_the_next_run(runs: Runs) -> None:
    seen = python(
        runs,
        """
        import os, time
        for _ in range(3):
            if not os.fork():
                os.setsid()
                if os.fork():
                    os._exit(0)
                os.closerange(0, 100)
                time.sleep(1000)
        """,
    )
    assert seen.ok
    assert seen.left >= 3
    assert runs.run(["sh", "-c", "ps ax -o args | grep -c '[t]ime.sleep(1000)'"]).stdout.text == "0\n"


def test_a_command_that_forks_without_end_costs_its_own_run(runs: Runs) -> None:
    """From Linux 6.14 on it is stopped at its limit, before that by what it can make; none is left in any case."""
    counted = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2]) >= (6, 14)
    code = """
        import os, signal
        made = 0
        try:
            while made < 1000:  # where nothing is limited, this is enough
                if not os.fork():
                    os.setsid()
                    signal.pause()
                made += 1
        except BlockingIOError:
            pass
        print(made)
    """
    seen = python(runs, code, limits=Limits(processes=400))
    assert seen.ok
    if counted:
        assert 300 < int(seen.stdout.text) < 400
    assert seen.left == int(seen.stdout.text)
    after = [
        observation.stdout.text
        for _job, observation in runs.map([Job(["sh", "-c", "ls -d /proc/[0-9]* | wc -l"])] * 2)
    ]
    assert {int(text) for text in after} <= {3, 4}, "the runner, the shell and its own"


# Nothing is changed


def test_what_is_written_is_told_and_gone(runs: Runs, file: Path) -> None:
    command = [
        "sh",
        "-c",
        f"echo new > out; echo x >> '{file}'; mkdir -p deep/er; echo y > {WRITTEN}; ln -s target link; cat out {WRITTEN}",
    ]
    for seen in [observation for _job, observation in runs.map([Job(command)] * 4)]:
        assert seen.stdout.text == "new\ny\n"
        found = {os.fsdecode(each.path): (each.kind, each.size) for each in seen.written}
        folder = str(file.parent)
        assert found == {
            f"{folder}/out": ("file", 4), str(file): ("file", len(CONTENT) + 2), f"{folder}/deep/er": ("directory", 0),
            f"{folder}/link": ("link", 6), WRITTEN: ("file", 2),
        }  # fmt: skip
    assert sorted(file.parent.iterdir()) == [file]
    assert file.read_bytes() == CONTENT
    assert not Path(WRITTEN).exists()


def test_removals_are_told_and_undone(runs: Runs, file: Path) -> None:
    seen = runs.run(["rm", str(file)])
    assert [(os.fsdecode(each.path), each.kind) for each in seen.written] == [(str(file), "removed")]
    assert file.read_bytes() == CONTENT


def test_without_an_overlay_the_directory_is_read_only(file: Path) -> None:
    with Runs(file.parent, slots=1, writable=False, folder=file.parent) as runs:
        seen = runs.run(["sh", "-c", "echo x > new; rm *; chmod 777 *; mv * other; echo x >> *"])
        assert seen.stderr.text.count("Read-only file system") == 5
        assert seen.refused >= 5


def test_elsewhere_nobody_may_write(runs: Runs) -> None:
    assert "Read-only" in runs.run(["sh", "-c", "touch /usr/fmrw-test /etc/fmrw-test"]).stderr.text


# How it ends


def test_jobs_come_in_order_where_that_is_wanted(runs: Runs) -> None:
    jobs = [Job(["sh", "-c", f"sleep 0.0{9 - number}; echo {number}"]) for number in range(10)]
    assert [observation.stdout.text.strip() for _job, observation in runs.map(jobs, ordered=True)] == [
        str(n) for n in range(10)
    ]


def test_who_stops_listening_stops_the_runs(runs: Runs) -> None:
    for _job, observation in runs.map([Job(["true"]), *[Job(["sleep", "1000"])] * 3]):
        assert observation.ok
        break
    assert runs.run(["sh", "-c", "ps ax | grep -c '[s]leep 1000'"]).stdout.text == "0\n"


def test_a_generator_that_decides_by_what_was_seen_is_asked_when_there_is_a_slot(file: Path) -> None:
    seen: list[Observation] = []

    def jobs() -> Iterator[Job]:
        for number in range(12):
            assert len(seen) == number
            yield Job(["echo", str(number)])

    with Runs(file.parent, slots=1) as runs:
        for _job, observation in runs.map(jobs(), ahead=False):
            seen.append(observation)
    assert [each.stdout.text for each in seen] == [f"{number}\n" for number in range(12)]


def test_runs_that_wait_for_others_see_what_is_theirs(runs: Runs, file: Path) -> None:
    """Also where one of them is the first that wants to write: those behind it are run again with it."""
    script = f"xxd -p -l 1 '{file}'; test $1 -lt 30 || echo $1 > '{file.parent}/new$1'; ls | wc -l"
    jobs = [
        Job(["sh", "-c", script, "sh", str(number)], file, [patches.fill(0, 1, number)], tag=number)
        for number in range(60)
    ]
    found = list(runs.map(jobs))
    assert sorted(job.tag for job, _observation in found) == list(range(60))
    for job, observation in found:
        files = 1 if job.tag < 30 else 2
        assert observation.stdout.text == f"{job.tag:02x}\n{files}\n"
        assert [each.size for each in observation.written] == ([3] if files == 2 else [])


def test_only_the_run_that_ran_is_lost_with_its_slot(file: Path) -> None:
    endings = []
    with Runs(file.parent, slots=1) as runs:
        for number, (_job, observation) in enumerate(runs.map([Job(["true"])] * 100)):
            endings.append(observation.ending)
            if number == 40:
                psutil.Process(runs._lanes[0]._child.pid).kill()
    assert len(endings) == 100
    assert sum("slot" in each for each in endings) <= 1
    assert endings.count("status 0") >= 99


def test_two_directories_at_once_and_one_within_another(runs: Runs, file: Path, tmp_path: Path) -> None:
    with Runs(tmp_path, slots=1) as outer:
        for each in (runs, outer):
            assert (
                each.run(
                    ["xxd", "-p", "-l", "1", str(file)], file=file, patches=[patches.fill(0, 1, 9)]
                ).stdout.text
                == "09\n"
            )


def test_what_is_no_directory_is_refused(file: Path) -> None:
    with pytest.raises(MountError, match="no directory"):
        Runs(file)
    with pytest.raises(MountError, match="folder of its own"):
        Runs("/")


def test_what_is_monitored_is_refused(file: Path) -> None:
    with fmrw.mount(file.parent), pytest.raises(AlreadyMounted, match="fmrw unmount"):
        Runs(file.parent)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_driver_is_killed(file: Path, how: signal.Signals) -> None:
    names = [file.parent / str(number) for number in range(4)]
    for name in names:
        name.write_bytes(b"x")
    stays = 'setsid tail -f "$1" & exec tail -f "$2"'
    commands = [["sh", "-c", stays, "sh", *map(str, pair)] for pair in (names[:2], names[2:])]
    code = f"""
        from fmrw.experiments.runs import Runs, Job
        with Runs({str(file.parent)!r}, slots=2) as runs:
            list(runs.map(Job(each) for each in {commands!r}))
    """
    with Inotify() as changes:
        waited = {changes.add(name, IN_ACCESS) for name in names}
        driver = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.DEVNULL)
        while waited:
            waited -= changes.wait(driver)
    family = psutil.Process(driver.pid).children(recursive=True)
    assert sum(each.name() == "tail" for each in family) == 4
    driver.send_signal(how)
    driver.wait()
    _gone, alive = psutil.wait_procs(family, timeout=600)
    assert alive == []


def test_a_slot_that_dies_is_made_anew(runs: Runs) -> None:
    jobs = [Job(["sh", "-c", "kill -9 1; sleep 0.1; echo alive"]), Job(["true"])]
    assert all(observation.ok for _job, observation in runs.map(jobs)), (
        "who is not init's parent cannot kill it"
    )
    runner = psutil.Process(runs._lanes[0]._child.pid)
    runner.kill()
    runner.wait()
    found = [observation.ending for _job, observation in runs.map([Job(["true"])] * 6)]
    assert found.count("status 0") == 5
    assert sum("slot" in each for each in found) == 1


def test_a_mount_that_dies_is_told(runs: Runs) -> None:
    assert runs.alive
    server = psutil.Process(runs.server)
    server.kill()
    server.wait()
    assert not runs.alive


SYSTEM_PYTHON = Path("/usr/bin/python3")


def test_who_is_not_root_gets_a_user_namespace(own_folders: Path) -> None:
    with tempfile.TemporaryDirectory(dir=own_folders) as made:
        place = Path(made)
        place.chmod(0o777)
        done = _as_nobody(place, _readable_packages(place / "packages"))
    if "forbidden here" in done.stderr:
        pytest.skip("this system forbids user namespaces")
    assert done.stdout.split() == ["65534", "55", "2"], done.stderr


def _readable_packages(folder: Path) -> Path:
    """Copy what a run imports to where everybody may read it, wherever the checkout lies and whatever its modes are."""
    for source in (Path(patches.__file__).parents[1], Path(psutil.__file__).parent):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(fuse.__file__, folder)
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return folder


def _as_nobody(place: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    watched = place / "watched"
    watched.mkdir()
    watched.chmod(0o777)
    file = watched / "file"
    file.write_bytes(CONTENT)
    code = f"""
        from fmrw.experiments.runs import Runs
        from fmrw.experiments import patches
        with Runs({str(watched)!r}, slots=1, folder={str(watched)!r}) as runs:
            print(runs.run(["sh", "-c", "id -u; xxd -p -l 1 *; echo > new; ls | wc -l"], file={str(file)!r},
                           patches=[patches.fill(0, 1, 0x55)]).stdout.text)
    """
    script = place / "script.py"
    script.write_text(textwrap.dedent(code))
    device = place / "fuse"
    os.mknod(device, 0o20666, os.makedev(10, 229))
    device.chmod(0o666)
    who = f"setpriv --reuid 65534 --regid 65534 --clear-groups {SYSTEM_PYTHON} {script}"
    return subprocess.run(
        [*apart(), "sh", "-c", f"mount --bind {device} /dev/fuse && exec {who}"], capture_output=True, text=True,
        check=False, cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "TMPDIR": os.environ["TMPDIR"]},
    )  # fmt: skip
