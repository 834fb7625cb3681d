"""Native: reads and writes of known callers, and what a name is, answered in C where the package was built with a compiler.

`transfers.c`, `metadata.c`, `reports.c`, `listing.c`, `callers.c`, `stacks.c` and `sites.c` are the code, `build` compiles it when the package is installed, `pairs`, `metadata`, `reports` and
`stacks` are the memory it shares with Python; `slots.c` and `commands.c` share theirs with `fmrw.experiments`. It is optional: without it, and for all that it
declines, `fmrw.capture.fuse`, the monitor and the experiments do the same in Python.
"""
