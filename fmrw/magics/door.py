"""Notebook door: mounts that belong to the kernel, commands whose output goes into the cell.

What a kernel has recorded stays in its memory by directory, so that `%fmrw view DIR` works after `%fmrw unmount DIR` and after a cell of
`%%fmrw run DIR`; a new mount of the same directory takes its place, `%unload_ext fmrw` forgets it. It is kept on disk as well
(`fmrw.recording.kernel`), so that another kernel finds it by name: `%fmrw sessions` lists what there is.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psutil

from fmrw.commands.outcome import Door, Outcome
from fmrw.commands.tables import mounted_text
from fmrw.errors import FmrwError, NotMounted
from fmrw.recording import mount as mounting
from fmrw.recording import run as running
from fmrw.recording.mounted import live
from fmrw.recording.remarks import lacking
from fmrw.text import name_text, typed, visible
from fmrw.trace import kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.recording.mounted import Mount
    from fmrw.session.trace import Trace

_GRACE_S = 2
_INTERRUPTED = 130


class CellDoor(Door):
    """Mounts that belong to this kernel, commands whose output goes into the cell.

    Attributes
    ----------
    kept : dict
        The latest recording of each directory.
    interrupted : bool
        Whether the last command was; what it did until then is shown all the same.
    """

    def __init__(self) -> None:
        self.kept: dict[Path, Trace] = {}
        self.interrupted = False

    def mount(self, root: Path, output: Path | None, options: dict[str, Any], *, foreground: bool) -> Outcome:
        """Mount for this kernel, which gets the live `Mount`."""
        if foreground:
            raise FmrwError("-f waits for ever in a notebook; leave it out, `fmrw unmount` ends the mount.")
        notes = _inside(root)
        before = live()
        mounted = mounting.mount(root, output=output, **options)
        self.kept[mounted.root] = mounted.trace
        shown = mounted_text(
            mounted.root, None if mounted.settings.ephemeral else mounted.session, options, "%"
        )
        if mounted in before:
            notes = ["it was monitored in this way already; that mount goes on, and so does its recording."]
        data = {"root": name_text(root), "worker": mounted.worker_pid, **options}
        return Outcome([shown], data, value=mounted, notes=notes + lacking(mounted.facts()))

    def run(self, command: Sequence[str], directory: Path, **options: Any) -> running.Run:  # noqa: ANN401
        """Run a command whose output goes into the cell; an interrupt ends it, and what it did is shown."""
        done = running.run(command, directory, watch=self._watch, stdout=subprocess.PIPE, **options)
        if done.trace.root is not None:
            self.kept[done.trace.root] = done.trace
        return done

    def summing_up(self) -> contextlib.AbstractContextManager[None]:
        """Leave numpy as it is: a kernel's is the user's."""
        return contextlib.nullcontext()

    def unmount(self, root: Path, *, force: bool, abort: bool) -> Outcome:
        """Unmount, whoever mounted; the trace of a mount of this kernel is its value."""
        own = any(mounted.root == root for mounted in live())
        outcome = super().unmount(root, force=force, abort=abort)
        if not own:
            return outcome
        note = f"what was recorded stays in memory: `fmrw view {typed(root)}` shows it."
        if isinstance(outcome.value, Path):
            name = typed(outcome.value.name)
            later = name if outcome.value.parent == kept.state_folder() else typed(outcome.value)
            note = f"`fmrw view {typed(root)}` shows what was recorded; later, and after a restart of the kernel, `fmrw view {later}`."
        return Outcome(outcome.shown, outcome.data, value=self.kept.get(root), notes=[note])

    def only_root(self) -> Path:
        """Give the only directory that this kernel monitors."""
        roots = sorted(mounted.root for mounted in live())
        if not roots:
            raise NotMounted("this kernel monitors nothing; `fmrw unmount DIR` ends somebody else's mount.")
        if len(roots) > 1:
            known = ", ".join(visible(str(root)) for root in roots)
            raise click.UsageError(f"this kernel monitors {known}; name one.")
        return roots[0]

    def traces(self) -> Mapping[Path, Trace]:
        """Give the recordings that grow, then those that have ended."""
        growing = {mounted.root: mounted.trace for mounted in live()}
        return {**growing, **{root: trace for root, trace in self.kept.items() if root not in growing}}

    def _watch(self, _mounted: Mount, child: subprocess.Popen[bytes]) -> int:
        try:
            return _forwarding(child)
        except KeyboardInterrupt:
            self.interrupted = True
            _end_with_children(child)
            return _INTERRUPTED


def _inside(root: Path) -> list[str]:
    """Say what is in the directory and would surprise: this kernel, and the notebook itself."""
    notes = []
    try:
        here = Path.cwd()
    except OSError:
        here = Path("/")
    if here == root or root in here.parents:
        notes.append(
            "this kernel stands inside the directory; it was led onto the mount, other programs must `cd` again."
        )
    notebook = Path(os.environ.get("JPY_SESSION_NAME") or "/")  # as jupyter_server names it
    if root in notebook.parents and notebook.is_file():
        notes.append(
            f"this notebook, {visible(notebook.name)}, lies in the directory; it can be saved, and its saving is recorded too: keep what you watch in a directory of its own."
        )
    return notes


def _forwarding(child: subprocess.Popen[bytes]) -> int:
    """Copy a child's output into the cell as it comes."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    if child.stdout is not None:
        with child.stdout as stream:
            for chunk in iter(lambda: os.read(stream.fileno(), 1 << 16), b""):
                sys.stdout.write(decoder.decode(chunk))
                sys.stdout.flush()
    return child.wait()


def _end_with_children(child: subprocess.Popen[bytes]) -> None:
    """End a command and what it started; most have got the interrupt as we did, and get a moment for it."""
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    for sign in (psutil.Process.terminate, psutil.Process.kill):
        _, family = psutil.wait_procs(family, _GRACE_S)
        for process in family:
            sign(process)
    child.wait()
