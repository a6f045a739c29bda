"""What the commands of studies share: options and the progress bar."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder of all studies.", file_okay=False)]
Jobs = Annotated[
    int | None,
    typer.Option(help="Trainings at a time. Default: one per core.", min=1, show_default=False),
]
STUDIES = Path("experiments/studies")


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar with the time left; yield a function of how much is done, and of how much."""
    from ioa.progress import show_progress

    with show_progress(what, quiet=quiet) as update:
        yield lambda done, total: update(completed=done, total=total)


def count_jobs(jobs: int | None) -> int:
    """Return how many trainings run at a time."""
    return jobs or os.cpu_count() or 1
