"""The whole grammar: commands that record, and commands that ask and compare, which register themselves when imported."""

from fmrw import comparisons, questions
from fmrw.commands import grammar

__all__ = ["comparisons", "grammar", "questions"]
