"""Waiting for something to become true, however slow the machine is."""

import time
from collections.abc import Callable

LONG = 240.0
"""Seconds after which whatever is waited for has failed, also on a busy machine."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = LONG) -> None:
    """Return once ``condition`` holds; ``what`` says in the failure what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.05)
