"""Where a bounded stretch of a topic is read from: Kafka itself, or an archive of it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from stream.kafka.offsets import Extent
from stream.kafka.record import Record


class RecordSource(Protocol):
    """Records of one topic between two offsets of each partition; reading commits nothing."""

    @property
    def cluster_id(self) -> str:
        """The id of the cluster that the records come from."""
        ...

    @property
    def topic(self) -> str:
        """The topic's full name, such as ``ioa.learning``."""
        ...

    @property
    def extents(self) -> Sequence[Extent]:
        """What was asked for of each partition: from ``low`` up to, but not with, ``high``.

        Raises:
            StreamError: it cannot be read, or there is nothing in it.
        """
        ...

    def read(self, extents: Sequence[Extent]) -> Iterator[Sequence[Record]]:
        """Yield batches of what lies in ``extents``, in order within each partition.

        A reader that goes on names the rest of what ``extents`` once gave.

        Raises:
            StreamError: what is wanted cannot be read, or is not what it was.
        """
        ...
