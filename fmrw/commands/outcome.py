"""Outcome: what a command gives, and the door it came through: a shell's (`Door`) or a notebook's, which overrides what differs.

Commands know neither door. They ask `door()` to mount, to run and to unmount, and `recording` and `located` for what the user names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from fmrw.capture.reports.helper import single_threaded
from fmrw.text import name_text, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rich.console import RenderableType
    from rich.text import Text

    from fmrw.recording.run import Run
    from fmrw.session.trace import Trace


@dataclass(frozen=True)
class Outcome:
    """What a command found out.

    Attributes
    ----------
    shown : list of rich renderables
        For people.
    data : object
        For programs, with `--json`.
    status : int
        Exit status.
    value : object
        What a notebook may keep: a `Mount`, a `Trace`, a path.
    notes : list of str
        Remarks for standard error.
    """

    shown: Sequence[RenderableType] = ()
    data: Any = None
    status: int = 0
    value: Any = None
    notes: Sequence[str] = field(default_factory=list)


def line(text: str) -> Text:
    """Give a line that is shown as it stands. rich is imported when there is something to show, not before a command has begun."""
    from rich.text import Text  # noqa: PLC0415 - see above

    return Text(text)


class Door:
    """How a door mounts and runs; the shell's way. A notebook brings its own as click's `obj`."""

    def mount(self, root: Path, output: Path | None, options: dict[str, Any], *, foreground: bool) -> Outcome:
        """Mount with a worker that outlives the shell's command."""
        from fmrw.capture.mounts.registry import resolved  # noqa: PLC0415
        from fmrw.commands.tables import mounted_text  # noqa: PLC0415
        from fmrw.recording import mount, remarks  # noqa: PLC0415 - heavy
        from fmrw.recording import mounts as overview  # noqa: PLC0415 - heavy
        from fmrw.trace.kept import fresh  # noqa: PLC0415 - as above

        session = resolved(output or fresh(root))
        worker = mount.start_background(root, session, **options)
        data = {"root": name_text(root), "session": name_text(session), "worker": worker, **options}
        shown = mounted_text(root, session, options)
        notes = remarks.begun(session, options)
        if not foreground:
            return Outcome([shown], data, value=session, notes=notes)
        click.echo("\n".join([shown.plain, *notes]), err=True)
        try:
            overview.wait_until_unmounted(root, worker)
        except KeyboardInterrupt:  # which unmounts
            click.echo(
                f"fmrw: {visible(str(root))} is unmounted; session kept in {visible(str(session))}", err=True
            )
            raise
        return Outcome(data=data, value=session, notes=[f"session kept in {visible(str(session))}"])

    def run(self, command: Sequence[str], directory: Path, *, ignored: Sequence[int], **options: Any) -> Run:  # noqa: ANN401 - those of `mount`
        """Run a command on this terminal; fmrw's own process and those in `ignored` are not recorded."""
        from fmrw.commands.progress import watching  # noqa: PLC0415
        from fmrw.recording import run  # noqa: PLC0415 - heavy

        return run.run(command, directory, ignored=[os.getpid(), *ignored], watch=watching, **options)

    def summing_up(self) -> AbstractContextManager[None]:
        """Give what surrounds all that is done once a command has ended: a shell's process is fmrw's own, and does without numpy's threads."""
        return single_threaded()

    def unmount(self, root: Path, *, force: bool, abort: bool) -> Outcome:
        """Unmount, whoever mounted."""
        from fmrw.recording import mounts as overview  # noqa: PLC0415 - heavy

        session = overview.unmount(root, force=force, abort=abort)
        kept = (
            f"; session kept in {visible(str(session))}" if session is not None and session.exists() else ""
        )
        data = {"root": name_text(root), "session": None if session is None else name_text(session)}
        return Outcome([line(f"{visible(str(root))} is unmounted{kept}")], data, value=session)

    def only_root(self) -> Path:
        """Give the directory that is meant by no name; from a shell none is, since mounts may be anybody's."""
        from fmrw.capture.mounts.registry import mounts  # noqa: PLC0415 - heavy

        known = ", ".join(visible(str(point.root)) for point in mounts()) or "nothing"
        raise click.UsageError(f"Missing argument 'DIRECTORY'; monitored now: {known}.")

    def traces(self) -> Mapping[Path, Trace]:
        """Give the recordings of this process by directory; a shell's command has none."""
        return {}


def door() -> Door:
    """Give the door through which the present command came."""
    context = click.get_current_context(silent=True)
    found: Door | None = context.find_root().obj if context is not None else None
    return found or Door()


# Recordings by name


def recording(name: str | os.PathLike[str]) -> Trace:
    """Open what a user names; what the door holds comes first."""
    from fmrw.session import lookup  # noqa: PLC0415 - heavy imports only where needed

    return lookup.recording(name, door().traces())


def located(name: str, path: str | None) -> tuple[Trace, str | None]:
    """Find what a user asks about, and the file of it; what the door holds comes first."""
    from fmrw.session import lookup  # noqa: PLC0415 - heavy imports only where needed

    return lookup.located(name, path, door().traces())
