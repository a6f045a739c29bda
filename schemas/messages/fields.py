"""The table of a message's fields. Both forms on the wire read and write a message by its table."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field on the wire.

    Attributes:
        attribute: of the Python object. Several fields may hold the parts of one attribute, such as
            a vector. The constructor then takes the attribute under the name of the first.
        name: on the wire, fixed for ever.
        kind: the type in JSON; a float may be written without a point.
        required: whether the JSON form must have the field. The Avro form follows its schema.
    """

    attribute: str
    name: str
    kind: type
    required: bool = False


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
        self._attributes = [(field.name, field.attribute) for field in fields]
        arguments: dict[str, str] = {}
        for field in fields:
            arguments.setdefault(field.attribute, field.name)
        self._arguments = list(arguments.values())

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
