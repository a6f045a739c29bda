"""What can go wrong between us and Kafka.

* StreamError
  x KafkaUnavailable
    . KafkaRefused
  x TopicMissing
  x RecordTooLarge
  x DeliveryFailed
  x DependencyDown
  x PartitionLost
"""


class StreamError(Exception):
    """Base of all errors of this package; the text says what to do next.

    Example:
        >>> from client_autoencoder import Client
        >>> from stream import StreamError
        >>> try:
        ...     Client(client_id="nobody", bootstrap_servers="127.0.0.1:9092").drain()
        ... except StreamError as error:
        ...     print(error)
        there is no topic ...replies.nobody: client 'nobody' is not registered. Ask the operator ...
    """


class KafkaUnavailable(StreamError):
    """No broker answers."""

    dependency = "kafka"


class KafkaRefused(KafkaUnavailable):
    """The broker refuses us, and waiting does not help: password, certificate, lost membership."""


class TopicMissing(StreamError):
    """A topic that the operator should have created is not there."""


class RecordTooLarge(StreamError):
    """A record exceeds its topic's limit; nothing was sent."""


class DeliveryFailed(StreamError):
    """The broker did not take a record."""

    dependency = "kafka-writes"


class DependencyDown(StreamError):
    """Something that a record handler needs is away; the same records are tried again later.

    Args:
        dependency: one of ``stream.health.DEPENDENCIES``.
    """

    def __init__(self, reason: str, dependency: str = "database") -> None:
        super().__init__(reason)
        self.dependency = dependency


class PartitionLost(StreamError):
    """Another process reads this partition now, and handles the records in hand."""
