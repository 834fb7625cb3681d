"""Parquet files of strangers: what they claim, before an engine believes it."""
