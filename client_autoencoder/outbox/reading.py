"""Reads the status and the waiting records of outboxes, also while another process sends."""

import base64
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client_autoencoder.errors import OutboxError
from client_autoencoder.outbox.database import explaining_sqlite, open_for_reading
from client_autoencoder.outbox.entries import unpack_headers
from stream.artefacts.private import open_private

_COUNTS = (
    *("queued", "delivered", "acknowledged", "refused", "answered"),
    *("sent", "expired", "discarded"),
)
_COUNT_STATES = "SELECT state, count(*) FROM letter GROUP BY state"
_FIND_OLDEST = "SELECT made_at FROM letter ORDER BY number LIMIT 1"
_LIST_WAITING = """
SELECT message_id, state, topic, name, made_at, sent_at AS delivered_at, sends AS deliveries,
    deadline, length(value) AS bytes, key, headers, value
FROM letter JOIN body USING (number) ORDER BY number
"""
_TIMES = ("made_at", "delivered_at", "deadline")

Row = dict[str, Any]


@dataclass(frozen=True)
class Remark:
    """What became of an image or a message, and when (UTC).

    ``reason`` says why it was skipped or refused; for a question it is the label of the answer.
    """

    name: str
    reason: str
    at: str
    message_id: str | None = None


@dataclass(frozen=True)
class OutboxStatus:
    """What outboxes have seen since they were made, and what they hold now.

    encoded = queued + delivered + acknowledged + refused + answered + sent + expired + discarded.

    Attributes:
        queued: messages that no broker has taken yet.
        delivered: messages that a broker has taken and the server has not answered.
        sent: messages that a broker has taken and whose answer nobody waits for.
        resent: deliveries beyond the first of each message.
        skipped: images that could not be read, counted at each attempt.
        oldest: when the oldest message without an answer was made (UTC).
        refusals: the newest 10,000, as in the lists below.
    """

    encoded: int
    queued: int
    delivered: int
    acknowledged: int
    refused: int
    answered: int
    sent: int
    expired: int
    discarded: int
    resent: int
    skipped: int
    oldest: str | None
    refusals: list[Remark]
    skipped_files: list[Remark]
    answers: list[Remark]
    expired_questions: list[Remark]


def read_status(*paths: Path) -> OutboxStatus:
    """Return the status of all these outboxes together.

    Raises:
        OutboxError: one is not there, or cannot be read.
    """
    counts: Counter[str] = Counter()
    oldest: list[float] = []
    remarks: dict[str, list[Remark]] = defaultdict(list)
    for path in paths:
        with explaining_sqlite(path), closing(open_for_reading(path)) as connection:
            connection.execute("BEGIN")  # one snapshot for all queries
            counts.update(dict(connection.execute("SELECT name, value FROM counter")))
            counts.update(dict(connection.execute(_COUNT_STATES)))
            oldest += [made_at for (made_at,) in connection.execute(_FIND_OLDEST)]
            for kind, remark in _read_remarks(connection):
                remarks[kind].append(remark)
    return OutboxStatus(
        encoded=sum(counts[name] for name in _COUNTS),
        **{name: counts[name] for name in (*_COUNTS, "resent", "skipped")},
        oldest=_format_time(min(oldest, default=None)),
        refusals=remarks["refused"],
        skipped_files=remarks["skipped"],
        answers=remarks["answered"],
        expired_questions=remarks["expired"],
    )


def list_waiting(*paths: Path, bodies: bool = False) -> Iterator[Row]:
    """Yield the waiting messages, oldest first; with ``bodies`` also the exact bytes, in base64.

    Raises:
        OutboxError: an outbox is not there, or cannot be read.
    """
    for path in paths:
        with explaining_sqlite(path), closing(open_for_reading(path)) as connection:
            yield from _read_waiting(connection, bodies)


def export_waiting(target: Path, *paths: Path) -> int:
    """Write the waiting messages into a new file, one JSON object a line; return how many.

    Its owner alone may read it.

    Raises:
        OutboxError: the file exists already or cannot be written; else as ``list_waiting``.
    """
    count = 0
    try:
        with open(target, "x", encoding="utf-8", opener=open_private) as file:
            for row in list_waiting(*paths, bodies=True):
                file.write(json.dumps(row) + "\n")
                count += 1
    except OSError as error:
        raise OutboxError(
            f"{target} cannot be written ({error.strerror}): name a new file in a directory with "
            "enough room"
        ) from error
    return count


def _read_waiting(connection: sqlite3.Connection, bodies: bool) -> Iterator[Row]:
    cursor = connection.execute(_LIST_WAITING)
    columns = [column for column, *_ in cursor.description]
    for values in cursor:
        row = dict(zip(columns, values, strict=True))
        row |= {column: _format_time(row[column]) for column in _TIMES}
        key, headers, value = row.pop("key"), row.pop("headers"), row.pop("value")
        if bodies:
            row["key"] = _to_base64(key)
            row["headers"] = [[name, _to_base64(text)] for name, text in unpack_headers(headers)]
            row["value"] = _to_base64(value)
        yield row


def _to_base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _read_remarks(connection: sqlite3.Connection) -> Iterator[tuple[str, Remark]]:
    query = "SELECT kind, name, text, made_at, message_id FROM remark ORDER BY number DESC"
    for kind, name, text, made_at, message_id in connection.execute(query):
        yield kind, Remark(name, text, _format_time(made_at) or "", message_id)


def _format_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
