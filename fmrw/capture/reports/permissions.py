"""Report permissions: a report may be read by whoever may read its file.

The kernel decides by what a mount says of owner, mode and access control list (`default_permissions`), so a report carries
its file's, without all but reading: `narrowed` and `narrowed_list`. What was recorded stands under a name, and somebody who may write a
directory can put a file of their own under a name that was another's. `Owners` remembers whose accesses a name holds.
"""

from __future__ import annotations

import stat
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

READ, READ_SEARCH = 0o444, 0o555
ACCESS_LIST = b"system.posix_acl_access"
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")  # linux/posix_acl_xattr.h
_SEVERAL = -1


def narrowed(mode: int, most: int) -> int:
    """Give the permission bits of a mode that are in `most`.

    Where the group loses its last bit the kernel would not look at an access list any more (`acl_permission_check` in
    fs/namei.c) and count those it names among the others; so the others lose theirs, too.
    """
    kept = mode & most
    return kept & stat.S_IRWXU if mode & stat.S_IRWXG and not kept & stat.S_IRWXG else kept


def narrowed_list(value: bytes, most: int) -> bytes:
    """Give an access control list, as it stands in an extended attribute, with the permissions of `most` only."""
    entries = _ENTRY.iter_unpack(value[_HEAD.size :])
    kept = (_ENTRY.pack(tag, bits & most & stat.S_IRWXO, who) for tag, bits, who in entries)
    return value[: _HEAD.size] + b"".join(kept)


class Owners:
    """Whose files were opened under which names, as far as not everybody may read them."""

    def __init__(self) -> None:
        self._owners: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def note(self, name: bytes, status: os.stat_result) -> None:
        """Take note of a file that is open under a name."""
        if status.st_mode & stat.S_IROTH:
            return
        with self._lock:
            if self._owners.setdefault(name, status.st_uid) != status.st_uid:
                self._owners[name] = _SEVERAL

    def allow(self, name: bytes, uid: int) -> bool:
        """Tell whether the file of this owner, under that name now, may pass on who may read its report."""
        return self._owners.get(name, uid) == uid
