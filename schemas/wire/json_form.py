"""The JSON form: exactly the messages of Salehinejad et al., plus optional fields.

``{"message": {"clientID", "label", "value": [...], "mode", "timestamp", ...}}`` in UTF-8
(RFC 8259). Duplicate keys, unknown fields, numbers as strings, NaN and Infinity are errors.
"""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import orjson

from schemas.errors import SchemaError, explain_failure, shorten
from schemas.messages.answers import AnswerT
from schemas.messages.fields import FieldTable
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.messages.validation import (
    Message,
    format_timestamp,
    parse_timestamp,
    validate,
)
from schemas.strict_json import TYPE_NAMES, describe, parse_object
from schemas.vector import DTYPES, MOST_DIMENSIONS, Vector, read_dtype

CONTENT_TYPE = "application/json"

# Texts, lists and objects take up to forty times their bytes in memory, numbers eight times.
_PART_MARKS = (b'"', b"[", b"{")
_MOST_MARKS = 4_096
_FEW_BYTES = 4 * _MOST_MARKS  # where counting costs more than it saves

_KINDS = ("record", "mean", "sum")  # in Avro there are more
# The largest float32, 2**128 - 2**104, has a shortest text slightly above it that rounds back.
_FLOAT32_MAX = 2.0**128 - 2.0**104 + 2.0**102


def encode_json(message: Message) -> bytes:
    """Write a message; fields that are None stay out.

    Raises:
        SchemaError: the message breaks the contract.
    """
    validate(message)
    fields = message.FIELDS.to_object(message)
    fields["timestamp"] = format_timestamp(message.timestamp)
    if isinstance(message, LatentMessage):
        vector = message.value
        read_dtype(vector.dtype)  # refuses what only Avro carries
        # A native float32 array: orjson then writes the shortest text that reads back the same.
        numbers = vector.to_numpy().reshape(-1).astype(vector.dtype)
        fields |= {"value": numbers, "dtype": vector.dtype, "shape": vector.shape}
        if vector.dtype == "float32":
            del fields["dtype"]
        if len(vector.shape) == 1:
            del fields["shape"]
        if message.aggregate is not None:
            _check_kind(message.aggregate.kind)
            fields["aggregate"] = Aggregate.FIELDS.to_object(message.aggregate)
        if message.privacy is not None:
            fields["privacy"] = Privacy.FIELDS.to_object(message.privacy)
    return orjson.dumps({"message": fields}, option=orjson.OPT_SERIALIZE_NUMPY)


def decode_latent_json(raw: bytes) -> LatentMessage:
    """Read a learning or service message.

    Raises:
        SchemaError: names the field at fault and what is expected.
    """
    body = parse_message(raw)
    try:
        return _read_latent(body)
    except Exception as error:
        raise explain_failure(error, body) from error


def _read_latent(body: dict[str, Any]) -> LatentMessage:
    _check_types(body, LatentMessage.FIELDS)
    if body["mode"] not in ("learning", "service"):
        raise SchemaError(f"{shorten(body['mode'])} is neither 'learning' nor 'service'", "mode")
    body["value"] = _read_vector(body)
    body["timestamp"] = parse_timestamp(body["timestamp"])
    if "aggregate" in body:
        body["aggregate"] = _read_aggregate(body["aggregate"])
    if "privacy" in body:
        body["privacy"] = _read_privacy(body["privacy"])
    message = LatentMessage(*LatentMessage.FIELDS.to_arguments(body))
    validate(message)
    return message


def decode_answer_json(raw: bytes, kind: type[AnswerT]) -> AnswerT:
    """Read a reply, acknowledgement or refusal.

    Raises:
        SchemaError: names the field at fault and what is expected.
    """
    body = parse_message(raw)
    _check_types(body, kind.FIELDS)
    _check_numbers("probabilities", body.get("probabilities", {}))
    body["timestamp"] = parse_timestamp(body["timestamp"])
    message = kind(*kind.FIELDS.to_arguments(body))
    validate(message)
    return message


