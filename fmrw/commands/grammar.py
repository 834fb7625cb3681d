"""The whole grammar: commands that record, and commands that ask and compare, which register themselves when imported."""

from fmrw.commands import compare, query
from fmrw.commands.record import grammar

__all__ = ["compare", "grammar", "query"]
