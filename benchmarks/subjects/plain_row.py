"""Decodes a message and names its columns for the peers, without validation."""

from array import array
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import fastavro
import orjson

from schemas.wire.registry import load_schema

_LATENT = load_schema("latent.v1").parsed


def read_message(raw: bytes) -> dict[str, Any]:
    """Decode Avro or JSON."""
    if raw.startswith(b"{"):
        message: dict[str, Any] = orjson.loads(raw)["message"]
        sent = datetime.fromisoformat(message["timestamp"]).replace(tzinfo=UTC)
        value = array("f", message["value"]).tobytes()
        return {**message, "timestamp": sent, "value": value, "dtype": "float32"}
    body = BytesIO(raw)
    body.seek(10)
    record: Any = fastavro.schemaless_reader(body, _LATENT, None)
    return dict(record)


def make_row(
    message: dict[str, Any], topic: str, partition: int, offset: int, received_at: int
) -> dict[str, Any]:
    """Return the columns of ``latent``."""
    aggregate = message.get("aggregate") or {"kind": "record", "count": 1}
    privacy = message.get("privacy")
    return {
        "message_id": message["messageID"],
        "site": "st-mary",
        "client_id": message["clientID"],
        "encoder_id": message["encoderID"],
        "label": message["label"],
        "dtype": message["dtype"],
        "value": message["value"],
        "image_id": message.get("imageID"),
        "subject": message.get("subject"),
        "aggregate_kind": aggregate["kind"],
        "aggregate_count": aggregate["count"],
        "privacy": orjson.dumps(privacy).decode() if privacy else None,
        "policy": message.get("policy"),
        "sent_at": int(message["timestamp"].timestamp() * 1000),
        "received_at": received_at,
        "topic": topic,
        "part": partition,
        "kafka_offset": offset,
    }
