"""Sending dead letters again, each once, whatever crashes and however many operators do it.

The record and the note that it was sent go out in one Kafka transaction (KIP-98): readers see both
or neither. All retries share a transactional id. A retry that begins ends the transactions of those
before it, and reads the notes only then. So no two can send the same dead letter.

The record goes to the partition it came from with its bytes, key and headers, and one header more:
the offset at which it stood first, from which a message without an id gets the same id again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers, Stub
from stream.dead_letters.reader import DeadLetterReader, Entry, Position, to_record
from stream.dead_letters.writer import format_origin
from stream.errors import DeliveryFailed, RecordTooLarge
from stream.exchange.codec import find_first_offset, read_deadline
from stream.exchange.exchanges import EXCHANGES, Exchange
from stream.exchange.topics import Topics
from stream.kafka.connection import ErrorWatch, connect_admin
from stream.kafka.producer import measure_record, refuse_too_large
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings

_BATCH_SIZE = 100
_TRANSACTION_SECONDS = 30.0

# The answers of the broker to a retry that a later one has ended.
_FENCED = (
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)


@dataclass(slots=True)
class RetryReport:
    """What was sent again, and why the rest was not."""

    sent: list[Position] = field(default_factory=list)
    refused: dict[Position, str] = field(default_factory=dict)


class DeadLetterRetry:
    """Sends dead letters again until another one is made.

    Args:
        clock: seconds since the Unix epoch. A question whose deadline has passed is not sent again.
        exchanges: to whose topics dead letters may be sent again.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: there is no dead-letter topic.
        DeliveryFailed: the broker does not permit it.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        clock: Callable[[], float],
        exchanges: Sequence[Exchange[Any]] = EXCHANGES,
    ) -> None:
        self._clock = clock
        topics = Topics(settings.prefix, exchanges=exchanges)
        # A forged dead letter must not make us write anywhere else.
        self._targets = {topic.name: topic for topic in map(topics.of, topics.exchanges)}
        self._own_topic = topics.dead_letters
        present = connect_admin(settings).list_topics(timeout=10).topics
        self._partitions = {
            name: len(present[name].partitions) for name in self._targets if name in present
        }
        self._watch = ErrorWatch(settings.bootstrap_servers)
        config: dict[str, Any] = {
            "transactional.id": f"{settings.prefix}.dead-letters.retry",
            # Readers of the topics wait as long as this if we are killed half way.
            "transaction.timeout.ms": 10_000,
            "message.max.bytes": 80 * 2**20,
            "error_cb": self._watch,
        }
        self._producer = Producer(config | settings.client_config())
        with self._explaining("sending did not begin"):
            self._producer.init_transactions(_TRANSACTION_SECONDS)
        self._reader = DeadLetterReader(settings)
        self._scan = self._reader.scan()
        self._sent_again = self._scan.sent_again

    def find_unsent(self, *, field: str | None = None, client: str | None = None) -> list[Entry]:
        """Return one dead letter of each record that was never sent again, by field and client."""
        selected = self._scan.select(field=field, client=client)
        by_origin = {entry.dead_letter.origin: entry for entry in selected}
        return [entry for origin, entry in by_origin.items() if origin not in self._sent_again]

    def send(self, positions: Sequence[Position], *, force: bool = False) -> RetryReport:
        """Send dead letters again.

        Args:
            force: also those that were sent again already.

        Raises:
            DeliveryFailed: a broker did not take some, or another operator began. The batches
                before stay sent; the next retry knows which.
        """
        report = RetryReport()
        known = self._scan.positions
        for position in positions:
            if position not in known:
                report.refused[position] = self._reader.explain_absence(position, self._scan)
        entries = self._reader.read([position for position in positions if position in known])
        sendable = self._select(entries, force, report)
        while batch := list(islice(sendable, _BATCH_SIZE)):
            self._send_batch(batch)
            report.sent += [entry.position for entry in batch]
        for position in known.intersection(positions) - {*report.sent, *report.refused}:
            report.refused[position] = "was deleted just now, as it was old"
        return report

    def _select(
        self, entries: Iterable[Entry], force: bool, report: RetryReport
    ) -> Iterator[Entry]:
        for entry in entries:
            if (reason := self._find_obstacle(entry, force)) is not None:
                report.refused[entry.position] = reason
                continue
            # Of two dead letters of one record, the second is refused from now on.
            self._sent_again.add(entry.dead_letter.origin)
            yield entry

    def _find_obstacle(self, entry: Entry, force: bool) -> str | None:
        origin = entry.dead_letter.origin
        stub = entry.dead_letter.stub
        if stub == Stub.unknown():
            return "is a stub of a batch that could not be read"
        if stub is not None:
            return f"is a stub: the record's {stub.size:,} bytes were too large to be kept here"
        target = self._targets.get(origin.topic)
        if target is None:
            return f"came from {origin.topic!r}; only {' and '.join(self._targets)} are written to"
        if not 0 <= origin.partition < self._partitions.get(origin.topic, 0):
            return f"came from {format_origin(origin)}, a partition that is not there any more"
        if origin in self._sent_again and not force:
            return "was sent again already"
        record = to_record(entry.dead_letter)
        try:
            size = measure_record(record.key, record.value, _add_first_offset(record))
            refuse_too_large(target, size)
            deadline = read_deadline(record)
        except RecordTooLarge as error:
            return str(error)
        except SchemaError:
            return None  # the service that reads it will refuse it
        if deadline is not None and deadline < self._clock():
            return "is a question for whose answer nobody waits any more"
        return None

    def _send_batch(self, batch: Sequence[Entry]) -> None:
        with self._explaining(f"sending stopped before {batch[0].position}"):
            self._producer.begin_transaction()
            for entry in batch:
                self._produce(entry)
            self._producer.commit_transaction(_TRANSACTION_SECONDS)

    def _produce(self, entry: Entry) -> None:
        """Queue the record and the note that it was sent."""
        record = to_record(entry.dead_letter)
        self._producer.produce(
            record.topic,
            record.value,
            record.key,
            partition=record.partition,
            headers=list(_add_first_offset(record)),
        )
        self._producer.produce(
            self._own_topic.name,
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
            with suppress(KafkaException):  # where nothing was begun, or another retry began
                self._producer.abort_transaction(_TRANSACTION_SECONDS)
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


def _add_first_offset(record: Record) -> Headers:
    """Return the record's headers and, before them, the one with the offset where it stood first.

    Of two such headers the first counts. A record that was sent again before has one already.
    """
    first = str(find_first_offset(record))
    if record.header(names.FIRST_OFFSET) == first:
        return record.headers
    return [(names.FIRST_OFFSET, first.encode()), *record.headers]
