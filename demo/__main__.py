"""`python -m demo`: see `make demo`."""

import sys

from demo.cli import main

sys.exit(main())
