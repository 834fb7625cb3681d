from __future__ import annotations

from fmrw.capture.loop import Gate, Library, Loop


def _library(receive: object) -> Library:
    return Library(
        receive, process=None, send=None, new_channel=None, descriptor=lambda _channel: -1,
        next_channel=lambda _session, _before: 1, buffer_size=lambda _channel: 64,
    )  # fmt: skip


def test_a_thread_is_counted_once_and_before_it_takes_a_request() -> None:
    gate, seen = Gate(), []

    def receive(*_arguments: object) -> int:
        seen.append(len(gate.free))
        gate.enter()
        gate.free.append(None)
        return 0  # the mount is gone

    loop = Loop(_library(receive), 0, 0, gate)
    loop._grow()
    for thread in loop._threads:
        thread.join()
    assert seen[0] == 1
    assert len(gate.free) == len(loop._threads)
