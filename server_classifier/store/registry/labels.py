"""The labels that a deployment has taken: up to a maximum, however many processes take them."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert, inspect, select, text

from server_classifier.store.tables import label as label_table


def list_labels(connection: Connection) -> list[str]:
    """Return the labels that were taken, sorted; of tables older than revision 0004 none."""
    if not inspect(connection).has_table(label_table.name):
        return []
    return sorted(connection.scalars(select(label_table.c.label)))


def take_labels(connection: Connection, wanted: Iterable[str], maximum: int | None) -> set[str]:
    """Take labels, in the order given, as long as there is room; return all that are taken.

    Args:
        connection: in a ``writing`` transaction, the only one that takes labels until its end.
        wanted: without duplicates.
        maximum: how many may be taken in all; None where there is no limit.
    """
    if connection.dialect.name == "postgresql":
        # On SQLite the transaction itself has already waited for the only write lock.
        connection.execute(text("LOCK TABLE label IN SHARE ROW EXCLUSIVE MODE"))
    taken = set(list_labels(connection))
    room = None if maximum is None else max(0, maximum - len(taken))
    new = [label for label in wanted if label not in taken][:room]
    if new:
        connection.execute(insert(label_table), [{"label": label} for label in new])
    return taken.union(new)
