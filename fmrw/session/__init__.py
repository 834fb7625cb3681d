"""Session: `Trace`, what a user holds, and everything it can be asked.

`recorded` is the part of `Trace` that says what was recorded. A question is a method of `Trace` (`questions` answers it) or a function of
the same name (`verbs`); what a question means stands here and nowhere above. `lookup` and `loading` find recordings by name, `paths` and
`programs` files and processes in them, `overview` sums a recording up, `sources` says where events come from, `saving` writes a session, `charts` draws, `reports` writes
files, `reporter` those of a run, `rendering` is what the helper of a mount runs, `annotations` keeps names of ranges.

Threads: traces may be asked from several threads; a growing source reads its journal under a lock.
Limits: a trace of several sessions has no content, since a path may be another file in each.
"""
