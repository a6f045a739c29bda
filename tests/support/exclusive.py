"""A lock that the test processes of one machine share."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive() -> Iterator[None]:
    """Run the block in one test process at a time.

    On a new machine the first process makes what the others find: jars, a start-up cache, a user.
    """
    with (Path(tempfile.gettempdir()) / f"ioa-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
