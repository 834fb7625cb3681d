"""Formats: other tools' logs, in and out of the frame.

`csv` reads and writes our CSV and reads that of the tool fmrw descends from, `strace` reads its logs, `perfetto` writes for its viewer.

Threads: none.
Limits: a log tells what its tool wrote down: what was never in it (io_uring in a log of strace) is in no frame.
"""
