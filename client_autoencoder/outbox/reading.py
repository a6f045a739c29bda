"""Looking into an outbox, also while another process sends from it."""

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

_COUNTS = (
    *("queued", "delivered"),
    *("acknowledged", "refused", "answered", "expired", "discarded"),
)
_COUNT_STATES = "SELECT state, count(*) FROM letter GROUP BY state"
_FIND_OLDEST = "SELECT made_at FROM letter ORDER BY number LIMIT 1"
_LIST_LETTERS = """
SELECT message_id, state, topic, name, made_at, sent_at, sends, deadline, length(value), key,
    headers, value
FROM letter JOIN body USING (number) ORDER BY number
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class Remark:
    """What became of an image or a message, and when (UTC).

    ``reason`` says why it was left out or refused; of a question, the label that was answered.
    """

    name: str
    reason: str
    at: str
    message_id: str | None = None


@dataclass(frozen=True)
class OutboxStatus:
    """What outboxes have seen since they were made, and what they hold now.

    encoded = queued + delivered + acknowledged + refused + answered + expired + discarded.

    Attributes:
        queued: now; no broker has taken them yet.
        delivered: now; taken by a broker, without an answer of the server.
        resent: deliveries beyond the first of each message.
        skipped: images that could not be read, each time that was tried.
        oldest: when the oldest message without an answer was made (UTC).
        refusals: the newest 10,000, as the others below.
    """

    encoded: int
    queued: int
    delivered: int
    acknowledged: int
    refused: int
    answered: int
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
    """Sum outboxes up.

    Raises:
        OutboxError: one is not there, or cannot be read.
    """
    counts: Counter[str] = Counter()
    oldest: list[float] = []
    remarks: dict[str, list[Remark]] = defaultdict(list)
    for path in paths:
        with explaining_sqlite(path), closing(open_for_reading(path)) as connection:
            connection.execute("BEGIN")  # all of it as of one moment
            counts.update(dict(connection.execute("SELECT name, value FROM counter")))
            counts.update(dict(connection.execute(_COUNT_STATES)))
            oldest += [made for (made,) in connection.execute(_FIND_OLDEST)]
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


def list_letters(*paths: Path, bodies: bool = False) -> Iterator[Row]:
    """Yield what waits, oldest first; with ``bodies`` also the exact bytes, in base64.

    Raises:
        OutboxError: an outbox is not there, or cannot be read.
    """
    for path in paths:
        with explaining_sqlite(path), closing(open_for_reading(path)) as connection:
            yield from _read_letters(connection, bodies)


def export_letters(target: Path, *paths: Path) -> int:
    """Write what waits into a new file, one JSON object a line; return how many.

    Raises:
        OutboxError: the file is there already or cannot be written, or see ``list_letters``.
    """
    count = 0
    letters = list_letters(*paths, bodies=True)
    try:
        with target.open("x", encoding="utf-8") as file:
            for row in letters:
                file.write(json.dumps(row) + "\n")
                count += 1
    except OSError as error:
        raise OutboxError(
            f"{target} cannot be written ({error.strerror}): name a new file in a directory with "
            "enough room"
        ) from error
    return count


def _read_letters(connection: sqlite3.Connection, bodies: bool) -> Iterator[Row]:
    for *summary, key, headers, value in connection.execute(_LIST_LETTERS):
        row = _describe(*summary)
        if bodies:
            row |= {
                "key": base64.b64encode(key).decode(),
                "headers": _write_headers(headers),
                "value": base64.b64encode(value).decode(),
            }
        yield row


def _describe(
    message_id: str,
    state: str,
    topic: str,
    name: str,
    made_at: float,
    sent_at: float | None,
    sends: int,
    deadline: float | None,
    size: int,
) -> Row:
    return {
        "message_id": message_id,
        "state": state,
        "topic": topic,
        "name": name,
        "made_at": _format_time(made_at),
        "delivered_at": _format_time(sent_at),
        "deliveries": sends,
        "deadline": _format_time(deadline),
        "bytes": size,
    }


def _write_headers(packed: bytes) -> list[list[str | None]]:
    return [
        [name, None if value is None else base64.b64encode(value).decode()]
        for name, value in unpack_headers(packed)
    ]


def _read_remarks(connection: sqlite3.Connection) -> Iterator[tuple[str, Remark]]:
    query = "SELECT kind, name, text, made_at, message_id FROM remark ORDER BY number DESC"
    for kind, name, text, made_at, message_id in connection.execute(query):
        yield kind, Remark(name, text, _format_time(made_at) or "", message_id)


def _format_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
