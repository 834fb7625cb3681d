"""FUSE: between the kernel's requests and Python, errno out, no policy.

`adapter` fills libfuse's table of operations, `loop` receives requests in threads, `transfers` answers reads and writes without
libfuse, `gate` counts the free threads. fusepy's module `fuse` is imported here only.
"""
