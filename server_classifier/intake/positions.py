"""The partitions that this process reads, and how far: a copy in memory of what is stored."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine

from server_classifier.store.database import reading, writing
from server_classifier.store.errors import PositionLost, StoreUnavailable
from server_classifier.store.positions import (
    Position,
    check_fit,
    list_positions,
    move_position,
    take_position,
)
from stream.errors import DependencyDown, PartitionLost
from stream.health import Partition
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record


class HeldPositions:
    """Positions taken from the database, to be moved with the rows that were read.

    Args:
        owner: names this process to an operator and to the process that takes over from it.
        now: the time of day.
    """

    def __init__(self, engine: Engine, *, owner: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._owner = owner
        self._now = now
        self._held: dict[Partition, Position] = {}

    def take(
        self,
        ranges: Sequence[OffsetRange],
        read_again: Callable[[], Sequence[OffsetRange]] | None = None,
    ) -> dict[int, int]:
        """Take the partitions of one topic, and no others; return each one's next offset by number.

        Args:
            read_again: returns the ranges as they are now.

        Raises:
            DependencyDown: the database is away.
            PositionError: what was read does not fit what Kafka holds.
        """
        try:
            with writing(self._engine) as connection:
                taken = [take_position(connection, held, owner=self._owner) for held in ranges]
        except StoreUnavailable as error:
            raise DependencyDown(str(error)) from error
        if read_again and any(a.next_offset > b.high for a, b in zip(taken, ranges, strict=True)):
            # Before we took it, another process may have read what came after ``ranges`` was made.
            ranges = read_again()
        for position, offset_range in zip(taken, ranges, strict=True):
            check_fit(position, offset_range)
        self._held = {(position.topic, position.partition): position for position in taken}
        return {position.partition: position.next_offset for position in taken}

    def check(self) -> None:
        """Look whether all partitions are still ours, though none may have moved for long.

        Raises:
            PartitionLost: another process took one, or an operator moved its position.
            StoreUnavailable: the database is away.
        """
        with reading(self._engine) as connection:
            found = {(row.topic, row.partition): row for row in list_positions(connection)}
        for key, held in self._held.items():
            if key not in found or found[key].epoch != held.epoch:
                self._held = {}
                raise PartitionLost(
                    f"{key[0]}[{key[1]}] was taken over by another process or moved by an operator"
                )

    def move(self, connection: Connection, records: Sequence[Record]) -> dict[Partition, Position]:
        """Move the positions behind ``records`` in a transaction; ``keep`` them after its commit.

        Raises:
            PositionLost: another process has a partition; the transaction must not be committed.
        """
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        # In one order everywhere, so that two processes never wait for each other's rows.
        return {
            key: move_position(connection, self._find(key), ends[key], now=self._now())
            for key in sorted(ends)
        }

    def keep(self, moved: Mapping[Partition, Position]) -> None:
        """Remember what a committed transaction has moved."""
        self._held.update(moved)

    def _find(self, key: Partition) -> Position:
        if key not in self._held:
            raise PositionLost(f"{key[0]}[{key[1]}] is not held by this process")
        return self._held[key]
