"""The commands: one grammar and one function each, for both doors."""
