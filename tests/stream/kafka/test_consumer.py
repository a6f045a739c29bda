"""The consumer loop on a real broker: what happens before its offsets move."""

import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Consumer, TopicPartition

from stream.broker.embedded import EmbeddedBroker
from stream.errors import DependencyDown, KafkaRefused, StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.health import PATIENCE_SECONDS, Health
from stream.kafka.consumer import RecordConsumer
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.broker import kill_broker
from tests.support.topics import send_raw
from tests.support.waiting import LONG, wait_until


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    create_topics(settings, [Topics(topic_prefix).of(LEARNING)])
    return settings


def consume(
    settings: KafkaSettings,
    handle: Callable[[Sequence[Record]], None],
    stop: Event,
    health: Health | None = None,
    instance: str = "0",
) -> None:
    consumer = RecordConsumer(
        settings,
        topic=Topics(settings.prefix).of(LEARNING).name,
        group=f"{settings.prefix}.test",
        instance=instance,
        batch_size=100,
        health=health,
    )
    consumer.run(handle, stop)


def send(settings: KafkaSettings, *values: bytes) -> None:
    topic = Topics(settings.prefix).of(LEARNING).name
    send_raw(settings.bootstrap_servers, topic, [(value, []) for value in values])


def send_everywhere(settings: KafkaSettings, word: str) -> set[bytes]:
    """Send one record to each partition and return their values."""
    topic = Topics(settings.prefix).of(LEARNING)
    values = [f"{word} {number}".encode() for number in range(topic.partitions)]
    for number, value in enumerate(values):
        send_raw(settings.bootstrap_servers, topic.name, [(value, [])], partition=number)
    return set(values)


def read_until(settings: KafkaSettings, wanted: int) -> list[bytes]:
    """Consume until ``wanted`` records were handled, then leave in order."""
    seen: list[bytes] = []
    stop = Event()

    def handle(records: Sequence[Record]) -> None:
        seen.extend(record.value for record in records)
        if len(seen) >= wanted:
            stop.set()

    consume(settings, handle, stop)
    return seen


def test_a_restart_goes_on_after_the_last_handled_record(settings: KafkaSettings) -> None:
    send(settings, b"1", b"2")
    assert read_until(settings, 2) == [b"1", b"2"]
    send(settings, b"3")
    assert read_until(settings, 1) == [b"3"]


def test_a_broken_dependency_gets_the_same_records_again(settings: KafkaSettings) -> None:
    send(settings, b"1", b"2")
    tries: list[list[bytes]] = []
    stop = Event()

    def handle(records: Sequence[Record]) -> None:
        tries.append([record.value for record in records])
        if len(tries) < 3:
            raise DependencyDown("the database is away")
        stop.set()

    consume(settings, handle, stop)
    assert tries[0] == tries[1] == tries[2] == [b"1", b"2"]
    send(settings, b"3")
    assert read_until(settings, 1) == [b"3"]


def test_partitions_taken_away_in_an_outage_are_read_again_when_they_come_back(
    settings: KafkaSettings,
) -> None:
    down, released, shared, stop, stop_second = (Event() for _ in range(5))
    seen: set[bytes] = set()

    def handle(records: Sequence[Record]) -> None:
        down.set()
        if not released.is_set():
            raise DependencyDown("the database is away")
        seen.update(record.value for record in records)

    first = Thread(target=consume, args=(settings, handle, stop))
    second = Thread(
        target=consume,
        args=(settings, lambda _: shared.set(), stop_second),
        kwargs={"instance": "1"},
    )
    send_everywhere(settings, "early")
    first.start()
    try:
        assert down.wait(LONG)
        second.start()
        assert shared.wait(LONG), "the second process got no partition"
        released.set()
        stop_second.set()  # the group misses it, and gives the first process everything back
        second.join()
        late = send_everywhere(settings, "late")
        wait_until(lambda: late <= seen, "a partition stands still")
    finally:
        stop.set()
        stop_second.set()
        first.join()


