"""The magics in a real kernel: what is shown, and that nothing stays mounted however the kernel ends.

One kernel serves the tests that leave it alive. Waiting is for a message or for the kernel's table of mounts, which can be polled.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from fmrw.capture.mounts import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(__file__).parents[2] / "data"
GONE_S = 2  # promised for a kernel that was killed, on a machine that is not busy
_WAIT_S = 600
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

pytestmark = [
    pytest.mark.mount,
    # jupyter_client says that its sockets are TCP, and leaves some to the collector
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::RuntimeWarning"
    ),
]


class Kernel:
    """A kernel, and what a notebook would show of it."""

    def __init__(self, folder: Path) -> None:
        self.manager, self.client = start_new_kernel(
            kernel_name="python3", cwd=str(folder), startup_timeout=_WAIT_S
        )
        self.run("%load_ext fmrw\nimport os, signal, subprocess, time\nfrom pathlib import Path")

    def run(self, code: str, during: Callable[[str], object] = str) -> str:
        """Run a cell; give all it put out as text. `during` is told everything so far whenever there is more."""
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            said.append(text_of(message))
            during("".join(said))

        reply = self.client.execute_interactive(code, output_hook=hear, timeout=_WAIT_S)
        self.status = reply["content"]["status"]
        return "".join(said)

    def interrupted(self, code: str, when: str) -> str:
        """Run a cell and interrupt it as a user does, once it has said something."""
        left = [self.manager.interrupt_kernel]

        def stop(said: str) -> None:
            if left and when in said:
                left.pop()()

        return self.run(code, stop)

    def completions(self, code: str) -> list[str]:
        return list(self.client.complete(code, reply=True, timeout=_WAIT_S)["content"]["matches"])

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    text = content.get("text") or "\n".join(content.get("traceback", []))
    return _ANSI.sub("", text or content.get("data", {}).get("text/plain", ""))


def unmounted(root: Path, within_s: float = GONE_S) -> bool:
    """Wait until a directory is no mount any more: the kernel's table of mounts can be polled for changes.

    On a machine with more work than cores it may take in proportion longer.
    """
    with Path("/proc/self/mountinfo").open() as table:
        poll = select.poll()
        poll.register(table, select.POLLERR | select.POLLPRI)
        begun = time.monotonic()
        while registry.mounted_at(root) is not None:
            left = begun + within_s * max(1, *_at_work()) - time.monotonic()
            if left <= 0:
                return False
            poll.poll(min(left, 1) * 1000)
    return True


def _at_work() -> tuple[float, float]:
    """Give how many processes run or wait to: of late, and at this moment, which the first learns of slowly."""
    late, _, _, now, _ = Path("/proc/loadavg").read_text().split()
    return float(late), float(now.partition("/")[0])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel for the tests that leave it alive."""
    made = Kernel(tmp_path_factory.mktemp("kernel"))
    yield made
    made.close()


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "it's {here}"
    folder.mkdir()
    shutil.copy(DATA / "polyglot.pdf", folder)
    return folder


@pytest.fixture
def kernel(shared: Kernel, samples: Path) -> Iterator[Kernel]:
    shared.run(f"where = Path({str(samples)!r})")
    yield shared
    shared.run(
        "from fmrw.recording import mounted as mounting\nfor each in mounting.live(): each.unmount(force=True)"
    )
    assert shared.status == "ok"


@pytest.fixture
def own(tmp_path: Path, samples: Path) -> Iterator[Kernel]:
    """A kernel that may be killed."""
    made = Kernel(tmp_path)
    made.run(f"where = Path({str(samples)!r})")
    yield made
    made.close()


def test_mount_program_gaps_unmount(kernel: Kernel, samples: Path) -> None:
    said = kernel.run("%fmrw mount {where}")
    assert f"monitoring {samples} (exact)" in said
    kernel.run("os.environ['WHERE'] = str(where)\n!head -c 100 \"$WHERE/polyglot.pdf\" >/dev/null")
    assert "0x64  0xb1fd  45,465  99.8 %" in kernel.run("%fmrw gaps $WHERE polyglot.pdf")
    assert "unmounted" in kernel.run("t = %fmrw unmount")
    assert "[100]" in kernel.run("t.files['bytes_read'].to_list()")
    assert registry.mounted_at(samples) is None


