"""The files of an archive: Parquet that holds records of any partition, in order within each."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream.archive.manifest import UNFINISHED, ArchiveError, ArchiveFile, FileRange
from stream.archive.parquet_form import OPTIONS, SCHEMA, to_records, to_table
from stream.artefacts.atomic_file import write_private
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record

FILE_RECORDS = 50_000
FILE_BYTES = 32 * 2**20
"""A file that has reached one of these takes no more."""

GROUP_RECORDS = 10_000
GROUP_BYTES = 8 * 2**20  # of bodies and headers
"""A row group of a file has as many; they are converted at once."""

OnProgress = Callable[[int, int], None]
"""Receives how many records are done, and how many there are or, with Kafka's own, may be."""

_POSITION = ["partition", "offset", "timestamp"]


class FileWriter:
    """Writes records into as many files as they need; the newest grows in memory.

    Args:
        number: of the first file.
        starts: the offset of each partition at which the first file begins.
    """

    def __init__(self, folder: Path, number: int, starts: Mapping[int, int]) -> None:
        self._folder = folder
        self._number = number
        self._written: list[ArchiveFile] = []
        self._file = _OpenFile(starts)
        self._pending: list[Record] = []
        self._pending_bytes = 0

    def add(self, records: Iterable[Record]) -> None:
        """Take records, each of which comes after those of its partition that were taken before.

        Raises:
            ArchiveError: it does not.
            OSError: a file cannot be written.
        """
        for record in records:
            self._pending.append(record)
            self._pending_bytes += len(record.value or b"")
            self._pending_bytes += sum(len(value or b"") for _, value in record.headers)
            if len(self._pending) == GROUP_RECORDS or self._pending_bytes >= GROUP_BYTES:
                self._write_group()

    def finish(self, ends: Mapping[int, int]) -> list[ArchiveFile]:
        """Write what is left and return all files, the last of which reaches to ``ends``.

        The files' names still end with ``UNFINISHED``. Raises as ``add``.
        """
        if self._pending:
            self._write_group()
        if self._file.records:
            self._close(self._file.reach(ends))
        return self._written

    def _write_group(self) -> None:
        if self._file.is_full:
            self._close(self._file.ranges)
            self._file = _OpenFile(self._file.ends)
        self._file.write(self._pending)
        self._pending, self._pending_bytes = [], 0

    def _close(self, ranges: Sequence[FileRange]) -> None:
        name = f"part-{self._number:06}.parquet"
        content = memoryview(self._file.close())
        write_private(self._folder / f"{name}{UNFINISHED}", content)
        digest = hashlib.sha256(content).hexdigest()
        self._written.append(
            ArchiveFile(name, digest, len(content), self._file.records, tuple(ranges))
        )
        self._number += 1


class _OpenFile:
    """A file in memory, and what it holds of each partition."""

    def __init__(self, starts: Mapping[int, int]) -> None:
        self._sink = pa.BufferOutputStream()
        self._parquet = pq.ParquetWriter(self._sink, SCHEMA, **OPTIONS)
        self._ranges = {
            partition: FileRange(partition, start, start, 0, None, None)
            for partition, start in starts.items()
        }

    def write(self, records: Sequence[Record]) -> None:
        table = to_table(records)
        for added in _find_ranges(table):
            self._ranges[added.partition] = _join(self._ranges[added.partition], added)
        self._parquet.write_table(table, row_group_size=len(records))

    @property
    def is_full(self) -> bool:
        return self.records >= FILE_RECORDS or self._sink.tell() >= FILE_BYTES

    @property
    def records(self) -> int:
        return sum(held.records for held in self._ranges.values())

    @property
    def ranges(self) -> list[FileRange]:
        return [held for held in self._ranges.values() if held.records]

    @property
    def ends(self) -> dict[int, int]:
        return {partition: held.high for partition, held in self._ranges.items()}

    def reach(self, ends: Mapping[int, int]) -> list[FileRange]:
        """Return the ranges of all partitions, up to ends behind which no record may stand."""
        return [replace(held, high=ends[partition]) for partition, held in self._ranges.items()]

    def close(self) -> pa.Buffer:
        self._parquet.close()
        return self._sink.getvalue()


def read_records(path: Path, ranges: Sequence[OffsetRange]) -> Iterator[list[Record]]:
    """Yield the records of a file that lie in the ranges."""
    for rows in _read_groups(path):
        partitions, offsets = (rows[name].to_numpy() for name in ("partition", "offset"))
        fits = np.zeros(len(offsets), bool)
        for _, partition, _, low, high in ranges:
            fits |= (partitions == partition) & (offsets >= low) & (offsets < high)
        if fits.any():
            yield to_records(rows if fits.all() else rows.filter(pa.array(fits)))


def find_file_ranges(path: Path) -> dict[int, FileRange]:
    """Return what a file holds of each partition.

    Raises:
        ArchiveError: its records are not in order.
    """
    ranges: dict[int, FileRange] = {}
    for rows in _read_groups(path, _POSITION):
        for added in _find_ranges(rows):
            before = ranges.get(added.partition)
            ranges[added.partition] = _join(before, added) if before else added
    return ranges


def find_offset(path: Path, partition: int, milliseconds: int) -> int:
    """Return the offset of the first record of a partition at this time or later.

    Raises:
        ArchiveError: there is none in this file.
    """
    for rows in _read_groups(path, _POSITION):
        times = rows["timestamp"].cast(pa.int64()).to_numpy()
        fits = (rows["partition"].to_numpy() == partition) & (times >= milliseconds)
        if fits.any():
            return int(rows["offset"][int(fits.argmax())].as_py())
    raise ArchiveError(f"{path} has no record of partition {partition} from {milliseconds} ms on")


def _find_ranges(rows: pa.Table | pa.RecordBatch) -> Iterator[FileRange]:
    """Yield the range of each partition; raise ArchiveError where records are not in order."""
    partitions, offsets = (rows[name].to_numpy() for name in ("partition", "offset"))
    times = rows["timestamp"].cast(pa.int64()).to_numpy()
    for partition in np.unique(partitions):
        chosen = partitions == partition
        at, when = offsets[chosen], times[chosen]
        if (np.diff(at) <= 0).any():
            raise ArchiveError(f"the records of partition {partition} are not in order")
        low, high = int(at[0]), int(at[-1]) + 1
        yield FileRange(int(partition), low, high, len(at), int(when.min()), int(when.max()))


def _join(before: FileRange, after: FileRange) -> FileRange:
    """Return two ranges of a partition as one; raise ArchiveError where they overlap."""
    if after.low < before.high:
        raise ArchiveError(
            f"offset {after.low:,} of partition {after.partition} comes after {before.high - 1:,}"
        )
    times = (before.earliest, before.latest, after.earliest, after.latest)
    known = [moment for moment in times if moment is not None]
    return FileRange(
        before.partition,
        before.low,
        after.high,
        before.records + after.records,
        min(known, default=None),
        max(known, default=None),
    )


def _read_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as parquet:
        for number in range(parquet.num_row_groups):
            yield from parquet.read_row_group(number, columns).combine_chunks().to_batches()
