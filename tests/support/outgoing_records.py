"""Outgoing records with random values, for tests of the outbox alone."""

import random
import uuid

from stream.exchange.outgoing_record import OutgoingRecord
from stream.kafka.producer import make_headers


def make_records(
    count: int, *, size: int = 16, kind: str = "learning", deadline: float | None = None
) -> list[OutgoingRecord]:
    """Return records whose values all differ."""
    records = []
    for _ in range(count):
        message_id = str(uuid.uuid4())
        headers = make_headers(KIND=kind, MESSAGE_ID=message_id)
        value = random.randbytes(size)  # noqa: S311
        records.append(
            OutgoingRecord(
                message_id, kind, f"ioa.{kind}", message_id.encode(), headers, value, deadline
            )
        )
    return records
