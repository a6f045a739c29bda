"""Waits until something becomes true, however slow the machine is."""

import time
from collections.abc import Callable

LONG = 240.0
"""Seconds after which a test gives up, also on a busy machine."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = LONG) -> None:
    """Return once ``condition`` holds. ``what`` says in the failure what is wrong."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.05)
