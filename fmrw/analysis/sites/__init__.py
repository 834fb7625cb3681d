"""Call sites: names for places in the code (`symbols`, `lines`, `naming`), and what can be asked of stacks (`stacks`, `parts`, `export`).

Names are looked up after a recording, in the files that ran then: a file with another build-id names nothing.
"""
