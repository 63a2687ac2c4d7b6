"""The program `peoplenet-nb`, also started by ``python -m peoplenet_nb.cli``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while its modules are still loading ends it without a traceback."""
    try:
        from peoplenet_nb.cli.main import app

        app(prog_name="peoplenet-nb")
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell expects of a program that was interrupted


if __name__ == "__main__":
    main()