def parse_message(raw: bytes) -> dict[str, Any]:
    """Return the fields of a message, not validated yet.

    Raises:
        SchemaError: it is not JSON, or not one object ``{"message": {...}}``.
    """
    if len(raw) > _FEW_BYTES:
        _refuse_many_parts(raw)
    document = parse_object(raw)
    message = document.get("message")
    if len(document) != 1 or not isinstance(message, dict):
        fields = message if isinstance(message, dict) else {}
        raise explain_failure(SchemaError('must be one object {"message": {...}}'), fields)
    return message


def _refuse_many_parts(raw: bytes) -> None:
    for mark in _PART_MARKS:
        if raw.count(mark) > _MOST_MARKS:
            raise SchemaError(f"has more than {_MOST_MARKS:,} of {mark.decode()}; no message has")


def _check_types(body: Mapping[str, Any], table: FieldTable, prefix: str = "") -> None:
    for name in table.required:
        if name not in body:
            raise SchemaError("is missing", prefix + name)
    for name, value in body.items():
        expected = table.kinds.get(name)
        if expected is None:
            # The name may be anything, so it stands in the reason and not where logs repeat it.
            raise SchemaError(
                f"{shorten(name)} is not a known field; known are {', '.join(table.kinds)}",
                f"message.{prefix}"[:-1],
            )
        if type(value) is not expected and not _fits(value, expected):
            raise SchemaError(
                f"must be {TYPE_NAMES[expected]}, not {describe(value)}", prefix + name
            )


def _fits(value: Any, expected: type) -> bool:
    if expected is float:
        return type(value) in (int, float)
    return type(value) is expected


def _check_numbers(field: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if not _fits(value, float):
            raise SchemaError(f"{shorten(name)} must be a number, not {describe(value)}", field)


def _read_vector(body: Mapping[str, Any]) -> Vector:
    numbers: list[Any] = body["value"]
    dtype = read_dtype(body.get("dtype", "float32"))
    if not numbers:
        raise SchemaError("is an empty list", "value")
    allowed = {int, float} if dtype == "float32" else {int}
    if wrong := set(map(type, numbers)) - allowed:
        position = min(map([*map(type, numbers)].index, wrong))
        _refuse_number(numbers, position, f"is not a {dtype} number")
    low, high = _limits(dtype)
    # Float64 holds every number of the three dtypes exactly; fromiter takes half the time of array.
    array = np.fromiter(numbers, np.float64, len(numbers))
    if not (array.min() >= low and array.max() <= high):
        position = int(((array < low) | (array > high)).argmax())
        _refuse_number(numbers, position, f"is too large for {dtype}")
    data = array.astype(DTYPES[dtype]).tobytes()
    return Vector(dtype, _read_shape(body.get("shape"), len(numbers)), data)


def _limits(dtype: str) -> tuple[float, float]:
    if dtype == "float32":
        return -_FLOAT32_MAX, _FLOAT32_MAX
    info = np.iinfo(dtype)
    return info.min, info.max


def _refuse_number(numbers: list[Any], position: int, reason: str) -> NoReturn:
    raise SchemaError(f"{describe(numbers[position])} {reason}", f"value[{position}]")


def _read_shape(shape: list[Any] | None, count: int) -> tuple[int, ...]:
    if shape is None:
        return (count,)
    if not 0 < len(shape) <= MOST_DIMENSIONS or not all(
        type(size) is int and 0 < size <= count for size in shape
    ):
        raise SchemaError(f"{shorten(shape)} is not a list of sizes", "shape")
    if math.prod(shape) != count:
        raise SchemaError(f"{shorten(shape)} does not hold the {count} numbers of value", "shape")
    return tuple(shape)


def _read_aggregate(body: dict[str, Any]) -> Aggregate:
    _check_types(body, Aggregate.FIELDS, "aggregate.")
    _check_kind(body["kind"])
    return Aggregate(*Aggregate.FIELDS.to_arguments(body))


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        raise SchemaError(f"{shorten(kind)} is none of {', '.join(_KINDS)}", "aggregate.kind")


def _read_privacy(body: dict[str, Any]) -> Privacy:
    _check_types(body, Privacy.FIELDS, "privacy.")
    _check_numbers("privacy.parameters", body.get("parameters", {}))
    return Privacy(*Privacy.FIELDS.to_arguments({"guarantee": False} | body))
