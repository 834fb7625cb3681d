#!/usr/bin/env bash
# Who waits for a FUSE read that was asked for by posix_fadvise(WILLNEED)?
#
# One would expect: while a FUSE server answers READ, the thread that fuse_get_context() names sleeps in the system call that caused it, so
# that /proc/TID/syscall tells a read (17, pread64) from advice (221, fadvise64). For read(2) that holds.
#
# What happens: advice is answered by read-ahead, and by default (FUSE_ASYNC_READ, promised by libfuse unless told otherwise) the kernel sends
# read-ahead in the background. When READ arrives, the thread it names has left the call and runs on: /proc/TID/syscall says "running", or
# names whatever the program does next, such as a page fault or another file's read. A server that goes by that line takes the advice for
# something else. With `-o sync_read` the caller waits, and all requests are seen in call 221.
#
# Seen with: Linux 6.18, libfuse 2.9.9, fusepy 3.0.1 on x86-64: "async: running", "sync_read: 221", eight requests each.
# Source: fuse_readahead() in the kernel's fs/fuse/file.c sends in the background when the connection has async_read.
#
# Needs /dev/fuse, libfuse 2, fusermount and the right to look at one's own processes. Exits 1 if it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'fusermount -uz "$work/mount" 2>/dev/null || true; [ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fusepy==3.0.1 2>/dev/null

cat >"$work/serve.py" <<'PYTHON'
import errno
import os
import stat
import sys

import fuse

SIZE = 4 << 20


class OneFile(fuse.Operations):
    """A file of zeros; of each READ it notes which system call the named thread is in."""

    def __init__(self, log):
        self.log = open(log, "w", buffering=1)

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == "/file":
            return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": SIZE}
        raise fuse.FuseOSError(errno.ENOENT)

    def read(self, path, size, offset, fh):
        caller = fuse.fuse_get_context()[2]
        with open(f"/proc/{caller}/syscall") as line:
            print(line.read().split()[0], file=self.log)
        return bytes(min(size, SIZE - offset))


place, log, how = sys.argv[1:]
fuse.FUSE(OneFile(log), place, foreground=True, nothreads=True, **({"sync_read": True} if how == "sync_read" else {}))
PYTHON

cat >"$work/advise.py" <<'PYTHON'
import os
import sys
import time

file = os.open(sys.argv[1], os.O_RDONLY)
for number in range(8):
    os.posix_fadvise(file, number * (512 << 10), 128 << 10, os.POSIX_FADV_WILLNEED)
    end = time.monotonic() + 0.05
    while time.monotonic() < end:  # goes on computing, without a system call
        pass
PYTHON

echo "Linux $(uname -r), $(uname -m), libfuse $(fusermount --version 2>&1 | grep -oE '[0-9]+(\.[0-9]+)+' | head -1) (its helper), fusepy 3.0.1"
mkdir "$work/mount"
for how in async sync_read; do
    "$work/venv/bin/python" "$work/serve.py" "$work/mount" "$work/$how" "$how" &
    server=$!
    until mountpoint -q "$work/mount"; do kill -0 "$server"; done
    python3 "$work/advise.py" "$work/mount/file"
    fusermount -u "$work/mount"
    wait "$server"
    server=
    echo "$how: $(sort "$work/$how" | uniq -c | xargs)"
done
[ "$(sort -u "$work/async" | xargs)" = running ] && [ "$(sort -u "$work/sync_read" | xargs)" = 221 ]
