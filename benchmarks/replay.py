"""How fast a topic is replayed into memory and into a new database.

Into memory: librdkafka alone counts the records (the ceiling), our sources yield them, and latents
are decoded, validated as by ingestion, and put into one array. Into a database: ``ioa replay run``
is compared with ``ioa server ingest`` of the same topic, from the first row that is seen to the
last. The live ingester also acknowledges each message. A last row is the time to look up the
offsets of a time.

Example: python -m benchmarks.replay --quick
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from benchmarks.bench import Bench, open_bench
from benchmarks.ingest import watch
from benchmarks.learning_load import SHAPES, Load, Shape, fill_topic
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from ioa.run.garbage_collector import relieve_collector
from stream.exchange.codec import decode_request
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin
from stream.kafka.settings import KafkaSettings
from stream.replay.kafka_source import KafkaSource
from stream.replay.window import Window, find_window

CEILING, RECORDS, ARRAY = "librdkafka counts", "records", "latents in an array"
INGEST, REPLAY, TIME = "ioa server ingest", "ioa replay", "offsets of a time"
COLUMNS = {
    "rate": Column("records/s", better="more"),
    "of_ceiling": Column("of the ceiling", "{:.2f} x", better="more"),
    "of_ingest": Column("of live ingestion", "{:.2f} x", better="more"),
    "milliseconds": Column("ms", "{:.0f}", better="less"),
}
AIMS = (
    Aim(ARRAY, "rate", 700_000.0),
    Aim(TIME, "milliseconds", 100.0),
    Aim(REPLAY, "of_ingest", 1.0),
)


def main() -> None:
    options = read_options()
    shape = SHAPES["int8x64"]
    encoder_id = shape.manifest.network_id
    with open_bench() as bench:
        kafka = bench.make_topics()
        load = fill_topic(kafka, shape, encoder_id, count=options.messages, repeated=0.0)
        measured = compare_reading(kafka, load, options.runs)
        kafka = bench.make_topics()
        load = fill_topic(kafka, shape, encoder_id, count=options.stored, repeated=0.0)
        for database in ("sqlite", "postgresql"):
            measured += compare_storing(bench, kafka, shape, load, database, options.runs)
    report(options.out, "replay", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=300_000, help="that are read into memory")
    parser.add_argument("--stored", type=int, default=50_000, help="that go into a database")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.messages, options.stored, options.runs = 40_000, 10_000, 1
    return options


def compare_reading(kafka: KafkaSettings, load: Load, runs: int) -> list[Measurement]:
    """Let all subjects read the same topic in this process in turn."""
    relieve_collector()  # as the command does
    source = KafkaSource(kafka, Topics(kafka.prefix).of(LEARNING).name, Window())
    subjects: dict[str, Callable[[], int]] = {
        CEILING: lambda: count_raw(kafka, load.messages),
        RECORDS: lambda: sum(map(len, source.read(source.ranges))),
        ARRAY: lambda: len(gather(source)),
    }
    condition = {"into": "memory", "records": load.messages}
    results = {name: Measurement("replay", condition, name) for name in [*subjects, TIME]}
    for _ in range(runs):
        rates = {}
        for name, read in subjects.items():
            began = time.perf_counter()
            assert read() == load.messages
            rates[name] = load.messages / (time.perf_counter() - began)
            results[name].runs.append(
                {"rate": rates[name], "of_ceiling": rates[name] / rates[CEILING]}
            )
        results[TIME].runs.append({"milliseconds": time_lookup(kafka)})
    return list(results.values())


def count_raw(kafka: KafkaSettings, messages: int) -> int:
    config = {"group.id": "bench", "fetch.queue.backoff.ms": 2, "enable.auto.commit": False}
    consumer = Consumer(kafka.client_config() | config)
    topic = Topics(kafka.prefix).of(LEARNING)
    consumer.assign([TopicPartition(topic.name, number, 0) for number in range(topic.partitions)])
    count = 0
    while count < messages:
        count += len(consumer.consume(5_000, 0.1))
    consumer.close()
    return count


def gather(source: KafkaSource) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    """Return the latents [N, D] of all records, each decoded and validated."""
    pieces = []
    for batch in source.read(source.ranges):
        values = [
            decode_request(record, LEARNING, cluster_id=source.cluster_id).message.value.data
            for record in batch
        ]
        pieces.append(np.frombuffer(b"".join(values), np.int8).reshape(len(values), -1))
    return np.concatenate(pieces)


def time_lookup(kafka: KafkaSettings) -> float:
    """Return the milliseconds it takes to look up the offsets of a time in all partitions."""
    admin = connect_admin(kafka)
    now = datetime.now(UTC)
    began = time.perf_counter()
    find_window(admin, Topics(kafka.prefix).of(LEARNING).name, Window(None, now))
    return (time.perf_counter() - began) * 1000


def compare_storing(
    bench: Bench, kafka: KafkaSettings, shape: Shape, load: Load, database: str, runs: int
) -> list[Measurement]:
    """Let a live ingester and a replay store the same topic in turn."""
    condition = {"into": database, "records": load.messages}
    lived, replayed = (Measurement("replay", condition, name) for name in (INGEST, REPLAY))
    for _ in range(runs):
        with bench.make_database(database, shape) as live, bench.make_tables(database) as target:
            url = target.url.set(drivername=target.url.get_backend_name())
            into = ("--into", url.render_as_string(hide_password=False))
            began = time.monotonic()
            with bench.start(kafka, live, "ioa", "replay", "run", *into) as process:
                rate = watch(process, target, load, began)["rate"]
            began = time.monotonic()
            with bench.start(kafka, live, "ioa", "server", "ingest") as process:
                live_rate = watch(process, live, load, began)["rate"]
        lived.runs.append({"rate": live_rate, "of_ingest": 1.0})
        replayed.runs.append({"rate": rate, "of_ingest": rate / live_rate})
    return [lived, replayed]


if __name__ == "__main__":
    main()
