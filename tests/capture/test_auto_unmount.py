"""Which of a process's sockets is libfuse's: told only where there is no doubt, closed only while it is the same."""

from __future__ import annotations

import os
import socket

from fmrw.capture.worker.auto_unmount import Socket, let_go, only_new, sockets


def test_one_new_socket_is_told() -> None:
    before = sockets()
    one, other = socket.socketpair()
    with one, other:
        os.close(fd := os.dup(other.fileno()))
        assert fd not in sockets()
        assert only_new(before, sockets()) is None, "two: nobody can tell"
        assert only_new({**before, one.fileno(): os.fstat(one.fileno()).st_ino}, sockets()) == Socket(
            other.fileno(), os.fstat(other.fileno()).st_ino
        )
    assert only_new(before, sockets()) is None


def test_a_number_that_was_given_again_is_left_alone() -> None:
    one, other = socket.socketpair()
    guard = Socket(one.detach(), 0)
    inode = os.fstat(guard.fd).st_ino
    let_go(guard)
    assert os.fstat(guard.fd).st_ino == inode, "another socket"
    let_go(Socket(guard.fd, inode))
    assert other.recv(1) == b"", "closed"
    reading, writing = os.pipe()
    let_go(Socket(reading, os.fstat(reading).st_ino))
    os.write(writing, b"x")
    assert os.read(reading, 1) == b"x", "no socket"
    for fd in (reading, writing):
        os.close(fd)
    other.close()
