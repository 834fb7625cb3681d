"""Analysis: verbs on frames. A frame goes in, a frame comes out, nothing is changed in place.

Byte ranges (`ranges`), sets of bytes per reader (`compare`), gaps and what lies in them (`gaps`, `signatures`, `bytestats`), the index
that answers any window in any number of bins (`index`), the parts of file formats (`structure`). All ranges are half-open.

Threads: the index sorts and filters in two threads at most and is immutable afterwards.
Limits: offsets are signed 64-bit integers; content is read only by `gaps`, `bytestats` and `structure`, and is never trusted.
"""
