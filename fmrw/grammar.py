"""The whole grammar: commands that record, and commands that ask, which register themselves when imported."""

from fmrw import questions
from fmrw.commands import grammar

__all__ = ["grammar", "questions"]
