"""A batch that the broker's disk has damaged: a range that holds it is not read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from stream.broker.embedded import EmbeddedBroker
from stream.errors import StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import read_ranges
from stream.kafka.range_reader import read_records
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.broker import kill_broker
from tests.support.topics import send_raw


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path).start()
    yield broker
    kill_broker(broker)


def damage(folder: Path, topic: str, number: int) -> None:
    """Change 0.125 to 0.925 in one of the batches of partition 0, counted from 0."""
    log = folder / "data" / f"{topic}-0" / "00000000000000000000.log"
    raw = bytearray(log.read_bytes())
    position = -1
    for _ in range(number + 1):
        position = raw.index(b"0.125", position + 1)
    raw[position + 2] = ord("9")
    with log.open("r+b") as file:
        file.write(raw)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 3], ids=lambda size: f"{size} in a batch")
def test_a_range_with_a_damaged_batch_is_not_read(
    broker: EmbeddedBroker, tmp_path: Path, number: int, size: int
) -> None:
    bootstrap = broker.bootstrap_servers
    settings, topic = KafkaSettings(bootstrap_servers=bootstrap), Topics("ioa", 1).of(LEARNING)
    create_topics(settings, [topic])
    for _ in range(3):
        send_raw(bootstrap, topic.name, [(b"0.125", [])] + [(b"?", [])] * (size - 1))
    ranges = read_ranges(AdminClient(settings.client_config()), topic.name)
    assert len(list(read_records(settings, ranges))) == 3 * size
    damage(tmp_path, topic.name, number)
    with pytest.raises(
        StreamError, match=r"ioa\.learning\[0\] cannot be read at offset \d+: .*`ioa server skip "
    ):
        list(read_records(settings, ranges))
