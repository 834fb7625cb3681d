"""The version of fmrw that stands in sessions, in figures and in `fmrw --version`."""

VERSION = "0.1.0"
