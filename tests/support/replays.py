"""Messages of every kind that a replay may read, and replays of them into a database."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray
from sqlalchemy import Engine

from schemas.messages.latent import Mode
from server_classifier.intake.replay import Read, Replay
from server_classifier.intake.replay_report import ReplayReport, ReplayRequest
from server_classifier.settings import ServerSettings
from server_classifier.store.database import open_database, reading
from server_classifier.store.latents.rows import count_latents
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.copy import copy_registry
from server_classifier.store.replays import ReplayRow
from stream.exchange.exchanges import LEARNING, find_exchange
from stream.exchange.message_ids import make_message_id
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.replay.kafka_source import KafkaSource
from stream.replay.source import RecordSource
from stream.replay.window import Window
from tests.server_classifier.stored import make_clusters
from tests.support.ingestion import CLIENT, Ingestion
from tests.support.load import AVRO, encode_message
from tests.support.manifests import make_manifest
from tests.support.server import LATENT_DIM, NOW
from tests.support.topics import send_raw


class Killed(Exception):
    """Ends a replay as a crash does."""


EVERYTHING = Selection()
LABELS = ("hand", "chest")


@dataclass(frozen=True)
class Publisher:
    """Writes messages of the registered client into all partitions of the learning topic."""

    kafka: KafkaSettings
    seed: int = 0

    @property
    def topic(self) -> str:
        """The learning topic's name."""
        return Topics(self.kafka.prefix).of(LEARNING).name

    def publish(self, count: int) -> None:
        """Write ``count`` messages of two labels that a classifier can learn."""
        random = np.random.default_rng(self.seed)
        latents, targets = make_clusters(count, len(LABELS), LATENT_DIM, seed=self.seed)
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers})
        for latent, target in zip(latents, targets, strict=True):
            message_id = make_message_id(1_700_000_000_000, random.bytes(10))
            body = encode(message_id, LABELS[target], latent)
            producer.produce(self.topic, body, message_id.encode(), headers=[*AVRO])
        assert producer.flush(30) == 0

    def publish_trouble(self) -> None:
        """Write junk, one message twice, and two messages with the same id in two partitions."""
        latent = np.zeros(LATENT_DIM, np.float32)
        twice, clash = (make_message_id(1, bytes([self.seed] * 9 + [i])) for i in range(2))
        again = encode(twice, "hand", latent)
        self._send(3, again, b"junk", again)
        self._send(0, encode(make_message_id(1, bytes(10)), "hand", latent, "unknown-1"))
        self._send(2, encode(clash, "hand", latent))
        self._send(1, encode(clash, "chest", latent))

    def _send(self, partition: int, *bodies: bytes) -> None:
        server = self.kafka.bootstrap_servers
        send_raw(server, self.topic, [(body, AVRO) for body in bodies], partition=partition)
        time.sleep(0.002)  # so that the next records have a later time


def encode(
    message_id: str,
    label: str,
    latent: NDArray[np.float32],
    client: str = CLIENT,
    mode: Mode = "learning",
) -> bytes:
    """Return a message for the registered encoder in Avro."""
    return encode_message(message_id, label, latent, client, make_manifest().network_id, NOW, mode)


@dataclass
class Replayer:
    """Replays of one deployment's learning topic, as ``ioa replay run`` runs them."""

    live: Ingestion

    def open(self, window: Window = Window(), mode: Mode = "learning") -> KafkaSource:  # noqa: B008
        """Return the topic of ``mode`` as a source."""
        topics = Topics(self.live.kafka.prefix)
        topic = topics.of(find_exchange(mode))
        return KafkaSource(self.live.kafka, topic.name, window)

    def run(
        self,
        target: Engine | str,
        source: RecordSource | None = None,
        *,
        selection: Selection = EVERYTHING,
        mode: Mode = "learning",
        read: Read | None = None,
    ) -> tuple[ReplayRow, ReplayReport]:
        """Replay into a database; return its row of the replay, and the report in it."""
        if isinstance(target, str):
            with opened(target) as engine:
                return self.run(engine, source, selection=selection, mode=mode, read=read)
        source = source or self.open(mode=mode)
        with reading(self.live.engine) as connection:
            registry = copy_registry(connection)
        request = ReplayRequest(
            *(source.cluster_id, source.topic, mode, "all", selection),
            labels=None,
            max_labels=ServerSettings().max_labels,
        )
        now = lambda: datetime.now(UTC)  # noqa: E731
        replay = Replay(target, request, registry, now=now, clock=time.monotonic)
        row = replay.run(source, read)
        return row, ReplayReport.from_json(row.report)


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open a database until the block ends."""
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def count_rows(engine: Engine) -> int:
    """Return how many latents a database holds."""
    with reading(engine) as connection:
        return count_latents(connection)


def read_backwards(source: RecordSource) -> Read:
    """Read one partition after the other, beginning with the last."""

    def read(ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        return chain.from_iterable(source.read([offset_range]) for offset_range in reversed(ranges))

    return read


def read_in_pieces(source: RecordSource, size: int, after: Callable[[int], None]) -> Read:
    """Read batches of at most ``size``; ``after`` gets the number of records handled so far."""

    def read(ranges: Sequence[OffsetRange]) -> Iterator[Sequence[Record]]:
        done = 0
        for batch in source.read(ranges):
            for start in range(0, len(batch), size):
                piece = batch[start : start + size]
                yield piece
                done += len(piece)
                after(done)

    return read
