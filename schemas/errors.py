"""What is wrong with a message or a manifest, and in which field.

* SchemaError

Foreign bytes may make a reader fail in ways that nobody thought of. ``explain_failure`` makes those
failures a SchemaError, too: of that one message, and not of the service that reads it.
"""

from typing import Any


class SchemaError(ValueError):
    """A message, manifest or vector that breaks the contract.

    Attributes:
        reason: what is wrong and what a correct value looks like.
        field: the wire name of the field at fault, as ``value[3]``, or None for the whole.

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


def explain_failure(error: Exception) -> SchemaError:
    """Return the refusal of a message on which its reader failed with ``error``.

    The text of an unforeseen error may hold a patient's data or be of any size; its type is enough.
    """
    if isinstance(error, SchemaError):
        return error
    return SchemaError(f"cannot be read: {type(error).__name__}")


def shorten(value: Any, limit: int = 60) -> str:
    """Quote a value for an error message, cut if it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested deeply; an integer of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too large to be quoted"
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
