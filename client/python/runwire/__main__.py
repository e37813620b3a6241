"""``python -m runwire``: the command line."""

import sys

from runwire._command import main

sys.exit(main())
