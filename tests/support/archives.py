"""Records of every kind in a learning topic, and how a source reads them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from schemas.messages.dead_letter import Headers
from stream.archive.source import ArchiveSource
from stream.archive.writing import Written, write_archive
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.replay.kafka_source import KafkaSource
from stream.replay.source import RecordSource
from stream.replay.window import Window

NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)
REGISTRY = {"encoders": ["of stream's no concern"], "clients": []}
EVERYTHING = Window()

Body = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers."""

KINDS: Sequence[Body] = [
    (b"key", b"value", [("ioa-kind", b"learning"), ("ioa-client", b"radiology-1")]),
    (None, b"\xff\x00\xfe", []),
    (b"", None, [("empty", b""), ("null", None), ("again", b"1"), ("again", b"2")]),
    (b"\x00", b"", [("again", b"2"), ("again", b"1"), ("", b"no name"), ("größe", b"\xff")]),
]


def send(settings: KafkaSettings, bodies: Sequence[Body], partition: int | None = None) -> None:
    """Write records to one partition, or to all partitions in turn."""
    topic = Topics(settings.prefix).of(LEARNING)
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    for number, (key, value, headers) in enumerate(bodies):
        chosen = number % topic.partitions if partition is None else partition
        producer.produce(topic.name, value, key, chosen, headers=list(headers))
    assert producer.flush(20) == 0


def number_bodies(count: int, size: int = 8) -> Iterator[Body]:
    """Yield ``count`` bodies that all differ."""
    for number in range(count):
        yield b"%d" % number, number.to_bytes(size), [("number", b"%d" % number)]


def open_kafka(settings: KafkaSettings, window: Window = EVERYTHING) -> KafkaSource:
    """Return the learning topic as a source."""
    return KafkaSource(settings, Topics(settings.prefix).of(LEARNING).name, window)


def write(folder: Path, settings: KafkaSettings, *, allow_gap: bool = False) -> Written:
    """Write what the archive lacks of the learning topic."""
    return write_archive(folder, open_kafka(settings), REGISTRY, now=NOW, allow_gap=allow_gap)


def read_all(source: RecordSource) -> dict[int, list[Record]]:
    """Return all records of a source by partition, in the order of the source."""
    records: dict[int, list[Record]] = {}
    for batch in source.read(source.ranges):
        for record in batch:
            records.setdefault(record.partition, []).append(record)
    return records


def read_archive(folder: Path, window: Window = EVERYTHING) -> dict[int, list[Record]]:
    """Return the records of an archive by partition."""
    return read_all(ArchiveSource(folder, window))


def read_kafka(settings: KafkaSettings, window: Window = EVERYTHING) -> dict[int, list[Record]]:
    """Return the records of the learning topic by partition."""
    return read_all(open_kafka(settings, window))


def list_files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}
