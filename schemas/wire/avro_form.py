"""The Avro form: single-object encoding (Avro 1.11 specification), so no registry is needed.

Each message is ``C3 01``, the 8-byte fingerprint of its schema, and the record.
"""

from functools import cache, lru_cache
from io import BytesIO
from typing import Any, NamedTuple

import fastavro

from schemas.errors import SchemaError
from schemas.messages.answers import ANSWER_NAMES, Acknowledgement, Answer, AnswerT, Refusal, Reply
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.messages.validation import Message, validate
from schemas.vector import Vector
from schemas.wire.registry import load_fingerprints, load_latent_halves, load_schema

CONTENT_TYPE = "avro/binary"

_MARKER = b"\xc3\x01"
_HEADER_SIZE = 10
_LONGEST_KEPT = 512
_NONE_STATED = Privacy("none", parameters={})
_SCHEMA_OF: dict[type[Message], str] = {
    LatentMessage: "latent.v1",
    Reply: "reply.v1",
    Acknowledgement: "acknowledgement.v1",
    Refusal: "refusal.v1",
}
# What fastavro raises on bytes that do not fit the schema.
_READ_ERRORS = (
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
    MemoryError,
)


def encode_avro(message: Message) -> bytes:
    """Write a message of our own clients or server.

    Raises:
        SchemaError: the message breaks the contract, or lacks a field that Avro requires.
    """
    validate(message)
    if isinstance(message, LatentMessage):
        return _write_latent(message)
    return _write(_SCHEMA_OF[type(message)], _answer(message))


def decode_latent_avro(raw: bytes) -> LatentMessage:
    """Read a learning or service message.

    Raises:
        SchemaError: not Avro, another schema, truncated, or a field breaks the contract.
    """
    body = _open(raw, "latent.v1")
    record = _parse(body, load_latent_halves()[0], "latent.v1")
    rest = raw[body.tell() :]
    # Nearly always the same bytes as in the message before, and half of the work.
    read = _read_known_declaration if len(rest) <= _LONGEST_KEPT else _read_declaration
    aggregate, privacy, policy = read(rest)
    message = LatentMessage(
        client_id=record["clientID"],
        label=record["label"],
        value=Vector(record["dtype"], tuple(record["shape"]), record["value"]),
        mode=record["mode"],
        timestamp=record["timestamp"],
        message_id=record["messageID"],
        encoder_id=record["encoderID"],
        image_id=record["imageID"],
        subject=record["subject"],
        aggregate=aggregate,
        privacy=privacy,
        policy=policy,
    )
    validate(message)
    return message


class _Declaration(NamedTuple):
    """What a site states about its latents: the second half of a ``latent.v1``."""

    aggregate: Aggregate
    privacy: Privacy
    policy: str | None


def _read_declaration(raw: bytes) -> _Declaration:
    body = BytesIO(raw)
    record = _parse(body, load_latent_halves()[1], "latent.v1")
    _refuse_rest(body, raw, "latent.v1")
    aggregate, privacy = record["aggregate"], record["privacy"]
    return _Declaration(
        Aggregate(aggregate["kind"], aggregate["count"]),
        Privacy(
            privacy["mechanism"],
            privacy["guarantee"],
            privacy["parameters"],
            privacy["epsilon"],
            privacy["delta"],
            privacy["unit"],
            privacy["adjacency"],
            privacy["ledgerSequence"],
            privacy["ledgerHead"],
        ),
        record["policy"],
    )


_read_known_declaration = lru_cache(maxsize=256)(_read_declaration)


