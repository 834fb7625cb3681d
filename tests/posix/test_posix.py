"""The mount against the plain directory: value, errno, and the tree that results, in all three capture modes.

Each case runs on both as root in a process of its own (`actor.py`); `exact` has reports `hidden`, `paged` has them `aside`,
`cached` has none, so that names are looked up in every way.

What cannot be equal, asserted in `test_differences.py`
------------------------------------------------------
============================  ============================================  ======================================
what                          on the mount                                  why
============================  ============================================  ======================================
writes beneath under a map    seen when the file is next opened or mapped   pages are kept above
locks seen from beneath       not seen; between users of the mount: equal   kept by the kernel, per mount
SEEK_DATA, SEEK_HOLE          the file is one piece of data                 no such request in libfuse 2
rename2 flags                 EINVAL                                        the same
O_TMPFILE                     EOPNOTSUPP                                    the same
chown(-1, -1)                 leaves the time of change                     the kernel's FUSE asks for nothing then
time of birth                 none                                          no such request in libfuse 2
open_by_handle_at             stale once the mount is gone                  numbers of files are those of one mount
RWF_NOWAIT                    EOPNOTSUPP                                    refused by the kernel's FUSE
O_PATH of a removed file      fstat: ENOENT                                 libfuse 2 knows files by their names only
COLLAPSE_RANGE, INSERT_RANGE  EOPNOTSUPP                                    not passed on by the kernel's FUSE
O_DIRECT                      works with every alignment                    dropped: requests are not aligned
ioctl, leases                 ENOTTY; EINVAL, or never broken               no such request in libfuse 2
set-uid, devices              ignored                                       `nosuid,nodev`
pathconf LINK_MAX             127                                           glibc knows it by the file system's type
fstat of a removed folder     ENOENT, so it cannot be listed either         libfuse 2 knows folders by their names only
access time, read past end    unchanged in `paged` and `cached`             answered by the kernel's page cache
capabilities without root     as without them, for what others' files need  the worker checks as user and groups
============================  ============================================  ======================================
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import actor
import pytest

if TYPE_CHECKING:
    from sides import Side

pytestmark = pytest.mark.mount

ONCE = {  # long, and no matter of the capture mode
    "a_large_folder", "removing_all_while_listing", "a_listing_while_the_folder_changes", "another_user_with_more_groups",
    "another_user_in_a_sticky_folder", "another_user_in_a_folder_of_roots", "another_user_in_a_folder_to_search_only",
    "another_user_in_a_folder_to_list_only",
}  # fmt: skip

ALONE = (
    "access_as_asked",
    "a_program_runs",
    "umask_is_the_callers",
    "default_access_lists_replace_the_umask",
    "open_matrix_of_the_owner",
)


def _lines(outcome: dict[str, Any]) -> list[str]:
    log, tree = outcome.get("log", []), outcome.get("tree", [])
    return [*(json.dumps(entry) for entry in log), "--- tree", *(json.dumps(entry) for entry in tree)]


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    lines = list(difflib.unified_diff(_lines(expected), _lines(found), "plain", "mount", lineterm="", n=3))
    return "\n".join(line[:400] for line in lines[:80])


@pytest.mark.parametrize("name", sorted(actor.CASES.keys() - ONCE))
def test_the_mount_does_what_the_directory_does(name: str, plain: Side, side: Side) -> None:
    _compare(plain.outcome(name), side.outcome(name))


@pytest.mark.parametrize("name", sorted(ONCE))
def test_long_cases_in_one_mode(name: str, plain: Side, exact: Side) -> None:
    _compare(plain.outcome(name), exact.outcome(name))


@pytest.mark.parametrize("name", ALONE)
def test_a_mount_for_oneself_allows_what_the_directory_allows(name: str, plain: Side, alone: Side) -> None:
    _compare(plain.outcome(name), alone.outcome(name))


def _compare(expected: dict[str, Any], found: dict[str, Any]) -> None:
    if "skip" in expected:
        pytest.skip(expected["skip"])
    assert "error" not in expected, expected["error"]
    assert "error" not in found, found["error"]
    assert expected["log"], "the case did nothing"
    difference = _difference(expected, found)
    assert not difference, difference
