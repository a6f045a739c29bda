"""The JSON form: exactly the third seed's messages, plus optional fields.

``{"message": {"clientID", "label", "value": [...], "mode", "timestamp", ...}}`` in UTF-8
(RFC 8259).
Strict: duplicate keys, unknown fields, numbers as strings, NaN and Infinity are errors, since two
readers could take them for different messages.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from schemas.errors import SchemaError
from schemas.messages.answers import ANSWER_NAMES, Acknowledgement, Answer, AnswerT, Refusal, Reply
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.messages.validation import (
    Message,
    format_timestamp,
    parse_timestamp,
    shorten,
    validate,
)
from schemas.vector import DTYPES, MOST_DIMENSIONS, Vector, read_dtype

CONTENT_TYPE = "application/json"

# The largest float32, 2**128 - 2**104, has a shortest text slightly above it that rounds back.
_FLOAT32_MAX = 2.0**128 - 2.0**104 + 2.0**102
_ENVELOPE_FIELDS = {"clientID": str, "label": str, "timestamp": str}
_LATENT_FIELDS = _ENVELOPE_FIELDS | {"value": list, "mode": str}
_LATENT_OPTIONAL = {
    "messageID": str,
    "encoderID": str,
    "dtype": str,
    "shape": list,
    "imageID": str,
    "subject": str,
    "aggregate": dict,
    "privacy": dict,
    "policy": str,
}
_ANSWER_OPTIONAL: dict[type[Answer], dict[str, type]] = {
    Reply: {
        "inReplyTo": str,
        "messageID": str,
        "encoderID": str,
        "modelVersion": str,
        "probabilities": dict,
        "abstained": bool,
        "error": str,
    },
    Acknowledgement: {"inReplyTo": str, "messageID": str},
    Refusal: {"inReplyTo": str, "messageID": str, "error": str, "field": str},
}
_PRIVACY_OPTIONAL = {
    "guarantee": bool,
    "parameters": dict,
    "epsilon": float,
    "delta": float,
    "unit": str,
    "adjacency": str,
    "ledgerSequence": int,
    "ledgerHead": str,
}
_JSON_NAMES = {
    str: "a string",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
}


def encode_json(message: Message) -> bytes:
    """Write a message; fields that are None stay out.

    Raises:
        SchemaError: the message breaks the contract.
    """
    validate(message)
    fields = _latent_fields(message) if isinstance(message, LatentMessage) else _answer(message)
    present = {name: value for name, value in fields.items() if value is not None}
    return orjson.dumps({"message": present}, option=orjson.OPT_SERIALIZE_NUMPY)


def decode_latent_json(raw: bytes) -> LatentMessage:
    """Read a learning or service message.

    Raises:
        SchemaError: names the field at fault and what is expected.
    """
    body = _read_body(raw, _LATENT_FIELDS, _LATENT_OPTIONAL)
    if body["mode"] not in ("learning", "service"):
        raise SchemaError(f"{shorten(body['mode'])} is neither 'learning' nor 'service'", "mode")
    message = LatentMessage(
        client_id=body["clientID"],
        label=body["label"],
        value=_read_vector(body),
        mode=body["mode"],
        timestamp=parse_timestamp(body["timestamp"]),
        message_id=body.get("messageID"),
        encoder_id=body.get("encoderID"),
        image_id=body.get("imageID"),
        subject=body.get("subject"),
        aggregate=_read_aggregate(body.get("aggregate")),
        privacy=_read_privacy(body.get("privacy")),
        policy=body.get("policy"),
    )
    validate(message)
    return message


def decode_answer_json(raw: bytes, kind: type[AnswerT]) -> AnswerT:
    """Read a reply, acknowledgement or refusal.

    Raises:
        SchemaError: names the field at fault and what is expected.
    """
    body = _read_body(raw, _ENVELOPE_FIELDS, _ANSWER_OPTIONAL[kind])
    if probabilities := body.get("probabilities"):
        _check_numbers("probabilities", probabilities)
    names = {wire: attribute for attribute, wire in _wire_names(kind)}
    fields = {names[wire]: value for wire, value in body.items()}
    message = kind(**(fields | {"timestamp": parse_timestamp(body["timestamp"])}))
    validate(message)
    return message


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read one JSON object in which no key stands twice.

    Raises:
        SchemaError: not UTF-8, not JSON, not an object, or a duplicate key (named).
    """
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise SchemaError(_explain_syntax(raw, error)) from None
    if not isinstance(parsed, dict):
        raise SchemaError(f"a JSON object is expected, not {_name_of(parsed)}")
    # orjson keeps the last of two equal keys. Each key and string accounts for two quotes, so only
    # a text with more quotes than that can hide one, and only then is the slow parser asked.
    try:
        if raw.count(b'"') != _count_quotes(parsed):
            json.loads(raw, object_pairs_hook=_refuse_duplicates)
    except RecursionError:
        raise SchemaError("is nested too deeply") from None
    return parsed


def _explain_syntax(raw: bytes, error: Exception) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as bad:
        return f"is not UTF-8: byte {raw[bad.start]:#04x} at position {bad.start}"
    for name in ("NaN", "-Infinity", "Infinity"):
        if name in text:
            return f"is not JSON: {name} is no JSON number; send finite numbers only"
    return f"is not JSON: {error}"


def _count_quotes(value: Any) -> int:
    if isinstance(value, str):
        return 2
    if isinstance(value, dict):
        return 2 * len(value) + sum(map(_count_quotes, value.values()))
    if isinstance(value, list) and value and type(value[0]) not in (int, float):
        return sum(map(_count_quotes, value))
    return 0  # a list that begins with a number holds no strings; else the slow parser looks


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SchemaError(f"{shorten(key)} stands twice in one JSON object")
        found[key] = value
    return found


