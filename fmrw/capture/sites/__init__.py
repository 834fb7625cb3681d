"""Call sites: which code asked for the bytes that a request wants, told by the stack of the thread that waits for our answer.

`unwind` walks a stack by the tables that compilers leave in every program (`elf`, `cfi`, `expressions`, `rules`), `space` knows what is mapped where,
`modules` which files these are, `scan` guesses where tables end and says so. `compiled` has what is usual done in C. `numbers` gives each stack a number, `known` knows it again. Nobody is stopped or
attached to: a thread that waits for an answer holds still. Whatever a file or a stack says may be a lie, so all work is bounded.
"""
