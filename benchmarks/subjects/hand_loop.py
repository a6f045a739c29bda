"""The ceiling of ingestion: a loop written for speed alone, with the same guarantees as ours.

It decodes and validates records, commits rows and positions in one transaction, skips known message
ids, and acknowledges every message after the commit. It does nothing else: it writes no dead
letters and does not wait for broken dependencies.

Run by ``benchmarks/ingest.py``, which sets the environment variables.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
import orjson
import psycopg
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from psycopg.errors import UniqueViolation

from schemas.messages.labels import check_label
from schemas.messages.validation import check_name
from schemas.strict_json import parse_object
from schemas.wire.registry import load_schema
from stream.exchange.message_ids import make_message_id

COLUMNS = (
    "message_id, site, client_id, encoder_id, label, dtype, value, image_id, subject, "
    "aggregate_kind, aggregate_count, privacy, policy, sent_at, received_at, topic, part, "
    "kafka_offset"
)
TYPES = [
    "text",
    "text",
    "text",
    "text",
    "text",
    "text",
    "bytea",
    "text",
    "text",
    "text",
    "int4",
    "text",
    "text",
    "int8",
    "int8",
    "text",
    "int4",
    "int8",
]
Row = tuple[Any, ...]
Ends = dict[int, int]
Store = Callable[[Sequence[Row], Ends], None]
Encoders = dict[str, tuple[list[int], int, float]]

_LATENT = load_schema("latent.v1").parsed
_ACKNOWLEDGEMENT = load_schema("acknowledgement.v1")
_ACK_START = b"\xc3\x01" + _ACKNOWLEDGEMENT.fingerprint
_BATCH = 2000
_ID_SLOT = secrets.token_hex(18).encode()  # as long as a UUID
_REPLY_SLOT = secrets.token_hex(18).encode()


def main() -> None:
    prefix = os.environ["IOA_KAFKA__PREFIX"]
    bootstrap = os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"]
    url = os.environ["IOA_SERVER__DATABASE_URL"]
    topic = f"{prefix}.learning"
    store, clients, encoders = (open_postgresql if "postgresql" in url else open_sqlite)(url, topic)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "hand",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 2,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
        }
    )
    lost: list[KafkaError] = []

    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            lost.append(error)

    while True:
        first = consumer.poll(0.1)
        if first is None:
            continue
        messages = [first, *consumer.consume(_BATCH - 1, 0)]
        rows = []
        forms = []
        ends: Ends = {}
        for message in messages:
            row, content_type = read_row(message, clients, encoders)
            rows.append(row)
            forms.append(content_type)
            ends[row[16]] = row[17] + 1
        store(rows, ends)
        now = datetime.now(UTC)
        milliseconds = int(now.timestamp() * 1000)
        copies: dict[tuple[str, str, bytes], bytes] = {}
        for row, content_type in zip(rows, forms, strict=True):
            kind = (row[2], row[4], content_type)
            if kind not in copies:
                copies[kind] = write_acknowledgement(*kind, now)
            message_id = row[0].encode()
            ack_id = make_message_id(milliseconds, secrets.token_bytes(10)).encode()
            producer.produce(
                f"{prefix}.replies.{row[2]}",
                copies[kind].replace(_REPLY_SLOT, message_id).replace(_ID_SLOT, ack_id),
                message_id,
                on_delivery=report,
                headers=[
                    ("ioa-kind", b"acknowledgement"),
                    ("ioa-client", row[2].encode()),
                    ("ioa-message-id", ack_id),
                    ("ioa-correlation-id", message_id),
                    ("content-type", content_type),
                ],
            )
        assert producer.flush(60) == 0
        assert not lost, f"not acknowledged: {lost[:1]}"


def write_acknowledgement(client_id: str, label: str, form: bytes, now: datetime) -> bytes:
    """Return an acknowledgement with slots for the ids."""
    body: dict[str, Any] = {
        "messageID": _ID_SLOT.decode(),
        "inReplyTo": _REPLY_SLOT.decode(),
        "clientID": client_id,
        "label": label,
    }
    if form != b"avro/binary":
        body["timestamp"] = now.strftime("%Y-%m-%d %H:%M:%S")
        return orjson.dumps({"message": body})
    out = BytesIO()
    out.write(_ACK_START)
    fastavro.schemaless_writer(out, _ACKNOWLEDGEMENT.parsed, body | {"timestamp": now})
    return out.getvalue()


def read_row(message: Message, clients: dict[str, str], encoders: Encoders) -> tuple[Row, bytes]:
    """Decode and validate a record; an invalid one ends the program."""
    headers: dict[str, Any] = dict(message.headers() or [])
    content_type: bytes = headers.get("content-type") or b"application/json"
    raw = message.value() or b""
    if content_type == b"avro/binary":
        body = BytesIO(raw)
        body.seek(10)
        record: Any = fastavro.schemaless_reader(body, _LATENT, None)
        value, shape, dtype = record["value"], record["shape"], record["dtype"]
        sent = record["timestamp"]
    else:
        record = parse_object(raw)["message"]
        assert set(map(type, record["value"])) <= {int, float}  # numpy also takes "1" and true
        numbers = np.array(record["value"], "<f4")
        value, shape, dtype = numbers.tobytes(), list(numbers.shape), "float32"
        sent = datetime.fromisoformat(record["timestamp"]).replace(tzinfo=UTC)
    message_id, client_id, label = record["messageID"], record["clientID"], record["label"]
    expected, dim, limit = encoders[record["encoderID"]]
    check_name("messageID", message_id)
    check_label(label)
    assert (record["mode"], headers["ioa-kind"]) == ("learning", b"learning")
    assert label
    assert shape == expected
    assert len(value) == dim * (1 if dtype == "int8" else 4)
    assert dtype == "int8" or np.abs(np.frombuffer(value, "<f4")).max() <= limit  # nor a NaN
    assert headers["ioa-message-id"] == message_id.encode()
    assert headers["ioa-client"] == client_id.encode()
    aggregate = record.get("aggregate") or {"kind": "record", "count": 1}
    privacy = orjson.dumps(record["privacy"]).decode() if record.get("privacy") else None
    row = (
        *(message_id, clients[client_id], client_id, record["encoderID"], label, dtype, value),
        *(record.get("imageID"), record.get("subject"), aggregate["kind"], aggregate["count"]),
        *(privacy, record.get("policy"), int(sent.timestamp() * 1000), message.timestamp()[1]),
        *(message.topic(), message.partition(), message.offset()),
    )
    return row, content_type


def open_sqlite(url: str, topic: str) -> tuple[Store, dict[str, str], Encoders]:
    """Open the file that ``benchmarks/ingest.py`` made, with the same durability as ours."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for pragma in ("synchronous=FULL", "wal_autocheckpoint=4000"):
        connection.execute(f"PRAGMA {pragma}")
    insert = (
        f"INSERT INTO latent ({COLUMNS}) VALUES ({', '.join('?' * 18)}) "
        "ON CONFLICT (message_id) DO NOTHING"
    )
    move = (
        "UPDATE position SET next_offset = ?, moved_at = ? "
        "WHERE topic = ? AND part = ? AND epoch = 1"
    )
    for partition in range(4):
        connection.execute(
            "INSERT INTO position VALUES (?, ?, 'hand', 0, 'hand', 1, 0)", (topic, partition)
        )

    def store(rows: Sequence[Row], ends: Ends) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for partition, end in ends.items():
            moved = connection.execute(move, (end, int(time.time() * 1000), topic, partition))
            assert moved.rowcount == 1
        connection.executemany(insert, rows)
        connection.execute("COMMIT")

    return store, *read_registry(connection.execute)