def decode_answer_avro(raw: bytes, kind: type[AnswerT]) -> AnswerT:
    """Read a reply, acknowledgement or refusal.

    Raises:
        SchemaError: not Avro, another schema, truncated, or a field breaks the contract.
    """
    record = _read(raw, _SCHEMA_OF[kind])
    message = kind(**{_ATTRIBUTES.get(name, name): value for name, value in record.items()})
    validate(message)
    return message


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Write a dead letter for export."""
    return _write(
        "dead_letter.v1",
        {
            "reason": letter.reason,
            "field": letter.field,
            "originTopic": letter.origin_topic,
            "originPartition": letter.origin_partition,
            "originOffset": letter.origin_offset,
            "originTimestamp": letter.origin_timestamp,
            "key": letter.key,
            "value": letter.value,
            "headers": [{"name": name, "value": value} for name, value in letter.headers],
        },
    )


def decode_dead_letter(raw: bytes) -> DeadLetter:
    """Read an exported dead letter.

    Raises:
        SchemaError: not Avro, another schema, or truncated.
    """
    record = _read(raw, "dead_letter.v1")
    return DeadLetter(
        record["reason"],
        record["field"],
        record["originTopic"],
        record["originPartition"],
        record["originOffset"],
        record["originTimestamp"],
        record["key"],
        record["value"],
        [(header["name"], header["value"]) for header in record["headers"]],
    )


_ATTRIBUTES = {wire: attribute for attribute, wire in ANSWER_NAMES.items()}


def _write_latent(message: LatentMessage) -> bytes:
    if message.message_id is None or message.encoder_id is None:
        missing = "messageID" if message.message_id is None else "encoderID"
        raise SchemaError("is missing; only the JSON form may leave it out", missing)
    start = _MARKER + load_schema("latent.v1").fingerprint
    own = _dump(_latent_record(message), load_latent_halves()[0], "latent.v1")
    aggregate, privacy = message.aggregate or Aggregate(), message.privacy or _NONE_STATED
    return start + own + _write_declaration(aggregate, privacy, message.policy)


@lru_cache(maxsize=256)
def _write_declaration(aggregate: Aggregate, privacy: Privacy, policy: str | None) -> bytes:
    """Write the second half of a ``latent.v1``: as in reading, half of the work."""
    record = {
        "aggregate": {"kind": aggregate.kind, "count": aggregate.count},
        "privacy": _privacy_record(privacy),
        "policy": policy,
    }
    return _dump(record, load_latent_halves()[1], "latent.v1")


def _write(name: str, record: dict[str, Any]) -> bytes:
    schema = load_schema(name)
    return _MARKER + schema.fingerprint + _dump(record, schema.parsed, name)


def _dump(record: dict[str, Any], schema: Any, name: str) -> bytes:
    out = BytesIO()
    try:
        fastavro.schemaless_writer(out, schema, record)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SchemaError(f"does not fit {name}: {error}") from error
    return out.getvalue()


def _read(raw: bytes, name: str) -> dict[str, Any]:
    body = _open(raw, name)
    record = _parse(body, load_schema(name).parsed, name)
    _refuse_rest(body, raw, name)
    return record


def _open(raw: bytes, name: str) -> BytesIO:
    """Return the message at the first byte of its record."""
    if raw[:2] != _MARKER:
        raise SchemaError("is not Avro in single-object encoding: it must begin with C3 01")
    schema = load_fingerprints().get(raw[2:_HEADER_SIZE])
    if schema is None:
        raise SchemaError(
            f"schema fingerprint {raw[2:_HEADER_SIZE].hex()} is unknown here; "
            "was it written by a newer release?"
        )
    if schema.name != name:
        raise SchemaError(f"holds a {schema.name}, where a {name} is expected")
    body = BytesIO(raw)
    body.seek(_HEADER_SIZE)
    return body


def _parse(body: BytesIO, schema: Any, name: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = fastavro.schemaless_reader(body, schema, None)  # type: ignore[assignment]
    except _READ_ERRORS as error:
        reason = str(error) or "it ends in the middle of a field"
        raise SchemaError(f"is damaged Avro ({name}): {reason}") from error
    return record


def _refuse_rest(body: BytesIO, raw: bytes, name: str) -> None:
    if body.tell() != len(raw):
        raise SchemaError(f"has {len(raw) - body.tell()} bytes after the end of the {name}")


def _latent_record(message: LatentMessage) -> dict[str, Any]:
    """Return the fields of the first half."""
    return {
        "messageID": message.message_id,
        "clientID": message.client_id,
        "mode": message.mode,
        "label": message.label,
        "timestamp": message.timestamp,
        "encoderID": message.encoder_id,
        "dtype": message.value.dtype,
        "shape": list(message.value.shape),
        "value": message.value.data,
        "imageID": message.image_id,
        "subject": message.subject,
    }


def _privacy_record(privacy: Privacy) -> dict[str, Any]:
    return {
        "mechanism": privacy.mechanism,
        "guarantee": privacy.guarantee,
        "parameters": privacy.parameters or {},
        "epsilon": privacy.epsilon,
        "delta": privacy.delta,
        "unit": privacy.unit,
        "adjacency": privacy.adjacency,
        "ledgerSequence": privacy.ledger_sequence,
        "ledgerHead": privacy.ledger_head,
    }


def _answer(message: Answer) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, attribute, branch in _pair_fields(_SCHEMA_OF[type(message)]):
        value = getattr(message, attribute)
        # Told which branch of a union it is, fastavro need not try whether the value fits it.
        record[name] = value if branch is None or value is None else (branch, value)
    return record


@cache
def _pair_fields(schema: str) -> list[tuple[str, str, str | None]]:
    """Return each field's name on the wire, its attribute and, where it may be null, its type."""
    fields = load_schema(schema).parsed["fields"]
    return [
        (one["name"], _ATTRIBUTES.get(one["name"], one["name"]), _find_branch(one["type"]))
        for one in fields
    ]


def _find_branch(kind: Any) -> str | None:
    """Return the type beside null in a union of the two."""
    if not isinstance(kind, list):
        return None
    _, other = kind
    branch: str = other["type"] if isinstance(other, dict) else other
    return branch
