"""What the commands that show the server's database share: opening it and printing rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ioa.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


@contextmanager
def server_database(
    config: Path | None, database: str | None, *, existing: bool = False
) -> "Iterator[Engine]":
    """Open the database that the settings name, with its tables up to date, for the block.

    Where it must be ``existing``, a missing SQLite file is an error instead of a new one.
    """
    from server_classifier.store.database import ensure_current, open_database, refuse_missing

    settings = load_settings(config, server={"database_url": database}).server
    engine = open_database(settings.database_url)
    try:
        if existing:
            refuse_missing(engine)
        ensure_current(engine)
        yield engine
    finally:
        engine.dispose()


def print_rows(rows: list[dict[str, Any]], as_json: bool, *, empty: str) -> None:
    """Print rows as a table or as one line of JSON; ``empty`` is said where there are none."""
    if as_json:
        import json

        typer.echo(json.dumps(rows))
    elif not rows:
        typer.echo(empty)
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(*rows[0], box=None)
        for row in rows:
            table.add_row(*map(str, row.values()))
        Console().print(table)
