"""Versions of fmrw and of its session folders: the first stands in sessions, in figures and in `fmrw --version`."""

VERSION = "0.1.0"
SCHEMA = 3
"""Version of the session folder; a larger one than this is refused."""
