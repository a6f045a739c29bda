"""JSON read strictly: what two readers could take for different values is an error."""

import json
from collections import Counter
from typing import Any

import orjson

from schemas.errors import SchemaError, shorten

TYPE_NAMES = {
    str: "a string",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
}


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
        raise SchemaError(f"a JSON object is expected, not {describe(parsed)}")
    # orjson keeps the last of two equal keys. Each key and string accounts for two quotes, so only
    # a text with more quotes can hide a duplicate, and only then the slow parser reads it again.
    try:
        if raw.count(b'"') != _count_quotes(parsed):
            json.loads(raw, object_pairs_hook=refuse_duplicates)
    except RecursionError:
        raise SchemaError("is nested too deeply") from None
    return parsed


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dictionary of the pairs that ``json.loads`` read, as its ``object_pairs_hook``.

    Raises:
        SchemaError: a key stands twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise SchemaError(f"{shorten(twice)} stands twice in one JSON object")
    return values


def describe(value: Any) -> str:
    """Return a JSON value with the name of its type, cut if it is long."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return shorten(value)
    return f"{TYPE_NAMES[type(value)]} ({shorten(value)})"


def _explain_syntax(raw: bytes, error: Exception) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        return f"is not UTF-8: byte {raw[fault.start]:#04x} at position {fault.start}"
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
