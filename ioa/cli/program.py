"""How this program is called here, for commands that a person shall copy."""

import os
import shutil
import sys
from pathlib import Path


def program_name() -> str:
    """Return ``ioa``, or what to type where that is not on the search path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{os.path.relpath(sys.executable)} -m ioa"
    if shutil.which("ioa") is not None:
        return "ioa"
    return os.path.relpath(called)
