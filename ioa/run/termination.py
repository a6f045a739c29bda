"""An orderly end: of this process on SIGTERM, and of child processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Turn SIGTERM into SystemExit inside the block, so that context managers close."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate(processes: Sequence[subprocess.Popen[Any]], patience: float) -> None:
    """Terminate child processes; kill those that have not ended after ``patience`` seconds."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
