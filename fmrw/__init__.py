"""Which bytes of this file does that program really read and write?"""

__version__ = "0.1.0"
