"""How far each partition has been read, kept beside the rows that were read from it.

Rows and position move in one transaction: after any crash the database holds exactly the records
below ``next_offset``. A process *takes* a partition before it reads it, which raises its epoch; who
took it earlier can no longer move it, and with the position fails the whole transaction.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, select, text, update
from sqlalchemy.sql import ColumnElement

from server_classifier.store.errors import PositionError, PositionLost
from server_classifier.store.tables import EPOCH, position
from stream.kafka.offsets import OffsetRange


class Position(NamedTuple):
    """Where reading a partition goes on, and who reads it: the columns of ``position``."""

    topic: str
    part: int
    log_id: str
    next_offset: int
    owner: str
    epoch: int
    moved_at: datetime


def take_position(connection: Connection, held: OffsetRange, *, owner: str) -> Position:
    """Make ``owner`` the only process that can move this position, and return it.

    A partition that was never read begins at its low watermark. Whether Kafka still holds what
    comes next is ``check_fit``'s affair.
    """
    _insert_missing(connection, held)
    found = _lock(connection, held.topic, held.partition)
    taken = found._replace(owner=owner, epoch=found.epoch + 1)
    connection.execute(update(position).where(_is(taken)).values(owner=owner, epoch=taken.epoch))
    return taken


def move_position(connection: Connection, held: Position, to: int, *, now: datetime) -> Position:
    """Move a position that was taken, in the transaction of the rows below ``to``.

    Moving it once more to the same place succeeds: nobody knows whether a commit that was cut off
    took place, so it is repeated. The epoch makes sure that it can only have been ours.

    Raises:
        PositionLost: another process took the partition, or an operator moved the position.
    """
    moved = held._replace(next_offset=to, moved_at=now)
    ours = and_(
        _is(held),
        position.c.log_id == held.log_id,
        position.c.epoch == held.epoch,
        position.c.next_offset.in_((held.next_offset, to)),
    )
    change = update(position).where(ours).values(next_offset=to, moved_at=now)
    if connection.execute(change).rowcount != 1:
        found = _lock(connection, held.topic, held.part)
        raise PositionLost(
            f"{held.topic}[{held.part}] was taken over by {found.owner}, which has read it up to "
            f"{found.next_offset}; this process was about to move it from {held.next_offset} to "
            f"{to} and has stored nothing of that"
        )
    return moved


def reset_position(
    connection: Connection, held: OffsetRange, to: int, *, owner: str, now: datetime
) -> Position:
    """Let reading go on at ``to``, whatever was read before; a process that reads now is fenced.

    Raises:
        PositionError: Kafka does not hold ``to``.
    """
    if not held.low <= to <= held.high:
        raise PositionError(
            f"{held.topic}[{held.partition}] holds offsets {held.low} to {held.high}; "
            f"{to} is outside"
        )
    _insert_missing(connection, held)
    found = _lock(connection, held.topic, held.partition)
    reset = Position(*held[:3], to, owner, found.epoch + 1, now)
    connection.execute(update(position).where(_is(found)).values(reset._asdict()))
    return reset


def list_positions(connection: Connection) -> list[Position]:
    """Return all positions by topic and partition."""
    rows = connection.execute(select(position).order_by(position.c.topic, position.c.part))
    return [Position._make(row) for row in rows]


def _is(row: Position) -> ColumnElement[bool]:
    return and_(position.c.topic == row.topic, position.c.part == row.part)


def _insert_missing(connection: Connection, held: OffsetRange) -> None:
    # Two processes may meet a new partition at once; SQLAlchemy has no ON CONFLICT for both.
    first = Position(*held[:3], held.low, owner="", epoch=0, moved_at=EPOCH)
    columns = ", ".join(first._fields)
    marks = ", ".join(f":{name}" for name in first._fields)
    statement = text(
        f"INSERT INTO position ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
    )
    connection.execute(statement, first._asdict() | {"moved_at": 0})


def _lock(connection: Connection, topic: str, part: int) -> Position:
    key = and_(position.c.topic == topic, position.c.part == part)
    return Position._make(connection.execute(select(position).where(key).with_for_update()).one())


def check_fit(found: Position, held: OffsetRange) -> None:
    """Refuse a position that does not fit what Kafka holds.

    Raises:
        PositionError: records between the two are gone, or the topic is another one; the text names
            the command with which an operator accepts that.
    """
    if (trouble := _find_trouble(found, held)) is None:
        return
    raise PositionError(
        f"{held.topic}[{held.partition}] was read up to offset {found.next_offset}, but {trouble}. "
        "Nothing was read. Find out why; what was stored stays stored. To go on from what is "
        f"there: `ioa server offsets reset --topic {held.topic} --partition {held.partition} "
        f"--to earliest`, or `--to latest`, or `--to` an offset from {held.low} to {held.high}"
    )


def _find_trouble(found: Position, held: OffsetRange) -> str | None:
    """Say what does not fit, or None."""
    if found.log_id != held.log_id:
        return (
            f"this is another topic of that name (id {held.log_id}, not {found.log_id}): it was "
            f"deleted and made again, and holds offsets {held.low} to {held.high}"
        )
    if found.next_offset < held.low:
        missing = held.low - found.next_offset
        return f"Kafka has only offsets from {held.low}: {missing} records were deleted unread"
    if found.next_offset > held.high:
        return f"Kafka holds only offsets {held.low} to {held.high}: it lost the rest"
    return None
