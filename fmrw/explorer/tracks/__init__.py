"""Tracks: rows below each other along one axis of offsets; what the bytes are, who touched them, and when.

`registry` lists them from top to bottom. A track is a function of a `Stack`, which gives it the next row; `content` knows the file's format,
`counts` how often bytes were touched, `effects` what altering them does, `lanes` and `plane` who touched them and in which order (`groups`: programs, or functions).

**Another track** is such a function, added to `registry.TRACKS` in its place. One that the user may switch off has its name
in `state.OVERLAYS` too, from where the toolbar's "look" takes it.

Limits. A track draws a mark for each column of the screen at most. Lanes, call borders and the plane of time look at a sample of 50,000 accesses, and say so.
"""
