"""Verbs on frames: frame in, frame out, nothing mutated."""
