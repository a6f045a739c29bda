"""Counts of what a database holds; databases with the same contents have equal inventories."""

from typing import NamedTuple

from sqlalchemy import Connection, func, inspect, select

from server_classifier.store.positions import Position, list_positions
from server_classifier.store.tables import metadata, position


class Inventory(NamedTuple):
    """The revision of the tables, the rows of each, and how far Kafka has been read into them."""

    revision: str | None
    rows: dict[str, int]
    positions: list[Position]


def take_inventory(connection: Connection) -> Inventory:
    """Count the rows of all our tables that exist; without any, the revision is None."""
    from alembic.migration import MigrationContext

    revision = MigrationContext.configure(connection).get_current_revision()
    tables = {name: metadata.tables[name] for name in find_tables(connection)}
    rows = {
        name: connection.scalar(select(func.count()).select_from(table)) or 0
        for name, table in tables.items()
    }
    positions = list_positions(connection) if position.name in tables else []
    return Inventory(revision, rows, positions)


def find_tables(connection: Connection) -> list[str]:
    """Return the names of our tables that exist, each after the tables that it refers to."""
    present = inspect(connection).get_table_names()
    return [table.name for table in metadata.sorted_tables if table.name in present]
