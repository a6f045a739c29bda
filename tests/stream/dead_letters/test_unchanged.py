"""What a dead letter keeps, and what is sent again: the record unchanged, or nothing."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from confluent_kafka import Producer

from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.dead_letter import LOST_HEADERS
from stream.dead_letters.reader import DeadLetterReader, Position
from stream.dead_letters.retry import DeadLetterRetry
from stream.dead_letters.writer import DeadLetterWriter
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.producer import Publisher
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from tests.support.damaged_headers import BAD_NAME, send_damaged_header
from tests.support.dead_letters import make_dead_letter, publish_dead_letters, read_topic
from tests.support.topics import Headers, change_config, make_topics

MIB = 2**20
FIRST = (names.FIRST_OFFSET, b"0")


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return make_topics(kafka, topic_prefix)


def find_learning(settings: KafkaSettings) -> str:
    return Topics(settings.prefix).of(LEARNING).name


def send(
    settings: KafkaSettings,
    key: bytes | None = None,
    value: bytes | None = b"{}",
    headers: Headers = (),
    compression: str = "none",
) -> None:
    """Send a record to partition 0 as a foreign client may."""
    limits = {"message.max.bytes": 80 * MIB, "compression.type": compression}
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers} | limits)
    producer.produce(find_learning(settings), value, key, partition=0, headers=[*headers])
    assert producer.flush(20) == 0


def bury(settings: KafkaSettings) -> Record:
    """Write the dead letter of the only record of the learning topic, and return the record."""
    (record,) = read_topic(settings, find_learning(settings))
    publisher = Publisher(settings)
    DeadLetterWriter(publisher, Topics(settings.prefix)).write(record, SchemaError("is bad"))
    publisher.flush()
    return record


def retry(settings: KafkaSettings, *offsets: int) -> dict[int, str]:
    """Send dead letters again; return the reasons why some were not, by offset."""
    positions = [Position(0, offset) for offset in offsets]
    report = DeadLetterRetry(settings, lambda: 0.0).send(positions, force=True)
    assert {*report.sent, *report.refused} == {*positions}
    return {position.offset: reason for position, reason in report.refused.items()}


def read_again(settings: KafkaSettings) -> list[Record]:
    """Return what follows the first record of the learning topic."""
    return read_topic(settings, find_learning(settings))[1:]


HEADERS: dict[str, Headers] = {
    "none": [],
    "repeated and in this order": [("b", b"1"), ("a", b"2"), ("b", b"3"), ("b", b"1")],
    "null beside empty": [("n", None), ("n", b"")],
    "empty name": [("", b"x"), ("", None)],
    "name beyond ASCII": [("größe", b"1"), ("\N{OLD ITALIC LETTER A}", b"2")],
    "value that is not UTF-8": [("v", b"\xff\x00\xfe")],
    "those of a dead letter": make_dead_letter(KafkaSettings()).to_headers(),
    "those of a stub": make_dead_letter(KafkaSettings()).to_stub().to_headers(),
    "very many": [(f"h{number}", b"%d" % number) for number in range(500)],
    "very large": [("large", b"x" * 200_000)],
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_headers_are_sent_again_as_they_were(settings: KafkaSettings, headers: Headers) -> None:
    send(settings, headers=headers)
    assert bury(settings).headers == [*headers]
    assert retry(settings, 0) == {}
    (again,) = read_again(settings)
    assert again.headers == [FIRST, *headers]


@pytest.mark.parametrize("key", [None, b"", b"\xff\x00"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\x00"])
def test_key_and_body_are_sent_again_as_they_were(
    settings: KafkaSettings, key: bytes | None, value: bytes | None
) -> None:
    send(settings, key, value)
    bury(settings)
    assert retry(settings, 0) == {}
    (again,) = read_again(settings)
    assert (again.key, again.value, again.partition) == (key, value, 0)


def make_json(size: int) -> bytes:
    """Return JSON of about this many bytes that no compression makes much smaller than half."""
    return json.dumps(np.random.default_rng(0).random(size // 20).tolist()).encode()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize(
    "value", [b"x" * 2_000_000, make_json(2 * MIB)], ids=["one letter", "numbers"]
)
def test_what_the_broker_took_compressed_is_sent_again(
    settings: KafkaSettings, value: bytes, compression: str
) -> None:
    send(settings, value=value, compression=compression)
    bury(settings)
    assert retry(settings, 0) == {}
    assert [again.value for again in read_again(settings)] == [value]


def test_what_no_compression_makes_small_enough_holds_up_nothing_else(
    settings: KafkaSettings,
) -> None:
    noise = np.random.default_rng(0).bytes(2 * MIB)
    letters = [make_dead_letter(settings, i, origin_partition=i % 4) for i in range(40)]
    for letter in letters[1::5]:
        letter.value = noise
    publish_dead_letters(settings, letters)
    refused = retry(settings, *range(40))
    assert sorted(refused) == [*range(1, 40, 5)]
    learning = find_learning(settings)
    assert f"has 2,097,152 bytes, and is too large for {learning} even when" in refused[1]
    assert len(read_topic(settings, learning)) == 32
    change_config(settings.bootstrap_servers, learning, "max.message.bytes", str(4 * MIB))
    assert retry(settings, 1, 6) == {}
    assert [record.value for record in read_topic(settings, learning)].count(noise) == 2


def test_many_large_dead_letters_go_in_several_transactions(settings: KafkaSettings) -> None:
    letters = [
        make_dead_letter(settings, number, value=b"%d" % number * 12 * MIB) for number in range(4)
    ]
    publish_dead_letters(settings, letters)
    assert retry(settings, 0, 1, 2, 3) == {}
    sent = read_topic(settings, find_learning(settings))
    assert [record.value for record in sent] == [letter.value for letter in letters]


NAMES: dict[str, Sequence[bytes]] = {
    "alone": [BAD_NAME],
    "among others": [b"before", BAD_NAME, b"after"],
    "a surrogate": [b"\xed\xa0\x80"],
    "cut off": [b"gr\xc3"],
    "two": [BAD_NAME, BAD_NAME],
}


@pytest.mark.parametrize("headers", NAMES.values(), ids=NAMES)
def test_a_record_whose_headers_are_lost_is_not_sent_again(
    settings: KafkaSettings, headers: Sequence[bytes]
) -> None:
    send_damaged_header(settings.bootstrap_servers, find_learning(settings), headers)
    assert bury(settings).headers_damaged
    (entry,) = DeadLetterReader(settings).scan().entries
    assert entry.dead_letter.reason == f"{LOST_HEADERS}; is bad"
    assert "its sender alone can send it unchanged" in retry(settings, 0)[0]
    assert read_again(settings) == []


def test_a_dead_letter_of_version_0_1_0_that_lost_its_headers_is_not_sent_again(
    settings: KafkaSettings,
) -> None:
    letter = make_dead_letter(settings, reason="the name of a header is not UTF-8", headers=[])
    publish_dead_letters(settings, [letter])
    assert "has lost its headers" in retry(settings, 0)[0]
