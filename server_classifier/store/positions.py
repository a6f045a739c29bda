"""How far each partition has been read, kept beside the rows that were read from it.

Rows and position move in one transaction: after any crash the database holds exactly the records
below ``next_offset``. A process *takes* a partition before it reads it, which raises the epoch of
the position. A process that took it earlier can then no longer move the position, and its whole
transaction fails.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, select, text, update
from sqlalchemy.sql import ColumnElement

from server_classifier.store.errors import PositionError, PositionLost
from server_classifier.store.tables import EPOCH, position
from stream.kafka.offsets import OffsetRange


class Position(NamedTuple):
    """Where reading a partition goes on, and who reads it: the columns of ``position``."""

    topic: str
    partition: int
    log_id: str
    next_offset: int
    owner: str
    epoch: int
    moved_at: datetime


def take_position(connection: Connection, offset_range: OffsetRange, *, owner: str) -> Position:
    """Make ``owner`` the only process that can move this position, and return the position.

    A partition that was never read begins at its low watermark. ``check_fit`` tells whether Kafka
    still holds what comes next.
    """
    _insert_missing(connection, offset_range)
    found = _lock(connection, offset_range.topic, offset_range.partition)
    taken = found._replace(owner=owner, epoch=found.epoch + 1)
    connection.execute(
        update(position).where(_has_key_of(taken)).values(owner=owner, epoch=taken.epoch)
    )
    return taken


def move_position(connection: Connection, held: Position, to: int, *, now: datetime) -> Position:
    """Move a position that was taken, in the transaction of the rows below ``to``.

    Moving it once more to the same place succeeds: a commit that was cut off is repeated, since
    nobody knows whether it took place. The epoch makes sure that it can only have been our own.

    Raises:
        PositionLost: another process took the partition, or an operator moved the position.
    """
    moved = held._replace(next_offset=to, moved_at=now)
    ours = and_(
        _has_key_of(held),
        position.c.log_id == held.log_id,
        position.c.epoch == held.epoch,
        position.c.next_offset.in_((held.next_offset, to)),
    )
    change = update(position).where(ours).values(next_offset=to, moved_at=now)
    if connection.execute(change).rowcount != 1:
        found = _lock(connection, held.topic, held.partition)
        raise PositionLost(
            f"{held.topic}[{held.partition}] was taken over by {found.owner}, which has read it "
            f"up to {found.next_offset}; this process was about to move it from "
            f"{held.next_offset} to {to} and has stored nothing of that"
        )
    return moved


def reset_position(
    connection: Connection, offset_range: OffsetRange, to: int, *, owner: str, now: datetime
) -> Position:
    """Let reading go on at ``to``, whatever was read before; a process that reads now is fenced.

    Raises:
        PositionError: Kafka does not hold ``to``.
    """
    topic, partition, log_id, low, high = offset_range
    if not low <= to <= high:
        raise PositionError(f"{topic}[{partition}] holds offsets {low} to {high}; {to} is outside")
    _insert_missing(connection, offset_range)
    found = _lock(connection, topic, partition)
    reset = Position(topic, partition, log_id, to, owner, found.epoch + 1, now)
    connection.execute(update(position).where(_has_key_of(found)).values(reset._asdict()))
    return reset


def list_positions(connection: Connection) -> list[Position]:
    """Return all positions by topic and partition."""
    rows = connection.execute(select(position).order_by(position.c.topic, position.c.partition))
    return [Position._make(row) for row in rows]


def count_partitions(connection: Connection) -> dict[str, int]:
    """Return for each topic with positions how many partitions it had when it was read."""
    highest = func.max(position.c.partition) + 1
    rows = connection.execute(select(position.c.topic, highest).group_by(position.c.topic))
    return {topic: partitions for topic, partitions in rows}


def drop_positions(connection: Connection, topic: str, partitions: int) -> None:
    """Forget the positions of partitions that a topic, made again with fewer, has no more."""
    surplus = and_(position.c.topic == topic, position.c.partition >= partitions)
    connection.execute(delete(position).where(surplus))


def _has_key_of(row: Position) -> ColumnElement[bool]:
    return and_(position.c.topic == row.topic, position.c.partition == row.partition)


def _insert_missing(connection: Connection, offset_range: OffsetRange) -> None:
    # Two processes may meet a new partition at once; SQLAlchemy has no ON CONFLICT for both.
    first = Position(*offset_range[:3], offset_range.low, owner="", epoch=0, moved_at=EPOCH)
    columns = ", ".join(column.name for column in position.c)
    marks = ", ".join(f":{name}" for name in first._fields)
    statement = text(
        f"INSERT INTO position ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
    )
    connection.execute(statement, first._asdict() | {"moved_at": 0})


def _lock(connection: Connection, topic: str, partition: int) -> Position:
    key = and_(position.c.topic == topic, position.c.partition == partition)
    return Position._make(connection.execute(select(position).where(key).with_for_update()).one())


def check_fit(found: Position, offset_range: OffsetRange) -> None:
    """Refuse a position that does not fit what Kafka holds.

    Raises:
        PositionError: records between the two are gone, or the topic is another one; the text
            names the command with which an operator accepts that.
    """
    if (misfit := _describe_misfit(found, offset_range)) is None:
        return
    topic, partition, _, low, high = offset_range
    raise PositionError(
        f"{topic}[{partition}] was read up to offset {found.next_offset}, but {misfit}. "
        "Nothing was read. Find out why; what was stored stays stored. To go on from what is "
        f"there: `ioa database position reset --topic {topic} --partition {partition} "
        f"--to earliest`, or `--to latest`, or `--to` an offset from {low} to {high}"
    )


def _describe_misfit(found: Position, offset_range: OffsetRange) -> str | None:
    """Say how position and Kafka contradict each other, or return None."""
    low, high = offset_range.low, offset_range.high
    if found.log_id != offset_range.log_id:
        return (
            f"this is another topic of that name (id {offset_range.log_id}, not {found.log_id}): "
            f"it was deleted and made again, and holds offsets {low} to {high}"
        )
    if found.next_offset < low:
        missing = low - found.next_offset
        return f"Kafka has only offsets from {low}: {missing} records were deleted unread"
    if found.next_offset > high:
        return f"Kafka holds only offsets {low} to {high}: it lost the rest"
    return None
