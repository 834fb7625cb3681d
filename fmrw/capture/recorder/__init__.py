"""Recorder: what is written down of every call.

`monitor` is the mirror with a record of each operation, `journal` the mapped file they go into, `process` tells who called,
`calls` which call it was, `joining` which requests belong to one, `paths` numbers the paths. Recording never becomes an error of the program that is watched.
"""
