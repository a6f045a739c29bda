"""What is wrong with a message, and in which field.

* SchemaError
"""


class SchemaError(ValueError):
    """A message, manifest or vector that breaks the contract.

    Attributes:
        reason: what is wrong and what a correct value looks like.
        field: the wire name of the field at fault (``message.value[3]``), or None for the whole.
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason if field is None else f"{field}: {reason}")
        self.reason = reason
        self.field = field