def _read_body(
    raw: bytes, required: Mapping[str, type], optional: Mapping[str, type]
) -> dict[str, Any]:
    document = parse_object(raw)
    if set(document) != {"message"} or not isinstance(document["message"], dict):
        raise SchemaError('must be one object {"message": {...}}')
    body: dict[str, Any] = document["message"]
    _check_types(body, required, optional)
    return body


def _check_types(
    body: Mapping[str, Any],
    required: Mapping[str, type],
    optional: Mapping[str, type],
    prefix: str = "",
) -> None:
    if not required.keys() <= body.keys():
        missing = next(name for name in required if name not in body)
        raise SchemaError("is missing", prefix + missing)
    for name, value in body.items():
        expected = required.get(name) or optional.get(name)
        if expected is None:
            known = ", ".join([*required, *optional])
            # The name may be anything, so it stands in the reason and not where logs repeat it.
            raise SchemaError(
                f"{shorten(name)} is not a known field; known are {known}", f"message.{prefix}"[:-1]
            )
        if type(value) is not expected and not _fits(value, expected):
            raise SchemaError(
                f"must be {_JSON_NAMES[expected]}, not {_name_of(value)}", prefix + name
            )


def _fits(value: Any, expected: type) -> bool:
    if expected is float:
        return type(value) in (int, float)
    return type(value) is expected


def _name_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return shorten(value)
    return f"{_JSON_NAMES[type(value)]} ({shorten(value)})"


def _check_numbers(field: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if not _fits(value, float):
            raise SchemaError(f"{shorten(name)} must be a number, not {_name_of(value)}", field)


def _read_vector(body: Mapping[str, Any]) -> Vector:
    numbers: list[Any] = body["value"]
    dtype = read_dtype(body.get("dtype", "float32"))
    if not numbers:
        raise SchemaError("is an empty list", "value")
    allowed = {int, float} if dtype == "float32" else {int}
    if not set(map(type, numbers)) <= allowed:
        _refuse_first(numbers, lambda number: type(number) in allowed, f"is not a {dtype} number")
    low, high = _limits(dtype)
    # Float64 holds every number of the three dtypes exactly; fromiter takes half the time of array.
    array = np.fromiter(numbers, np.float64, len(numbers))
    if not (array.min() >= low and array.max() <= high):
        _refuse_first(numbers, lambda number: low <= number <= high, f"is too large for {dtype}")
    data = array.astype(DTYPES[dtype]).tobytes()
    return Vector(dtype, _read_shape(body.get("shape"), len(numbers)), data)


def _limits(dtype: str) -> tuple[float, float]:
    if dtype == "float32":
        return -_FLOAT32_MAX, _FLOAT32_MAX
    info = np.iinfo(dtype)
    return info.min, info.max


def _refuse_first(numbers: list[Any], accept: Callable[[Any], bool], reason: str) -> None:
    for position, number in enumerate(numbers):
        if not accept(number):
            raise SchemaError(f"{_name_of(number)} {reason}", f"value[{position}]")


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


def _read_aggregate(body: dict[str, Any] | None) -> Aggregate | None:
    if body is None:
        return None
    _check_types(body, {"kind": str, "count": int}, {}, "aggregate.")
    if body["kind"] not in ("record", "mean", "sum"):
        raise SchemaError(f"{shorten(body['kind'])} is none of record, mean, sum", "aggregate.kind")
    return Aggregate(body["kind"], body["count"])


def _read_privacy(body: dict[str, Any] | None) -> Privacy | None:
    if body is None:
        return None
    _check_types(body, {"mechanism": str}, _PRIVACY_OPTIONAL, "privacy.")
    _check_numbers("privacy.parameters", body.get("parameters") or {})
    return Privacy(**{attribute: body[wire] for attribute, wire in _PRIVACY_NAMES if wire in body})


_PRIVACY_NAMES = [
    ("mechanism", "mechanism"),
    ("guarantee", "guarantee"),
    ("parameters", "parameters"),
    ("epsilon", "epsilon"),
    ("delta", "delta"),
    ("unit", "unit"),
    ("adjacency", "adjacency"),
    ("ledger_sequence", "ledgerSequence"),
    ("ledger_head", "ledgerHead"),
]


def _wire_names(kind: type[Answer]) -> list[tuple[str, str]]:
    attributes = kind.__dataclass_fields__
    return [(attribute, ANSWER_NAMES.get(attribute, attribute)) for attribute in attributes]


def _latent_fields(message: LatentMessage) -> dict[str, Any]:
    vector, aggregate = message.value, message.aggregate
    return {
        "clientID": message.client_id,
        "label": message.label,
        # A native float32 array: orjson then writes the shortest text that reads back the same.
        "value": vector.to_numpy().reshape(-1).astype(vector.dtype),
        "mode": message.mode,
        "timestamp": format_timestamp(message.timestamp),
        "messageID": message.message_id,
        "encoderID": message.encoder_id,
        "dtype": None if vector.dtype == "float32" else vector.dtype,
        "shape": None if len(vector.shape) == 1 else vector.shape,
        "imageID": message.image_id,
        "subject": message.subject,
        "aggregate": aggregate and {"kind": aggregate.kind, "count": aggregate.count},
        "privacy": message.privacy and _privacy_fields(message.privacy),
        "policy": message.policy,
    }


def _privacy_fields(privacy: Privacy) -> dict[str, Any]:
    fields = {wire: getattr(privacy, attribute) for attribute, wire in _PRIVACY_NAMES}
    return {name: value for name, value in fields.items() if value is not None}


def _answer(message: Answer) -> dict[str, Any]:
    fields = {wire: getattr(message, name) for name, wire in _wire_names(type(message))}
    return fields | {"timestamp": format_timestamp(message.timestamp)}
