"""Letters on the disk until the server has answered them.

A letter is ``queued``, then ``delivered`` when a broker has taken it, and leaves when the server's
answer arrived or its deadline passed. Each method that changes something is one transaction, which
is on the disk when it returns: give it many letters at a time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

from client_autoencoder.errors import OutboxError, OutboxFull
from client_autoencoder.outbox.database import explaining_sqlite, open_file, transaction
from client_autoencoder.outbox.entries import (
    LETTER_COLUMNS,
    Counts,
    Limits,
    Noted,
    Outcome,
    Settled,
    Waiting,
    to_letter,
    to_row,
)
from client_autoencoder.outbox.lock import OutboxLock
from stream.letter import Letter

Clock = Callable[[], float]

_MOST_REMARKS = 10_000
_MOST_DOUBLINGS = 6
_SECONDS_A_DAY = 86400.0


class Outbox:
    """One client's letters; knows neither images nor Kafka. One process at a time has it open.

    Args:
        path: the file, made with its directory where it is missing.
        owner: who sends from it and where to; letters of one owner are not sent by another.
        clock: seconds since the Unix epoch.

    Raises:
        OutboxInUse: another process has it open.
        OutboxError: it is damaged, of another version or owner, or cannot be written.
    """

    def __init__(self, path: Path, *, owner: str, limits: Limits, clock: Clock) -> None:
        self.path = path
        self._limits = limits
        self._clock = clock
        _make_directory(path.parent)
        with ExitStack() as opened:
            opened.callback(OutboxLock(path).release)
            self._connection = open_file(path)
            opened.callback(self._connection.close)
            self.counts = self._count()
            self._take_over(owner)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._opened.close()

    def put(self, letters: Sequence[Letter], names: Sequence[str]) -> None:
        """Queue letters, all or none; ``names`` says of which image each is.

        Raises:
            OutboxFull: they are too many, the oldest letter waits too long, or the disk is full.
        """
        now = self._clock()
        rows = [to_row(letter, name, now) for letter, name in zip(letters, names, strict=True)]
        size = sum(letter.size for letter in letters)
        self._refuse_beyond_limits(size, now)
        with transaction(self._connection, self.path):
            self._connection.executemany(
                f"INSERT INTO letter ({LETTER_COLUMNS}, name, made_at, size) "  # noqa: S608
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._add({"encoded": len(rows)})
        self.counts.queued += len(rows)
        self.counts.size += size

    def take_queued(self, after: int, limit: int, size: int) -> list[Waiting]:
        """Return the first queued letters whose number is above ``after``.

        They are ``limit`` at most, and end with the one that brings their bytes to ``size``.
        """
        return self._take("state = 'queued' AND due_at = 0 AND number > ?", after, limit, size)

    def take_overdue(self, limit: int, size: int) -> list[Waiting]:
        """Return delivered letters that have waited too long for an answer; as many."""
        return self._take("state = 'delivered' AND due_at <= ?", self._clock(), limit, size)

    def note(self, delivered: Sequence[str], outcomes: Sequence[Outcome]) -> Noted:
        """Take note of what brokers took and what the server answered.

        Args:
            delivered: message ids.
            outcomes: those of letters that are not here, or no longer, are passed over.
        """
        if not delivered and not outcomes:
            return Noted(0, [])
        with transaction(self._connection, self.path):
            first, again = self._mark_delivered(delivered)
            removed = self._remove(outcomes)
            self._add({"resent": again})
        self.counts.queued -= first
        self.counts.delivered += first
        return Noted(first, self._forget(removed))

    def expire(self) -> list[Settled]:
        """Let the letters go whose deadline has passed."""
        due = self._find_ids("deadline <= ?", self._clock())
        return self.note([], [Outcome(message_id, "expired") for message_id in due]).settled

    def discard(self, message_ids: Sequence[str] = ()) -> list[Settled]:
        """Drop these letters, or all; nobody will get them."""
        chosen = message_ids or self._find_ids("1")
        return self.note([], [Outcome(message_id, "discarded") for message_id in chosen]).settled

    def remark_skipped(self, files: Iterable[tuple[str, str]]) -> None:
        """Keep which images were left out, as (name, reason)."""
        rows = [("skipped", None, name, reason) for name, reason in files]
        if rows:
            with transaction(self._connection, self.path):
                self._remark(rows)
                self._add({"skipped": len(rows)})

    def last_number(self) -> int:
        """Return the number of the letter that was put last; 0 before the first."""
        row = self._fetch("SELECT seq FROM sqlite_sequence WHERE name = 'letter'")
        return int(row[0]) if row else 0

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
            f"SELECT number, {LETTER_COLUMNS} FROM letter "  # noqa: S608 - nothing from outside
            f"WHERE {which} ORDER BY due_at, number LIMIT ?"
        )
        taken: list[Waiting] = []
        with explaining_sqlite(self.path), closing(self._connection.cursor()) as cursor:
            for number, *columns in cursor.execute(query, (bound, limit)):
                taken.append(Waiting(number, to_letter(columns)))
                size -= taken[-1].letter.size
                if size <= 0:
                    break
        return taken

    def _find_ids(self, which: str, *values: object) -> list[str]:
        query = f"SELECT message_id FROM letter WHERE {which}"  # noqa: S608 - as above
        with explaining_sqlite(self.path):
            return [message_id for (message_id,) in self._connection.execute(query, values)]

    def _mark_delivered(self, message_ids: Sequence[str]) -> tuple[int, int]:
        """Return how many letters were delivered for the first time, and how many again."""
        if not message_ids:
            return 0, 0
        now = self._clock()
        change = (
            "UPDATE letter SET state = 'delivered', sends = sends + 1, sent_at = :now, "
            "due_at = :now + :resend * (1 << min(sends, :doublings)) "
            "WHERE message_id IN (SELECT value FROM json_each(:ids)) AND state = :state"
        )
        values = {
            "now": now,
            "resend": self._limits.resend,
            "doublings": _MOST_DOUBLINGS,
            "ids": json.dumps(list(message_ids)),
        }
        # First those that are delivered again: afterwards they could not be told apart.
        again = self._connection.execute(change, values | {"state": "delivered"}).rowcount
        first = self._connection.execute(change, values | {"state": "queued"}).rowcount
        return first, again

    def _remove(self, outcomes: Sequence[Outcome]) -> list[tuple[Settled, str, int]]:
        """Delete letters; return each with the state and size that it had."""
        told = {outcome.message_id: outcome for outcome in outcomes}
        rows = self._connection.execute(
            "DELETE FROM letter WHERE message_id IN (SELECT value FROM json_each(?)) "
            "RETURNING message_id, number, name, state, size",
            (json.dumps(list(told)),),
        ).fetchall()
        refused = [row for row in rows if told[row[0]].kind == "refused"]
        self._add(Counter(told[row[0]].kind for row in rows))
        self._remark(("refused", row[0], row[2], told[row[0]].reason) for row in refused)
        return [
            (Settled(number, name, told[message_id]), state, size)
            for message_id, number, name, state, size in sorted(rows, key=itemgetter(1))
        ]

    def _forget(self, removed: list[tuple[Settled, str, int]]) -> list[Settled]:
        """Count what was removed, once that is committed."""
        for _, state, size in removed:
            if state == "queued":
                self.counts.queued -= 1
            else:
                self.counts.delivered -= 1
            self.counts.size -= size
        return [settled for settled, _, _ in removed]

    def _remark(self, rows: Iterable[tuple[str, str | None, str, str]]) -> None:
        """Keep short records for the status, the newest only; the counters know them all."""
        now = self._clock()
        self._connection.executemany(
            "INSERT INTO remark (kind, message_id, name, reason, made_at) VALUES (?, ?, ?, ?, ?)",
            [(*row, now) for row in rows],
        )
        self._connection.execute(
            "DELETE FROM remark WHERE number <= (SELECT max(number) FROM remark) - ?",
            (_MOST_REMARKS,),
        )

    def _add(self, amounts: dict[str, int]) -> None:
        self._connection.executemany(
            "INSERT INTO counter VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, amount) for name, amount in amounts.items() if amount],
        )

    def _refuse_beyond_limits(self, size: int, now: float) -> None:
        limits = self._limits
        if self.counts.size + size > limits.size:
            raise OutboxFull(
                f"outbox {self.path} is full: {self.counts.waiting:,} messages of "
                f"{self.counts.size:,} bytes wait, {limits.size:,} bytes are permitted. Let "
                "`ioa client outbox drain` send them, or raise client.outbox_mib"
            )
        row = self._fetch("SELECT made_at FROM letter ORDER BY number LIMIT 1")
        if row is not None and now - row[0] > limits.age:
            raise OutboxFull(
                f"outbox {self.path} is full: a message has waited for an answer for "
                f"{(now - row[0]) / _SECONDS_A_DAY:.1f} days, {limits.age / _SECONDS_A_DAY:g} are "
                "permitted. See `ioa client outbox list`, then `ioa client outbox drain`; if the "
                "server will never answer, `ioa client outbox export` and `discard`"
            )

    def _count(self) -> Counts:
        row = self._fetch(
            "SELECT count(*) FILTER (WHERE state = 'queued'), "
            "count(*) FILTER (WHERE state = 'delivered'), coalesce(sum(size), 0) FROM letter"
        )
        return Counts(*(row or ()))

    def _take_over(self, owner: str) -> None:
        """Check that the letters are this owner's; an empty outbox changes its owner."""
        row = self._fetch("SELECT name FROM owner")
        if row is not None and row[0] != owner and self.counts.waiting:
            raise OutboxError(
                f"outbox {self.path} holds {self.counts.waiting} messages of {row[0]}, this is "
                f"{owner}: drain it with the settings of then, or name another with --outbox"
            )
        with transaction(self._connection, self.path):
            # A new process asks again soon, and a clock set back keeps no letter for years.
            latest = self._clock() + self._limits.resend
            self._connection.execute(
                "UPDATE letter SET due_at = ? WHERE state = 'delivered' AND due_at > ?",
                (latest, latest),
            )
            self._connection.execute("DELETE FROM owner")
            self._connection.execute("INSERT INTO owner VALUES (?)", (owner,))

    def _fetch(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with explaining_sqlite(self.path):
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutboxError(
            f"the directory {directory} for the outbox cannot be made ({error.strerror}): name "
            "another one with --outbox"
        ) from error
