"""`python -m fmrw`."""

import sys

from fmrw.cli.main import main

sys.exit(main())
