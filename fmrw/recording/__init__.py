"""Recording: mounts and runs of this process, and of this machine.

`mounted` puts a worker, a thread that follows its journal (`feed`) and a growing trace together, `mount` makes one; `run` does so for one command; `workers`
is who serves; `mounts` lists and ends mounts of others; `doctor` says what the machine lacks.

Threads: one per mount follows the journal; with `worker="thread"` one more serves, and `workers.InThread` says what can freeze then.
Limits: a mount made here ends with this process; one made in the background belongs to its worker.
"""
