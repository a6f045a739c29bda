"""``ioa server db``: look after the server's database while the services use it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ioa.cli.options import Config, Database, Json
from ioa.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from server_classifier.store.backup.inventory import Inventory

app = typer.Typer(
    help="Look after the server's database while the services use it.", no_args_is_help=True
)

Target = Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")]
Source = Annotated[Path, typer.Argument(help="Written by `ioa server db backup`.")]


@app.command()
def upgrade(config: Config = None, database: Database = None) -> None:
    """Bring the tables to this program's revision; every service does so at its start.

    Example: ioa server db upgrade
    """
    from server_classifier.store.database import HEAD, current_revision, describe, ensure_current

    with _opened(config, database) as engine:
        before = current_revision(engine)
        ensure_current(engine)
        changes = {None: f"were made, at revision {HEAD}", HEAD: f"are at revision {HEAD}"}
        change = changes.get(before, f"went from {before} to {HEAD}")
        typer.echo(f"the tables of {describe(engine)} {change}")


@app.command()
def check(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """Look for damage, an old revision, and rows that do not fit their positions in Kafka.

    Exit code 1 where anything is found. It reads the whole file, or the whole table, and changes
    nothing: a backup keeps its checksum.

    Example: ioa server db check
    """
    from server_classifier.store.backup.checking import check_database
    from server_classifier.store.database import refuse_missing

    with _opened(config, database, read_only=True) as engine:
        refuse_missing(engine)
        report = check_database(engine)
    if as_json:
        content = _to_json(report.inventory)
        named = {"database": report.database, "server": report.server}
        typer.echo(json.dumps(named | content | {"findings": report.findings}))
    else:
        typer.echo(f"{report.database}, {report.server}")
        _print(report.inventory)
        for finding in report.findings or ["nothing is wrong"]:
            typer.echo(finding)
    if report.findings:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Target, config: Config = None, database: Database = None, as_json: Json = False
) -> None:
    """Copy the database into one file, as it is at one moment, while the services go on.

    The file is an SQLite database, also that of a PostgreSQL, and is checked before it gets its
    name. It holds latents: keep it as safe as the database. Tools of your own, such as pg_dump or
    snapshots of the disk, are as good: rows and positions are in the same database.

    Example: ioa server db backup /backup/ioa-2026-11-21.db
    """
    from ioa.run.progress import show_done
    from server_classifier.store.backup.backup import back_up
    from server_classifier.store.database import refuse_missing

    with _opened(config, database) as engine, show_done("copied", quiet=as_json) as on_progress:
        refuse_missing(engine)
        inventory = back_up(engine, file, on_progress)
    _report(inventory, as_json, f"copied into {file} ({file.stat().st_size:,} bytes), checked")


@app.command()
def restore(
    file: Source, config: Config = None, database: Database = None, as_json: Json = False
) -> None:
    """Fill a new, empty database from a backup; ingestion then goes on where the backup ends.

    What came after it is read again from Kafka, and nothing is stored twice. Clients, encoders and
    classifiers that are newer than the backup are not in Kafka: register them before ingestion
    starts, or use `ioa dead-letters retry` after it. Stop the services of the old database first:
    with both running, Kafka divides the messages between them, and neither gets all until it is
    alone.

    Example: ioa server db restore /backup/ioa-2026-11-21.db --database sqlite:///new.db
    """
    from ioa.run.progress import show_done
    from server_classifier.store.backup.backup import restore
    from server_classifier.store.database import describe

    with _opened(config, database) as engine, show_done("restored", quiet=as_json) as on_progress:
        inventory = restore(engine, file, on_progress)
        _report(inventory, as_json, f"restored into {describe(engine)}")


@contextmanager
def _opened(
    config: Path | None, database: str | None, *, read_only: bool = False
) -> "Iterator[Engine]":
    """Open the database that the settings name, with its tables as they are."""
    from server_classifier.store.database import open_database, open_read_only

    settings = load_settings(config, server={"database_url": database}).server
    engine = (open_read_only if read_only else open_database)(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _report(inventory: "Inventory", as_json: bool, done: str) -> None:
    if as_json:
        typer.echo(json.dumps(_to_json(inventory)))
    else:
        _print(inventory)
        typer.echo(done)


def _print(inventory: "Inventory") -> None:
    typer.echo(f"revision {inventory.revision}")
    for table, count in inventory.rows.items():
        typer.echo(f"{table:<12}{count:>12,} rows")
    for one in inventory.positions:
        typer.echo(f"{one.topic}[{one.partition}] read up to offset {one.next_offset}")


def _to_json(inventory: "Inventory") -> dict[str, Any]:
    return {
        "revision": inventory.revision,
        "rows": inventory.rows,
        "positions": [
            {"topic": one.topic, "partition": one.partition, "next_offset": one.next_offset}
            for one in inventory.positions
        ],
    }
