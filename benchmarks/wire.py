"""The bytes of records on the wire, read from the broker's logs: it stores batches as sent."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from stream.broker.embedded import EmbeddedBroker
from stream.exchange.exchanges import LEARNING
from stream.exchange.outgoing_record import OutgoingRecord
from stream.exchange.topics import Topics
from stream.kafka.producer import Publisher
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics

_AT_ONCE = 64  # images that a client encodes at once


@dataclass(frozen=True)
class Wire:
    """Sends records of deployments over a running broker."""

    broker: EmbeddedBroker

    def make_topics(self, client_ids: Sequence[str]) -> Topics:
        """Create the topics of a new deployment with these clients."""
        topics = Topics(f"wire-{secrets.token_hex(4)}")
        create_topics(
            self._settings(topics), [topics.of(LEARNING), *map(topics.replies, client_ids)]
        )
        return topics

    def send(self, topics: Topics, records: Sequence[OutgoingRecord]) -> int:
        """Send records as the product does; return the bytes of all batches in their topics."""
        publisher = Publisher(self._settings(topics))
        for start in range(0, len(records), _AT_ONCE):
            for record in records[start : start + _AT_ONCE]:
                publisher.produce(
                    record.topic, record.value, key=record.key, headers=record.headers
                )
            publisher.flush()
        return sum(map(self._measure, {record.topic for record in records}))

    def _settings(self, topics: Topics) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers, prefix=topics.prefix)

    def _measure(self, topic: str) -> int:
        logs = (self.broker.directory / "data").glob(f"{topic}-*/*.log")
        return sum(log.stat().st_size for log in logs)
