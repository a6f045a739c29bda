"""Sending dead letters again, each once, whatever crashes and however many operators do it.

The record and the note that it was sent go out in one Kafka transaction (KIP-98): readers see both
or neither. All who do this share a transactional id. Whoever begins ends the transactions of those
before it, and reads the notes only then; so no two can send the same dead letter.

The record goes to the partition it came from with its bytes, key and headers, and one header more:
the offset at which it stood, from which a message without an id gets its id again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers
from stream.dead_letters.reader import DeadLetters, Entry, Position, describe_origin, to_record
from stream.errors import DeliveryFailed, RecordTooLarge
from stream.exchange.codec import find_first_offset, read_deadline
from stream.kafka.connection import ErrorWatch, connect_admin
from stream.kafka.producer import measure_record, refuse_too_large
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topics

_AT_ONCE = 100
_SECONDS = 30.0

# What the broker says to whom another turn has ended.
_OUSTED = (
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)


@dataclass(slots=True)
class RetryReport:
    """What was sent again, and what not, with the reason."""

    sent: list[Position] = field(default_factory=list)
    refused: dict[Position, str] = field(default_factory=dict)


class Retrying:
    """One operator's turn to send dead letters again.

    Args:
        clock: seconds since the Unix epoch; a question nobody waits for is not sent again.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: there is no dead-letter topic.
        DeliveryFailed: the broker does not permit it.
    """

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float]) -> None:
        self._clock = clock
        topics = Topics(settings.prefix)
        # A forged dead letter must not make us write anywhere else.
        self._targets = {topic.name: topic for topic in (topics.learning, topics.service)}
        self._own_topic = topics.dead_letters
        present = connect_admin(settings).list_topics(timeout=10).topics
        self._partitions = {
            name: len(present[name].partitions) for name in self._targets if name in present
        }
        self._watch = ErrorWatch(settings.bootstrap_servers)
        self._producer = Producer(_configure(settings) | {"error_cb": self._watch})
        with self._explaining("sending did not begin"):
            self._producer.init_transactions(_SECONDS)
        self._letters = DeadLetters(settings)
        self.survey = self._letters.survey()
        self._sent_again = self.survey.sent_again

    def find_unsent(self, *, field: str | None = None, client: str | None = None) -> list[Entry]:
        """Return one dead letter of each record that was never sent again, by field and client."""
        found = {one.letter.origin: one for one in self.survey.select(field=field, client=client)}
        return [one for origin, one in found.items() if origin not in self._sent_again]

    def send(self, positions: Sequence[Position], *, force: bool = False) -> RetryReport:
        """Send dead letters again.

        Args:
            force: also those that were sent again already.

        Raises:
            DeliveryFailed: a broker did not take some, or another operator began. The batches
                before stay sent; a new turn knows which.
        """
        report = RetryReport()
        known = self.survey.positions
        for position in positions:
            if position not in known:
                report.refused[position] = self._letters.explain_absence(position, self.survey)
        entries = self._letters.read([one for one in positions if one in known])
        for batch in _cut(self._select(entries, force, report), _AT_ONCE):
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
            self._sent_again.add(entry.letter.origin)
            yield entry

    def _find_obstacle(self, entry: Entry, force: bool) -> str | None:
        origin = entry.letter.origin
        target = self._targets.get(origin.topic)
        if target is None:
            return f"came from {origin.topic!r}; only {' and '.join(self._targets)} are written to"
        if not 0 <= origin.partition < self._partitions.get(origin.topic, 0):
            return f"came from {describe_origin(origin)}, a partition that is not there any more"
        if origin in self._sent_again and not force:
            return "was sent again already"
        record = to_record(entry.letter)
        try:
            size = measure_record(record.key, record.value, _add_first_offset(record))
            refuse_too_large(target, size)
            deadline = read_deadline(record)
        except RecordTooLarge as error:
            return str(error)
        except SchemaError:
            return None  # which the service will say as well
        if deadline is not None and deadline < self._clock():
            return "is a question for whose answer nobody waits any more"
        return None

    def _send_batch(self, batch: Sequence[Entry]) -> None:
        with self._explaining(f"sending stopped before {batch[0].position}"):
            self._producer.begin_transaction()
            for entry in batch:
                self._send_one(entry)
            self._producer.commit_transaction(_SECONDS)

    def _send_one(self, entry: Entry) -> None:
        record = to_record(entry.letter)
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
            headers=list(entry.letter.origin.to_note()),
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
            with suppress(KafkaException):  # where nothing was begun, or another took our place
                self._producer.abort_transaction(_SECONDS)
            raise self._explain(error.args[0], consequence) from error

    def _explain(self, error: KafkaError, consequence: str) -> DeliveryFailed:
        question = "Does somebody else send dead letters again at this moment? "
        if error.code() not in _OUSTED:
            question = ""
            with suppress(KafkaException):  # of which the caller has just heard
                self._producer.poll(0)  # which tells the watch
            self._watch.raise_if_hopeless()
        return DeliveryFailed(
            f"{consequence} ({error.str()}). {question}"
            "`ioa dead-letters list` shows what was sent again"
        )


def _configure(settings: KafkaSettings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "transactional.id": f"{settings.prefix}.dead-letters.retry",
        # As long as this, readers of the topics wait for us if we are killed half way.
        "transaction.timeout.ms": 10_000,
        "message.max.bytes": 80 * 2**20,
    }
    return config | settings.client_config()


def _add_first_offset(record: Record) -> Headers:
    """Return the record's headers and before them where it stood first: of two, the first counts.

    It may have been sent again before, and then has that header already.
    """
    first = str(find_first_offset(record))
    if record.header(names.FIRST_OFFSET) == first:
        return record.headers
    return [(names.FIRST_OFFSET, first.encode()), *record.headers]


def _cut(entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    while batch := list(islice(entries, size)):
        yield batch
