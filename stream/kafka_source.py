"""A window of a topic as Kafka holds it now."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from stream.connection import connect_admin, read_cluster_id
from stream.errors import StreamError, TopicMissing
from stream.extent import Extent, read_extents
from stream.record import Record
from stream.settings import KafkaSettings
from stream.span import read_batches
from stream.window import Window, describe_extents, find_window


class KafkaSource:
    """A ``RecordSource`` that never commits and joins no consumer group.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: there is no such topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str, window: Window) -> None:
        self._settings = settings
        self._window = window
        self._admin = connect_admin(settings)
        self.topic = topic
        self.cluster_id = read_cluster_id(self._admin)
        if topic not in self._admin.list_topics(timeout=10).topics:
            raise TopicMissing(f"there is no topic {topic}; `ioa topics create` makes it")

    @cached_property
    def extents(self) -> Sequence[Extent]:
        """The window as it was when it was first asked for; see ``find_window``."""
        return find_window(self._admin, self.topic, self._window)

    def read(self, extents: Sequence[Extent]) -> Iterator[Sequence[Record]]:
        """Yield batches of the records in ``extents``.

        Raises:
            KafkaUnavailable: the broker is away.
            StreamError: records were deleted, or the topic was made again, before or meanwhile.
        """
        wanted = [one for one in extents if one.low < one.high]
        held = self._find_held(wanted)
        if any(one.low < held[one.part].low for one in wanted):
            raise StreamError(
                f"of {self.topic} the records {describe_extents(wanted)} are still to be read, "
                f"but some were deleted; Kafka holds {describe_extents([*held.values()])}. "
                "An archive may hold them (--archive)"
            )
        yield from read_batches(self._settings, wanted, when_deleted="error")
        self._find_held(wanted)

    def _find_held(self, wanted: Sequence[Extent]) -> dict[int, Extent]:
        """Return what Kafka holds of the wanted partitions, of the same topic."""
        parts = [one.part for one in wanted]
        held = {one.part: one for one in read_extents(self._admin, self.topic, parts)}
        for one in wanted:
            if held[one.part].log_id != one.log_id:
                raise StreamError(
                    f"{self.topic} was deleted and made again (its id is now "
                    f"{held[one.part].log_id}, and was {one.log_id}): what was read belongs to "
                    "the topic that is gone. Replay into a new database"
                )
        return held
