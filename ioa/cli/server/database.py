"""``ioa database``: look after the server's database while the services use it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ioa.cli.options import Config, Database, Json, NewFile
from ioa.cli.printing import print_findings, print_json
from ioa.cli.server import position
from ioa.cli.server_database import open_server_database

if TYPE_CHECKING:
    from server_classifier.store.backup.inventory import Inventory

app = typer.Typer(
    help="Look after the server's database while the services use it.", no_args_is_help=True
)
app.add_typer(position.app, name="position")

Backup = Annotated[Path, typer.Argument(help="Written by `ioa database backup`.")]


@app.command()
def upgrade(config: Config = None, database: Database = None) -> None:
    """Bring the tables to this program's revision; every service does so at its start.

    Example: ioa database upgrade
    """
    from server_classifier.store.database import HEAD, current_revision, describe, ensure_current

    with open_server_database(config, database, upgrade=False) as engine:
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

    Example: ioa database check
    """
    from server_classifier.store.backup.checking import check_database

    with open_server_database(
        config, database, existing=True, upgrade=False, read_only=True
    ) as engine:
        report = check_database(engine)
    if as_json:
        named = {"database": report.database, "server": report.server}
        print_json(named | _to_json(report.inventory) | {"findings": report.findings})
    else:
        typer.echo(f"{report.database}, {report.server}")
        _print(report.inventory)
        print_findings(report.findings)
    if report.findings:
        raise typer.Exit(1)


@app.command()
def backup(
    file: NewFile, config: Config = None, database: Database = None, as_json: Json = False
) -> None:
    """Copy the database into one file, as it is at one moment, while the services go on.

    The file is an SQLite database, also that of a PostgreSQL, and is checked before it gets its
    name. It holds latents: keep it as safe as the database. Tools of your own, such as pg_dump or
    snapshots of the disk, are as good: rows and positions are in the same database.

    Example: ioa database backup /backup/ioa-2026-11-21.db
    """
    from ioa.run.progress import show_done
    from server_classifier.store.backup.backup import back_up

    with (
        open_server_database(config, database, existing=True, upgrade=False) as engine,
        show_done("copied", quiet=as_json) as on_progress,
    ):
        inventory = back_up(engine, file, on_progress)
    _report(inventory, as_json, f"copied into {file} ({file.stat().st_size:,} bytes), checked")


@app.command()
def restore(
    file: Backup, config: Config = None, database: Database = None, as_json: Json = False
) -> None:
    """Fill a new, empty database from a backup; ingestion then goes on where the backup ends.

    What came after it is read again from Kafka, and nothing is stored twice. Clients, encoders and
    classifiers that are newer than the backup are not in Kafka: register them before ingestion
    starts, or use `ioa dead-letter retry` after it. Stop the services of the old database first:
    with both running, Kafka divides the messages between them, and neither gets all until it is
    alone.

    Example: ioa database restore /backup/ioa-2026-11-21.db --database sqlite:///new.db
    """
    from ioa.run.progress import show_done
    from server_classifier.store.backup.backup import restore
    from server_classifier.store.database import describe

    with (
        open_server_database(config, database, upgrade=False) as engine,
        show_done("restored", quiet=as_json) as on_progress,
    ):
        inventory = restore(engine, file, on_progress)
        _report(inventory, as_json, f"restored into {describe(engine)}")


def _report(inventory: "Inventory", as_json: bool, done: str) -> None:
    if as_json:
        print_json(_to_json(inventory))
    else:
        _print(inventory)
        typer.echo(done)


def _print(inventory: "Inventory") -> None:
    typer.echo(f"revision {inventory.revision}")
    for table, count in inventory.rows.items():
        typer.echo(f"{table:<12}{count:>12,} rows")
    for row in inventory.positions:
        typer.echo(f"{row.topic}[{row.partition}] read up to offset {row.next_offset}")


def _to_json(inventory: "Inventory") -> dict[str, Any]:
    return {
        "revision": inventory.revision,
        "rows": inventory.rows,
        "positions": [
            {"topic": row.topic, "partition": row.partition, "next_offset": row.next_offset}
            for row in inventory.positions
        ],
    }
