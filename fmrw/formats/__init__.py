"""Other tools' logs, in and out."""
