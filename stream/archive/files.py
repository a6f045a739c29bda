"""Part files of an archive: Parquet that holds records as they lay in Kafka, byte for byte."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream.archive.manifest import UNFINISHED, ArchiveError, Part, Stretch, write_file
from stream.kafka.record import Record

PART_RECORDS = 50_000
PART_BYTES = 32 * 2**20
"""A part file that has reached one of these takes no more."""

PIECE_RECORDS = 10_000
PIECE_BYTES = 8 * 2**20  # of bodies and headers
"""A piece is what is converted at once, and a row group of the file."""

Bounds = tuple[int, int]
"""Offsets from the first up to, but not with, the second."""

_HEADER = pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])
SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(_HEADER), nullable=False),
        pa.field("headers_damaged", pa.bool_(), nullable=False),
    ]
)
OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["topic", "headers.list.element.name"],
}
"""How pyarrow writes part files."""

_POSITION = ["partition", "offset", "timestamp"]


class PartWriter:
    """Writes records into as many part files as they need; the newest grows in memory.

    Args:
        number: of the first file.
        starts: the offset of each partition at which the first file begins.
    """

    def __init__(self, folder: Path, number: int, starts: Mapping[int, int]) -> None:
        self._folder = folder
        self._number = number
        self._written: list[Part] = []
        self._part = _OpenPart(starts)
        self._pending: list[Record] = []
        self._pending_bytes = 0

    def add(self, records: Iterable[Record]) -> None:
        """Take records; each comes after those of its partition that were taken before.

        Raises:
            ArchiveError: it does not.
            OSError: a part file cannot be written.
        """
        for record in records:
            self._pending.append(record)
            self._pending_bytes += len(record.value or b"")
            self._pending_bytes += sum(len(value or b"") for _, value in record.headers)
            if len(self._pending) == PIECE_RECORDS or self._pending_bytes >= PIECE_BYTES:
                self._write_piece()

    def finish(self, ends: Mapping[int, int]) -> list[Part]:
        """Write what is left and return all parts, the last of which reaches to ``ends``.

        The files' names still end with ``UNFINISHED``. Raises as ``add``.
        """
        if self._pending:
            self._write_piece()
        if self._part.records:
            self._close(self._part.reach(ends))
        return self._written

    def _write_piece(self) -> None:
        if self._part.is_full:
            self._close(self._part.stretches)
            self._part = _OpenPart(self._part.ends)
        self._part.write(self._pending)
        self._pending, self._pending_bytes = [], 0

    def _close(self, stretches: Sequence[Stretch]) -> None:
        name = f"part-{self._number:06}.parquet"
        content = memoryview(self._part.close())
        write_file(self._folder / f"{name}{UNFINISHED}", content)
        digest = hashlib.sha256(content).hexdigest()
        part = Part(name, digest, len(content), self._part.records, tuple(stretches))
        self._written.append(part)
        self._number += 1


class _OpenPart:
    """A part file in memory, and what it holds of each partition."""

    def __init__(self, starts: Mapping[int, int]) -> None:
        self._sink = pa.BufferOutputStream()
        self._file = pq.ParquetWriter(self._sink, SCHEMA, **OPTIONS)
        self._held = {one: Stretch(one, at, at, 0, None, None) for one, at in starts.items()}

    def write(self, records: Sequence[Record]) -> None:
        table = to_table(records)
        for found in summarise(table):
            self._held[found.partition] = join(self._held[found.partition], found)
        self._file.write_table(table, row_group_size=len(records))

    @property
    def is_full(self) -> bool:
        return self.records >= PART_RECORDS or self._sink.tell() >= PART_BYTES

    @property
    def records(self) -> int:
        return sum(one.records for one in self._held.values())

    @property
    def stretches(self) -> list[Stretch]:
        return [one for one in self._held.values() if one.records]

    @property
    def ends(self) -> dict[int, int]:
        return {one.partition: one.high for one in self._held.values()}

    def reach(self, ends: Mapping[int, int]) -> list[Stretch]:
        """Return the stretches of all partitions, without records at their end perhaps."""
        return [replace(one, high=ends[one.partition]) for one in self._held.values()]

    def close(self) -> pa.Buffer:
        self._file.close()
        return self._sink.getvalue()


def to_table(records: Sequence[Record]) -> pa.Table:
    """Return records as rows of ``SCHEMA``."""
    headers = [one.headers for one in records]
    pairs = list(chain.from_iterable(headers))
    ends = list(accumulate(map(len, headers), initial=0))
    struct = pa.StructArray.from_arrays(
        [
            pa.array([name for name, _ in pairs], pa.string()),
            pa.array([value for _, value in pairs], pa.binary()),
        ],
        fields=list(_HEADER),
    )
    columns = [
        [one.topic for one in records],
        [one.partition for one in records],
        [one.offset for one in records],
        [one.timestamp for one in records],
        [one.key for one in records],
        [one.value for one in records],
        pa.ListArray.from_arrays(pa.array(ends, pa.int32()), struct),
        [one.headers_damaged for one in records],
    ]
    return pa.table(columns, schema=SCHEMA)


def to_records(piece: pa.RecordBatch) -> list[Record]:
    """Return the rows of a piece as the records that they were."""
    headers = piece["headers"]
    pairs = list(zip(*map(_to_list, headers.flatten().flatten()), strict=True))
    ends = accumulate(_to_list(headers.value_lengths()), initial=0)
    columns = [
        _to_list(piece["topic"]),
        _to_list(piece["partition"]),
        _to_list(piece["offset"]),
        _to_list(piece["timestamp"].cast(pa.int64())),
        _to_list(piece["key"]),
        _to_list(piece["value"]),
        [pairs[start:end] for start, end in pairwise(ends)],
        _to_list(piece["headers_damaged"]),
    ]
    return list(map(Record, *columns))


def _to_list(column: pa.Array) -> list[Any]:
    # By way of numpy: to_pylist makes a scalar of each value first, at five times the cost.
    found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return found


def read_records(file: Path, wanted: Mapping[int, Bounds]) -> Iterator[list[Record]]:
    """Yield the records of a part file that lie within bounds of their partition."""
    for piece in _read_pieces(file):
        partitions, offsets = (piece[name].to_numpy() for name in ("partition", "offset"))
        fits = np.zeros(len(offsets), bool)
        for partition, (low, high) in wanted.items():
            fits |= (partitions == partition) & (offsets >= low) & (offsets < high)
        if fits.any():
            yield to_records(piece if fits.all() else piece.filter(pa.array(fits)))


def survey_part(file: Path) -> dict[int, Stretch]:
    """Return what a part file holds of each partition.

    Raises:
        ArchiveError: its records are not in order.
    """
    held: dict[int, Stretch] = {}
    for piece in _read_pieces(file, _POSITION):
        for found in summarise(piece):
            before = held.get(found.partition)
            held[found.partition] = join(before, found) if before else found
    return held


def find_offset(file: Path, partition: int, milliseconds: int) -> int:
    """Return the offset of the first record of a partition at this time or later.

    Raises:
        ArchiveError: there is none in this part.
    """
    for piece in _read_pieces(file, _POSITION):
        times = piece["timestamp"].cast(pa.int64()).to_numpy()
        fits = (piece["partition"].to_numpy() == partition) & (times >= milliseconds)
        if fits.any():
            return int(piece["offset"][int(fits.argmax())].as_py())
    raise ArchiveError(f"{file} has no record of partition {partition} from {milliseconds} ms on")


def summarise(piece: pa.Table | pa.RecordBatch) -> Iterator[Stretch]:
    """Yield what there is of each partition, from the first record's offset on.

    Raises:
        ArchiveError: the records are not in order.
    """
    partitions, offsets = (piece[name].to_numpy() for name in ("partition", "offset"))
    times = piece["timestamp"].cast(pa.int64()).to_numpy()
    for partition in np.unique(partitions):
        mine = partitions == partition
        at, when = offsets[mine], times[mine]
        if (np.diff(at) <= 0).any():
            raise ArchiveError(f"the records of partition {partition} are not in order")
        low, high = int(at[0]), int(at[-1]) + 1
        yield Stretch(int(partition), low, high, len(at), int(when.min()), int(when.max()))


def join(before: Stretch, after: Stretch) -> Stretch:
    """Return two stretches of a partition as one.

    Raises:
        ArchiveError: the second begins before the first one's end.
    """
    if after.low < before.high:
        raise ArchiveError(
            f"offset {after.low:,} of partition {after.partition} comes after {before.high - 1:,}"
        )
    times = (before.earliest, before.latest, after.earliest, after.latest)
    known = [one for one in times if one is not None]
    return Stretch(
        before.partition,
        before.low,
        after.high,
        before.records + after.records,
        min(known, default=None),
        max(known, default=None),
    )


def _read_pieces(file: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file) as part:
        for group in range(part.num_row_groups):
            yield from part.read_row_group(group, columns).combine_chunks().to_batches()
