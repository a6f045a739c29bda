"""What is wrong with a message or a manifest, and in which field.

* SchemaError

Foreign bytes may make a reader fail in ways that nobody thought of. ``explain_failure`` makes those
failures a SchemaError, too: of that one message, and not of the service that reads it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_SENDER = ("clientID", "messageID")
_LONGEST_NAME = 63
_MOST_QUOTED = 8
_LARGE = (str, bytes, list, dict)


class SchemaError(ValueError):
    """A message, manifest or vector that breaks the contract.

    Attributes:
        reason: what is wrong and what a correct value looks like.
        field: the wire name of the field at fault, as ``value[3]``, or None for the whole.
        stated: the ``clientID`` and ``messageID`` of the message, as far as they could be read.

    Example:
        >>> from schemas import NetworkManifest, SchemaError
        >>> try:
        ...     NetworkManifest.from_json(b"{}")
        ... except SchemaError as error:
        ...     print(type(error.reason).__name__)
        str
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason if field is None else f"{field}: {reason}")
        self.reason = reason
        self.field = field
        self.stated: dict[str, str] = {}


def explain_failure(
    error: Exception, fields: Mapping[str, object] = MappingProxyType({})
) -> SchemaError:
    """Return the refusal of a message on which its reader failed with ``error``.

    The text of an unforeseen error may hold a patient's data or be of any size; its type is enough.
    A new error has no traceback, whose frames would keep the whole message in memory.

    Args:
        fields: of the message, where they were read: the refusal tells who has sent it.
    """
    if not isinstance(error, SchemaError):
        error = SchemaError(f"cannot be read: {type(error).__name__}")
    explained = SchemaError(error.reason, error.field)
    explained.stated = error.stated or {
        name: value
        for name in _SENDER
        if isinstance(value := fields.get(name), str) and len(value) <= _LONGEST_NAME
    }
    return explained


def shorten(value: Any, limit: int = 60) -> str:
    """Quote a value for an error message, cut if it is long; as cheap for a huge one as for any."""
    if isinstance(value, str | bytes):
        cut = "" if len(value) <= limit else f"... ({len(value)} characters)"
        return f"{value[:limit]!r}{cut}"
    if isinstance(value, list | dict):
        few = len(value) <= _MOST_QUOTED and not any(isinstance(part, _LARGE) for part in value)
        return repr(value) if few and isinstance(value, list) else f"of {len(value)} parts"
    try:
        return repr(value)
    except ValueError:  # an integer of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too large to be quoted"
