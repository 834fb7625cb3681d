"""Every error fmrw raises on purpose. Each message is one line and ends with the cure.

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
└── FigureError         unknown format or preset, nothing to write to
"""

from __future__ import annotations


class FmrwError(Exception):
    """Base of all errors fmrw raises on purpose; the command line prints it as one line."""


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


class BadInput(FmrwError):
    """A file handed in is not what it claims to be."""


class FigureError(FmrwError):
    """A figure cannot be made or written."""
