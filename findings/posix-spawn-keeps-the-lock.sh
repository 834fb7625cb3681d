#!/usr/bin/env bash
# Do the other threads of a Python program run while subprocess waits for the execve() of the program that it starts?
#
# One would expect: yes. CPython lets go of its global lock around calls that wait, and since 3.11.4 subprocess does so around vfork(), which
# returns when the child's execve() is through (cpython issue 104372, where programs lay on a slow FUSE file system).
#
# What happens: os.posix_spawn() keeps the lock. The C library waits in it until the child has its new program, so all threads of the
# interpreter stand still for as long as the kernel takes to open and read that: here a file system that answers OPEN after half a second.
# subprocess goes that way as soon as close_fds=False is given, and since 3.13, where the C library can close descriptors in posix_spawn()
# (glibc 2.34), by default. So what 3.11.4 had mended is back in 3.13 for a plain subprocess.run(["program"]). With cwd, with
# start_new_session or with subprocess._USE_POSIX_SPAWN = False the threads run on. Whoever serves FUSE from a thread of a Python program
# cannot start a program there in this way: the thread that is to answer stands still.
#
# Seen with CPython 3.11.7, 3.12.1 and 3.13.0, Linux 6.18, libfuse 2.9.9, fusepy 3.0.1: "os.open: runs on", "subprocess: runs on" (3.13:
# "stops"), "subprocess, close_fds=False: stops", "os.posix_spawn: stops", "subprocess without posix_spawn: runs on".
# Source: py_posix_spawn() in Modules/posixmodule.c calls posix_spawn() without Py_BEGIN_ALLOW_THREADS; Popen._execute_child() chooses it.
#
# Needs /dev/fuse, libfuse 2 and fusermount. Exits 1 if it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'fusermount -uz "$work/mount" 2>/dev/null || true; [ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fusepy==3.0.1 2>/dev/null

cat >"$work/serve.py" <<'PYTHON'
import errno
import stat
import sys
import time

import fuse

CONTENT = b"#!/bin/true\n"


class Slow(fuse.Operations):
    """A program whose opening takes half a second."""

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == "/program":
            return {"st_mode": stat.S_IFREG | 0o755, "st_nlink": 1, "st_size": len(CONTENT)}
        raise fuse.FuseOSError(errno.ENOENT)

    def open(self, path, flags):
        time.sleep(0.5)
        return 0

    def read(self, path, size, offset, fh):
        return CONTENT[offset : offset + size]


fuse.FUSE(Slow(), sys.argv[1], foreground=True)
PYTHON

cat >"$work/count.py" <<'PYTHON'
import os
import subprocess
import sys
import threading
import time

program = sys.argv[1]
steps = []
stop = threading.Event()


def count():
    while not stop.is_set():
        steps.append(time.monotonic())
        time.sleep(0.002)


def spawn():
    pid = os.posix_spawn(program, [program], os.environ)
    os.waitpid(pid, 0)


def other_way():
    subprocess._USE_POSIX_SPAWN = False  # as its documentation says
    subprocess.Popen([program], close_fds=False).wait()


thread = threading.Thread(target=count)
thread.start()
for name, start in {
    "os.open": lambda: os.close(os.open(program, os.O_RDONLY)),
    "subprocess": lambda: subprocess.Popen([program]).wait(),
    "subprocess, close_fds=False": lambda: subprocess.Popen([program], close_fds=False).wait(),
    "os.posix_spawn": spawn,
    "subprocess without posix_spawn": other_way,
}.items():
    time.sleep(0.05)
    begin = time.monotonic()
    start()
    end = time.monotonic()
    assert end - begin >= 0.5
    seen = [begin, *(step for step in steps if begin < step < end), end]
    longest = max(after - before for before, after in zip(seen, seen[1:]))
    print(f"{name}: {'stops' if longest >= 0.5 else 'runs on'}")  # a whole opening without one step
stop.set()
thread.join()
PYTHON

echo "$(python3 --version), Linux $(uname -r), $(uname -m), libfuse $(fusermount --version 2>&1 | grep -oE '[0-9]+(\.[0-9]+)+' | head -1) (its helper), fusepy 3.0.1"
mkdir "$work/mount"
"$work/venv/bin/python" "$work/serve.py" "$work/mount" &
server=$!
until mountpoint -q "$work/mount"; do kill -0 "$server"; done
python3 "$work/count.py" "$work/mount/program" | tee "$work/seen"
plain=$(python3 -c 'import sys; print("stops" if sys.version_info >= (3, 13) else "runs on")')
diff - "$work/seen" <<SEEN
os.open: runs on
subprocess: $plain
subprocess, close_fds=False: stops
os.posix_spawn: stops
subprocess without posix_spawn: runs on
SEEN
