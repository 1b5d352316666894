"""`python -m reid`: the command line."""

import sys

from reid.cli import main

sys.exit(main())
