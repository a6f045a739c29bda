"""A window of a topic: two texts of a person, offsets or times, become offset ranges."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import NamedTuple, Self

from confluent_kafka.admin import AdminClient, OffsetSpec

from stream.errors import StreamError
from stream.kafka.connection import explaining_kafka
from stream.kafka.offsets import OffsetRange, list_offsets, read_ranges

Bound = int | datetime
"""An offset in each partition, or a time by the broker's clock."""

FindTime = Callable[[int], Mapping[int, int]]
"""Takes milliseconds since the Unix epoch; returns the first offset of each partition that is not
older, or the partition's end."""


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
    """Return the offsets of each partition that lie in a window now; some ranges may be empty.

    Times are found in the broker's own index, so they need a topic with LogAppendTime.

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
    """Return what of ``held`` lies in a window.

    Args:
        complete_since: the time from which on nothing is missing, where that is known.

    Raises:
        StreamError: some of it was deleted already, or there is nothing in it.
    """
    starts = _locate(held, window.since, find_time)
    if window.since is not None and not _is_complete(window.since, complete_since):
        _refuse_deleted(held, starts, window.since)
    ends = _locate(held, window.until, find_time)
    ranges = []
    for topic, number, log_id, low, high in held:
        end = max(low, min(ends.get(number, high), high))
        start = min(max(starts.get(number, low), low), end)
        ranges.append(OffsetRange(topic, number, log_id, start, end))
    if not any(wanted.low < wanted.high for wanted in ranges):
        raise StreamError(
            f"{held[0].topic} holds nothing from {window}; it holds {describe_ranges(held)}"
        )
    return ranges


def leave_out(
    ranges: Sequence[OffsetRange], skips: Sequence[OffsetRange]
) -> Iterator[list[OffsetRange]]:
    """Yield what of the ranges lies before the skips in them, then between these, then behind."""
    for turn in zip_longest(*(_cut(wanted, skips) for wanted in ranges)):
        yield [piece for piece in turn if piece is not None]


def find_overlaps(ranges: Sequence[OffsetRange], skips: Sequence[OffsetRange]) -> list[OffsetRange]:
    """Return the skips that lie in the ranges, at least in part, by partition and offset."""
    return sorted(skip for skip in skips for wanted in ranges if _overlaps(skip, wanted))


def _overlaps(skip: OffsetRange, wanted: OffsetRange) -> bool:
    return skip[:3] == wanted[:3] and skip.low < wanted.high and wanted.low < skip.high


def _cut(wanted: OffsetRange, skips: Sequence[OffsetRange]) -> Iterator[OffsetRange]:
    low = wanted.low
    for skip in find_overlaps([wanted], skips):
        if low < skip.low:
            yield wanted._replace(low=low, high=skip.low)
        low = max(low, skip.high)
    if low < wanted.high:
        yield wanted._replace(low=low)


def describe_ranges(ranges: Sequence[OffsetRange]) -> str:
    """Return the first and the last offset of what is not empty: ``[0] offsets 3 to 41``."""
    full = [held for held in ranges if held.low < held.high]
    texts = (f"[{held.partition}] offsets {held.low} to {held.high - 1}" for held in full)
    return ", ".join(texts) or "no records"


def _locate(
    held: Sequence[OffsetRange], bound: Bound | None, find_time: FindTime
) -> Mapping[int, int]:
    """Return the first offset at or after a bound, by partition; nothing without a bound."""
    if isinstance(bound, datetime):
        return find_time(int(bound.timestamp() * 1000))
    return {} if bound is None else {partition.partition: bound for partition in held}


def _find_time(
    admin: AdminClient, held: Sequence[OffsetRange], milliseconds: int
) -> dict[int, int]:
    ends = {partition.partition: partition.high for partition in held}
    moment = OffsetSpec.for_timestamp(milliseconds)
    offsets = list_offsets(admin, held[0].topic, ends, moment)
    return {number: ends[number] if offset < 0 else offset for number, offset in offsets.items()}


def _is_complete(since: Bound, complete_since: datetime | None) -> bool:
    return isinstance(since, datetime) and complete_since is not None and since >= complete_since


def _refuse_deleted(held: Sequence[OffsetRange], starts: Mapping[int, int], since: Bound) -> None:
    """Raise StreamError where records from ``since`` on are gone, or may be.

    The time of a deleted record is not known, and others of the window may be gone. So a time must
    lie behind the first record that is kept.
    """
    first = 0 if isinstance(since, int) else 1
    if all(low == 0 or starts[number] >= low + first for _, number, _, low, _ in held):
        return
    raise StreamError(
        f"of {held[0].topic} from {describe_bound(since)} on, records are missing, or may be; it "
        f"holds {describe_ranges(held)}. Leave --from out for all of these, or name an archive "
        "that holds more with --archive"
    )
