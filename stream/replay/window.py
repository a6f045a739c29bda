"""Which stretch of a topic is meant: two texts of a person, offsets or times, to ranges."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Self

from confluent_kafka.admin import AdminClient, OffsetSpec

from stream.errors import StreamError
from stream.kafka.connection import explaining_kafka
from stream.kafka.offsets import OffsetRange, list_offsets, read_ranges

Bound = int | datetime
"""An offset in each partition, or a time by the broker's clock."""

FindTime = Callable[[int], Mapping[int, int]]
"""Takes milliseconds since the Unix epoch and returns the first offset of each partition that is
not older, or the partition's end."""


class Window(NamedTuple):
    """From ``since`` up to, but not with, ``until``; None is the earliest, and the end."""

    since: Bound | None = None
    until: Bound | None = None

    @classmethod
    def parse(cls, since: str | None, until: str | None, now: datetime) -> Self:
        """Read what ``--from`` and ``--to`` say.

        Raises:
            StreamError: a text is neither an offset nor a time, or a time in the future.
        """
        return cls(
            None if since is None else parse_bound(since, now),
            None if until is None else parse_bound(until, now),
        )

    def __str__(self) -> str:
        first = "the earliest" if self.since is None else describe_bound(self.since)
        return f"{first} to {'the end' if self.until is None else describe_bound(self.until)}"


def parse_bound(text: str, now: datetime) -> Bound:
    """Read an offset, or a time of ISO 8601, in UTC where it names no zone; a date is its midnight.

    Raises:
        StreamError: it is neither, or a time after ``now``.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise StreamError(
            f"{text!r} is neither an offset such as 500 nor a time such as 2026-11-21T08:00"
        ) from None
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    if moment > now:
        raise StreamError(
            f"{text} lies in the future: by this machine's clock it is {describe_bound(now)}"
        )
    return moment


def describe_bound(bound: Bound) -> str:
    """Return the text that ``parse_bound`` reads."""
    return bound.isoformat() if isinstance(bound, datetime) else str(bound)


@explaining_kafka()
def find_window(admin: AdminClient, topic: str, window: Window) -> list[OffsetRange]:
    """Return which offsets of each partition lie in a window now; some may hold none.

    Times are found by the broker's own index, so they need a topic with LogAppendTime.

    Raises:
        StreamError: some of it was deleted already, or there is nothing in it.
        KafkaUnavailable: the cluster does not answer, or there is no such topic.
    """
    held = read_ranges(admin, topic)
    return cut_ranges(held, window, lambda moment: _find_time(admin, held, moment))


def cut_ranges(
    held: Sequence[OffsetRange],
    window: Window,
    find_time: FindTime,
    complete_since: datetime | None = None,
) -> list[OffsetRange]:
    """Return what of ``held`` lies in a window, where ``find_time`` looks up its times.

    Args:
        complete_since: the time from which on nothing is missing, where that is known.

    Raises:
        StreamError: some of it was deleted already, or there is nothing in it.
    """
    starts: Mapping[int, int] = {one.partition: one.low for one in held}
    if window.since is not None:
        starts = _locate(held, window.since, find_time)
        if not _is_complete(window.since, complete_since):
            _refuse_deleted(held, starts, window.since)
    ends: Mapping[int, int] = {one.partition: one.high for one in held}
    if window.until is not None:
        ends = _locate(held, window.until, find_time)
    ranges = [_cut(one, starts[one.partition], ends[one.partition]) for one in held]
    if not any(one.low < one.high for one in ranges):
        raise StreamError(
            f"{held[0].topic} holds nothing from {window}; it holds {describe_ranges(held)}"
        )
    return ranges


def describe_ranges(ranges: Sequence[OffsetRange]) -> str:
    """Return where partitions that hold anything begin and end: ``[0] offsets 3 to 41``."""
    parts = [
        f"[{one.partition}] offsets {one.low} to {one.high - 1}" for one in ranges if _size(one)
    ]
    return ", ".join(parts) or "no records"


def _size(offset_range: OffsetRange) -> int:
    return offset_range.high - offset_range.low


def _cut(offset_range: OffsetRange, start: int, end: int) -> OffsetRange:
    high = max(offset_range.low, min(end, offset_range.high))
    return offset_range._replace(low=min(max(start, offset_range.low), high), high=high)


def _locate(held: Sequence[OffsetRange], bound: Bound, find_time: FindTime) -> Mapping[int, int]:
    """Return the first offset at or after a bound, by partition; the end where there is none."""
    if isinstance(bound, int):
        return {one.partition: bound for one in held}
    return find_time(int(bound.timestamp() * 1000))


def _find_time(
    admin: AdminClient, held: Sequence[OffsetRange], milliseconds: int
) -> dict[int, int]:
    moment = OffsetSpec.for_timestamp(milliseconds)
    found = list_offsets(admin, held[0].topic, [one.partition for one in held], moment)
    return {
        one.partition: one.high if found[one.partition] < 0 else found[one.partition]
        for one in held
    }


def _is_complete(since: Bound, complete_since: datetime | None) -> bool:
    return isinstance(since, datetime) and complete_since is not None and since >= complete_since


def _refuse_deleted(held: Sequence[OffsetRange], starts: Mapping[int, int], since: Bound) -> None:
    """Raise StreamError where records from ``since`` on are gone, or may be.

    What a deleted record's time was is not known. So a time must lie behind the first one kept.
    """
    first = 0 if isinstance(since, int) else 1
    if all(one.low == 0 or starts[one.partition] >= one.low + first for one in held):
        return
    raise StreamError(
        f"of {held[0].topic} from {describe_bound(since)} on, records are missing, or may be; it "
        f"holds {describe_ranges(held)}. Leave --from out for all of these, or name an archive "
        "that holds more with --archive"
    )