def open_postgresql(url: str, topic: str) -> tuple[Store, dict[str, str], Encoders]:
    """Connect. Batches are copied; those with a known id are filtered and copied again."""
    connection = psycopg.connect(url, autocommit=True)
    move = (
        "UPDATE position SET next_offset = %s, moved_at = %s "
        "WHERE topic = %s AND part = %s AND epoch = 1"
    )
    for partition in range(4):
        connection.execute(
            "INSERT INTO position VALUES (%s, %s, 'hand', 0, 'hand', 1, 0)", (topic, partition)
        )

    def copy(rows: Sequence[Row]) -> None:
        statement = f"COPY latent ({COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()
        with connection.cursor().copy(statement) as sink:
            sink.set_types(TYPES)
            for row in rows:
                sink.write_row(row)

    def store(rows: Sequence[Row], ends: Ends) -> None:
        with connection.transaction():
            for partition, end in sorted(ends.items()):
                moved = connection.execute(move, (end, int(time.time() * 1000), topic, partition))
                assert moved.rowcount == 1
            try:
                with connection.transaction():
                    copy(rows)
            except UniqueViolation:
                new = {row[0]: row for row in reversed(rows)}
                known = connection.execute(
                    "SELECT message_id FROM latent WHERE message_id = ANY(%s)", (list(new),)
                )
                for (message_id,) in known:
                    del new[message_id]
                copy(list(new.values()))

    return store, *read_registry(connection.execute)


def read_registry(execute: Callable[[str], Any]) -> tuple[dict[str, str], Encoders]:
    """Return the site of each client; the shape, length and limit of each encoder's latents."""
    clients = dict(list(execute("SELECT client_id, site FROM client")))
    encoders: Encoders = {}
    for encoder_id, dim, manifest in execute(
        "SELECT encoder_id, latent_dim, manifest FROM encoder"
    ):
        output = orjson.loads(manifest)["output"]
        limit = 4 * max(abs(output["low"]), abs(output["high"]))
        encoders[encoder_id] = (output["shape"], dim, limit)
    return clients, encoders


if __name__ == "__main__":
    main()
