"""The worker: the process that serves one mount."""
