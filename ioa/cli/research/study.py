"""``ioa experiment run``, ``list``, ``show`` and ``diff``: studies on datasets."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ioa.cli.options import Json
from ioa.cli.panels import OUTPUT
from ioa.cli.printing import print_json, print_markdown, print_rows
from ioa.cli.research.study_reports import (
    describe_study,
    print_comparison,
    study_to_json,
    warn_of_others,
)
from ioa.cli.server_database import open_server_database

STUDIES = Path("experiments/studies")
Out = Annotated[
    Path, typer.Option(help="Folder of all studies.", file_okay=False, rich_help_panel=OUTPUT)
]
Jobs = Annotated[
    int | None, typer.Option(help="Trainings at a time. Default: one per core.", min=1)
]


def count_jobs(jobs: int | None) -> int:
    """Return how many trainings run at a time."""
    return jobs or os.cpu_count() or 1


def run(
    conf: Annotated[Path, typer.Argument(help="What to try (TOML).", dir_okay=False)],
    out: Out = STUDIES,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Train on datasets with every encoder, head, settings, seed and fold that a file lists.

    Trials that are done, also by a run that was killed, are not done again. Table and figure are
    beside the trials, in OUT/NAME; remove that folder to train all again, as after an upgrade.
    Seeds and values may be added to the file; for any other change give it another name.

    Example: ioa experiment run dropout.toml
    """
    from ioa.research.reporting.results import prepare_directory
    from ioa.research.studies.configuration import read_config
    from ioa.run.progress import show_done

    config = read_config(conf)
    prepare_directory(out / config.name)
    from ioa.research.studies.run import run_study  # torch: after what is likely to be wrong

    with (
        open_server_database(None, config.database, existing=True) as engine,
        show_done(config.name, quiet=as_json) as show,
    ):
        study, trained = run_study(config, engine, out, jobs=count_jobs(jobs), on_progress=show)
    warn_of_others([record.conditions for record in study.records.values()], out / config.name)
    if as_json:
        print_json(study_to_json(study) | {"trained": trained})
        return
    print_markdown((out / config.name / "table.md").read_text())
    typer.echo(f"{trained} trials trained now; table.md and figure.png are in {out / config.name}")


def list_studies(out: Out = STUDIES, as_json: Json = False) -> None:
    """List the studies of a folder, finished or not. Example: ioa experiment list"""
    from ioa.research.studies.plan import list_studies

    studies, errors = list_studies(out)
    for error in errors:
        typer.echo(f"left out: {error}", err=True)
    rows = [describe_study(study) for study in studies]
    print_rows(rows, as_json, empty=f"there is no study in {out}; make one: ioa experiment run")


def show(
    name: Annotated[str, typer.Argument(help="The name of a study.")],
    out: Out = STUDIES,
    as_json: Json = False,
) -> None:
    """Print the table of a study, of as many trials as are done.

    Example: ioa experiment show dropout
    """
    from ioa.research.studies.plan import read_study
    from ioa.research.studies.table import render_study

    study = read_study(out, name)
    if as_json:
        print_json(study_to_json(study))
    else:
        print_markdown(render_study(study))


def diff(
    first: Annotated[str, typer.Argument(help="A study, or STUDY:ROW of its table.")],
    second: Annotated[str, typer.Argument(help="Another study or row.")],
    out: Out = STUDIES,
    as_json: Json = False,
) -> None:
    """Print what changed between two studies, or two rows, and what it did.

    Trials of equal latents, seed and fold are compared in pairs: the spread of the difference then
    leaves out how seeds and folds differ anyway.

    Example: ioa experiment diff dropout:1 dropout:2
    """
    from ioa.research.studies.comparison import compare, read_side

    comparison = compare(read_side(out, first), read_side(out, second))
    if as_json:
        print_json(comparison.to_json())
    else:
        print_comparison(comparison)
