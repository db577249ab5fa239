"""`python -m setwise` is the `setwise` command."""

import sys

from setwise._cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
