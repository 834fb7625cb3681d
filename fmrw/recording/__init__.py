"""Recording: mounts, runs, and what this machine needs for them."""
