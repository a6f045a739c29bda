"""Sending the records of dead letters in Kafka transactions (KIP-98), each with a note of that.

Readers see both or neither. All senders share a transactional id: one that is made ends the
transactions of those before it.

The record goes to the partition it came from with its bytes, key and headers, and one header more:
the offset at which it stood first, from which a message without an id gets the same id again.

A topic's limit counts compressed bytes, so the broker alone can tell what is too large. Each record
goes out in a batch of its own, well compressed, and what the broker refuses stays a dead letter.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers
from stream.dead_letters.reader import Entry, Position, to_record
from stream.errors import DeliveryFailed
from stream.exchange.codec import find_first_offset
from stream.exchange.topics import Topics
from stream.kafka.connection import ErrorWatch
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings

_SECONDS = 30.0

# The answers of the broker to a sender that a later one has ended.
_FENCED = (
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)

Failed = dict[Position, int]
"""The codes of errors by the position of the dead letter."""


class DeadLetterSender:
    """Sends until another one is made.

    Raises:
        DeliveryFailed: the broker does not permit it.
        KafkaRefused: it refuses us altogether.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._notes_topic = Topics(settings.prefix).dead_letters.name
        self._has_gap = False
        self._watch = ErrorWatch(settings.bootstrap_servers)
        config: dict[str, Any] = {
            "transactional.id": f"{settings.prefix}.dead-letters.retry",
            # Readers of the topics wait as long as this if we are killed half way.
            "transaction.timeout.ms": int(_SECONDS * 1000),
            "message.max.bytes": 80 * 2**20,
            "compression.type": "zstd",
            "compression.level": 9,  # about what gzip makes at its best; 64 MiB take 8 s
            "batch.num.messages": 1,
            # A topic that does not exist is reported after this time instead of 30 s.
            "topic.metadata.propagation.max.ms": 2000,
            "error_cb": self._watch,
        }
        self._producer = Producer(config | settings.client_config())
        with self._explaining("sending did not begin"):
            self._producer.init_transactions(_SECONDS)

    def send(self, batch: Sequence[Entry]) -> dict[Position, str]:
        """Send a batch but for what the broker finds too large; return why, by position.

        Raises:
            DeliveryFailed: a broker did not take it, or another sender was made; nothing is sent.
        """
        refused: dict[Position, str] = {}
        with self._explaining(f"sending stopped before {batch[0].position}"):
            while batch := [entry for entry in batch if entry.position not in refused]:
                failed: Failed = {}
                try:
                    self._commit(batch, failed)
                    break
                except KafkaException as error:
                    too_large = self._find_too_large(batch, failed)
                    if not too_large and not self._is_gap(error):
                        raise
                    self._has_gap = bool(too_large)
                    self._abort()
                refused |= {entry.position: _describe_size(entry) for entry in too_large}
        return refused

    def _commit(self, batch: Sequence[Entry], failed: Failed) -> None:
        """Send a batch in one transaction."""
        self._producer.begin_transaction()
        for entry in batch:
            self._produce(entry, failed)
        deadline = monotonic() + _SECONDS
        while len(self._producer) and not failed and monotonic() < deadline:
            self._producer.poll(0.1)
        self._producer.commit_transaction(_SECONDS)

    def _find_too_large(self, batch: Sequence[Entry], failed: Failed) -> list[Entry]:
        self._producer.poll(0.1)  # where not all were queued, the report comes now
        return [
            entry for entry in batch if failed.get(entry.position) == KafkaError.MSG_SIZE_TOO_LARGE
        ]

    def _is_gap(self, error: KafkaException) -> bool:
        """Tell whether the broker only misses a record that it has refused.

        The library has numbered that, too. In the next transaction it numbers anew.
        """
        return self._has_gap and error.args[0].code() == KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER

    def _abort(self) -> None:
        self._producer.purge()
        self._producer.flush(_SECONDS)  # abort_transaction waits for reports, and takes none
        self._producer.abort_transaction(_SECONDS)

    def _produce(self, entry: Entry, failed: Failed) -> None:
        """Queue the record and the note that it was sent."""
        record = to_record(entry.dead_letter)
        self._producer.produce(
            record.topic,
            record.value,
            record.key,
            partition=record.partition,
            headers=list(_add_first_offset(record)),
            on_delivery=partial(_note, entry, failed),
        )
        self._producer.produce(
            self._notes_topic,
            None,
            record.key,
            partition=entry.position.partition,
            headers=list(entry.dead_letter.origin.to_note()),
        )

    @contextmanager
    def _explaining(self, consequence: str) -> Iterator[None]:
        """Turn what librdkafka raises in a transaction into DeliveryFailed, and undo it.

        Raises:
            KafkaRefused: the broker refuses us altogether.
        """
        try:
            yield
        except KafkaException as error:
            with suppress(KafkaException):  # where nothing was begun, or another sender began
                self._abort()
            question = "Does somebody else send dead letters again at this moment? "
            if error.args[0].code() not in _FENCED:
                question = ""
                with suppress(KafkaException):  # the same error again
                    self._producer.poll(0)  # calls the watch
                self._watch.raise_if_hopeless()
            raise DeliveryFailed(
                f"{consequence} ({error.args[0].str()}). {question}"
                "`ioa dead-letter list` shows what was sent again"
            ) from error


def _note(entry: Entry, failed: Failed, error: KafkaError | None, _: KafkaMessage | None) -> None:
    """Take the delivery report of a record."""
    if error is not None:
        failed[entry.position] = error.code()


def _describe_size(entry: Entry) -> str:
    return (
        f"has {entry.size:,} bytes, and is too large for {entry.dead_letter.origin_topic} even "
        "when it is compressed; a larger max.message.bytes of the topic lets it pass"
    )


def _add_first_offset(record: Record) -> Headers:
    """Return the record's headers and, before them, the one with the offset where it stood first.

    Of two such headers the first counts. A record that was sent again before has one already.
    """
    first = str(find_first_offset(record))
    if record.header(names.FIRST_OFFSET) == first:
        return record.headers
    return [(names.FIRST_OFFSET, first.encode()), *record.headers]
