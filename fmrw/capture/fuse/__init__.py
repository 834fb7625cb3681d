"""libfuse 2: its table of operations, its session, the kernel's requests."""
