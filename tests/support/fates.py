"""What became of every record of a topic, read from the topics and the database.

Not from what the services say of themselves, but for expired questions, which leave only a count.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine, select

from schemas.messages import headers as names
from schemas.messages.dead_letter import DeadLetter, Stub
from server_classifier.store.database import reading
from server_classifier.store.tables import latent
from stream.exchange.exchanges import ACKNOWLEDGEMENT, LEARNING, REPLY, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.offsets import read_ranges
from stream.kafka.range_reader import read_records
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings

Place = tuple[int, int]
"""Partition and offset."""


class Content(NamedTuple):
    """The bytes of a record, shortened: a topic holds gigabytes of them."""

    value: Stub
    rest: bytes


@dataclass(frozen=True)
class Letters:
    """The dead letters of one topic by the place of the record, stubs apart.

    Attributes:
        changed: places whose record is not what the dead letter holds, or its stub says.
    """

    copies: Counter[Place]
    stubs: Counter[Place]
    changed: list[Place]

    @property
    def places(self) -> Counter[Place]:
        """All of them."""
        return self.copies + self.stubs


@dataclass(frozen=True)
class LearningFates:
    """How many learning messages there are, and how many had which fate.

    Attributes:
        known: those that were stored before, byte for byte.
        lost: those with no fate.
        doubled: those with more than one.
    """

    sent: int
    stored: int
    dead_lettered: int
    stubbed: int
    known: int
    lost: int
    doubled: int
    changed: int
    acknowledged: int

    @property
    def exact(self) -> bool:
        """Whether each has one fate, unchanged, and what is stored was acknowledged."""
        good = (self.lost, self.doubled, self.changed) == (0, 0, 0)
        return good and self.acknowledged == self.stored + self.known


@dataclass(frozen=True)
class ServiceFates:
    """How many questions there are, and how many had which fate."""

    sent: int
    answered: int
    dead_lettered: int
    stubbed: int
    expired: int
    doubled: int
    changed: int

    @property
    def exact(self) -> bool:
        """Whether there is one fate for each question, unchanged."""
        fates = self.answered + self.dead_lettered + self.stubbed + self.expired
        return (self.doubled, self.changed, fates) == (0, 0, self.sent)


def follow_learning(kafka: KafkaSettings, engine: Engine, clients: Iterable[str]) -> LearningFates:
    """Find the fate of every record of the learning topic."""
    topics = Topics(kafka.prefix)
    sent, letters = _read_sent(kafka, topics.of(LEARNING).name, topics)
    stored = _read_stored(engine)
    bodies = {sent[place].value for place in stored}
    rest = sent.keys() - stored.keys() - letters.places.keys()
    known = {place for place in rest if sent[place].value in bodies}
    fates = stored + letters.places
    return LearningFates(
        len(sent),
        stored.total(),
        letters.copies.total(),
        letters.stubs.total(),
        len(known),
        lost=len(rest - known),
        doubled=sum(count > 1 for count in fates.values()),
        changed=len(letters.changed),
        acknowledged=_count_answers(kafka, clients)[ACKNOWLEDGEMENT.name],
    )


def follow_service(kafka: KafkaSettings, clients: Iterable[str], *, expired: int) -> ServiceFates:
    """Find the fate of every record of the service topic."""
    topics = Topics(kafka.prefix)
    sent, letters = _read_sent(kafka, topics.of(SERVICE).name, topics)
    return ServiceFates(
        len(sent),
        _count_answers(kafka, clients)[REPLY.name],
        letters.copies.total(),
        letters.stubs.total(),
        expired,
        doubled=sum(count > 1 for count in letters.places.values()),
        changed=len(letters.changed),
    )


def count_records(kafka: KafkaSettings, topic: str) -> int:
    """Return how many offsets the topic holds."""
    admin = AdminClient(kafka.client_config())
    return sum(part.high - part.low for part in read_ranges(admin, topic))


def _read(kafka: KafkaSettings, topic: str) -> Iterator[Record]:
    return read_records(kafka, read_ranges(AdminClient(kafka.client_config()), topic))


def _read_sent(
    kafka: KafkaSettings, topic: str, topics: Topics
) -> tuple[dict[Place, Content], Letters]:
    """Read the records of a topic and their dead letters."""
    sent = {(record.partition, record.offset): _shorten(record) for record in _read(kafka, topic)}
    letters = Letters(Counter(), Counter(), [])
    for record in _read(kafka, topics.dead_letters.name):
        letter = DeadLetter.from_headers(record.key, record.value, record.headers)
        if letter.origin_topic == topic:
            place = letter.origin_partition, letter.origin_offset
            (letters.stubs if letter.stub else letters.copies)[place] += 1
            if not _is_same(letter, sent[place]):
                letters.changed.append(place)
    return sent, letters


def _is_same(letter: DeadLetter, content: Content) -> bool:
    if letter.stub is not None:
        return letter.stub == content.value
    return content == Content(_measure(letter.value), _digest(letter.key, letter.headers))


def _shorten(record: Record) -> Content:
    return Content(_measure(record.value), _digest(record.key, record.headers))


def _measure(value: bytes | None) -> Stub:
    return Stub(len(value or b""), hashlib.sha256(value or b"").hexdigest())


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _read_stored(engine: Engine) -> Counter[Place]:
    with reading(engine) as connection:
        rows = connection.execute(select(latent.c.partition, latent.c.kafka_offset))
        return Counter((partition, offset) for partition, offset in rows)


def _count_answers(kafka: KafkaSettings, clients: Iterable[str]) -> Counter[str | None]:
    topics = Topics(kafka.prefix)
    replies = (_read(kafka, topics.replies(client).name) for client in clients)
    return Counter(answer.header(names.KIND) for records in replies for answer in records)
