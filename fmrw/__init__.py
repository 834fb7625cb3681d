"""Which bytes of a file does that program really read and write: a mount answers."""

__version__ = "0.1.0"
