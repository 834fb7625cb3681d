"""`python -m fmrw`."""

import sys

from fmrw.cli import main

sys.exit(main())
