"""`python -m fmrw`."""

import sys

from fmrw.cli import fmrw

sys.exit(fmrw())
