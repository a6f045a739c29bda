"""What the server's services have in common: waiting for the database and for Kafka."""

import secrets
import time
from dataclasses import dataclass
from threading import Event

import structlog
from sqlalchemy import Engine

from server_classifier.settings import ServerSettings
from server_classifier.store.database import ensure_current, open_database
from server_classifier.store.errors import StoreUnavailable
from stream.connection import backoff, read_cluster_id, wait_for_cluster
from stream.consumer import Place, RecordConsumer
from stream.producer import Publisher
from stream.responder import Responder
from stream.settings import KafkaSettings
from stream.topics import Topic, Topics, create_topics


@dataclass(frozen=True)
class Surroundings:
    """The database and the cluster of a service, both of which have answered."""

    kafka: KafkaSettings
    settings: ServerSettings
    engine: Engine
    cluster_id: str

    @property
    def topics(self) -> Topics:
        """The topics of this deployment."""
        return Topics(self.kafka.prefix)

    def close(self) -> None:
        """Close the connections to the database."""
        self.engine.dispose()

    def make_responder(self, *, linger_ms: int = 0) -> Responder:
        """Return a responder with a producer of its own; see ``Publisher``."""
        publisher = Publisher(self.kafka, linger_ms=linger_ms)
        return Responder(publisher, self.topics, clock=time.time, random=secrets.token_bytes)

    def make_consumer(
        self, topic: Topic, *, group: str, batch_size: int, place: Place | None = None
    ) -> RecordConsumer:
        """Return this process's member of the consumer group ``<prefix>.<group>``."""
        return RecordConsumer(
            self.kafka,
            topic=topic.name,
            group=f"{self.kafka.prefix}.{group}",
            instance=self.settings.instance,
            batch_size=batch_size,
            place=place,
        )


def await_surroundings(
    kafka: KafkaSettings, settings: ServerSettings, stop: Event
) -> Surroundings | None:
    """Wait for database and cluster and create what is missing; None when ``stop`` was set first.

    Raises:
        StoreError: the database cannot be used, and waiting does not help.
        KafkaRefused: the cluster refuses us, and waiting does not help.
    """
    engine = await_database(settings, stop)
    log = structlog.get_logger()
    admin = wait_for_cluster(
        kafka, stop, lambda reason: log.error("waiting for Kafka", error=reason)
    )
    if engine is None or admin is None:
        return None
    create_topics(kafka, Topics(kafka.prefix).shared(), admin)
    return Surroundings(kafka, settings, engine, read_cluster_id(admin))


def await_database(settings: ServerSettings, stop: Event) -> Engine | None:
    """Open the database and bring its tables up to date; None when ``stop`` was set first.

    Raises:
        StoreError: it cannot be used, and waiting does not help.
    """
    engine = open_database(settings.database_url)
    for delay in backoff():
        try:
            ensure_current(engine)
            return engine
        except StoreUnavailable as error:
            structlog.get_logger().error("waiting for the database", error=str(error))
        if stop.wait(delay):
            return None
    return None
