"""What the commands of studies share: options."""

import os
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder of all studies.", file_okay=False)]
Jobs = Annotated[
    int | None,
    typer.Option(help="Trainings at a time. Default: one per core.", min=1, show_default=False),
]
STUDIES = Path("experiments/studies")


def count_jobs(jobs: int | None) -> int:
    """Return how many trainings run at a time."""
    return jobs or os.cpu_count() or 1
