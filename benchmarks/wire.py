"""What records take on their way, read where it stays: a broker keeps batches as they were sent."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from stream.broker.embedded import EmbeddedBroker
from stream.exchange.outgoing_record import OutgoingRecord
from stream.kafka.producer import Publisher
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topics, create_topics

_AT_ONCE = 64  # as many images as a client encodes at once


@dataclass(frozen=True)
class Wire:
    """Sends records of one deployment after the other over a running broker."""

    broker: EmbeddedBroker

    def lay(self, client_ids: Sequence[str]) -> Topics:
        """Make the topics of a new deployment with these clients."""
        topics = Topics(f"wire-{secrets.token_hex(4)}")
        create_topics(self._settings(topics), [topics.learning, *map(topics.replies, client_ids)])
        return topics

    def carry(self, topics: Topics, letters: Sequence[OutgoingRecord]) -> int:
        """Send letters as the product does; return the bytes of all batches of their topics."""
        publisher = Publisher(self._settings(topics))
        for start in range(0, len(letters), _AT_ONCE):
            for letter in letters[start : start + _AT_ONCE]:
                publisher.produce(
                    letter.topic, letter.value, key=letter.key, headers=letter.headers
                )
            publisher.flush()
        return sum(map(self._measure, {letter.topic for letter in letters}))

    def _settings(self, topics: Topics) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers, prefix=topics.prefix)

    def _measure(self, topic: str) -> int:
        logs = (self.broker.directory / "data").glob(f"{topic}-*/*.log")
        return sum(log.stat().st_size for log in logs)
