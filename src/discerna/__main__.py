"""`python -m discerna`."""

import sys

from discerna.cli import main

sys.exit(main())
