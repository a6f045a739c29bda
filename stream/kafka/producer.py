"""Publishing records: idempotent, acknowledged by the broker, and refused early if too large."""

from collections.abc import Callable
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers
from stream.errors import DeliveryFailed, RecordTooLarge
from stream.kafka.connection import NO_TOPIC, TOPIC_REMEDY, ErrorWatch, explain_absence
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topic

OnDelivered = Callable[[KafkaError | None, KafkaMessage | None], None]

# Bytes that Kafka's batch and record format (version 2) adds to key, value and headers, at most.
_BATCH_OVERHEAD = 61
_RECORD_OVERHEAD = 36
_HEADER_OVERHEAD = 10
_NAMES: dict[str, str] = vars(names)


class Publisher:
    """A producer whose every record ends in a delivery report.

    Args:
        linger_ms: how long a record may wait for others of its batch. 0 sends it at once:
            librdkafka's default of 5 ms would be four fifths of a round trip. A service that
            flushes whole batches should wait, or each request carries only a few records.
        only_failures: leave out the reports of records that arrived; ``flush`` still waits for
            them. A report costs a tenth of storing a message.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        delivery_timeout: float = 120.0,
        linger_ms: int = 0,
        only_failures: bool = False,
    ) -> None:
        self._where = settings.bootstrap_servers
        self._watch = ErrorWatch(settings.bootstrap_servers)
        config: dict[str, Any] = {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": linger_ms,
            "delivery.timeout.ms": int(delivery_timeout * 1000),
            # All but the latent is about the same in every message: in a batch, 444 bytes with 64
            # int8 become 133. zstd makes it 107, but takes 70 us more for a message sent alone.
            "compression.type": "lz4",
            "delivery.report.only.error": only_failures,
            # A topic that does not exist is reported after this time instead of 30 s.
            "topic.metadata.propagation.max.ms": 2000,
            # Each topic has a limit of its own, checked in publish; this one must not be lower.
            "message.max.bytes": 80 * 2**20,
            "error_cb": self._watch,
        }
        self._producer = Producer({**config, **settings.client_config()})
        self._failed: list[str] = []

    def connect(self, timeout: float) -> str | None:
        """Reach a broker, and return the cluster's id where it has one.

        Raises:
            KafkaUnavailable: no broker answers in time.
            KafkaRefused: the broker refuses us.
        """
        try:
            cluster_id: str | None = self._producer.list_topics(timeout=timeout).cluster_id
        except KafkaException as error:
            self._producer.poll(0)  # calls the watch
            raise explain_absence(self._where, self._watch, error) from error
        return cluster_id

    def publish(
        self,
        topic: Topic,
        value: bytes | None,
        *,
        key: bytes | None,
        headers: Headers,
        on_delivered: OnDelivered | None = None,
    ) -> None:
        """Queue one record; its report comes in a later ``poll`` or ``flush``.

        Without ``on_delivered`` a failed delivery is raised by ``flush``.

        Raises:
            RecordTooLarge: it exceeds the topic's limit.
            KafkaRefused: the broker refuses us for good.
        """
        refuse_too_large(topic, measure_record(key, value, headers))
        self.produce(topic.name, value, key=key, headers=headers, on_delivered=on_delivered)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None,
        headers: Headers,
        on_delivered: OnDelivered | None = None,
    ) -> None:
        """Queue one record whose size was checked before; as ``publish``."""
        report = on_delivered or partial(self._note_failure, topic)
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=report, headers=list(headers))
                return
            except KafkaException as error:
                # Undeliverable, such as to a topic that is not there: reported like any failure.
                report(error.args[0], None)
                return
            except BufferError:
                # librdkafka's queue is full: wait for reports to make room.
                self._watch.raise_if_hopeless()
                self._producer.poll(0.1)

    def poll(self, timeout: float = 0.0) -> None:
        """Run the reports that have arrived, waiting up to ``timeout`` seconds for one.

        Raises:
            KafkaRefused: the broker refuses us for good.
        """
        self._producer.poll(timeout)
        self._watch.raise_if_hopeless()

    def flush(self, timeout: float = 120.0) -> None:
        """Wait until every record has its report.

        Raises:
            DeliveryFailed: a record was not taken, or ``timeout`` seconds passed.
            KafkaRefused: the broker refuses us for good.
        """
        waiting = len(self._producer)
        while waiting and timeout > 0:
            step = min(0.5, timeout)
            waiting = self._producer.flush(step)
            self._watch.raise_if_hopeless()
            timeout -= step
        failed, self._failed = self._failed, []
        if waiting:
            failed.append(f"{waiting} records have no report yet ({self._watch.last or 'waiting'})")
        if failed:
            raise DeliveryFailed("; ".join(dict.fromkeys(failed)))

    def _note_failure(self, topic: str, error: KafkaError | None, _: KafkaMessage | None) -> None:
        if error is not None:
            remedy = f"; {TOPIC_REMEDY}" if error.code() in NO_TOPIC else ""
            self._failed.append(f"{topic}: {error.str()}{remedy}")


def refuse_too_large(topic: Topic, size: int) -> None:
    """Raise RecordTooLarge for a record whose size in bytes exceeds its topic's limit."""
    if size > topic.limit:
        raise RecordTooLarge(
            f"this record takes {size:,} bytes, and {topic.name} permits {topic.limit:,}: "
            "send a smaller latent, or int8 in Avro instead of JSON"
        )


def measure_record(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return an upper bound of what a record alone in a batch takes, in bytes."""
    size = _BATCH_OVERHEAD + _RECORD_OVERHEAD + len(key or b"") + len(value or b"")
    for name, text in headers:
        size += len(name) + len(text or b"") + _HEADER_OVERHEAD
    return size


def make_headers(**values: str | None) -> list[tuple[str, bytes | None]]:
    """Return record headers, for example ``make_headers(KIND="learning")``; None stays out."""
    return [(_NAMES[name], text.encode()) for name, text in values.items() if text is not None]
