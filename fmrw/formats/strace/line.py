"""Lines of strace, parsed into finished system calls: who, when, which, arguments, result.

`calls` joins `<unfinished ...>` with `resumed`, in the order in which the calls were answered. It understands the prefixes of
`-f` (`[pid 7]`, `7`, with `-Y` also `7<comm>`), the times of `-t`, `-tt`, `-ttt`, `-r` and `-T`, and the annotations of
`-y` and `-yy`. What is not a line of strace, such as what the program printed in between, is passed over.

Arguments are cut forward, token by token, since a file may be called `x) = 5, <unfinished ...>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

_LINE = re.compile(
    r"""\s*
    (?:\[pid\s+(?P<pid>\d{1,7})(?:<(?P<comm>[^>]*)>)?\]\s+ | (?P<pid2>\d{1,7})(?:<(?P<comm2>[^>]*)>)?\s+)?
    (?:(?:(?P<day>\d\d:\d\d:\d\d(?:\.\d+)?) | (?P<unix>\d{9,10}(?:\.\d+)?) | (?P<since>\d{1,8}\.\d+))
       \s+(?:\(\+\s*\d+\.\d+\)\s+)?)?
    (?P<text>.*)""",
    re.VERBOSE | re.DOTALL,
)
_NOTE = r"<(?:[A-Za-z][\w-]*:\[.*?\]|/[^<>]*(?:<[^<>]*>)?|[^<>]*)>"
_TOKEN = re.compile(
    rf"""(?:[^"\[\]{{}}(),</]|(?<![\dD])(?<!\*/)<|/(?!\*))+ | "(?:[^"\\]|\\.)*" | (?:(?<=[\dD])|(?<=\*/)){_NOTE} | /\*.*?\*/ | [\[{{(] | [\]}})] | , | <""",
    re.VERBOSE | re.DOTALL,
)
_EXPLAINED = re.compile(r"(?:^|(?<==))(?:0x[0-9a-f]+|-?\d+) /\* ([^*]*) \*/")
"""A number with its name, as -X verbose writes them."""
_RESULT = re.compile(rf"\s*=\s+(-?\d+|0x[0-9a-f]+|\?)({_NOTE})?(?:\s+(E[A-Z0-9]+))?")
_NAME = re.compile(r"(\w+)\(")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed> ?")
_TOOK = re.compile(r"<(\d{1,9}\.\d+)>\s*$")
_SUPERSEDED = re.compile(r"\+\+\+ superseded by execve in pid (\d+)")
LARGEST = 2**63 - 1
_ATTACHED = re.compile(r"strace: Process \d+ attached(?: \(.*\))?\s*$")
_UNFINISHED = re.compile(r" <(?:unfinished|pid changed to \d+) \.\.\.>$")
"""A line that goes on later: another thread spoke, or, in strace's own words, execve gave the thread the first one's id."""


@dataclass(frozen=True)
class Call:
    """A system call that was answered."""

    tid: int | None  # None: the line names nobody
    comm: str | None
    time: int  # microseconds, see `Clock`
    name: str
    arguments: list[str]
    result: int | None  # None: never came back
    note: str | None  # what -y says about a descriptor in the result
    error: str | None
    entered: int  # number of the line it began on


class Exit(NamedTuple):
    """A thread ended; `heir` is the thread that goes on under its id, after an execve beside the first thread."""

    tid: int | None
    time: int
    heir: int | None


class Begun(NamedTuple):
    """A call began whose end comes later."""

    tid: int | None
    comm: str | None
    time: int
    name: str
    text: str
    entered: int


class Clock:
    """Times of the lines, in microseconds.

    `-ttt` counts from 1970. `-t` and `-tt` tell the time of day, here counted from the first midnight; `finished` moves them to the
    date on which the log was last written. `-r` tells differences, here added up from 0. Without times every line is one
    microsecond after the one before, which keeps the order and claims nothing.
    """

    def __init__(self) -> None:
        self._now = 0
        self._day = 0
        self._of_day = False

    def read(self, found: re.Match[str]) -> int:
        """Advance to the time of a line."""
        if found["unix"]:
            self._now = micros(found["unix"])
        elif found["day"]:
            self._now = self._time_of_day(found["day"])
        elif found["since"]:
            self._now += micros(found["since"])
        else:
            self._now += 1
        return self._now

    def _time_of_day(self, text: str) -> int:
        hours, minutes, seconds = text.split(":")
        of_day = (int(hours) * 60 + int(minutes)) * 60_000_000 + micros(seconds)
        if self._day + of_day < self._now - _HALF_DAY:
            self._day += _DAY
        self._of_day = True
        return self._day + of_day

    def shift(self, midnight: int) -> int:
        """Give what to add to all times; `midnight` begins the day of the last line."""
        return midnight - self._day if self._of_day else 0


_DAY = 86_400_000_000
_HALF_DAY = _DAY // 2


def micros(seconds: str) -> int:
    """Read decimal seconds exactly, to the microsecond."""
    whole, _, fraction = seconds.partition(".")
    return int(whole) * 1_000_000 + int(fraction[:6].ljust(6, "0"))


def calls(lines: Iterable[str], wanted: Container[str], clock: Clock) -> Iterator[Call | Exit | Begun]:
    """Give the wanted calls, each when it was answered, and the ends of threads."""
    joiner = _Joiner(wanted, clock)
    for number, line in enumerate(mended(lines)):
        event = joiner.read(number, line)
        if event is not None:
            yield event


def mended(lines: Iterable[str]) -> Iterator[str]:
    """Take strace's own messages, which without `-o` may stand in the middle of a call, out of the lines.

    A line one was taken out of goes on in the next one. Doing it twice changes nothing.
    """
    broken = ""
    for line in lines:
        message = _ATTACHED.search(line)
        if message:
            broken += line[: message.start()]
            continue
        yield broken + line
        broken = ""


class _Joiner:
    """Reads line by line and keeps the calls that have begun."""

    def __init__(self, wanted: Container[str], clock: Clock) -> None:
        self._wanted = wanted
        self._clock = clock
        self._begun: dict[int | None, Begun] = {}
        self._answered = 0

    def read(self, number: int, line: str) -> Call | Exit | Begun | None:
        found = _LINE.match(line)
        if found is None:
            return None
        pid, time, text = found["pid"] or found["pid2"], self._clock.read(found), found["text"].rstrip()
        tid = int(pid) if pid else None
        if text.startswith("+++ "):
            return self._exit(tid, time, text)
        begun = Begun(tid, found["comm"] or found["comm2"], time, "", "", number)
        return self._call(begun, text)

    def _exit(self, tid: int | None, time: int, text: str) -> Exit:
        superseded = _SUPERSEDED.match(text)
        heir = int(superseded[1]) if superseded else None
        if heir in self._begun:
            self._begun[tid] = self._begun.pop(heir)
        self._answered = max(self._answered, time)
        return Exit(tid, self._answered, heir)

    def _call(self, here: Begun, text: str) -> Call | Begun | None:
        resumed = _RESUMED.match(text)
        name = resumed or _NAME.match(text)
        if name is None or name[1] not in self._wanted:
            return None
        if resumed:
            begun = self._resume(here.tid, name[1])
            if begun is None:
                return None
            text = begun.text + text[resumed.end() :]
            here = here._replace(entered=begun.entered)
        unfinished = _UNFINISHED.search(text)
        here = here._replace(name=name[1], text=text[: unfinished.start()] if unfinished else text)
        if unfinished:
            self._begun[here.tid] = here
            return here
        call = _finished(here, was_split=resumed is not None)
        if call is not None:  # the times of -t are coarse, and -T is added to them
            call = call if call.time >= self._answered else replace(call, time=self._answered)
            self._answered = call.time
        return call

    def _resume(self, tid: int | None, name: str) -> Begun | None:
        """Find the beginning of a call; the only thread there is has no id, and gets or loses it when another comes or goes."""
        others = [None] if tid is not None else list(self._begun)
        for key in (tid, *others):
            begun = self._begun.get(key)
            if begun is not None and begun.name == name:
                return self._begun.pop(key)
        return None


def _finished(whole: Begun, *, was_split: bool) -> Call | None:
    arguments, end = _arguments(whole.text, len(whole.name) + 1)
    result = _RESULT.match(whole.text, end)
    if result is None:
        return None
    took = None if was_split else _TOOK.search(whole.text, result.end())
    return Call(
        tid=whole.tid,
        comm=whole.comm,
        time=whole.time + (micros(took[1]) if took else 0),
        name=whole.name,
        arguments=arguments,
        result=None if result[1] == "?" else min(_integer(result[1]), LARGEST),
        note=result[2] and result[2][1:-1],
        error=result[3],
        entered=whole.entered,
    )


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """Cut the arguments at the commas between them; also gives where the closing bracket ends."""
    arguments, depth, first, at = [], 0, start, start
    while token := _TOKEN.match(text, at):
        at, mark = token.end(), token[0]
        if mark in ("(", "[", "{"):
            depth += 1
        elif mark in (")", "]", "}"):
            depth -= 1
        if depth < 0 or (mark == "," and depth == 0):
            arguments.append(_EXPLAINED.sub(r"\1", text[first : token.start()].strip()))
            first = at
        if depth < 0:
            break
    return arguments, at


# What stands in arguments

_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f", "a": "\a", "b": "\b"}
_DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)(?:<(.*)>)?(?:\(deleted\))?$", re.DOTALL)
_LENGTH = re.compile(r'"(?:[^"\\]|\\.)*"|iov_len=(\d{1,15})', re.DOTALL)
"""A string, which may hold anything, or the length of a piece of a vector."""
_DEVICE = re.compile(r"<(?:char|block) [^<>]*>$")


def unescaped(text: str) -> bytes:
    """Undo strace's escapes; `text` is Latin-1, one character a byte."""
    return _ESCAPE.sub(_character, text).encode("latin-1")


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 8) & 0xFF)
    return chr(int(found[2], 16)) if found[2] else _LETTERS.get(found[3], found[3])


def string(argument: str) -> bytes | None:
    """Read a quoted argument; None where it is a bare address."""
    return unescaped(argument[1 : argument.rindex('"')]) if argument.startswith('"') else None


def descriptor(argument: str) -> tuple[int | None, bytes | None]:
    """Read a descriptor and what `-y` says it is; the number is None for AT_FDCWD."""
    found = _DESCRIPTOR.match(argument)
    if found is None:
        return None, None
    number = None if found[1] == "AT_FDCWD" else int(found[1])
    return number, None if found[2] is None else noted(found[2])


def noted(note: str) -> bytes:
    """Read the inside of an annotation: a path, or something like `pipe:[7]`."""
    return unescaped(_DEVICE.sub("", note)).removesuffix(b" (deleted)")


def _integer(text: str) -> int:
    return int(text, 16 if "x" in text else 10)


def number(argument: str, default: int = 0) -> int:
    """Read a number: `7`, `0x7`, `[7]`, `[7] => [9]`; a count of 2^64 - 1 is as good as 2^63 - 1."""
    found = re.match(r"\[?(-?(?:0x[0-9a-f]+|\d+))", argument)
    return max(-LARGEST, min(_integer(found[1]), LARGEST)) if found else default


def requested(call: Call) -> int:
    """Give the bytes asked for; of a long vector strace shows the first entries, so it is at least what was moved."""
    if "v" not in call.name:
        return max(number(call.arguments[2]), 0)
    return max(lengths(call.arguments[1]), call.result or 0)


def lengths(vector: str) -> int:
    """Give the bytes of all pieces of a vector together, `[{iov_base="a", iov_len=1}, ...]`."""
    return sum(int(length) for length in _LENGTH.findall(vector) if length)


def position_of(call: Call) -> int | None:
    """Give the offset a positional call names; None for the descriptor's own."""
    if not call.name.startswith("p"):
        return None
    position = number(call.arguments[3])
    return None if position < 0 else position