def test_what_was_handled_is_not_handled_again_when_a_second_process_joins(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Commits happen only when partitions go.
    monkeypatch.setattr("stream.kafka.consumer._COMMIT_SECONDS", math.inf)
    seen: list[bytes] = []
    joined, stop = Event(), Event()

    def handle(records: Sequence[Record]) -> None:
        seen.extend(record.value for record in records)

    def handle_second(records: Sequence[Record]) -> None:
        handle(records)
        joined.set()

    first = Thread(target=consume, args=(settings, handle, stop))
    second = Thread(target=consume, args=(settings, handle_second, stop, None, "1"))
    early = send_everywhere(settings, "early")
    first.start()
    try:
        wait_until(lambda: early <= set(seen), "a record is not read")
        second.start()
        late: set[bytes] = set()
        while not joined.wait(0.5):
            late |= send_everywhere(settings, f"late {len(late)}")
        wait_until(lambda: late <= set(seen), "a record is not read")
    finally:
        stop.set()
        first.join()
        second.join()
    assert sorted(seen) == sorted(early | late)


def test_a_batch_finished_too_late_does_not_move_the_group_back(settings: KafkaSettings) -> None:
    down, released, finished, stop, stop_second = (Event() for _ in range(5))
    seen_by_second: list[bytes] = []

    def handle(_: Sequence[Record]) -> None:
        down.set()
        if not released.is_set():
            raise DependencyDown("the database is away")
        finished.set()

    def handle_second(records: Sequence[Record]) -> None:
        seen_by_second.extend(record.value for record in records)

    first = Thread(target=consume, args=(settings, handle, stop))
    second = Thread(target=consume, args=(settings, handle_second, stop_second, None, "1"))
    send_everywhere(settings, "early")
    first.start()
    try:
        assert down.wait(LONG)
        second.start()
        wait_until(lambda: bool(seen_by_second), "the second process got no partition")
        late = send_everywhere(settings, "late")
        wait_until(lambda: bool(late & set(seen_by_second)), "a record is not read")
        wait_until(lambda: 2 in read_committed(settings), "the second process commits nothing")
        before = read_committed(settings)
        released.set()
        assert finished.wait(LONG)
    finally:
        released.set()
        stop.set()
        first.join()
        after = read_committed(settings)
        stop_second.set()
        second.join()
    assert all(new >= old for new, old in zip(after, before, strict=True)), (before, after)


def read_committed(settings: KafkaSettings) -> list[int]:
    """Return the group's offset of each partition; negative where there is none."""
    topic = Topics(settings.prefix).of(LEARNING)
    consumer = Consumer({**settings.client_config(), "group.id": f"{settings.prefix}.test"})
    try:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        return [partition.offset for partition in consumer.committed(partitions, timeout=30)]
    finally:
        consumer.close()


def test_records_not_handled_before_a_stop_are_read_again(settings: KafkaSettings) -> None:
    send(settings, b"1")
    stop = Event()

    def handle(_: Sequence[Record]) -> None:
        stop.set()
        raise DependencyDown("the database is away")

    consume(settings, handle, stop)
    assert read_until(settings, 1) == [b"1"]


def test_a_stop_does_not_wait_for_a_broker_that_says_nothing(tmp_path: Path) -> None:
    stop = Event()
    with EmbeddedBroker(tmp_path) as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, prefix="silent")
        create_topics(settings, [Topics("silent").of(LEARNING)])
        send(settings, b"1")

        def handle(_: Sequence[Record]) -> None:
            os.kill(broker.pid, signal.SIGSTOP)
            stop.set()

        reading = Thread(target=consume, args=(settings, handle, stop), daemon=True)
        reading.start()
        assert stop.wait(LONG)
        reading.join(LONG)
        ended = not reading.is_alive()
        kill_broker(broker)
    assert ended


def test_offsets_that_a_killed_process_did_not_commit_are_where_the_next_one_begins(
    settings: KafkaSettings,
) -> None:
    send_everywhere(settings, "stored")
    stop = Event()
    consumer = RecordConsumer(
        settings,
        topic=Topics(settings.prefix).of(LEARNING).name,
        group=f"{settings.prefix}.test",
        instance="0",
        batch_size=100,
        find_starts=lambda ranges, _: {offset_range.partition: 1 for offset_range in ranges},
    )
    reading = Thread(target=consumer.run, args=(lambda _: None, stop))
    reading.start()
    try:
        wait_until(lambda: set(read_committed(settings)) == {1}, "the group's offsets stay behind")
    finally:
        stop.set()
        reading.join()


