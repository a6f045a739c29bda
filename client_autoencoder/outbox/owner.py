"""Who may send the records of an outbox, and to which cluster; both are fixed while any waits."""

import sqlite3
from pathlib import Path

from client_autoencoder.errors import OutboxError
from client_autoencoder.outbox.database import explaining_sqlite, transaction


def claim_for_owner(connection: sqlite3.Connection, path: Path, owner: str, waiting: int) -> None:
    """Make ``owner`` the owner of the outbox, in which ``waiting`` records wait.

    Raises:
        OutboxError: records of another owner wait.
    """
    current, _ = _read(connection, path)
    if current == owner:
        return
    if current is not None and waiting:
        raise OutboxError(
            f"outbox {path} holds {waiting} messages of {current}, this is {owner}: drain it with "
            "the settings of then, or name another with --outbox"
        )
    _write(connection, path, owner, None)


def bind_to_cluster(
    connection: sqlite3.Connection, path: Path, cluster_id: str, waiting: int
) -> None:
    """Bind the outbox, in which ``waiting`` records wait, to the cluster that has answered.

    Raises:
        OutboxError: the records are for another cluster.
    """
    owner, current = _read(connection, path)
    if current == cluster_id:
        return
    if current is not None and waiting:
        raise OutboxError(
            f"outbox {path} holds {waiting} messages for Kafka cluster {current}, and the one "
            f"that answers is {cluster_id}. Use the --bootstrap-servers of then; if that cluster "
            "is gone, keep a copy with `ioa outbox export`, drop them with `ioa outbox "
            "discard`, and publish their images again"
        )
    _write(connection, path, owner, cluster_id)


def _read(connection: sqlite3.Connection, path: Path) -> tuple[str | None, str | None]:
    with explaining_sqlite(path):
        row = connection.execute("SELECT name, cluster FROM owner").fetchone()
    return row or (None, None)


def _write(
    connection: sqlite3.Connection, path: Path, owner: str | None, cluster_id: str | None
) -> None:
    with transaction(connection, path):
        connection.execute("DELETE FROM owner")
        connection.execute("INSERT INTO owner VALUES (?, ?)", (owner, cluster_id))
