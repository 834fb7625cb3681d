"""CSV logs, ours and those of the ancestor."""
