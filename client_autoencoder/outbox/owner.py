"""Whose letters an outbox holds and which cluster they are for; no other may send or get them."""

import sqlite3
from pathlib import Path

from client_autoencoder.errors import OutboxError
from client_autoencoder.outbox.database import transaction


class Ownership:
    """Both are changed only while nothing waits."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def take_over(self, owner: str, waiting: int) -> None:
        """Make ``owner`` the owner.

        Raises:
            OutboxError: another one's letters wait.
        """
        found, _ = self._read()
        if found == owner:
            return
        if found is not None and waiting:
            raise OutboxError(
                f"outbox {self._path} holds {waiting} messages of {found}, this is {owner}: drain "
                "it with the settings of then, or name another with --outbox"
            )
        self._write(owner, None)

    def bind(self, cluster_id: str, waiting: int) -> None:
        """Note for which cluster the letters are, once one has answered.

        Raises:
            OutboxError: they are for another one.
        """
        owner, found = self._read()
        if found == cluster_id:
            return
        if found is not None and waiting:
            raise OutboxError(
                f"outbox {self._path} holds {waiting} messages for Kafka cluster {found}, and the "
                f"one that answers is {cluster_id}. Use the --bootstrap-servers of then; if that "
                "cluster is gone, keep a copy with `ioa client outbox export`, drop them with "
                "`ioa client outbox discard`, and publish their images again"
            )
        self._write(owner, cluster_id)

    def _read(self) -> tuple[str | None, str | None]:
        row = self._connection.execute("SELECT name, cluster FROM owner").fetchone()
        return row or (None, None)

    def _write(self, owner: str | None, cluster_id: str | None) -> None:
        with transaction(self._connection, self._path):
            self._connection.execute("DELETE FROM owner")
            self._connection.execute("INSERT INTO owner VALUES (?, ?)", (owner, cluster_id))
