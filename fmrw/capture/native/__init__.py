"""Native: reads and writes of known callers, answered in C where the package was built with a compiler.

`transfers.c` is the code, `build` compiles it when the package is installed, `pairs` is the memory it shares with Python. It is optional:
without it, and for all that it declines, `fmrw.capture.fuse.transfers` and the monitor do the same in Python.
"""
