"""The passthrough: a directory served as it is, nothing recorded."""
