"""A window of a topic as Kafka holds it now."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from stream.errors import StreamError, TopicMissing
from stream.kafka.connection import connect_admin, read_cluster_id
from stream.kafka.offsets import OffsetRange, read_ranges
from stream.kafka.range_reader import read_batches
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.replay.window import Window, describe_ranges, find_overlaps, find_window, leave_out


class KafkaSource:
    """A ``RecordSource`` that never commits and joins no consumer group.

    Args:
        skips: batches of the topic that an operator has skipped.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: there is no such topic.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        window: Window,
        skips: Sequence[OffsetRange] = (),
    ) -> None:
        self._settings = settings
        self._window = window
        self._skips = skips
        self._admin = connect_admin(settings)
        self.topic = topic
        self.cluster_id = read_cluster_id(self._admin)
        if topic not in self._admin.list_topics(timeout=10).topics:
            raise TopicMissing(f"there is no topic {topic}; `ioa topic create` makes it")

    @cached_property
    def ranges(self) -> Sequence[OffsetRange]:
        """The window as it was when it was first asked for; see ``find_window``."""
        return find_window(self._admin, self.topic, self._window)

    @property
    def skipped(self) -> Sequence[OffsetRange]:
        """What of the ranges an operator has skipped."""
        return find_overlaps(self.ranges, self._skips)

    def read(self, ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        """Yield batches of the records in ``ranges``, without those that were skipped.

        Raises:
            KafkaUnavailable: the broker is away.
            StreamError: records were deleted, or the topic was made again, before or meanwhile.
        """
        self._refuse_deleted(ranges)
        for pieces in leave_out(ranges, self._skips):
            yield from read_batches(self._settings, pieces, when_deleted="error")
        self._refuse_recreated(read_ranges(self._admin, self.topic), ranges)

    def _refuse_deleted(self, wanted: Sequence[OffsetRange]) -> None:
        held = read_ranges(self._admin, self.topic)
        self._refuse_recreated(held, wanted)
        first = {partition.partition: partition.low for partition in held}
        if any(low < min(high, first[number]) for _, number, _, low, high in wanted):
            raise StreamError(
                f"of {self.topic} there are still to be read {describe_ranges(wanted)}, but some "
                f"of that was deleted; Kafka holds {describe_ranges(held)}. An archive may hold "
                "more (--archive)"
            )

    def _refuse_recreated(self, held: Sequence[OffsetRange], wanted: Sequence[OffsetRange]) -> None:
        """Raise StreamError where ``held`` is of another topic of the same name."""
        ids = {partition.log_id for partition in wanted}
        if ids != {partition.log_id for partition in held}:
            raise StreamError(
                f"{self.topic} was deleted and made again (its id is now {held[0].log_id}, not "
                f"{', '.join(ids)}): what was read until now is of the topic that is gone. Replay "
                "into a new database"
            )
