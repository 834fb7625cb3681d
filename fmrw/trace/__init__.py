"""Trace: what was recorded, as a frame and as a folder.

Only here do the columns have names (`schema`) and a session its files (`store`, `facts`), only here is said how exact its ranges are (`exactness`). `follow` reads a journal while it grows, segment by segment (`records`), `spool`
keeps what is too much for memory, `parquet` reads strangers' tables safely.

Threads: none of its own; a follower is used by one thread at a time.
Limits: one row is one call; a session's events may exceed the memory, so questions take lazy frames.
"""
