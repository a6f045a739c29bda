"""An archive as a source of records, for whatever reads them from Kafka otherwise."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stream.archive.checking import check_part
from stream.archive.files import Bounds, find_offset, read_records
from stream.archive.manifest import ArchiveError, Gap, Part, Stretch, read_manifest
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record
from stream.replay.window import Window, cut_ranges


class ArchiveSource:
    """A ``RecordSource`` that needs no broker.

    Attributes:
        cluster_id: of the cluster that the records come from.
        topic: the topic's full name.
        registry: the encoders and clients that were registered when the archive was written.

    Raises:
        ArchiveError: there is no archive, or its manifest is damaged.
    """

    def __init__(self, folder: Path, window: Window) -> None:
        self._folder = folder
        self._window = window
        self._manifest = read_manifest(folder)
        self._checked: set[str] = set()
        self.cluster_id = self._manifest.cluster_id
        self.topic = self._manifest.topic
        self.registry: dict[str, Any] = self._manifest.registry

    @cached_property
    def ranges(self) -> Sequence[OffsetRange]:
        """What of the window is in the archive; times are those of the broker then.

        Raises:
            ArchiveError: a part that was needed to find a time is missing or damaged.
            StreamError: the archive begins after the window does, or holds nothing of it.
        """
        manifest = self._manifest
        return cut_ranges(manifest.ranges, self._window, self._find_time, manifest.since)

    @property
    def gaps(self) -> list[Gap]:
        """What of the window was deleted from Kafka before it was archived."""
        bounds = {one.partition: (one.low, one.high) for one in self.ranges}
        return [
            one
            for one in self._manifest.gaps
            if one.low < bounds[one.partition][1] and bounds[one.partition][0] < one.high
        ]

    def read(self, ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        """Yield batches of the records in ``ranges``, once all parts that hold them were checked.

        Raises:
            ArchiveError: a part is missing or damaged, or the archive does not reach that far;
                nothing was yielded then.
        """
        self._refuse_outside(ranges)
        needed = [
            (part, bounds)
            for part in self._manifest.parts
            if (bounds := _overlap(part.stretches, ranges))
        ]
        for part, _ in needed:
            self._check(part)
        for part, bounds in needed:
            yield from read_records(self._folder / part.name, bounds)

    def _refuse_outside(self, ranges: Sequence[OffsetRange]) -> None:
        """Raise ArchiveError for what a replay that was begun elsewhere wants beyond this."""
        held = {(one.partition, one.log_id): one for one in self._manifest.ranges}
        for one in ranges:
            mine = held.get((one.partition, one.log_id), one._replace(low=0, high=0))
            if one.low < one.high and not mine.low <= one.low < one.high <= mine.high:
                raise ArchiveError(
                    f"of {one.topic}[{one.partition}] (id {one.log_id}) offsets {one.low} to "
                    f"{one.high - 1} are wanted, and the archive {self._folder} has "
                    f"{mine.low} to {mine.high - 1}; bring it up to date with `ioa archive write`"
                )

    def _find_time(self, milliseconds: int) -> dict[int, int]:
        return {
            one.partition: self._find_time_in(one, milliseconds) for one in self._manifest.ranges
        }

    def _find_time_in(self, offset_range: OffsetRange, milliseconds: int) -> int:
        for part in self._manifest.parts:
            for one in part.stretches:
                if one.partition == offset_range.partition and (one.latest or -1) >= milliseconds:
                    self._check(part)
                    return find_offset(
                        self._folder / part.name, offset_range.partition, milliseconds
                    )
        return offset_range.high

    def _check(self, part: Part) -> None:
        if part.name not in self._checked:
            check_part(self._folder, part)
            self._checked.add(part.name)


def _overlap(stretches: Iterable[Stretch], ranges: Iterable[OffsetRange]) -> dict[int, Bounds]:
    """Return what of the ranges lies in the stretches, by partition."""
    wanted = {one.partition: one for one in ranges}
    found = {}
    for one in stretches:
        offset_range = wanted.get(one.partition)
        if offset_range is not None and one.records:
            low, high = max(one.low, offset_range.low), min(one.high, offset_range.high)
            if low < high:
                found[one.partition] = (low, high)
    return found
