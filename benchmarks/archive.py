"""How fast records are written to an archive and read from it, compared with pyarrow alone.

A topic is archived from Kafka, and again from records that are already in memory. The archive is
then read as a replay reads it, with checksums. The ceilings move the same columns: pyarrow writes
them from memory as one file and waits for the disk, and reads the archive's files row group by row
group without looking at the values.

Megabytes count the message bodies. All subjects run in turn; a ratio compares one turn.

Example: python -m benchmarks.archive --quick
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.learning_load import SHAPES, Shape, fill_topic
from benchmarks.measurement import Column, Measurement, make_parser, report
from ioa.run.garbage_collector import relieve_collector
from stream.archive.parquet_form import OPTIONS, to_table
from stream.archive.source import ArchiveSource
from stream.archive.writing import write_archive
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.replay.kafka_source import KafkaSource
from stream.replay.source import RecordSource
from stream.replay.window import Window

FROM_KAFKA, FROM_MEMORY, WRITE_CEILING = "write from Kafka", "write from memory", "pyarrow writes"
READ, READ_CEILING = "read", "pyarrow reads"
COLUMNS = {
    "rate": Column("records/s", better="more"),
    "megabytes": Column("MB/s", "{:,.1f}", better="more"),
    "of_ceiling": Column("of the ceiling", "{:.2f} x", better="more"),
    "file_bytes": Column("bytes in the file per record", better="less"),
}
_MEASURED = ("int8x64", "float32x784")


class Memory:
    """A source of records that are already in memory."""

    def __init__(self, source: RecordSource) -> None:
        self.cluster_id = source.cluster_id
        self.topic = source.topic
        self.ranges = source.ranges
        self.skipped = source.skipped
        self.batches = list(source.read(source.ranges))

    def read(self, ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        """Yield all batches."""
        yield from self.batches


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    with (
        tempfile.TemporaryDirectory(dir=options.directory, prefix="ioa-bench-") as folder,
        EmbeddedBroker(Path(folder) / "kafka", announce=print) as broker,
    ):
        for name in _MEASURED:
            shape = SHAPES[name]
            settings = fill(broker.bootstrap_servers, shape, options.messages)
            measured += compare(settings, shape, Path(folder) / name, options.runs)
    report(options.out, "archive", measured, COLUMNS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: temporary")
    options = parser.parse_args()
    if options.quick:
        options.messages, options.runs = 30_000, 1
    return options


def fill(bootstrap: str, shape: Shape, messages: int) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=bootstrap, prefix=f"bench-{shape.name}")
    create_topics(settings, [Topics(settings.prefix).of(LEARNING)])
    fill_topic(settings, shape, "e" * 64, count=messages, repeated=0.0)
    return settings


def compare(settings: KafkaSettings, shape: Shape, folder: Path, runs: int) -> list[Measurement]:
    """Let all subjects move the same records in turn."""
    topic = Topics(settings.prefix).of(LEARNING).name
    memory = Memory(KafkaSource(settings, topic, Window()))
    table = pa.concat_tables(to_table(batch) for batch in memory.batches)
    bodies = sum(len(body or b"") for body in table["value"].to_pylist())
    relieve_collector()  # as the command does; then it skips what is in memory
    condition = {"body": shape.name, "records": len(table)}
    subjects: dict[str, Callable[[], object]] = {
        WRITE_CEILING: lambda: write_table(table, folder.with_suffix(".parquet")),
        FROM_KAFKA: lambda: archive(KafkaSource(settings, topic, Window()), folder),
        FROM_MEMORY: lambda: archive(memory, folder),
        READ_CEILING: lambda: read_columns(folder),
        READ: lambda: read_all(folder),
    }
    results = {name: Measurement("archive", condition, name) for name in subjects}
    for _ in range(runs):
        seconds = {name: measure(work) for name, work in subjects.items()}
        stored = sum(file.stat().st_size for file in folder.glob("*.parquet"))
        for name, taken in seconds.items():
            ceiling = seconds[READ_CEILING if name in (READ, READ_CEILING) else WRITE_CEILING]
            results[name].runs.append(
                {
                    "rate": len(table) / taken,
                    "megabytes": bodies / taken / 1e6,
                    "of_ceiling": ceiling / taken,
                    "file_bytes": stored / len(table),
                }
            )
    return list(results.values())


def measure(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_table(table: pa.Table, file: Path) -> None:
    with file.open("wb") as target:
        pq.write_table(table, target, **OPTIONS)
        os.fsync(target.fileno())


def archive(source: RecordSource, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    write_archive(folder, source, {}, now=datetime.now(UTC))


def read_columns(folder: Path) -> None:
    for file in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                parquet.read_row_group(group)


def read_all(folder: Path) -> None:
    source = ArchiveSource(folder, Window())
    count = sum(len(batch) for batch in source.read(source.ranges))
    assert count == sum(offsets.high - offsets.low for offsets in source.ranges)


if __name__ == "__main__":
    main()
