from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fmrw.capture.fuse.gate import Gate
from fmrw.capture.fuse.loop import Library, Loop, Serving

if TYPE_CHECKING:
    from fmrw.capture.fuse.transfers import Limits
    from fmrw.capture.native.receiving import Receiver

HELLO = 15


def test_a_thread_is_counted_once_and_before_it_takes_a_request() -> None:
    gate, seen = Gate(), []
    reading, writing = os.pipe()
    library = Library(
        process=None, send=None, new_channel=None, descriptor=lambda _channel: reading,
        next_channel=lambda _session, _before: 1, buffer_size=lambda _channel: 64,
    )  # fmt: skip

    def answering(_where: Receiver, _limits: Limits) -> Serving:
        seen.append(len(gate.free))
        return Serving({HELLO: answer})

    def answer() -> None:
        gate.enter()
        gate.free.append(None)
        os.close(writing)  # the mount is gone

    loop = Loop(library, 0, 0, gate, answering)
    os.write(writing, bytes(4) + HELLO.to_bytes(4, "little") + bytes(56))
    loop._grow()
    for thread in loop._threads:
        thread.join()
    os.close(reading)
    assert seen[0] == 1
    assert len(loop._threads) == 2, "one more, for the time the first was busy"
    assert len(gate.free) == len(loop._threads)
