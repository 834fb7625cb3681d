"""Worker: the process that serves one mount, and how it is started.

`serve` puts mirror, recorder and reports together and runs the loop; `settings` is what it is told, `start` brings a worker up; `auto_unmount` looks after
fusermount's guard; `own_code` lets a Python that lies below its own mount go on.
"""
