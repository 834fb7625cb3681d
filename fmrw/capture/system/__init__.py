"""System: what the operating system is asked directly.

`libc` has the system calls that Python lacks, `proc` the paths and facts below /proc. Everything in `capture` may import these.
"""
