"""An archive as a source of records, for whatever otherwise reads them from Kafka."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stream.archive.checking import check_file
from stream.archive.files import find_offset, read_records
from stream.archive.manifest import (
    ArchivedRange,
    ArchiveError,
    ArchiveFile,
    FileRange,
    read_manifest,
)
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record
from stream.replay.window import Window, cut_ranges, find_overlaps


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
            ArchiveError: a file that was needed to find a time is missing or damaged.
            StreamError: the archive begins after the window does, or holds nothing of it.
        """
        manifest = self._manifest
        return cut_ranges(manifest.ranges, self._window, self._find_time, manifest.since)

    @property
    def skipped(self) -> Sequence[OffsetRange]:
        """What of the window could not be read from Kafka, and was left out."""
        topic, log_id = self._manifest.topic, self._manifest.log_id
        skips = [
            OffsetRange(topic, skip.partition, log_id, skip.low, skip.high)
            for skip in self._manifest.skipped
        ]
        return find_overlaps(self.ranges, skips)

    @property
    def gaps(self) -> list[ArchivedRange]:
        """What of the window was deleted from Kafka before it was archived."""
        window = {wanted.partition: wanted for wanted in self.ranges}
        return [
            gap
            for gap in self._manifest.gaps
            if gap.low < window[gap.partition].high and window[gap.partition].low < gap.high
        ]

    def read(self, ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        """Yield batches of the records in ``ranges``, once all files that hold them were checked.

        Raises:
            ArchiveError: a file is missing or damaged, or the archive does not reach that far;
                nothing was yielded then.
        """
        self._refuse_outside(ranges)
        needed = [
            (file, overlap)
            for file in self._manifest.files
            if (overlap := _overlap(file.ranges, ranges))
        ]
        for file, _ in needed:
            self._check(file)
        for file, overlap in needed:
            yield from read_records(self._folder / file.name, overlap)

    def _refuse_outside(self, ranges: Sequence[OffsetRange]) -> None:
        """Raise ArchiveError for what a replay that was begun elsewhere wants beyond this."""
        archived = {(held.partition, held.log_id): held for held in self._manifest.ranges}
        for wanted in ranges:
            held = archived.get((wanted.partition, wanted.log_id), wanted._replace(low=0, high=0))
            if wanted.low < wanted.high and not held.low <= wanted.low < wanted.high <= held.high:
                raise ArchiveError(
                    f"of {wanted.topic}[{wanted.partition}] (id {wanted.log_id}) offsets "
                    f"{wanted.low} to {wanted.high - 1} are wanted, and the archive "
                    f"{self._folder} has {held.low} to {held.high - 1}; bring it up to date with "
                    "`ioa archive write`"
                )

    def _find_time(self, milliseconds: int) -> dict[int, int]:
        """Return the first offset of each partition at this time or later; its end without one."""
        return {
            held.partition: self._find_offset(held, milliseconds) for held in self._manifest.ranges
        }

    def _find_offset(self, held: OffsetRange, milliseconds: int) -> int:
        for file in self._manifest.files:
            for offsets in file.ranges:
                if offsets.partition == held.partition and (offsets.latest or -1) >= milliseconds:
                    self._check(file)
                    return find_offset(self._folder / file.name, held.partition, milliseconds)
        return held.high

    def _check(self, file: ArchiveFile) -> None:
        if file.name not in self._checked:
            check_file(self._folder, file)
            self._checked.add(file.name)


def _overlap(held: Iterable[FileRange], wanted: Sequence[OffsetRange]) -> list[OffsetRange]:
    """Return what of the wanted ranges lies in those that a file holds records of."""
    by_partition = {file_range.partition: file_range for file_range in held if file_range.records}
    cut = [
        offsets._replace(low=max(mine.low, offsets.low), high=min(mine.high, offsets.high))
        for offsets in wanted
        if (mine := by_partition.get(offsets.partition)) is not None
    ]
    return [offsets for offsets in cut if offsets.low < offsets.high]
