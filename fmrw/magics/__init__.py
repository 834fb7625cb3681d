"""Magics: the notebook's way in, `%fmrw`, `%%fmrw` and their short names.

`register` runs commands for cells, `door` says what a kernel does differently (its mounts end with it, output goes into the cell),
`words` splits lines, `completion` completes them.

Threads: none; IPython calls from its main thread.
Limits: the grammar is the command line's; nothing is offered here that it lacks but `%%fmrw capture`.
"""
