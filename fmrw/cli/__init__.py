"""Command line: the shell's way in. It parses, runs the command, prints its outcome and gives the exit status.

Threads: none; SIGTERM and SIGHUP unwind, so that mounts end.
Limits: 0, 1 for a failure of ours, 2 for usage, the command's own status for `run`.
"""
