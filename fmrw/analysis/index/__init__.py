"""The index of extents: any window in any number of bins."""
