"""Remarks: what to know about a recording, one line each, for `mount`, `run` and `status`."""

from __future__ import annotations

import contextlib
import re
import shlex
from typing import TYPE_CHECKING, Any

from fmrw.capture.mounts import registry
from fmrw.capture.recorder.journal import Head
from fmrw.capture.system.seccomp import Withheld
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LACKING = {
    "shared_maps": "exact: a program that maps files shared (mmap) gets ENODEV on this kernel (before Linux 6.6); monitor with --capture paged if one needs it.",
    "async_direct": "exact: asynchronous reads over the end of a file give wrong bytes on this kernel (before Linux 3.9); monitor with --capture paged if a program needs them.",
}

_NAMED = 3  # processes a remark names
_LATE = "WRONG BYTES ARE POSSIBLE: {} set io_uring up with files open already; what it reads and writes there at the file's own position (offset -1) goes wrong on this kernel. Start it with `fmrw run`, which withholds io_uring, or monitor with --capture paged."
_HIDDEN = "{} may not be looked at and could use io_uring; what it opened is seen by the page."
_RINGS = "{} uses io_uring; what it opened is seen by the page."
_UNSITED = {
    "Yama": "call sites are missing for {}: Yama lets you look at no program that is not your own child; record as root, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`.",
    "Yama for all": "call sites are missing for {}: Yama lets nobody look at a program until this machine is started again; set kernel.yama.ptrace_scope to 0 in /etc/sysctl.d and restart it.",
    "denied": "call sites are missing for {}, which may not be looked at; record as root, in a container with `--cap-add SYS_PTRACE`.",
    "32-bit": "call sites are missing for {}, which runs in 32 bits; only programs of 64 bits have some.",
    "too many": "call sites are missing for some calls of {}: there are more than a recording numbers; record less at once.",
    "at once": "call sites are missing for some calls of {}: more threads asked at the same time than are looked at; let fewer run at once.",
}
_URING = re.compile(r"(?<![a-z])(?:io|lib)_?uring", re.IGNORECASE)
_NAMED_URING = "io_uring was withheld from the command, which names it; --io-uring lets it through, and what it opens is then seen by the page."
_WITHHELD = {
    Withheld.WITHOUT_PRIVILEGES.value: "io_uring was withheld from the command, and, since you are not root, what set-uid programs (sudo, fusermount3) may do more than you; --io-uring leaves it both.",
    Withheld.REFUSED.value: "io_uring could not be withheld from the command, since seccomp is refused here; what uses it is seen by the page.",
}


def begun(session: Path, options: Mapping[str, Any]) -> list[str]:
    """Say what to know about a recording that has just begun; its journal is not read, which would take polars."""
    with (session / "journal" / "head").open("rb") as head:
        return lacking({"options": options, "lacks": Head(head.fileno(), writable=False).lacks()})


def remarks(facts: Mapping[str, Any]) -> list[str]:
    """Say all that is to be known of a recording by its facts."""
    return [*lacking(facts), *ringing(facts), *unsited(facts)]


def unsited(facts: Mapping[str, Any]) -> list[str]:
    """Say which programs have no call sites, and the cure.

    Parameters
    ----------
    facts
        Those of the session: `without_sites`.
    """
    found = [each for each in facts.get("without_sites") or [] if isinstance(each, dict)]
    kinds = {why: [each for each in found if each.get("why") == why] for why in _UNSITED}
    return [_UNSITED[why].format(_named(each)) for why, each in kinds.items() if each]


def ringing(facts: Mapping[str, Any]) -> list[str]:
    """Say who uses io_uring, and what that means for the program and for what was recorded.

    Parameters
    ----------
    facts
        Those of the session: `rings`.
    """
    found = [ring for ring in facts.get("rings") or [] if isinstance(ring, dict)]
    kinds = {
        _LATE: [ring for ring in found if ring.get("late")],
        _HIDDEN: [ring for ring in found if ring.get("hidden")],
        _RINGS: [ring for ring in found if not ring.get("late") and not ring.get("hidden")],
    }
    return [text.format(_named(rings)) for text, rings in kinds.items() if rings]


def withheld(how: str, command: Sequence[str] = (), *, well: bool = True) -> list[str]:
    """Say what it means for a command how io_uring was kept from it (`Run.io_uring`).

    Parameters
    ----------
    how, command
        Those of the run.
    well
        Whether the command succeeded, and touched something; where not, and its own words name io_uring, it may be for want of that.
    """
    if how == Withheld.YES.value and not well and any(_URING.search(word) for word in command[1:]):
        return [_NAMED_URING]
    return [_WITHHELD[how]] if how in _WITHHELD else []


def _named(processes: Sequence[Mapping[str, Any]]) -> str:
    """Name a few processes, as a session's facts list them."""
    shown = [f"{visible(str(each.get('name')))} [{each.get('pid')}]" for each in processes[:_NAMED]]
    left = len(processes) - _NAMED
    return ", ".join(shown) + (f" and {left} more" if left > 0 else "")


def lacking(facts: Mapping[str, Any]) -> list[str]:
    """Say what the capture mode of a recording lacks on the kernel it was made on.

    Parameters
    ----------
    facts
        Those of the session: `options` and `lacks`.
    """
    if (facts.get("options") or {}).get("capture") != "exact":
        return []
    return [_LACKING[name] for name in facts.get("lacks") or [] if name in _LACKING]


def untouched(command: Sequence[str], root: Path, here: Path) -> str:
    """Say why nothing of a directory was read or written, as far as a command's own words tell.

    Parameters
    ----------
    command
        The program and its arguments.
    root
        The monitored directory.
    here
        Where the command was started.
    """
    typed = visible(str(root))
    outside = [path for path in _named_files(command, here) if root not in path.parents]
    if outside:
        one = visible(str(outside[0]))
        return f"nothing in {typed} was touched: the command names {one}, which is outside; monitor {visible(str(outside[0].parent))}, or give it a file in {typed}."
    if root != here and root not in here.parents:
        return f"nothing in {typed} was touched: the command was started in {visible(str(here))}; name its files by their whole path below {typed}, and look at its exit status."
    return f"nothing in {typed} was touched: does the command open the file it is meant to, and did it succeed? A file in its memory or elsewhere is not seen."


def _named_files(command: Sequence[str], here: Path) -> Iterator[Path]:
    """Give the files that a command's arguments name, links followed; words of a shell's script are arguments too."""
    mounts = [point.root for point in registry.mounts()]
    for word in _argument_words(command[1:]):
        path = registry.resolved(here / word)
        if not any(point == path or point in path.parents for point in mounts):  # whose worker may not answer
            with contextlib.suppress(OSError, ValueError):
                if path.is_file():
                    yield path


def _argument_words(arguments: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        with contextlib.suppress(ValueError):  # no line of a shell
            inner = shlex.split(argument) if any(each.isspace() for each in argument) else []
            yield from (
                word for word in [argument, argument.partition("=")[2], *inner] if word and "\0" not in word
            )
