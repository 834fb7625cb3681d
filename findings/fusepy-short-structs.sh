#!/usr/bin/env bash
# How long is a struct stat that fusepy describes?
#
# One would expect: fusepy's ctypes structures are as long as the C structures whose names they bear, so that a program may make one and let
# the C library fill it, as in `status = fuse.c_stat(); libc.fstat(fd, ctypes.byref(status))`.
#
# What happens: on x86-64 Linux `fuse.c_stat` ends with st_ctimespec and leaves out the three reserved words behind it: 120 bytes, where
# the C library's struct stat has 144. fusepy itself only writes into structures that libfuse hands it, so nothing shows there. A program that makes one
# and gives it to fstat() has the 24 bytes behind it overwritten, in whatever the heap keeps there: the call succeeds, every field is right, and
# something else is broken later. `c_statvfs` lacks its last 24 bytes too (88 of 112), `fuse_context` its umask (32 of 40). Only
# fuse_operations, of which libfuse is told the length, may be shorter than the library's own. Give such a call a buffer of one's own,
# of 144 bytes, and read it with `c_stat.from_buffer`.
#
# Seen with: fusepy 3.0.1, CPython 3.11, glibc 2.36 on x86-64: "stat 120 of 144, statvfs 88 of 112, written behind: 24 and 24".
# Source: the _fields_ in fusepy's fuse.py; bits/struct_stat.h and bits/statvfs.h of glibc for the lengths.
#
# Writes behind the structure only into a buffer that is long enough. Exits 1 if it behaves otherwise.
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "this is about Linux on x86-64" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fusepy==3.0.1 2>/dev/null

cat >"$work/measure.py" <<'PYTHON'
import ctypes
import os

import fuse

ROOM, MARK = 512, 0xA5
libc = ctypes.CDLL(None, use_errno=True)


def filled(call, *arguments):
    """Let the C library fill a marked buffer; give the end of what it wrote."""
    buffer = (ctypes.c_ubyte * ROOM)(*[MARK] * ROOM)
    if call(*arguments, ctypes.byref(buffer)):
        raise OSError(ctypes.get_errno(), "the call failed")
    return max(place for place, value in enumerate(buffer) if value != MARK) + 1, buffer


fd = os.open(os.path.dirname(os.path.abspath(__file__)), os.O_RDONLY)
told = {}
for name, described, call in (("stat", fuse.c_stat, libc.fstat), ("statvfs", fuse.c_statvfs, libc.fstatvfs)):
    end, buffer = filled(call, fd)
    told[name] = (ctypes.sizeof(described), end)
    if name == "stat":
        assert described.from_buffer(buffer).st_ino == os.fstat(fd).st_ino, "the fields themselves are right"
print(
    "stat {0[0]} of {0[1]}, statvfs {1[0]} of {1[1]}, written behind: {2} and {3}".format(
        told["stat"], told["statvfs"], *(end - size for size, end in told.values())
    )
)
PYTHON

seen=$(env -i PATH="$PATH" FUSE_LIBRARY_PATH="${FUSE_LIBRARY_PATH:-$(ldconfig -p | awk '/libfuse\.so\.2/ {print $NF; exit}')}" "$work/venv/bin/python" "$work/measure.py")
echo "python $("$work/venv/bin/python" -V | cut -d' ' -f2), fusepy 3.0.1: $seen"
[ "$seen" = "stat 120 of 144, statvfs 88 of 112, written behind: 24 and 24" ]
