"""Sending dead letters again, each once, whatever crashes and however many operators do it.

A retry that begins ends those before it, and reads the notes of what was sent only then. So no two
can send the same dead letter (``sender.py``).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import SchemaError
from schemas.messages.dead_letter import LOST_HEADERS, Stub
from stream.dead_letters.reader import DeadLetterReader, Entry, Position, to_record
from stream.dead_letters.sender import DeadLetterSender
from stream.dead_letters.writer import format_origin
from stream.exchange.codec import read_deadline
from stream.exchange.exchanges import EXCHANGES, MESSAGE_LIMIT, Exchange
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin
from stream.kafka.settings import KafkaSettings

_BATCH_SIZE = 100
_BATCH_BYTES = MESSAGE_LIMIT  # so that what may be too large goes alone


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
        self._targets = [topics.of(exchange).name for exchange in topics.exchanges]
        present = connect_admin(settings).list_topics(timeout=10).topics
        self._partitions = {
            name: len(present[name].partitions) for name in self._targets if name in present
        }
        self._sender = DeadLetterSender(settings)
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
        for batch in _split(self._select(entries, force, report)):
            refused = self._sender.send(batch)
            report.refused |= refused
            self._sent_again -= {
                entry.dead_letter.origin for entry in batch if entry.position in refused
            }
            report.sent += [entry.position for entry in batch if entry.position not in refused]
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
        if entry.dead_letter.has_lost_headers:
            return f"has lost its headers ({LOST_HEADERS}); its sender alone can send it unchanged"
        if origin.topic not in self._targets:
            return f"came from {origin.topic!r}; only {' and '.join(self._targets)} are written to"
        if not 0 <= origin.partition < self._partitions.get(origin.topic, 0):
            return f"came from {format_origin(origin)}, a partition that is not there any more"
        if origin in self._sent_again and not force:
            return "was sent again already"
        try:
            deadline = read_deadline(to_record(entry.dead_letter))
        except SchemaError:
            return None  # the service that reads it will refuse it
        if deadline is not None and deadline < self._clock():
            return "is a question for whose answer nobody waits any more"
        return None


def _split(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield batches that are limited in their number and, but for one large entry, their bytes."""
    batch: list[Entry] = []
    for entry in entries:
        size = sum(kept.size for kept in batch) + entry.size
        if batch and (len(batch) == _BATCH_SIZE or size > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch
