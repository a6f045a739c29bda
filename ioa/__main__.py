"""``python -m ioa`` is ``ioa``."""

from ioa.cli.main import main

if __name__ == "__main__":
    main()
