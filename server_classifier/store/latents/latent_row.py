"""The row type of the table ``latent``."""

from typing import NamedTuple

from server_classifier.store.tables import latent


class LatentRow(NamedTuple):
    """One accepted learning message: the columns of ``latent`` except ``id``, in their order.

    Attributes:
        value: little-endian numbers of ``dtype``.
        privacy: JSON.
        sent_at: milliseconds since 1970 UTC, by the client's clock.
        received_at: milliseconds since 1970 UTC, by Kafka's clock.
        topic: with ``partition`` and ``kafka_offset`` the place of the message in Kafka.
    """

    message_id: str
    site: str
    client_id: str
    encoder_id: str
    label: str
    dtype: str
    value: bytes
    image_id: str | None
    subject: str | None
    aggregate_kind: str
    aggregate_count: int
    privacy: str | None
    policy: str | None
    sent_at: int
    received_at: int
    topic: str
    partition: int
    kafka_offset: int


LATENT_COLUMNS = [latent.c[field] for field in LatentRow._fields]
COLUMN_NAMES = ", ".join(column.name for column in LATENT_COLUMNS)
