"""Writing dead letters: the record unchanged, the reason and where it stood as headers.

A broker's limit counts compressed bytes. So a record may arrive that is larger than any exchange
reads, and that no retry could mend; a stub takes its place.
"""

from collections.abc import Callable

from schemas.errors import SchemaError
from schemas.messages.dead_letter import LOST_HEADERS, DeadLetter, Origin, Stub
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange
from stream.kafka.producer import Publisher, measure_record
from stream.kafka.record import Record

_ADDED_BYTES = 2**16  # of a dead letter, beside the record: the reason, the origin, overhead
_NO_TIMESTAMP = -1  # as Kafka writes it


class DeadLetterWriter:
    """Queues dead letters on a publisher that others share; who shares it, flushes it.

    Args:
        on_written: called for each dead letter.
    """

    def __init__(
        self, publisher: Publisher, topics: Topics, on_written: Callable[[], None] = lambda: None
    ) -> None:
        self._publisher = publisher
        self._topic = topics.dead_letters
        largest = max(exchange.uncompressed_limit for exchange in topics.exchanges)
        self._limit = min(self._topic.limit, largest + _ADDED_BYTES)
        self._on_written = on_written

    def write(self, record: Record, error: SchemaError) -> None:
        """Queue a dead letter.

        Its reason quotes what was sent, which may be a patient's data and belongs into no log.
        """
        lost = record.headers_damaged and not error.reason.startswith(LOST_HEADERS)
        letter = DeadLetter(
            f"{LOST_HEADERS}; {error.reason}" if lost else error.reason,
            error.field,
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            record.headers,
        )
        if measure_record(letter.key, letter.value, letter.to_headers()) > self._limit:
            letter = letter.to_stub()
        self._publish(letter)

    def write_skipped(self, skipped: OffsetRange, reason: str) -> None:
        """Queue a stub for a batch that cannot be read, and that an operator has skipped."""
        self._publish(
            DeadLetter(
                f"offsets {skipped.low} to {skipped.high - 1} were skipped unread: {reason}",
                None,
                *(skipped.topic, skipped.partition, skipped.low, _NO_TIMESTAMP),
                key=None,
                value=None,
                headers=[],
                stub=Stub.unknown(),
            )
        )

    def _publish(self, letter: DeadLetter) -> None:
        self._on_written()
        self._publisher.publish(
            self._topic, letter.value, key=letter.key, headers=letter.to_headers()
        )


def format_origin(origin: Origin) -> str:
    """Return an origin as logs name it: ``ioa.learning[2]@41``."""
    return f"{origin.topic}[{origin.partition}]@{origin.offset}"
