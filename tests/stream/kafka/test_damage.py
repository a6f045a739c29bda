"""A batch that nobody can read: a range that holds it is not read, and its end is found."""

from collections.abc import Iterator
from itertools import count

import pytest
from confluent_kafka.admin import AdminClient

from stream.broker.embedded import EmbeddedBroker
from stream.errors import StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange, read_ranges
from stream.kafka.range_reader import read_records
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.kafka.unreadable import find_unreadable
from tests.support.broker import kill_broker
from tests.support.damaged_batches import DAMAGES, ENDLESS, Damage, send_unreadable
from tests.support.topics import Headers, send_raw

SUM = DAMAGES[1]
_numbers = count()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka")).start()
    yield broker
    kill_broker(broker)


class Log:
    """A topic of one partition."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        prefix = f"damage-{next(_numbers)}"
        self.broker = broker
        self.settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, prefix=prefix)
        topic = Topics(prefix, 1).of(LEARNING)
        create_topics(self.settings, [topic])
        self.topic = topic.name

    def send(self, records: int = 1) -> None:
        """Send a batch."""
        bodies: list[tuple[bytes, Headers]] = [(b"0.125" * 20, [])] * records
        send_raw(self.settings.bootstrap_servers, self.topic, bodies)

    def damage(self, damage: Damage, records: int = 3) -> int:
        """Send a batch that cannot be read; return how many records it has."""
        where = (self.settings.bootstrap_servers, self.broker.directory, self.topic)
        return send_unreadable(*where, [b"0.125" * 20] * records, damage)

    @property
    def held(self) -> OffsetRange:
        (held,) = read_ranges(AdminClient(self.settings.client_config()), self.topic)
        return held

    def find_unreadable(self, offset: int) -> tuple[int, int]:
        found, _ = find_unreadable(self.settings, self.held, offset)
        return found.low, found.high


@pytest.fixture
def log(broker: EmbeddedBroker) -> Log:
    return Log(broker)


@pytest.mark.parametrize("damage", [*DAMAGES, ENDLESS], ids=str)
def test_a_range_with_a_batch_that_cannot_be_read_is_not_read(log: Log, damage: Damage) -> None:
    log.send(2)
    log.damage(damage)
    log.send()
    named = rf"{log.topic}\[0\] cannot be read at offset 2: .*`ioa server skip .* --offset 2`"
    with pytest.raises(StreamError, match=named):
        list(read_records(log.settings, [log.held]))
    before = log.held._replace(high=2)
    assert [record.offset for record in read_records(log.settings, [before])] == [0, 1]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
@pytest.mark.parametrize("records", [1, 3])
def test_its_first_and_its_last_offset_are_found(log: Log, damage: Damage, records: int) -> None:
    log.send(2)
    size = log.damage(damage, records)
    log.send()
    assert log.find_unreadable(2) == (2, 2 + size)
    with pytest.raises(StreamError, match="can be read at offset 1"):
        log.find_unreadable(1)
    with pytest.raises(StreamError, match=f"can be read at offset {2 + size}"):
        log.find_unreadable(2 + size)


def test_neighbours_that_cannot_be_read_are_told_apart(log: Log) -> None:
    log.damage(SUM, 3)
    log.damage(SUM, 5)
    assert log.find_unreadable(0) == (0, 3)
    assert log.find_unreadable(3) == (3, 8)


def test_a_long_one_is_measured_to_its_end(log: Log) -> None:
    log.damage(SUM, 700)
    log.send()
    assert log.find_unreadable(0) == (0, 700)


def test_it_is_found_from_within(log: Log) -> None:
    log.send()
    log.damage(SUM, 5)
    assert log.find_unreadable(4) == (1, 6)


def test_where_the_broker_finds_no_end_it_reaches_to_what_can_be_read(log: Log) -> None:
    log.send()
    log.damage(ENDLESS)
    log.send(4)
    assert log.find_unreadable(1) == (1, 8)
