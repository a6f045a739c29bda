"""What an outbox remembers of records that have left: counters, and a remark on the newest."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from client_autoencoder.outbox.entries import Settled

_MAX_REMARKS = 10_000
_REMARKED = ("refused", "answered", "expired")


class Journal:
    """Counters of everything, and the newest 10,000 remarks of each kind.

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

    def note_settled(self, settled: Sequence[Settled]) -> None:
        """Count records that leave, and remark on what was refused, answered or expired."""
        self.count(Counter(record.outcome.kind for record in settled))
        self._add_remarks(
            (record.outcome.kind, record.outcome.message_id, record.name, record.outcome.reason)
            for record in settled
            if record.outcome.kind in _REMARKED
        )

    def note_skipped(self, images: Sequence[tuple[str, str]]) -> None:
        """Count and remark on images that were skipped, given as (name, reason)."""
        self.count({"skipped": len(images)})
        self._add_remarks(("skipped", None, name, reason) for name, reason in images)

    def trim(self) -> None:
        """Keep only the newest remarks of each kind."""
        self._untrimmed = 0
        self._connection.execute(
            "DELETE FROM remark WHERE number IN (SELECT number FROM (SELECT number, row_number() "
            "OVER (PARTITION BY kind ORDER BY number DESC) AS place FROM remark) WHERE place > ?)",
            (_MAX_REMARKS,),
        )

    def _add_remarks(self, remarks: Iterable[tuple[str, str | None, str, str]]) -> None:
        now = self._clock()
        rows = [(*remark, now) for remark in remarks]
        if not rows:
            return
        self._connection.executemany(
            "INSERT INTO remark (kind, message_id, name, text, made_at) VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        self._untrimmed += len(rows)
        if self._untrimmed >= _MAX_REMARKS:
            self.trim()
