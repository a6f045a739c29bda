"""Letters on the disk until the server has answered them.

A letter is ``queued``, then ``delivered`` when a broker has taken it, and leaves when the server's
answer arrived or its deadline passed. Each method that changes something is one transaction: give
it many letters at a time.

What is committed outlives the process, however that ends. A power cut finds every letter without a
deadline that ``put`` took on the disk, but may take back that it was delivered or answered: then it
goes again. It may take the newest questions, whose asker it cut off as well.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from operator import itemgetter
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
    Limits,
    Noted,
    Outcome,
    Settled,
    Waiting,
    to_body,
    to_waiting,
)
from client_autoencoder.outbox.journal import Journal
from client_autoencoder.outbox.lock import OutboxLock
from client_autoencoder.outbox.owner import Ownership
from stream.exchange.outgoing_record import OutgoingRecord

Clock = Callable[[], float]

_MOST_DOUBLINGS = 6
_FIND_LAST = "SELECT number FROM letter ORDER BY number DESC LIMIT 1"


class Outbox:
    """One client's letters; knows neither images nor Kafka. One process at a time has it open.

    Args:
        path: the file, made with its directory where it is missing.
        owner: who sends from it and where to; letters of one owner are not sent by another.
        clock: seconds since the Unix epoch.

    Attributes:
        last_number: of the letter that was put last; 0 before the first.

    Raises:
        OutboxInUse: another process has it open.
        OutboxError: it is damaged, of another version or owner, or cannot be written.
    """

    def __init__(self, path: Path, *, owner: str, limits: Limits, clock: Clock) -> None:
        self.path = path
        self._limits = limits
        self._clock = clock
        make_directory(path.parent)
        with ExitStack() as opened:
            opened.callback(OutboxLock(path).release)
            self._connection = open_file(path)
            opened.callback(self._connection.close)
            self._journal = Journal(self._connection, clock)
            self._ownership = Ownership(self._connection, path)
            self.counts = self._count()
            self.last_number: int = (self._fetch(_FIND_LAST) or (0,))[0]
            # Nobody waits for these any more: they must not bind us to an owner or a cluster.
            self._expired_before: list[Settled] = []
            self._expired_before = self.expire()
            with explaining_sqlite(path):
                self._ownership.take_over(owner, self.counts.waiting)
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
        """Send to this cluster only, while anything waits.

        Raises:
            OutboxError: what waits is for another one.
        """
        with explaining_sqlite(self.path):
            self._ownership.bind(cluster_id, self.counts.waiting)

    def put(self, letters: Sequence[OutgoingRecord], names: Sequence[str]) -> None:
        """Queue letters, all or none; ``names`` says of which image each is.

        Raises:
            OutboxFull: they are too many, the oldest letter waits too long, or the disk is full.
        """
        now = self._clock()
        numbers = range(self.last_number + 1, self.last_number + 1 + len(letters))
        rows = [
            (number, letter.message_id, now, letter.deadline, name, letter.size)
            for number, letter, name in zip(numbers, letters, names, strict=True)
        ]
        size = sum(row[-1] for row in rows)
        self._refuse_beyond_limits(size, now)
        durable = any(letter.deadline is None for letter in letters)
        with transaction(self._connection, self.path, durable=durable):
            self._connection.executemany(
                "INSERT INTO letter (number, message_id, made_at, deadline, name, size) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.executemany(
                "INSERT INTO body VALUES (?, ?, ?, ?, ?)", map(to_body, numbers, letters)
            )
        self.last_number += len(rows)
        self.counts.queued += len(rows)
        self.counts.size += size

    def take_queued(self, after: int, limit: int, size: int) -> list[Waiting]:
        """Return the first queued letters whose number is above ``after``.

        They are ``limit`` at most, and end with the one that brings their bytes to ``size``.
        """
        which = "state = 'queued' AND letter.number > ? ORDER BY letter.number"
        return self._take(which, after, limit, size)

    def take_overdue(self, limit: int, size: int) -> list[Waiting]:
        """Return delivered letters that have waited too long for an answer; as many."""
        which = "state = 'delivered' AND due_at <= ? ORDER BY due_at, letter.number"
        return self._take(which, self._clock(), limit, size)

    def note(
        self, delivered: Sequence[str], outcomes: Sequence[Outcome], *, durable: bool = False
    ) -> Noted:
        """Take note of what brokers took and what the server answered.

        Args:
            delivered: message ids.
            outcomes: those of letters that are not here, or no longer, are passed over.
                "answered" ends a question only, which is a letter with a deadline;
                "acknowledged" any other only.
            durable: not even a power cut takes it back.
        """
        if not delivered and not outcomes:
            return Noted(0, [])
        with transaction(self._connection, self.path, durable=durable):
            removed = self._remove(outcomes)
            taken = set(delivered)
            ended = {settled.outcome.message_id: state for settled, state, _ in removed}
            again = sum(state == "delivered" for one, state in ended.items() if one in taken)
            first, more = self._mark_delivered(taken - ended.keys())
            self._journal.count({"resent": again + more})
        self.counts.queued -= first
        self.counts.delivered += first
        return Noted(first, self._forget(removed))

    def expire(self, overdue: Iterable[str] = ()) -> list[Settled]:
        """Let these letters go and all whose deadline has passed; tell of those at opening, too."""
        due = [*overdue, *self._find_ids("deadline <= ?", self._clock())]
        noted = self.note([], [Outcome(message_id, "expired") for message_id in due])
        before, self._expired_before = self._expired_before, []
        return before + noted.settled

    def discard(self, message_ids: Sequence[str] = ()) -> list[Settled]:
        """Drop these letters, or all; nobody will get them."""
        chosen = message_ids or self._find_ids("1")
        outcomes = [Outcome(message_id, "discarded") for message_id in chosen]
        return self.note([], outcomes, durable=True).settled

    def remark_skipped(self, files: Iterable[tuple[str, str]]) -> None:
        """Keep which images were left out, as (name, reason)."""
        skipped = list(files)
        if skipped:
            with transaction(self._connection, self.path):
                self._journal.record_skipped(skipped)

    def list_names(self, after: int) -> list[str]:
        """Return of which images the waiting letters are whose number is above ``after``."""
        with explaining_sqlite(self.path):
            query = "SELECT name FROM letter WHERE number > ? ORDER BY number"
            return [name for (name,) in self._connection.execute(query, (after,))]

    def find_first_sent(self) -> float | None:
        """Return when the first of the delivered letters was last sent; None without any."""
        row = self._fetch("SELECT min(sent_at) FROM letter WHERE state = 'delivered'")
        return row[0] if row else None

    def _take(self, which: str, bound: float, limit: int, size: int) -> list[Waiting]:
        query = (
            "SELECT message_id, deadline, body.* "  # noqa: S608 - nothing from outside
            f"FROM letter JOIN body USING (number) WHERE {which} LIMIT ?"
        )
        taken: list[Waiting] = []
        with explaining_sqlite(self.path), closing(self._connection.cursor()) as cursor:
            for row in cursor.execute(query, (bound, limit)):
                taken.append(to_waiting(row))
                size -= taken[-1].letter.size
                if size <= 0:
                    break
        return taken

    def _find_ids(self, which: str, *values: object) -> list[str]:
        query = f"SELECT message_id FROM letter WHERE {which}"  # noqa: S608 - as above
        with explaining_sqlite(self.path):
            return [message_id for (message_id,) in self._connection.execute(query, values)]

    def _mark_delivered(self, message_ids: Collection[str]) -> tuple[int, int]:
        """Return how many letters were delivered for the first time, and how many again."""
        if not message_ids:
            return 0, 0
        values = {
            "now": self._clock(),
            "resend": self._limits.resend,
            "doublings": _MOST_DOUBLINGS,
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

    def _remove(self, outcomes: Sequence[Outcome]) -> list[tuple[Settled, str, int]]:
        """Delete letters; return each with the state and size that it had."""
        if not outcomes:
            return []
        questions = set(self._find_ids("deadline IS NOT NULL"))
        # The first of two answers counts, also of those that arrive together.
        told = {
            one.message_id: one
            for one in reversed(outcomes)
            if one.kind != ("acknowledged" if one.message_id in questions else "answered")
        }
        rows = self._connection.execute(
            "DELETE FROM letter WHERE message_id IN (SELECT value FROM json_each(?)) "
            "RETURNING message_id, number, name, state, size",
            (json.dumps(list(told)),),
        ).fetchall()
        self._connection.executemany(
            "DELETE FROM body WHERE number = ?", [row[1:2] for row in rows]
        )
        removed = [
            (Settled(number, name, told[message_id]), state, size)
            for message_id, number, name, state, size in sorted(rows, key=itemgetter(1))
        ]
        self._journal.record([settled for settled, _, _ in removed])
        return removed

    def _forget(self, removed: list[tuple[Settled, str, int]]) -> list[Settled]:
        """Count what was removed, once that is committed."""
        for _, state, size in removed:
            if state == "queued":
                self.counts.queued -= 1
            else:
                self.counts.delivered -= 1
            self.counts.size -= size
        return [settled for settled, _, _ in removed]

    def _refuse_beyond_limits(self, size: int, now: float) -> None:
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
        """A new process asks again soon, and a clock set back keeps no letter for years."""
        latest = self._clock() + self._limits.resend
        with transaction(self._connection, self.path):
            self._connection.execute("UPDATE letter SET due_at = ?1 WHERE due_at > ?1", (latest,))
            self._journal.trim()

    def _fetch(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with explaining_sqlite(self.path):
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row
