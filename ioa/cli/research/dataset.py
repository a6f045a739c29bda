"""``ioa dataset``: named, unchanging lists of latents, which experiments are made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioa.cli.options import Config, Database, Json
from ioa.cli.printing import print_json, print_rows
from ioa.cli.research.selection_options import (
    Client,
    Encoder,
    Label,
    Since,
    Site,
    Until,
    make_selection,
)
from ioa.cli.server_database import open_server_database, read_server_database

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(
    help="Named, unchanging lists of latents, which experiments are made of.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'.")]


@app.command()
def create(
    name: Name,
    site: Site = None,
    client: Client = None,
    label: Label = None,
    encoder: Encoder = None,
    since: Since = None,
    until: Until = None,
    config: Config = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List the latents that fit now, under a name, with a digest of their content.

    A latent fits where one value of every given option does. The list never changes: what arrives
    later is not in it, and the same name for another list is refused. Services may go on.

    Example: ioa dataset create two-sites --site north --site south --until 2026-12-01
    """
    from ioa.cli.research.dataset_reports import describe_dataset, to_json
    from ioa.run.progress import show_progress
    from server_classifier.store.datasets.catalogue import create_dataset

    selection = make_selection(site, client, label, encoder, since, until)
    with (
        open_server_database(config, database, existing=True) as engine,
        show_progress("latents read", quiet=as_json) as update,
    ):
        made, is_new = create_dataset(
            engine,
            name,
            selection,
            now=datetime.now(UTC),
            on_progress=lambda done: update(completed=done),
        )
    if as_json:
        print_json(to_json(made) | {"new": is_new})
    else:
        typer.echo(describe_dataset(made))
        if not is_new:
            typer.echo("it was there already and holds the same")


@app.command("list")
def list_datasets(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """List the datasets of a database, the oldest first. Example: ioa dataset list"""
    from ioa.cli.research.dataset_reports import shorten, to_json
    from server_classifier.store.datasets.catalogue import list_datasets

    with _opened(config, database) as connection:
        rows = [(to_json if as_json else shorten)(dataset) for dataset in list_datasets(connection)]
    print_rows(rows, as_json, empty="there is no dataset; see `ioa dataset create --help`")


@app.command()
def show(
    name: Name, config: Config = None, database: Database = None, as_json: Json = False
) -> None:
    """Print what a dataset holds, and whether its latents are still what they were.

    Exit code 1 where latents are gone or changed, or the list of them is.

    Example: ioa dataset show two-sites
    """
    from ioa.cli.research.dataset_reports import print_summary, summary_to_json
    from server_classifier.store.datasets.catalogue import get_dataset
    from server_classifier.store.datasets.members import summarise_members

    with _opened(config, database) as connection:
        chosen = get_dataset(connection, name)
        summary = summarise_members(connection, chosen.id)
    if as_json:
        print_json(summary_to_json(chosen, summary))
    else:
        print_summary(chosen, summary)
    if summary.gone or summary.changed or summary.digest != chosen.digest:
        raise typer.Exit(1)


@app.command()
def diff(
    first: Name,
    second: Name,
    config: Config = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print what is in one of two datasets only, and what is in both but had changed between.

    Example: ioa dataset diff two-sites three-sites
    """
    from ioa.cli.research.dataset_reports import difference_to_json, print_difference
    from server_classifier.store.datasets.catalogue import compare_datasets, get_dataset
    from server_classifier.store.datasets.members import count_latents_of

    with _opened(config, database) as connection:
        chosen = [get_dataset(connection, name) for name in (first, second)]
        parts = compare_datasets(connection, *chosen)
        counts = [count_latents_of(connection, ids) for ids in parts]
    if as_json:
        print_json(difference_to_json(parts, counts))
    else:
        print_difference(first, second, parts, counts)


@contextmanager
def _opened(config: Path | None, database: str | None) -> "Iterator[Connection]":
    from server_classifier.store.database import lift_limits

    with read_server_database(config, database, existing=True) as connection:
        lift_limits(connection)
        yield connection
