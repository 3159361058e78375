"""Entry of `python -m dashboard`."""

import sys

from dashboard.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
