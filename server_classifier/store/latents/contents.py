"""One id, one content: what is stored under a ``message_id``, compared with what came again.

The content is what is learned from and what was said of it. When and where a message was sent is
none of it, so that a client may send once more what it does not know to be stored.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection

from server_classifier.store.latents.latent_row import LatentRow
from stream.exchange.message_ids import is_derived

_CONTENT = (
    *("client_id", "encoder_id", "label", "dtype", "value", "image_id", "subject"),
    *("aggregate_kind", "aggregate_count", "policy"),
)
_read_content = attrgetter(*_CONTENT)
_FIND = f"SELECT message_id, privacy, {', '.join(_CONTENT)} FROM latent WHERE message_id"  # noqa: S608 (names of our own)
# The ids as one parameter: a parameter for each would take twice the time.
_AMONG = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(%s)"}


def separate_known(
    rows: Sequence[LatentRow], stored: Iterable[str]
) -> tuple[list[LatentRow], list[LatentRow]]:
    """Return the new rows and the known ones: their ids are stored, or those of earlier rows."""
    seen = set(stored)
    new: list[LatentRow] = []
    known: list[LatentRow] = []
    for row in rows:
        (known if row.message_id in seen else new).append(row)
        seen.add(row.message_id)
    return new, known


def find_conflicts(connection: Connection, known: Sequence[LatentRow]) -> list[LatentRow]:
    """Return those of the known rows under whose ids another content is stored.

    An id that was derived from a record's own bytes and place is never taken by another one.
    """
    if not known:
        return []
    ids = [row.message_id for row in known]
    dialect = connection.dialect.name
    listed = orjson.dumps(ids).decode() if dialect == "sqlite" else ids
    found = connection.exec_driver_sql(f"{_FIND} {_AMONG[dialect]}", (listed,))
    stored: dict[str, list[Any]] = {message_id: content for message_id, *content in found}
    return [
        row
        for row in known
        if not is_derived(row.message_id) and not _is_stored(row, *stored[row.message_id])
    ]


def _is_stored(row: LatentRow, privacy: str | None, *content: Any) -> bool:
    if _read_content(row) != content:
        return False
    return row.privacy == privacy or _read_statement(row.privacy) == _read_statement(privacy)


def _read_statement(privacy: str | None) -> dict[str, Any]:
    """Return what a site stated, the same in JSON and in Avro, which leave out other things.

    A guarantee is left out, too: it is what the server makes of the rest.
    """
    stated = {"mechanism": "none"} if privacy is None else orjson.loads(privacy)
    return {
        name: value
        for name, value in stated.items()
        if value not in (None, {}) and name != "guarantee"
    }
