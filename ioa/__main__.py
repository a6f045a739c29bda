"""The command ``ioa``, also as ``python -m ioa``."""

import os
import sys


def main() -> None:
    """Run the command line, if the packages that it would import are ours."""
    from ioa.clash import refuse_clash

    refuse_clash()
    from ioa.cli.main import main as run

    run()


if __name__ == "__main__":
    # `python -m` puts the current folder first, where a file of the user may be called schemas.py.
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and sys.path[0] != ours:
        del sys.path[0]
    main()
