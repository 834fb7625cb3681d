"""Commands: one grammar and one function each, for the shell and for the notebook.

A command parses, calls a function of a lower room, and gives an `Outcome`. `grammar` has the options, `record`, `query` and `compare` the
commands, `families` all of them, `outcome` what both doors do differently, `tables` how an outcome looks as text, `demo` the tour.

Threads: none.
Limits: no question is answered here, and neither door is imported. Modules that take long to import are imported by the command that needs them.
"""
