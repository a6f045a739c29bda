"""The Avro form: single-object encoding (Avro 1.11 specification), which needs no schema registry.

Each message is ``C3 01``, the 8-byte fingerprint of its schema, and the record.
"""

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

import fastavro

from schemas.errors import SchemaError, explain_failure
from schemas.messages.answers import Acknowledgement, AnswerT, Refusal, Reply
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.fields import FieldTable
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.messages.validation import Message, validate
from schemas.vector import DTYPES, Vector
from schemas.wire.registry import (
    DECLARATION,
    load_fingerprints,
    load_latent_halves,
    load_latent_head,
    load_schema,
)

CONTENT_TYPE = "avro/binary"

_MARKER = b"\xc3\x01"
_HEADER_SIZE = 10
_LONGEST_CACHED = 512
_LONGEST_HEAD = 4_096
_NO_PRIVACY = Privacy("none", parameters={})
_LATENTS = ("latent.v1", "latent.v2")
_SCHEMA_NAMES: dict[type[Message], str] = {
    Reply: "reply.v1",
    Acknowledgement: "acknowledgement.v1",
    Refusal: "refusal.v1",
}
_OWN_FIELDS = FieldTable(
    *(field for field in LatentMessage.FIELDS.fields if field.name not in DECLARATION)
)
_AVRO_TYPES = {str: "string", dict: "map", bool: "boolean"}
# The fields of each answer: attribute, name, and the Avro type beside null if it may be null.
_ANSWER_FIELDS: dict[type[Message], list[tuple[str, str, str | None]]] = {
    answer: [
        (attribute, name, None if required else _AVRO_TYPES[kind])
        for attribute, name, kind, required, _ in answer.FIELDS.fields
    ]
    for answer in (Reply, Acknowledgement, Refusal)
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
    """Write a message.

    Raises:
        SchemaError: the message breaks the contract, or lacks a field that Avro requires.
    """
    validate(message)
    if isinstance(message, LatentMessage):
        return _write_latent(message)
    record = {}
    for attribute, name, branch in _ANSWER_FIELDS[type(message)]:
        value = getattr(message, attribute)
        # With the branch of a union named, fastavro need not try which one the value fits.
        record[name] = value if branch is None or value is None else (branch, value)
    return _write(_SCHEMA_NAMES[type(message)], record)


def decode_latent_avro(raw: bytes) -> LatentMessage:
    """Read a learning or service message.

    Raises:
        SchemaError: not Avro, another schema, truncated, or a field breaks the contract.
    """
    name, body = _open(raw, _LATENTS)
    if len(raw) > _LONGEST_HEAD:
        _check_head(raw[:_LONGEST_HEAD], name)
    record = _parse(body, load_latent_halves(name)[0], name)
    rest = raw[body.tell() :]
    # Nearly always the same bytes as in the message before, and half of the time to decode one.
    read = _read_frequent_declaration if len(rest) <= _LONGEST_CACHED else _read_declaration
    record |= read(rest, name)
    try:
        record["value"] = Vector(record["dtype"], tuple(record["shape"]), record["value"])
        message = LatentMessage(*LatentMessage.FIELDS.to_arguments(record))
        validate(message)
    except Exception as error:
        raise explain_failure(error, record) from error
    return message


def decode_answer_avro(raw: bytes, kind: type[AnswerT]) -> AnswerT:
    """Read a reply, acknowledgement or refusal.

    Raises:
        SchemaError: not Avro, another schema, truncated, or a field breaks the contract.
    """
    message = kind(*kind.FIELDS.to_arguments(_read(raw, _SCHEMA_NAMES[kind])))
    validate(message)
    return message


def encode_dead_letter(dead_letter: DeadLetter) -> bytes:
    """Write a dead letter for export."""
    record = DeadLetter.FIELDS.to_record(dead_letter)
    record["headers"] = [{"name": name, "value": value} for name, value in dead_letter.headers]
    return _write("dead_letter.v1", record)


def decode_dead_letter(raw: bytes) -> DeadLetter:
    """Read an exported dead letter.

    Raises:
        SchemaError: not Avro, another schema, or truncated.
    """
    record = _read(raw, "dead_letter.v1")
    record["headers"] = [(header["name"], header["value"]) for header in record["headers"]]
    return DeadLetter(*DeadLetter.FIELDS.to_arguments(record))


def _check_head(raw: bytes, schema: str) -> None:
    """Refuse a message whose names, label and shape do not end within ``raw``.

    The shape may state any number of sizes, and each would be read.
    """
    head = BytesIO(raw)
    head.seek(_HEADER_SIZE)
    try:
        _parse(head, load_latent_head(schema), schema)
    except SchemaError:
        raise SchemaError(f"value does not begin within the first {len(raw):,} bytes") from None


def _read_declaration(raw: bytes, schema: str) -> dict[str, Any]:
    """Read what a site states about its latents: the second half of a latent message."""
    body = BytesIO(raw)
    record = _parse(body, load_latent_halves(schema)[1], schema)
    _refuse_rest(body, raw, schema)
    for name, kind in (("aggregate", Aggregate), ("privacy", Privacy)):
        record[name] = kind(*kind.FIELDS.to_arguments(record[name]))
    return record


_read_frequent_declaration = lru_cache(maxsize=256)(_read_declaration)


def _write_latent(message: LatentMessage) -> bytes:
    if message.message_id is None or message.encoder_id is None:
        missing = "messageID" if message.message_id is None else "encoderID"
        raise SchemaError("is missing; only the JSON form may leave it out", missing)
    record = _OWN_FIELDS.to_record(message)
    vector = message.value
    record |= {"dtype": vector.dtype, "shape": vector.shape, "value": vector.data}
    name = _choose_schema(message)
    own = _dump(record, load_latent_halves(name)[0], name)
    aggregate, privacy = message.aggregate or Aggregate(), message.privacy or _NO_PRIVACY
    declaration = _write_declaration(aggregate, privacy, message.policy, name)
    return _MARKER + load_schema(name).fingerprint + own + declaration


def _choose_schema(message: LatentMessage) -> str:
    """Return the oldest schema that can say it, for readers of the release before."""
    newer = message.value.dtype not in DTYPES or (
        message.aggregate is not None and message.aggregate.kind == "moments"
    )
    return _LATENTS[newer]


@lru_cache(maxsize=256)
def _write_declaration(
    aggregate: Aggregate, privacy: Privacy, policy: str | None, schema: str
) -> bytes:
    """Write the second half of a latent message, cached as in reading."""
    record = {
        "aggregate": Aggregate.FIELDS.to_record(aggregate),
        "privacy": Privacy.FIELDS.to_record(privacy) | {"parameters": privacy.parameters or {}},
        "policy": policy,
    }
    return _dump(record, load_latent_halves(schema)[1], schema)


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
    _, body = _open(raw, (name,))
    record = _parse(body, load_schema(name).parsed, name)
    _refuse_rest(body, raw, name)
    return record


def _open(raw: bytes, names: Sequence[str]) -> tuple[str, BytesIO]:
    """Check the header; return the schema's name, and the message from the first byte after it."""
    if raw[:2] != _MARKER:
        raise SchemaError("is not Avro in single-object encoding: it must begin with C3 01")
    schema = load_fingerprints().get(raw[2:_HEADER_SIZE])
    if schema is None:
        known = ", ".join(f"{key.hex()} ({s.name})" for key, s in load_fingerprints().items())
        raise SchemaError(
            f"schema fingerprint {raw[2:_HEADER_SIZE].hex()} is unknown here; known are {known}. "
            "Was it written by a newer release, or computed in another way than CRC-64-AVRO?"
        )
    if schema.name not in names:
        raise SchemaError(f"holds a {schema.name}, where a {names[0]} is expected")
    body = BytesIO(raw)
    body.seek(_HEADER_SIZE)
    return schema.name, body


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
