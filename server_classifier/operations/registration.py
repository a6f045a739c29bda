"""Registering a client: its reply topic, then its row in the database."""

from datetime import datetime

from sqlalchemy import Engine

from schemas.messages.validation import check_name
from server_classifier.operations.topics import mark_read
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import ClientRow, add_client
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics


def register_client(
    engine: Engine,
    kafka: KafkaSettings,
    *,
    client_id: str,
    site: str,
    default_encoder: str | None = None,
    now: datetime,
) -> ClientRow:
    """Create the topic on which a client is answered, then register it with its site.

    In this order no client is ever registered that cannot be answered. Registering again makes what
    is missing, such as the topics of a new broker.

    Args:
        engine: of the server's database, with its tables up to date.
        client_id: 1 to 63 of a-z, 0-9 and '-'.
        site: the hospital that the client belongs to.
        default_encoder: the id, 64 hexadecimal digits, of the encoder of a client whose messages
            name none, as the paper's do.
        now: UTC, when it is registered.

    Raises:
        SchemaError: the client's id is none.
        StreamError: the cluster is away, refuses a topic, or has lost one that was read before.
        RegistryError: the client belongs to another site, or the encoder is not registered.

    Example:
        >>> from datetime import UTC, datetime
        >>> from server_classifier import register_client
        >>> from stream import KafkaSettings
        >>> kafka = KafkaSettings(bootstrap_servers="127.0.0.1:9092")
        >>> now = datetime.now(UTC)
        >>> row = register_client(engine, kafka, client_id="mri-2", site="st-mary", now=now)
        >>> row.client_id, row.site
        ('mri-2', 'st-mary')
    """
    check_name("clientID", client_id)
    topics = Topics(kafka.prefix, kafka.partitions)
    create_topics(kafka, mark_read(engine, [topics.replies(client_id), *topics.shared()]))
    with writing(engine) as connection:
        return add_client(
            connection, client_id=client_id, site=site, default_encoder=default_encoder, now=now
        )
