"""Looking into an outbox, also while another process sends from it."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client_autoencoder.errors import OutboxError
from client_autoencoder.outbox.database import explaining_sqlite, open_for_reading
from client_autoencoder.outbox.entries import unpack_headers

_COUNTERS = ("encoded", "acknowledged", "refused", "answered", "expired", "discarded", "resent")

Row = dict[str, Any]


@dataclass(frozen=True)
class Remark:
    """An image that was left out, or a message that the server refused, and when (UTC)."""

    name: str
    reason: str
    at: str
    message_id: str | None = None


@dataclass(frozen=True)
class OutboxStatus:
    """What an outbox has seen since it was made, and what it holds now.

    encoded = queued + delivered + acknowledged + refused + answered + expired + discarded.

    Attributes:
        queued: now; no broker has taken them yet.
        delivered: now; taken by a broker, without an answer of the server.
        resent: deliveries beyond the first of each message.
        skipped: images that could not be read, each time that was tried.
        oldest: when the oldest message without an answer was made (UTC).
        refusals: the newest of them, as ``skipped_files``.
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


def read_status(path: Path) -> OutboxStatus:
    """Sum an outbox up.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    with explaining_sqlite(path), closing(open_for_reading(path)) as connection:
        connection.execute("BEGIN")  # all of it as of one moment
        counters = dict(connection.execute("SELECT name, value FROM counter"))
        states = dict(connection.execute("SELECT state, count(*) FROM letter GROUP BY state"))
        (oldest,) = connection.execute("SELECT min(made_at) FROM letter").fetchone()
        return OutboxStatus(
            **{name: counters.get(name, 0) for name in (*_COUNTERS, "skipped")},
            queued=states.get("queued", 0),
            delivered=states.get("delivered", 0),
            oldest=_format_time(oldest),
            refusals=_read_remarks(connection, "refused"),
            skipped_files=_read_remarks(connection, "skipped"),
        )


def list_letters(path: Path, *, bodies: bool = False) -> Iterator[Row]:
    """Yield what waits, oldest first; with ``bodies`` also the exact bytes, in base64.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    columns = (
        "message_id, state, topic, name, made_at, sent_at, sends, deadline, length(value), key, "
        "headers, value"
    )
    with explaining_sqlite(path), closing(open_for_reading(path)) as connection:
        query = f"SELECT {columns} FROM letter ORDER BY number"  # noqa: S608 - a constant
        for *summary, key, headers, value in connection.execute(query):
            row = _describe(*summary)
            if bodies:
                row |= {
                    "key": base64.b64encode(key).decode(),
                    "headers": _write_headers(headers),
                    "value": base64.b64encode(value).decode(),
                }
            yield row


def export_letters(path: Path, target: Path) -> int:
    """Write what waits into a new file, one JSON object a line; return how many.

    Raises:
        OutboxError: the file is there already or cannot be written, or see ``list_letters``.
    """
    count = 0
    letters = list_letters(path, bodies=True)
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


def _read_remarks(connection: sqlite3.Connection, kind: str) -> list[Remark]:
    query = (
        "SELECT name, reason, made_at, message_id FROM remark WHERE kind = ? ORDER BY number DESC"
    )
    return [
        Remark(name, reason, _format_time(made_at) or "", message_id)
        for name, reason, made_at, message_id in connection.execute(query, (kind,))
    ]


def _format_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