def test_a_second_process_of_one_instance_takes_over_at_once(settings: KafkaSettings) -> None:
    """As after a SIGKILL: the newcomer takes the old one's place, and the old one is told why."""
    send(settings, b"1")
    handled = Event()
    fenced: list[KafkaRefused] = []

    def run_first() -> None:
        try:
            consume(settings, lambda _: handled.set(), Event())
        except KafkaRefused as error:
            fenced.append(error)

    first = Thread(target=run_first)
    first.start()
    assert handled.wait(LONG)

    def send_when_replaced() -> None:
        first.join()
        send(settings, b"2")

    sending = Thread(target=send_when_replaced)
    sending.start()
    assert read_until(settings, 1)[-1] == b"2"
    sending.join()
    assert "start each with an --instance of its own" in str(fenced[0])


def test_a_missing_topic_is_an_error_that_names_it(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with pytest.raises(StreamError, match=f"cannot read {topic_prefix}.learning"):
        consume(settings, lambda _: None, Event())


@dataclass
class Watched:
    """A consumer in a thread, its health by a clock that is set by hand."""

    time: float = 0.0
    stop: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.health = Health(lambda: self.time)

    @contextmanager
    def consuming(
        self,
        settings: KafkaSettings,
        handle: Callable[[Sequence[Record]], None],
        instance: str = "0",
    ) -> Iterator[None]:
        thread = Thread(target=consume, args=(settings, handle, self.stop, self.health, instance))
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join(30)

    def wait_for(self, *blamed: str) -> None:
        """Wait until just these are blamed."""
        self.wait_until(lambda: [fault.what for fault in self.health.find_faults()] == [*blamed])

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_until(condition, "its health is another")


def test_a_handler_that_hangs_is_not_ready_and_its_lag_is_known(settings: KafkaSettings) -> None:
    watched, hold = Watched(), Event()
    partition = (Topics(settings.prefix).of(LEARNING).name, 0)
    read = lambda: watched.health.condition.progress[partition]  # noqa: E731

    def handle(_: Sequence[Record]) -> None:
        hold.wait(LONG)

    with watched.consuming(settings, handle):
        watched.wait_for()
        hold.set()
        send(settings, b"1", b"2")
        watched.wait_until(lambda: (read().position, read().lag) == (2, 0))
        hold.clear()
        send(settings, b"3")
        watched.wait_until(lambda: watched.health.condition.batch_since is not None)
        watched.time += PATIENCE_SECONDS
        watched.wait_for("batch")
        assert read().position == 2
        hold.set()
        watched.wait_for()
        watched.wait_until(lambda: (read().position, read().lag) == (3, 0))


def test_what_a_handler_needs_is_blamed_until_it_is_there(settings: KafkaSettings) -> None:
    watched, there = Watched(), Event()

    def handle(_: Sequence[Record]) -> None:
        if not there.is_set():
            raise DependencyDown("no replica is there", "kafka-writes")

    with watched.consuming(settings, handle):
        send(settings, b"1")
        watched.wait_for("kafka-writes")
        assert watched.health.find_faults()[0].reason == "no replica is there"
        there.set()
        watched.wait_for()


def test_a_member_that_gets_no_partition_is_ready(settings: KafkaSettings) -> None:
    """It stands by for the others of its group, which is its work."""
    partitions = Topics(settings.prefix).of(LEARNING).partitions
    members = [Watched() for _ in range(partitions + 1)]
    with ExitStack() as stack:
        for number, member in enumerate(members):
            stack.enter_context(member.consuming(settings, lambda _: None, str(number)))
        shares = lambda: sorted(len(member.health.condition.progress) for member in members)  # noqa: E731
        members[0].wait_until(lambda: shares() == [0] + [1] * partitions)
        for member in members:
            member.wait_for()
