"""Every error fmrw raises on purpose. Each message is one line and ends with the cure.

The command line ends with an error's `status`: 2 where what was typed means nothing, 1 where it was understood and could not be done.

FmrwError
├── MountError          the directory cannot be monitored, or not be released
│   ├── FuseMissing     no /dev/fuse, no libfuse 2, no fusermount
│   ├── AlreadyMounted  somebody monitors this directory, or one above or below it
│   ├── NotMounted      nobody monitors it, or the worker did not come up
│   └── Busy            open files hold the mount
├── SessionError        a recording cannot be read or written
│   ├── SessionExists   the output folder holds another session
│   └── NewerSchema     written by a newer fmrw
├── UnknownPath         the session has no such file
├── BadRange            not an offset or a range
├── BadInput            a file handed in is not what it claims
│   └── BadCommand      a command or parser to experiment with is not written as it must be
└── FigureError         a figure cannot be made or written
    └── BadChoice       no such format, chart or preset, or some that do not go together
"""

from __future__ import annotations

from typing import ClassVar


class FmrwError(Exception):
    """Base of all errors fmrw raises on purpose; the command line prints it as one line."""

    status: ClassVar[int] = 1
    """Exit status of the command line."""


class MountError(FmrwError):
    """The directory cannot be monitored, or not be released."""


class FuseMissing(MountError):
    """A part of FUSE is missing on this machine."""


class AlreadyMounted(MountError):
    """Somebody monitors this directory already, or one above or below it."""


class NotMounted(MountError):
    """Nobody monitors this directory, or the worker did not come up."""


class Busy(MountError):
    """Open files or working directories hold the mount."""


class SessionError(FmrwError):
    """A recording cannot be read or written."""


class SessionExists(SessionError):
    """The output folder holds another session."""


class NewerSchema(SessionError):
    """The session was written by a newer fmrw."""


class UnknownPath(FmrwError):
    """The session has no file of this name."""


class BadRange(FmrwError):
    """Not an offset, or not a range."""

    status = 2


class BadInput(FmrwError):
    """A file handed in is not what it claims to be."""


class BadCommand(BadInput):
    """A command or parser to experiment with is not written as it must be."""

    status = 2


class FigureError(FmrwError):
    """A figure cannot be made or written."""


class BadChoice(FigureError):
    """No such format, chart or preset, or some that do not go together."""

    status = 2
