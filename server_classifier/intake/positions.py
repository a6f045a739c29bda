"""The partitions that this process reads, and how far: in memory what the database also says."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine

from server_classifier.store.database import writing
from server_classifier.store.errors import PositionLost, StoreUnavailable
from server_classifier.store.positions import Position, check_fit, move_position, take_position
from stream.errors import DependencyDown
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record

Key = tuple[str, int]


class HeldPositions:
    """Positions taken from the database, to be moved with the rows that were read.

    Args:
        owner: names this process to an operator and to the process that takes over from it.
    """

    def __init__(self, engine: Engine, *, owner: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._owner = owner
        self._now = now
        self._held: dict[Key, Position] = {}

    def take(
        self,
        ranges: Sequence[OffsetRange],
        look_again: Callable[[], Sequence[OffsetRange]] | None = None,
    ) -> dict[int, int]:
        """Take the partitions of one topic, and no others; return where each goes on, by number.

        Args:
            look_again: returns the ranges as they are now.

        Raises:
            DependencyDown: the database is away.
            PositionError: what was read does not fit what Kafka holds.
        """
        try:
            with writing(self._engine) as connection:
                taken = [take_position(connection, one, owner=self._owner) for one in ranges]
        except StoreUnavailable as error:
            raise DependencyDown(str(error)) from error
        if look_again and any(a.next_offset > b.high for a, b in zip(taken, ranges, strict=True)):
            # Until it was taken, another process may have read what came after the first look.
            ranges = look_again()
        for one, offset_range in zip(taken, ranges, strict=True):
            check_fit(one, offset_range)
        self._held = {(one.topic, one.part): one for one in taken}
        return {one.part: one.next_offset for one in taken}

    def move(self, connection: Connection, records: Sequence[Record]) -> dict[Key, Position]:
        """Move the positions behind ``records`` in a transaction; ``keep`` them after its commit.

        Raises:
            PositionLost: somebody else has a partition; the transaction must not be committed.
        """
        ends = _find_ends(records)
        # In one order everywhere, so that two processes never wait for each other's rows.
        return {
            key: move_position(connection, self._find(key), ends[key], now=self._now())
            for key in sorted(ends)
        }

    def keep(self, moved: Mapping[Key, Position]) -> None:
        """Remember what a committed transaction has moved."""
        self._held.update(moved)

    def _find(self, key: Key) -> Position:
        if key not in self._held:
            raise PositionLost(f"{key[0]}[{key[1]}] is not held by this process")
        return self._held[key]


def _find_ends(records: Sequence[Record]) -> dict[Key, int]:
    """Return the offset after the last record of each partition."""
    return {(one.topic, one.partition): one.offset + 1 for one in records}
