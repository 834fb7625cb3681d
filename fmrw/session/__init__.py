"""The trace: what a user holds."""
