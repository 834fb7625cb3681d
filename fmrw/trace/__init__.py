"""What was recorded: the frame, the session on disk, and other tools' logs read into the same frame."""
