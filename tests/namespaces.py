"""Namespaces that tests make: none holds a mount of another test, since a worker ends with the last copy of its mount."""

from __future__ import annotations


def apart(*options: str) -> tuple[str, ...]:
    """Give the beginning of a command that runs in a mount namespace of its own, without fmrw's mounts of the machine.

    Parameters
    ----------
    *options
        More of unshare(1).
    """
    release = 'umount --all --lazy --no-canonicalize --types fuse.fmrw && exec "$@"'
    return ("unshare", "--mount", *options, "sh", "-c", release, "sh")