def test_a_table_is_shown_once_and_as_html(kernel: Kernel, samples: Path) -> None:
    shown: list[dict[str, str]] = []

    def hear(message: dict[str, Any]) -> None:
        shown.append(message["content"].get("data", {"text/plain": message["content"].get("text", "")}))

    file = shlex.quote(str(samples / "polyglot.pdf"))
    cell = f"%%fmrw run {{where}}\nhead -c 9 {file} > /dev/null\ntail -c 9 {file} > /dev/null"
    kernel.client.execute_interactive(cell, output_hook=hear, timeout=_WAIT_S)
    tables = [data for data in shown if "program" in data.get("text/plain", "")]
    assert [data for data in tables if "<table" not in data.get("text/html", "")] == []
    assert len(tables) == 2, shown  # files by program, processes
    assert "tail [" in tables[0]["text/html"]


def test_output_comes_as_it_is_written(kernel: Kernel) -> None:
    """The cell goes on only when its first words have been seen: nobody would write the file it waits for."""
    fifo = "fifo"
    heard = []

    def during(said: str) -> None:
        if "begun" in said and not heard:
            heard.append(said)
            (folder / fifo).write_text("on\n")

    folder = Path(kernel.run("print(Path.cwd(), end='')"))
    os.mkfifo(folder / fifo)
    said = kernel.run(f"%%fmrw run {{where}}\nprintf begun\nread word < {fifo}\necho $word", during)
    assert "begunon" in said


def test_interrupting_a_cell_of_shell_lines(kernel: Kernel, samples: Path) -> None:
    cell = '%%fmrw run {where}\ncd "$WHERE"\nhead -c 33 polyglot.pdf >/dev/null\necho begun\nsleep 600 | cat'
    kernel.run("os.environ['WHERE'] = str(where)")
    said = kernel.interrupted(cell, when="begun")
    assert kernel.status == "error"
    assert "KeyboardInterrupt" in said
    assert "33 bytes" in said
    assert registry.mounted_at(samples) is None
    assert "[]" in kernel.run(
        "import psutil\n[c.name() for c in psutil.Process().children(True) if c.name() == 'sleep']"
    )
    assert "0x21" in kernel.run("%fmrw gaps {where} polyglot.pdf")


def test_a_program_that_ignores_the_interrupt(kernel: Kernel, samples: Path) -> None:
    kernel.run("os.environ['WHERE'] = str(where)")
    cell = "%%fmrw run {where}\ntrap '' INT\nhead -c 34 \"$WHERE/polyglot.pdf\" >/dev/null\necho begun\nread forever < fifo2"
    kernel.run("os.mkfifo('fifo2')")
    said = kernel.interrupted(cell, when="begun")
    assert "34 bytes" in said
    assert registry.mounted_at(samples) is None


def test_interrupting_a_cell_of_python(kernel: Kernel, samples: Path) -> None:
    cell = "%%fmrw capture {where}\nwith (where / 'polyglot.pdf').open('rb', 0) as file:\n    file.read(35)\n    print('begun')\n    while True: time.sleep(0.1)"
    said = kernel.interrupted(cell, when="begun")
    assert kernel.status == "error"
    assert "KeyboardInterrupt" in said
    assert "35 bytes" in said
    assert registry.mounted_at(samples) is None
    assert "2" in kernel.run("1 + 1")


def test_background_threads_speak_through_traits(kernel: Kernel) -> None:
    """A live view follows while no cell runs: its messages come by themselves."""
    kernel.run(
        "%mount {where}\nsubprocess.run(['head', '-c', '1', where / 'polyglot.pdf'], capture_output=True)"
    )
    kernel.run("view = %fmrw view {where} polyglot.pdf\nview")
    assert "head" in kernel.run("view.seen")
    later = "subprocess.Popen(['sh', '-c', 'read word < fifo3; tail -c 5 \"$0\"', where / 'polyglot.pdf'], stdout=subprocess.DEVNULL);"
    kernel.run(f"os.mkfifo('fifo3')\n{later}")
    folder = Path(kernel.run("print(Path.cwd(), end='')"))
    (folder / "fifo3").write_text("on\n")
    while True:
        message = kernel.client.get_iopub_msg(timeout=_WAIT_S)
        state = message["content"].get("data", {}) if message["msg_type"] == "comm_msg" else {}
        if "tail" in str(state.get("state", "")):
            break
    kernel.run("view.close()")


