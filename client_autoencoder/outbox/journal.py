"""What an outbox remembers of letters that have left: how many, and a line about the newest."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from client_autoencoder.outbox.entries import Settled

_MOST_REMARKS = 10_000
_REMARKED = ("refused", "answered", "expired")


class Journal:
    """Counters, which know of everything, and the newest remarks of each kind.

    It writes inside the outbox's transactions.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._untrimmed = 0

    def count(self, amounts: Mapping[str, int]) -> None:
        """Add to counters."""
        self._connection.executemany(
            "INSERT INTO counter VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, amount) for name, amount in amounts.items() if amount],
        )

    def record(self, settled: Sequence[Settled]) -> None:
        """Count letters that leave, and note what was refused, answered or expired."""
        self.count(Counter(one.outcome.kind for one in settled))
        self._remark(
            (one.outcome.kind, one.outcome.message_id, one.name, one.outcome.text)
            for one in settled
            if one.outcome.kind in _REMARKED
        )

    def record_skipped(self, files: Sequence[tuple[str, str]]) -> None:
        """Count and note images that were left out, as (name, reason)."""
        self.count({"skipped": len(files)})
        self._remark(("skipped", None, name, reason) for name, reason in files)

    def trim(self) -> None:
        """Leave the newest remarks of each kind."""
        self._untrimmed = 0
        self._connection.execute(
            "DELETE FROM remark WHERE number IN (SELECT number FROM (SELECT number, row_number() "
            "OVER (PARTITION BY kind ORDER BY number DESC) AS place FROM remark) WHERE place > ?)",
            (_MOST_REMARKS,),
        )

    def _remark(self, remarks: Iterable[tuple[str, str | None, str, str]]) -> None:
        now = self._clock()
        rows = [(*remark, now) for remark in remarks]
        if not rows:
            return
        self._connection.executemany(
            "INSERT INTO remark (kind, message_id, name, text, made_at) VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        self._untrimmed += len(rows)
        if self._untrimmed >= _MOST_REMARKS:
            self.trim()
