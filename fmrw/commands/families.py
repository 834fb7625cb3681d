"""Families: all commands, by importing the modules in which they register themselves.

Whoever needs the whole grammar imports it from here, since `fmrw.commands.grammar` alone knows no command.
"""

from fmrw.commands import compare, experiments, query, record, sessions, sites, survey
from fmrw.commands.grammar import grammar

__all__ = ["compare", "experiments", "grammar", "query", "record", "sessions", "sites", "survey"]
