"""The mount and the recording: knows fusepy, never polars or altair."""
