"""One progress bar for all long work, drawn on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich import progress as bars
from rich.console import Console
from rich.text import Text


class _RateColumn(bars.ProgressColumn):
    """The recent rate per second."""

    def render(self, task: bars.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def show_progress(
    what: str,
    *,
    console: Console | None = None,
    quiet: bool = False,
    transient: bool = False,
    total: int | None = None,
) -> Iterator[Callable[..., Any]]:
    """Draw a bar; yield a function that takes ``completed=``, ``total=`` or ``description=``.

    Args:
        console: where to draw; by default standard error.
        quiet: draw nothing.
        transient: remove the bar at the end.
    """
    console = console or Console(stderr=True)
    with bars.Progress(
        *(bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn()),
        *(_RateColumn(), bars.TimeElapsedColumn(), bars.TimeRemainingColumn()),
        console=console,
        transient=transient,
        disable=quiet or not console.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda **state: progress.update(task, **state)


@contextmanager
def show_done(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar; yield a function that takes how much is done and how much there is in all."""
    with show_progress(what, quiet=quiet) as update:
        yield lambda done, total: update(completed=done, total=total)
