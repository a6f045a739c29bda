"""Reading records at the pace at which the broker once took them."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import chain

from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record
from stream.replay.source import RecordSource

_BATCH_SIZE = 5_000


def read_paced(
    source: RecordSource,
    ranges: Sequence[OffsetRange],
    *,
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Sequence[Record]]:
    """Yield the records of ``ranges`` by their times, ``speed`` times as fast as they came.

    Args:
        clock: seconds that never go back.
        sleep: waits for so many seconds.
    """
    # Each partition by itself: read together, one would run ahead of the others.
    partitions = [chain.from_iterable(source.read([partition])) for partition in ranges]
    began: float | None = None
    batch: list[Record] = []
    for record in merge(*partitions, key=_when):
        moment = record.timestamp / 1000 / speed
        if began is None:
            began = clock() - moment
        if batch and (clock() < began + moment or len(batch) == _BATCH_SIZE):
            yield batch
            batch = []
        if (wait := began + moment - clock()) > 0:
            sleep(wait)
        batch.append(record)
    if batch:
        yield batch


def _when(record: Record) -> tuple[int, int, int]:
    return (record.timestamp, record.partition, record.offset)
