"""``python -m genrl``: the command line."""

import sys

from genrl.cli import main

if __name__ == "__main__":
    sys.exit(main())
