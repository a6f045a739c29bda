"""Records that are small only while they are compressed: memory stays bounded, neighbours pass."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from tests.support.ingestion import CLIENT, Ingestion
from tests.support.load import wait_for_rows
from tests.support.memory import Memory, read_replies, read_topic
from tests.support.topics import Headers, read_new, send_raw

MOST_MB = 300.0
SECONDS = 5.0
BLANKS: list[tuple[bytes | None, Headers]] = [(b" " * 10_000_000, [])]


def send_blanks(live: Ingestion, topic: str, count: int, compression: str = "zstd") -> None:
    """Write records of 10 MB to partition 0, in a batch each."""
    bootstrap = live.kafka.bootstrap_servers
    send_raw(bootstrap, topic, BLANKS * count, largest=10**9, compression=compression)


# What librdkafka takes to unpack 60 of gzip alone would be longer than a neighbour may wait.
@pytest.mark.parametrize(("compression", "count"), [("zstd", 60), ("lz4", 60), ("gzip", 20)])
def test_large_learning_messages_take_little_memory_and_time(
    live: Ingestion, compression: str, count: int
) -> None:
    topics, load = Topics(live.kafka.prefix), live.make_load()
    with (
        live.start("large") as process,
        read_new(live.kafka.bootstrap_servers, topics.dead_letters.name) as dead_letters,
    ):
        process.wait_for("reading begins")
        memory = Memory(process.pid)
        with memory.watching():
            send_blanks(live, topics.of(LEARNING).name, count, compression)
            began = time.monotonic()
            load.send(20)
            load.flush()
            assert wait_for_rows(load, live.engine).lost == 0
            seconds = time.monotonic() - began
            assert len(dead_letters(count)) == count
    assert memory.most < MOST_MB
    assert seconds < SECONDS


def test_large_questions_take_little_memory(live: Ingestion) -> None:
    topics = Topics(live.kafka.prefix)
    with (
        live.start("large", service="infer") as process,
        read_new(live.kafka.bootstrap_servers, topics.dead_letters.name) as dead_letters,
    ):
        process.wait_for("partitions assigned")
        memory = Memory(process.pid)
        with memory.watching():
            send_blanks(live, topics.of(SERVICE).name, 60)
            assert len(dead_letters(60)) == 60
    assert memory.most < MOST_MB


@pytest.mark.parametrize("read", [read_topic, read_replies])
def test_whatever_reads_large_records_takes_little_memory(
    live: Ingestion, read: Callable[[KafkaSettings, str], float]
) -> None:
    topic = Topics(live.kafka.prefix).replies(CLIENT).name
    send_blanks(live, topic, 60)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(read, live.kafka, topic).result() < MOST_MB
