"""What the commands of studies share: options, the database and the progress bar."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioa.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

Out = Annotated[Path, typer.Option(help="Folder of all studies.", file_okay=False)]
Jobs = Annotated[
    int | None,
    typer.Option(help="Trainings at a time. Default: one per core.", min=1, show_default=False),
]
STUDIES = Path("experiments/studies")


@contextmanager
def opened(config: Path | None, database: str | None) -> "Iterator[Engine]":
    """Open a database that is there; its tables are brought up to date."""
    from server_classifier.store.database import ensure_current, open_database, refuse_missing

    settings = load_settings(config, server={"database_url": database}).server
    engine = open_database(settings.database_url)
    try:
        refuse_missing(engine)
        ensure_current(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar with the time left; yield a function of how much is done, and of how much."""
    from ioa.progress import show_progress

    with show_progress(what, quiet=quiet) as update:
        yield lambda done, total: update(completed=done, total=total)


def count_jobs(jobs: int | None) -> int:
    """Return how many trainings run at a time."""
    return jobs or os.cpu_count() or 1
