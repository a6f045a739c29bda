"""How long other clients wait for acknowledgements while one client sends at full speed.

A client sends a hundred small messages a second to ``ioa server ingest``. For 20 seconds another
client sends, in a process of its own and as fast as it can: good messages with 10 MB of blanks that
compress to nothing; messages with labels of 199 letters where a hundred others are declared; good
messages, each with a label of its own. An honest message counts if it was sent in these seconds,
and until it is acknowledged; after two minutes more, with the time that it has waited so far.

Example: python -m benchmarks.hostile_client --seconds 20
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from benchmarks.bench import Bench, open_bench
from benchmarks.learning_load import ASKER, SHAPES, make_records
from benchmarks.measurement import Column, Measurement, make_parser, report
from benchmarks.watching import measure_cpu_seconds, measure_mb
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import read_ranges
from stream.kafka.settings import KafkaSettings
from tests.support.manifests import make_manifest

COLUMNS = {
    "p50_ms": Column("p50 ms", "{:,.1f}", better="less"),
    "p99_ms": Column("p99 ms", "{:,.1f}", better="less"),
    "waiting": Column("not acknowledged"),
    "hostile_rate": Column("hostile messages/s"),
    "cores": Column("cores of ingest", "{:.2f}"),
    "late_seconds": Column("s until the last", "{:.1f}", better="less"),
    "ingest_mb": Column("MB of ingest", better="less"),
}
_DECLARED = {"IOA_SERVER__LABELS": json.dumps([str(number) for number in range(100)])}
_HOSTILE: dict[str, tuple[str | None, Mapping[str, str]]] = {
    "nobody else": (None, _DECLARED),
    "large": ("large", _DECLARED),
    "slow to refuse": ("slow", _DECLARED),
    "many labels": ("labels", {}),
}
_SHAPE = SHAPES["int8x64"]
_PERIOD_SECONDS = 0.01
_PATIENCE_SECONDS = 120.0


def main() -> None:
    options = read_options()
    condition = {"database": "sqlite", "seconds": f"{options.seconds:.0f}"}
    measured = {name: Measurement("hostile_client", condition, name) for name in _HOSTILE}
    with open_bench() as bench:
        for _ in range(options.runs):
            for name, row in measured.items():
                print(name, file=sys.stderr)
                row.runs.append(measure(bench, *_HOSTILE[name], options.seconds))
    report(options.out, "hostile_client", [*measured.values()], COLUMNS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    if options.quick:
        options.seconds = 2.0
    return options


class HonestClient:
    """Sends a hundred messages a second and notes when each is acknowledged.

    Attributes:
        taken: seconds from each message to its acknowledgement.
        sent: number of messages.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        topics = Topics(kafka.prefix)
        encoder_id = make_manifest(_SHAPE.latent_dim).network_id
        self._records = make_records(
            topics, _SHAPE, encoder_id, count=1_000_000, seed=0, client_id=ASKER
        )
        self._producer = Producer(kafka.client_config() | {"linger.ms": 0})
        self._consumer = Consumer(
            kafka.client_config() | {"group.id": "honest", "fetch.queue.backoff.ms": 2}
        )
        self._consumer.assign([TopicPartition(topics.replies(ASKER).name, 0, 0)])
        self._open: dict[str, float] = {}
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.taken: list[float] = []
        self.sent = 0

    def send(self, seconds: float) -> None:
        """Send for so long, at even intervals, and read acknowledgements meanwhile."""
        began = time.monotonic()
        for number in range(round(seconds / _PERIOD_SECONDS)):
            while (wait := began + number * _PERIOD_SECONDS - time.monotonic()) > 0:
                self._read(wait)
            record = next(self._records)
            self._open[record.message_id] = time.monotonic()
            self.sent += 1
            self._producer.produce(
                record.topic, record.value, record.key, headers=[*record.headers]
            )
            self._read(0)

    def wait(self) -> int:
        """Read what is left, for two minutes at most; return how many have no acknowledgement."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while self._open and time.monotonic() < give_up:
            self._read(0.1)
        self.taken += [time.monotonic() - sent for sent in self._open.values()]
        return len(self._open)

    def _read(self, seconds: float) -> None:
        """Note the acknowledgements that are there, or the first that comes."""
        self._producer.poll(0)
        message = self._consumer.poll(seconds)
        while message is not None:
            assert message.error() is None, message.error()
            sent = self._open.pop((message.key() or b"").decode(), None)
            if sent is not None:
                self.taken.append(time.monotonic() - sent)
            message = self._consumer.poll(0)


def measure(
    bench: Bench, kind: str | None, environment: Mapping[str, str], seconds: float
) -> dict[str, float]:
    """Run ingest and an honest client, and the hostile one of ``kind`` beside them."""
    kafka = bench.make_topics()
    with (
        bench.make_database("sqlite", _SHAPE) as engine,
        bench.start(kafka, engine, "ioa", "server", "ingest", environment=environment) as ingest,
    ):
        honest = HonestClient(kafka)
        honest.send(3.0)  # warm up
        assert honest.wait() == 0, bench.log.read_text()[-3000:]
        honest.forget()
        with hostile_client(bench, kafka, engine, kind):
            result = watch(kafka, ingest, honest, seconds)
        began = time.monotonic()
        waiting = honest.wait()
        p50, p99 = np.percentile(honest.taken, [50, 99])
        return result | {
            "p50_ms": p50 * 1000,
            "p99_ms": p99 * 1000,
            "waiting": waiting,
            "late_seconds": time.monotonic() - began,
            "ingest_mb": measure_mb(ingest),
        }


@contextmanager
def hostile_client(
    bench: Bench, kafka: KafkaSettings, engine: Engine, kind: str | None
) -> Iterator[None]:
    """Run the hostile client, if there is one, from its first message until the block ends."""
    with ExitStack() as running:
        if kind is not None:
            before = count_learning(kafka)
            running.enter_context(
                bench.start(kafka, engine, "benchmarks.subjects.hostile_sender", kind)
            )
            while count_learning(kafka) == before:
                time.sleep(0.05)
        yield


def watch(
    kafka: KafkaSettings, ingest: psutil.Process, honest: HonestClient, seconds: float
) -> dict[str, float]:
    """Let the honest client send; return what the hostile one and ingest did meanwhile."""
    before, cpu = count_learning(kafka), measure_cpu_seconds(ingest)
    honest.send(seconds)
    return {
        "hostile_rate": (count_learning(kafka) - before - honest.sent) / seconds,
        "cores": (measure_cpu_seconds(ingest) - cpu) / seconds,
    }


def count_learning(kafka: KafkaSettings) -> int:
    """Return how many messages the learning topic holds."""
    admin = AdminClient(kafka.client_config())
    ranges = read_ranges(admin, Topics(kafka.prefix).of(LEARNING).name)
    return sum(held.high - held.low for held in ranges)


if __name__ == "__main__":
    main()
