"""Capture: the process that serves a mount and writes down what is asked of it.

Only here is libfuse spoken to, are requests answered, and is `/proc` read. From the ground up: `system` (system calls, /proc), `mounts`
(which mounts there are, how one ends), `native` (plain reads and writes in C, optional), `fuse` (requests and answers), `mirror` (the passthrough, which records nothing), `recorder`
(what is written down), `reports` (virtual files), `worker` (the process of one mount).

Threads: a worker answers in as many threads as there are requests at once; whatever they share says how it is guarded. Nothing
here may wait for a program that waits for its answer.
Limits: Linux, libfuse 2.9 by fusepy; no polars, numpy, altair or click, since a worker starts with every `fmrw run`.
"""
