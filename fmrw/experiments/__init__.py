"""Experiments: many runs of a program under one mount, with the file untouched and its bytes altered as they are read.

`runs` is the engine: `Runs` keeps one mount and a few slots, and runs commands in them. `serve` is the process that mounts, with `mirror`
(what it answers) and `patches` (which bytes it alters); `runner` is the process of a slot, with `spawn` (how it starts commands) and `view` (what
a slot's programs see of the machine); `shared` is the memory that they have in common, `observation` what a run gives. Starting commands
and answering plain reads are compiled where there is a compiler (`native`; the code is `commands.c`, `slots.c` and `altering.c` of `fmrw.capture.native`).

Threads: `Runs` belongs to the thread that made it. The process that mounts has the threads of `fmrw.capture.fuse`, which leave the
interpreter's lock while they answer in compiled code; a runner has one.

Limits: Linux 5.12 and newer; who is not root needs user namespaces. Programs that need a network, a terminal or their standard input
get none. What a program writes is gone after its run, except for what the observation keeps.
"""
