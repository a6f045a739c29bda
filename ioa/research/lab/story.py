"""The story of long work, told step by step as it happens."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from ioa.run.progress import show_progress


class Story:
    """Prints each step when it is done, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def tell(self, text: str) -> None:
        """Print a line with the time."""
        self.console.print(
            f"[dim]{self.seconds:5.1f} s[/]  {text}", highlight=False, soft_wrap=True
        )

    @contextmanager
    def wait(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Draw a bar while the block runs; yield a function that takes how much is done."""
        what = f"         {what}"  # below the texts of the other lines
        with show_progress(what, console=self.console, transient=True, total=total) as show:
            yield lambda done: show(completed=done)
