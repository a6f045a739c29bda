"""The consumer loop on a real broker: what happens before its offsets move."""

from collections.abc import Callable, Sequence
from threading import Event, Thread, Timer

import pytest

from stream.consumer import RecordConsumer
from stream.errors import DependencyDown, KafkaRefused, StreamError
from stream.record import Record
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics
from tests.support.topics import send_raw
from tests.support.waiting import wait_until


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    create_topics(settings, [Topics(topic_prefix).learning])
    return settings


def consume(
    settings: KafkaSettings,
    handle: Callable[[Sequence[Record]], None],
    stop: Event,
    *,
    instance: str = "0",
) -> None:
    consumer = RecordConsumer(
        settings,
        topic=Topics(settings.prefix).learning.name,
        group=f"{settings.prefix}.test",
        instance=instance,
        batch_size=100,
    )
    consumer.run(handle, stop)


def send(settings: KafkaSettings, *values: bytes) -> None:
    topic = Topics(settings.prefix).learning.name
    send_raw(settings.bootstrap_servers, topic, [(value, []) for value in values])


def send_everywhere(settings: KafkaSettings, word: str) -> set[bytes]:
    """Send one record to each partition and return their values."""
    topic = Topics(settings.prefix).learning
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
        assert down.wait(60)
        second.start()
        assert shared.wait(60), "the second process got no partition"
        released.set()
        stop_second.set()  # the group misses it, and gives the first process everything back
        second.join()
        late = send_everywhere(settings, "late")
        wait_until(lambda: late <= seen, "a partition stands still")
    finally:
        stop.set()
        stop_second.set()
        first.join()


def test_records_not_handled_before_a_stop_are_read_again(settings: KafkaSettings) -> None:
    send(settings, b"1")
    stop = Event()

    def handle(_: Sequence[Record]) -> None:
        stop.set()
        raise DependencyDown("the database is away")

    consume(settings, handle, stop)
    assert read_until(settings, 1) == [b"1"]


def test_a_second_process_of_one_instance_takes_over_at_once(settings: KafkaSettings) -> None:
    """As after a SIGKILL: the newcomer takes the old one's place, and the old one is told why."""
    send(settings, b"1")
    handled, stop = Event(), Event()
    fenced: list[KafkaRefused] = []

    def run_first() -> None:
        try:
            consume(settings, lambda _: handled.set(), stop)
        except KafkaRefused as error:
            fenced.append(error)

    first = Thread(target=run_first)
    first.start()
    assert handled.wait(30)
    sending = Timer(1.5, send, (settings, b"2"))  # by then the second process is a member
    sending.start()
    assert read_until(settings, 1)[-1] == b"2"
    first.join(30)
    stop.set()
    assert "start each with an --instance of its own" in str(fenced[0])


def test_a_missing_topic_is_an_error_that_names_it(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with pytest.raises(StreamError, match=f"cannot read {topic_prefix}.learning"):
        consume(settings, lambda _: None, Event())
