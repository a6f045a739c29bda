"""What is wrong with a message or a manifest, and in which field.

* SchemaError
"""

from typing import Any


class SchemaError(ValueError):
    """A message, manifest or vector that breaks the contract.

    Attributes:
        reason: what is wrong and what a correct value looks like.
        field: the wire name of the field at fault, as ``value[3]``, or None for the whole.

    Example:
        >>> from schemas import EncoderManifest, SchemaError
        >>> try:
        ...     EncoderManifest.from_json(b"{}")
        ... except SchemaError as error:
        ...     print(type(error.reason).__name__)
        str
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason if field is None else f"{field}: {reason}")
        self.reason = reason
        self.field = field


def shorten(value: Any, limit: int = 60) -> str:
    """Quote a value for an error message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
