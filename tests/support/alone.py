"""What test processes that run side by side do one after another."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone() -> Iterator[None]:
    """Run the block in no two test processes at once.

    On a new machine the first makes what the others then find: jars, a start-up cache, a user.
    """
    with (Path(tempfile.gettempdir()) / f"ioa-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
