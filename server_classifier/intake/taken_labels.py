"""The labels that this deployment learns, in memory and in the database.

Every label makes each classifier larger and each training longer, so one client that invents labels
could end the training for all. A label is taken when it is seen first and kept for ever; beyond a
maximum no other is taken.
"""

from collections.abc import Iterable

import structlog
from sqlalchemy import Engine

from schemas.errors import SchemaError, shorten
from server_classifier.store.database import writing
from server_classifier.store.registry.labels import take_labels


class TakenLabels:
    """Takes new labels while there is room.

    Args:
        engine: the server's database.

    Attributes:
        maximum: of labels; None where there is no limit.
        taken: all that are known to be taken; empty before the first call of ``find_surplus``.
    """

    def __init__(self, engine: Engine, maximum: int | None) -> None:
        self.maximum = maximum
        self.taken: set[str] = set()
        self._engine = engine
        self._warned = False

    def find_surplus(self, labels: Iterable[str]) -> set[str]:
        """Take the new ones of these labels, the first first, and return those without room.

        The database is asked only where one is new and there was room at the last time.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        new = {label: None for label in labels if label not in self.taken}
        if new and (self.maximum is None or len(self.taken) < self.maximum):
            with writing(self._engine) as connection:
                self.taken = take_labels(connection, new, self.maximum)
        surplus = new.keys() - self.taken
        if surplus and not self._warned:
            self._warned = True
            structlog.get_logger().warning(
                "no room for new labels; their messages become dead letters",
                taken=len(self.taken),
                maximum=self.maximum,
                hint="declare the labels with `labels`, or allow more with `max_labels`",
            )
        return surplus

    def refuse(self, label: str) -> SchemaError:
        """Return the refusal of a label without room."""
        return SchemaError(
            f"{shorten(label)} is a new label, and {len(self.taken)} of at most {self.maximum} are "
            "taken; the operator allows more with `max_labels`, or declares them with `labels`",
            "label",
        )
