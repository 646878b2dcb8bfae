"""`python -m nnx`: the command line."""

import sys

from nnx.cli import main

if __name__ == "__main__":
    sys.exit(main())
