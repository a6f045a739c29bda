"""Where a bounded stretch of a topic is read from: Kafka itself, or an archive of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from stream.extent import Extent
from stream.record import Record


class RecordSource(Protocol):
    """Records of one topic between two offsets of each partition; reading commits nothing.

    Attributes:
        cluster_id: of the cluster that the records come from.
        extents: what is read of each partition: from ``low`` up to, but not with, ``high``.
    """

    cluster_id: str
    extents: Sequence[Extent]

    def read(self, starts: Mapping[int, int]) -> Iterator[Sequence[Record]]:
        """Yield batches, in order within each partition, from an offset of each on.

        Raises:
            StreamError: what is wanted cannot be read, or is not what it was.
        """
        ...