def test_unloading_leaves_the_mounts_of_others(kernel: Kernel, samples: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    kernel.run("%load_ext fmrw\n%reload_ext fmrw\n%mount {where}")
    kernel.run(f"!{sys.executable} -m fmrw mount {other} -o {tmp_path / 'session'}")
    try:
        kernel.run("%unload_ext fmrw")
        assert registry.mounted_at(samples) is None
        assert registry.mounted_at(other) is not None
        assert "not found" in kernel.run("%fmrw status")
    finally:
        kernel.run(f"%load_ext fmrw\n%fmrw unmount {other}")
    assert registry.mounted_at(other) is None


def test_refusals_are_one_line(kernel: Kernel, samples: Path) -> None:
    kernel.run("m = %fmrw mount {where}\nfile = (where / 'polyglot.pdf').open('rb')")
    pid = kernel.run("os.getpid()")
    assert re.search(
        rf"is in use by python\S* \({pid}\); end that, or `%fmrw unmount --force", kernel.run("%fmrw unmount")
    )
    assert f"is already monitored by process {pid}" in kernel.run("%mount {where} --capture cached")
    assert "monitored in this way already" in kernel.run("%mount {where}").replace("\n", " ")
    assert "lies inside" in kernel.run("(where / 'sub').mkdir()\n%mount {where}/sub")
    for line in (
        "%fmrw unmount /nowhere",
        "%mount /nowhere",
        "%fmrw mount . --captur x",
        "%fmrw mont .",
        "%fmrw mount 'x",
    ):
        said = kernel.run(line)
        assert said.startswith("UsageError: ")
        assert len(said.splitlines()) == 1
    kernel.run("file.close()\n%unmount {where}")
    assert registry.mounted_at(samples) is None


def test_the_kernel_inside_the_directory(kernel: Kernel, samples: Path) -> None:
    kernel.run("back = os.getcwd()\nos.chdir(where)")
    assert "led onto the mount" in kernel.run("m = %fmrw mount .").replace("\n", " ")
    kernel.run("!head -c 7 polyglot.pdf >/dev/null")
    kernel.run("%fmrw unmount .\nos.chdir(back)")
    assert "[7]" in kernel.run("m.trace.files['bytes_read'].to_list()")
    assert registry.mounted_at(samples) is None


def test_tab(kernel: Kernel, samples: Path) -> None:
    kernel.run("os.chdir(where.parent)\n%mount {where}\nhead = (where / 'polyglot.pdf').read_bytes()")
    assert kernel.completions("%fmrw mount it") == [r"it\'s\ \{here\}/"]
    assert kernel.completions('m = %fmrw mount "it') == ["\"it's {here}/"]
    assert kernel.completions("%fmrw view pol") == ["polyglot.pdf"]
    assert kernel.completions(f"%unmount {samples.parent}/it") == [f"{samples.parent}/it\\'s\\ \\{{here\\}}"]
    kernel.run(r"%fmrw unmount it\'s\ \{here\}")
    assert registry.mounted_at(samples) is None


def test_a_killed_kernel_leaves_nothing_mounted(own: Kernel, samples: Path) -> None:
    own.run("m = %fmrw mount {where}\nfile = (where / 'polyglot.pdf').open('rb')")
    assert registry.mounted_at(samples) is not None
    os.kill(int(own.run("print(os.getpid(), end='')")), signal.SIGKILL)
    assert unmounted(samples)
    assert (samples / "polyglot.pdf").read_bytes() == (DATA / "polyglot.pdf").read_bytes()


def test_restart_and_shutdown_leave_nothing_mounted(own: Kernel, samples: Path) -> None:
    own.run(
        "m = %fmrw mount {where}\nview = m.trace.explore('polyglot.pdf') if m.trace.events.height else None"
    )
    own.manager.restart_kernel(now=False)
    own.client.wait_for_ready(timeout=_WAIT_S)
    assert unmounted(samples)
    own.run(f"import fmrw\nm = fmrw.mount({str(samples)!r})\nfile = open({str(samples / 'polyglot.pdf')!r})")
    assert registry.mounted_at(samples) is not None
    own.manager.shutdown_kernel()
    assert unmounted(samples)
