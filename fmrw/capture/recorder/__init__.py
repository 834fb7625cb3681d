"""The monitor: what is written down of each call, and who called."""
