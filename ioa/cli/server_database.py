"""Opening the server's database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ioa.cli.options import load

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from stream.kafka.topics import Topic


@contextmanager
def open_server_database(
    config: Path | None,
    database: str | None,
    *,
    existing: bool = False,
    upgrade: bool = True,
    read_only: bool = False,
) -> "Iterator[Engine]":
    """Open the database that the settings name, for the block.

    Args:
        existing: a missing SQLite file is an error; else it is made.
        upgrade: bring the tables up to date; else they stay as they are.
        read_only: nothing can be changed.
    """
    from server_classifier.store.database import (
        ensure_current,
        open_database,
        open_read_only,
        refuse_missing,
    )

    url = load(config, server={"database_url": database}).server.database_url
    engine = (open_read_only if read_only else open_database)(url)
    try:
        if existing:
            refuse_missing(engine)
        if upgrade:
            ensure_current(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def read_server_database(
    config: Path | None, database: str | None, *, existing: bool = False
) -> "Iterator[Connection]":
    """Open the database, with its tables up to date, and read from it in the block."""
    from server_classifier.store.database import reading

    with (
        open_server_database(config, database, existing=existing) as engine,
        reading(engine) as connection,
    ):
        yield connection


def mark_read_topics(
    config: Path | None, database: str | None, topics: "Iterable[Topic]"
) -> "list[Topic]":
    """Return topics with what was read of them, where there is a database that knows.

    There is none before the server's first start, and none without what the server needs.
    """
    if find_spec("sqlalchemy") is None:
        return [*topics]
    from server_classifier.operations.topics import mark_read
    from server_classifier.store.database import has_file

    with open_server_database(config, database, upgrade=False, read_only=True) as engine:
        if not has_file(engine):
            return [*topics]
    with open_server_database(config, database) as engine:
        return mark_read(engine, topics)
