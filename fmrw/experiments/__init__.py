"""Experiments: many runs of a program under one mount, with the file untouched and its bytes altered as they are read.

`runs` is the engine: `Runs` keeps one mount and a few slots, and runs commands in them. `serve` is the process that mounts, with `mirror`
(what it answers) and `patches` (which bytes it alters); `runner` is the process of a slot, with `view` (what a slot's programs see of the
machine); `shared` is the memory that they have in common, `observation` what a run gives.

Threads: `Runs` belongs to the thread that made it. The process that mounts has the threads of `fmrw.capture.fuse`, a runner has one.

Limits: Linux 5.12 and newer; who is not root needs user namespaces. Programs that need a network, a terminal or their standard input
get none. What a program writes is gone after its run, except for what the observation keeps.
"""
