"""Where the offset ranges of a topic are read from: Kafka itself, or an archive of it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from stream.kafka.offsets import OffsetRange
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
    def ranges(self) -> Sequence[OffsetRange]:
        """What was asked for of each partition: from ``low`` up to, but not with, ``high``.

        Raises:
            StreamError: it cannot be read, or there is nothing in it.
        """
        ...

    @property
    def skipped(self) -> Sequence[OffsetRange]:
        """What of the ranges is left out, since nobody can read it and an operator skipped it."""
        ...

    def read(self, ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        """Yield batches of the records in ``ranges``, in order within each partition.

        A reader that goes on later names the rest of the ranges that it once got.

        Raises:
            StreamError: the records cannot be read, or are not those of before.
        """
        ...
