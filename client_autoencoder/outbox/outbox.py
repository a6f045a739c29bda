"""Records on the disk until the server has answered them.

A record is ``queued``, then ``delivered`` once a broker has taken it. It leaves when the server has
answered it or its deadline has passed. Each method that changes something is one transaction: give
it many records at a time.

What is committed outlives the process, however that ends. After a power cut every record that is
kept until it is answered is still there. It may no longer be known as delivered or answered: then
it is sent again. The newest of those that are kept until a deadline, such as questions, may be
lost; the process that asked them ended as well.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

from client_autoencoder.errors import OutboxFull
from client_autoencoder.outbox.database import (
    explaining_sqlite,
    make_directory,
    open_file,
    transaction,
)
from client_autoencoder.outbox.entries import (
    Counts,
    Entry,
    Limits,
    Outcome,
    Settled,
    Update,
    to_body,
    to_entry,
)
from client_autoencoder.outbox.journal import Journal
from client_autoencoder.outbox.lock import OutboxLock
from client_autoencoder.outbox.owner import bind_to_cluster, claim_for_owner
from stream.exchange.exchanges import EXCHANGES, Exchange
from stream.exchange.outgoing_record import OutgoingRecord

Clock = Callable[[], float]

_MAX_DOUBLINGS = 6
_DELETE = (
    "DELETE FROM letter WHERE message_id IN (SELECT value FROM json_each(?)) "
    "RETURNING number, name, state, size, message_id"
)
_DELETE_ENDED = _DELETE.replace(
    " RETURNING", " AND kind IN (SELECT value FROM json_each(?)) RETURNING"
)
_FIND_LAST = "SELECT number FROM letter ORDER BY number DESC LIMIT 1"


class Outbox:
    """The records of one client, without knowledge of images or Kafka; for one process at a time.

    Args:
        path: the file, made with its directory where it is missing.
        owner: who sends from it and where to; records of one owner are not sent by another.
        clock: seconds since the Unix epoch.
        exchanges: the rows for its records; it keeps and sends records of others, too.

    Attributes:
        last_number: of the record that was put last; 0 before the first.

    Raises:
        OutboxInUse: another process has it open.
        OutboxError: it is damaged, of another version or owner, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        owner: str,
        limits: Limits,
        clock: Clock,
        exchanges: Sequence[Exchange[Any]] = EXCHANGES,
    ) -> None:
        self.path = path
        self._short_lived = {row.name for row in exchanges if row.kept == "until deadline"}
        self._ended_by = _find_ended(exchanges)
        self._limits = limits
        self._clock = clock
        make_directory(path.parent)
        with ExitStack() as opened:
            opened.callback(OutboxLock(path).release)
            self._connection = open_file(path)
            opened.callback(self._connection.close)
            self._journal = Journal(self._connection, clock)
            self.counts = self._count()
            self.last_number: int = (self._fetch(_FIND_LAST) or (0,))[0]
            # Nobody waits for expired records any more: they must not bind an owner or a cluster.
            self._expired_at_opening: list[Settled] = []
            self._expired_at_opening = self.expire()
            claim_for_owner(self._connection, path, owner, self.counts.waiting)
            self._tidy()
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._opened.close()

    def bind(self, cluster_id: str) -> None:
        """Send to this cluster only, while any record waits.

        Raises:
            OutboxError: the waiting records are for another cluster.
        """
        bind_to_cluster(self._connection, self.path, cluster_id, self.counts.waiting)

    def put(self, records: Sequence[OutgoingRecord], names: Sequence[str]) -> None:
        """Queue records, all or none; ``names`` are the images that they were made of.

        Raises:
            OutboxFull: a limit is reached, or the disk is full.
        """
        now = self._clock()
        numbers = range(self.last_number + 1, self.last_number + 1 + len(records))
        rows = [
            (number, record.message_id, record.kind, now, record.deadline, name, record.size)
            for number, record, name in zip(numbers, records, names, strict=True)
        ]
        size = sum(row[-1] for row in rows)
        self._check_limits(size, now)
        durable = any(record.kind not in self._short_lived for record in records)
        with transaction(self._connection, self.path, durable=durable):
            self._connection.executemany(
                "INSERT INTO letter (number, message_id, kind, made_at, deadline, name, size) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.executemany(
                "INSERT INTO body VALUES (?, ?, ?, ?, ?)", map(to_body, numbers, records)
            )
        self.last_number += len(rows)
        self.counts.queued += len(rows)
        self.counts.size += size

    def read_queued(self, after: int, limit: int, size: int) -> list[Entry]:
        """Return the first queued records whose number is above ``after``.

        They are ``limit`` at most, and end with the one that brings their bytes to ``size``.
        """
        condition = "state = 'queued' AND letter.number > ? ORDER BY letter.number"
        return self._read(condition, after, limit, size)

    def read_overdue(self, limit: int, size: int) -> list[Entry]:
        """Return delivered records that are due again, limited as in ``read_queued``."""
        condition = "state = 'delivered' AND due_at <= ? ORDER BY due_at, letter.number"
        return self._read(condition, self._clock(), limit, size)

    def update(
        self, delivered: Sequence[str], outcomes: Sequence[Outcome], *, durable: bool = False
    ) -> Update:
        """Store what brokers have taken and what the server has answered.

        Args:
            delivered: message ids.
            outcomes: those of records that are not in the outbox, or no longer, are ignored. So
                are answers of another exchange: a question cannot be acknowledged.
            durable: whether the change also outlives a power cut.
        """
        if not delivered and not outcomes:
            return Update(0, [])
        with transaction(self._connection, self.path, durable=durable):
            settled = self._remove(outcomes)
            states = {record.outcome.message_id: record.state for record in settled}
            taken = set(delivered)
            again = sum(states.get(message_id) == "delivered" for message_id in taken)
            first, more = self._mark_delivered(taken - states.keys())
            self._journal.count({"resent": again + more})
        self.counts.queued -= first
        self.counts.delivered += first
        self._subtract(settled)
        return Update(first, settled)

    def expire(self, message_ids: Iterable[str] = ()) -> list[Settled]:
        """Expire these records and all whose deadline has passed.

        The first call also returns the records that expired when the outbox was opened.
        """
        due = [*message_ids, *self._find_ids("deadline <= ?", self._clock())]
        update = self.update([], [Outcome(message_id, "expired") for message_id in due])
        before, self._expired_at_opening = self._expired_at_opening, []
        return before + update.settled

    def discard(self, message_ids: Sequence[str] = ()) -> list[Settled]:
        """Drop these records, or all; nobody will get them."""
        chosen = message_ids or self._find_ids("1")
        outcomes = [Outcome(message_id, "discarded") for message_id in chosen]
        return self.update([], outcomes, durable=True).settled

    def note_skipped(self, images: Iterable[tuple[str, str]]) -> None:
        """Note which images were skipped, as (name, reason)."""
        skipped = list(images)
        if skipped:
            with transaction(self._connection, self.path):
                self._journal.note_skipped(skipped)

    def list_names(self, after: int) -> list[str]:
        """Return the images of the waiting records whose number is above ``after``."""
        with explaining_sqlite(self.path):
            query = "SELECT name FROM letter WHERE number > ? ORDER BY number"
            return [name for (name,) in self._connection.execute(query, (after,))]

    def find_first_sent(self) -> float | None:
        """Return the earliest time at which a delivered record was last sent; None without any."""
        row = self._fetch("SELECT min(sent_at) FROM letter WHERE state = 'delivered'")
        return row[0] if row else None

    def _read(self, condition: str, bound: float, limit: int, size: int) -> list[Entry]:
        query = (
            "SELECT message_id, kind, deadline, body.* "  # noqa: S608 - nothing from outside
            f"FROM letter JOIN body USING (number) WHERE {condition} LIMIT ?"
        )
        entries: list[Entry] = []
        with explaining_sqlite(self.path), closing(self._connection.cursor()) as cursor:
            for row in cursor.execute(query, (bound, limit)):
                entries.append(to_entry(row))
                size -= entries[-1].record.size
                if size <= 0:
                    break
        return entries

    def _find_ids(self, condition: str, *values: object) -> list[str]:
        query = f"SELECT message_id FROM letter WHERE {condition}"  # noqa: S608 - as above
        with explaining_sqlite(self.path):
            return [message_id for (message_id,) in self._connection.execute(query, values)]

    def _mark_delivered(self, message_ids: Collection[str]) -> tuple[int, int]:
        """Return how many records were delivered for the first time, and how many again."""
        if not message_ids:
            return 0, 0
        values = {
            "now": self._clock(),
            "resend": self._limits.resend,
            "doublings": _MAX_DOUBLINGS,
            "ids": json.dumps(list(message_ids)),
        }
        marked = self._connection.execute(
            "UPDATE letter SET state = 'delivered', sends = sends + 1, sent_at = :now, "
            "due_at = :now + :resend * (1 << min(sends, :doublings)) "
            "WHERE message_id IN (SELECT value FROM json_each(:ids)) RETURNING sends",
            values,
        ).fetchall()
        first = marked.count((1,))
        return first, len(marked) - first

    def _remove(self, outcomes: Sequence[Outcome]) -> list[Settled]:
        """Delete the records that have ended, and return them in the order of their numbers."""
        if not outcomes:
            return []
        settled: list[Settled] = []
        for by, run in groupby(outcomes, key=attrgetter("by")):
            settled += self._remove_ended(by, list(run))
        settled.sort(key=attrgetter("number"))
        numbers = [(record.number,) for record in settled]
        self._connection.executemany("DELETE FROM body WHERE number = ?", numbers)
        self._journal.note_settled(settled)
        return settled

    def _remove_ended(self, by: str, outcomes: Sequence[Outcome]) -> Iterator[Settled]:
        """Delete the letters that answers of one kind end, or that ended without an answer."""
        # In reverse: of two answers to one record the first counts.
        first = {outcome.message_id: outcome for outcome in reversed(outcomes)}
        query, values = _DELETE, [json.dumps(list(first))]
        if by:
            query, values = _DELETE_ENDED, [*values, self._ended_by.get(by, "[]")]
        for number, name, state, size, message_id in self._connection.execute(query, values):
            yield Settled(number, name, state, size, first[message_id])

    def _subtract(self, settled: Sequence[Settled]) -> None:
        """Take records that have left off the counts, once that is committed."""
        for record in settled:
            if record.state == "queued":
                self.counts.queued -= 1
            else:
                self.counts.delivered -= 1
            self.counts.size -= record.size

    def _check_limits(self, size: int, now: float) -> None:
        (oldest,) = self._fetch("SELECT made_at FROM letter ORDER BY number LIMIT 1") or (now,)
        excess = self._limits.find_excess(self.counts, size, now - oldest)
        if excess is not None:
            raise OutboxFull(f"outbox {self.path} is full: {excess}")

    def _count(self) -> Counts:
        row = self._fetch(
            "SELECT count(*) FILTER (WHERE state = 'queued'), "
            "count(*) FILTER (WHERE state = 'delivered'), coalesce(sum(size), 0) FROM letter"
        )
        return Counts(*(row or ()))

    def _tidy(self) -> None:
        """Let a new process send again soon, even if the clock was set back; trim the remarks."""
        latest = self._clock() + self._limits.resend
        with transaction(self._connection, self.path):
            self._connection.execute("UPDATE letter SET due_at = ?1 WHERE due_at > ?1", (latest,))
            self._journal.trim()

    def _fetch(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with explaining_sqlite(self.path):
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row


def _find_ended(exchanges: Sequence[Exchange[Any]]) -> dict[str, str]:
    """Return for each kind of answer the names of the exchanges that it ends, as JSON."""
    ended: dict[str, list[str]] = {}
    for exchange in exchanges:
        for kind in exchange.endings:
            ended.setdefault(kind.name, []).append(exchange.name)
    return {kind: json.dumps(names) for kind, names in ended.items()}
