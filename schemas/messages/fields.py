"""The table of a message's fields. Both forms on the wire read and write a message by its table."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.errors import SchemaError

TEXT_MAX = 2_000
"""Characters of a text for people."""


class Field(NamedTuple):
    """A field on the wire.

    Attributes:
        attribute: of the Python object. Several fields may hold the parts of one attribute, such as
            a vector. The constructor then takes the attribute under the name of the first.
        name: on the wire, fixed for ever.
        kind: the type in JSON; a float may be written without a point.
        required: whether the JSON form must have the field. The Avro form follows its schema.
        limit: most characters of a text, or entries of an object; None where a rule for its form
            bounds it (``validation``), or its type.
    """

    attribute: str
    name: str
    kind: type
    required: bool = False
    limit: int | None = None


class FieldTable:
    """The fields of a message, in the order of its constructor.

    Attributes:
        fields: the rows.
        kinds: the type of each field in JSON, by its name on the wire.
        required: the names of those that the JSON form must have.
    """

    def __init__(self, *fields: Field) -> None:
        self.fields = fields
        self.kinds = {field.name: field.kind for field in fields}
        self.required = [field.name for field in fields if field.required]
        self._limits = [
            (field.attribute, field.name, field.limit) for field in fields if field.limit
        ]
        self._attributes = [(field.name, field.attribute) for field in fields]
        arguments: dict[str, str] = {}
        for field in fields:
            arguments.setdefault(field.attribute, field.name)
        self._arguments = list(arguments.values())

    def check_sizes(self, message: object, prefix: str = "") -> None:
        """Refuse a message with a text or object beyond the limit of its field.

        Raises:
            SchemaError: names the field, after ``prefix``.
        """
        for attribute, name, limit in self._limits:
            value = getattr(message, attribute)
            if value is not None and len(value) > limit:
                parts = "characters" if isinstance(value, str) else "entries"
                raise SchemaError(f"has {len(value)} {parts}, {limit} are allowed", prefix + name)

    def to_record(self, message: object) -> dict[str, Any]:
        """Return the attributes by their names on the wire, None included."""
        return {name: getattr(message, attribute) for name, attribute in self._attributes}

    def to_object(self, message: object) -> dict[str, Any]:
        """Return the attributes that are not None by their names on the wire."""
        return {
            name: value
            for name, attribute in self._attributes
            if (value := getattr(message, attribute)) is not None
        }

    def to_arguments(self, record: Mapping[str, Any]) -> Iterator[Any]:
        """Return what the constructor takes, in its order; None for a field that is not there."""
        return map(record.get, self._arguments)
