"""Which latents are meant: by site, client, label, encoder and the time of their arrival."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import orjson
from sqlalchemy import ColumnElement, and_, or_

from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.tables import EPOCH, MILLISECOND, latent


@dataclass(frozen=True, slots=True)
class Selection:
    """The conditions on latents; a field that is empty or None has no condition.

    A latent fits a field by any of its values, and must fit all fields.

    Attributes:
        encoders: ids, or their first digits.
        since: latents that Kafka took at this time or later.
        until: latents that Kafka took before this time.
    """

    sites: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def to_condition(self) -> ColumnElement[bool]:
        """Return it for a query of the table ``latent``."""
        conditions: list[ColumnElement[bool]] = []
        for column, values in (
            (latent.c.site, self.sites),
            (latent.c.client_id, self.clients),
            (latent.c.label, self.labels),
        ):
            if values:
                conditions.append(column.in_(values))
        if self.encoders:
            conditions.append(or_(*map(latent.c.encoder_id.startswith, self.encoders)))
        if self.since is not None:
            conditions.append(latent.c.received_at >= self.since)
        if self.until is not None:
            conditions.append(latent.c.received_at < self.until)
        return and_(True, *conditions)

    def fits(self, row: LatentRow) -> bool:
        """Tell whether a row that is not stored yet fits."""
        received_at = EPOCH + row.received_at * MILLISECOND
        return (
            _allows(self.sites, row.site)
            and _allows(self.clients, row.client_id)
            and _allows(self.labels, row.label)
            and (not self.encoders or row.encoder_id.startswith(self.encoders))
            and (self.since is None or received_at >= self.since)
            and (self.until is None or received_at < self.until)
        )

    def to_json(self) -> str:
        """Return its conditions, as the same text for the same selection."""
        stated = {name: value for name, value in asdict(self).items() if value}
        return orjson.dumps(stated, option=orjson.OPT_SORT_KEYS).decode()


def _allows(values: Iterable[str], value: str) -> bool:
    return not values or value in values
