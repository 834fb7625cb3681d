"""Mounts: which mounts of fmrw there are on this machine, who holds one, how one ends, and where none may begin.

`registry` finds mounts, workers and their sessions without touching them, `unmount` ends them (`fusermount` is named here), `holders`
says who keeps one busy, `preflight` refuses directories that cannot be monitored.
"""
